"""The API's description as one page that loads nothing: no script, no style sheet, no font from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;"
    "padding:.2rem .8rem .2rem 0}h3{margin-top:2rem}"
)


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    about = document["info"]
    title = escape(f"{about['title']} {about['version']}")
    body = "".join(_routes(document)) + "".join(_schemas(document))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><h1>{title}</h1>'
        f"<p>{escape(about['description'])} Every request needs the header <code>Authorization: Bearer TOKEN</code>. "
        f'The same for programs: <a href="openapi.json">openapi.json</a>.</p>{body}</html>'
    )


def _routes(document: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Routes</h2>"
    for path, verbs in document["paths"].items():
        for verb, route in verbs.items():
            yield f"<h3><code>{verb.upper()} {escape(path)}</code></h3><p>{escape(route.get('description', ''))}</p>"
            yield "<table>"
            for one in route.get("parameters", ()):
                text = escape(one.get("description", ""))
                yield f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{text}</tr>"
            for media in route.get("requestBody", {}).get("content", {}).values():
                yield f"<tr><td>body<td colspan=2>{_type(media['schema'])}</tr>"
            for status, answer in route["responses"].items():
                if status < "300":
                    content = answer.get("content", {})
                    kinds = ", ".join(f"{escape(kind)} {_type(one['schema'])}" for kind, one in content.items())
                    yield f"<tr><td>{status}<td colspan=2>{kinds or 'nothing'}</tr>"
            yield "</table>"


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Documents</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p><table>'
        for field, one in schema.get("properties", {}).items():
            yield f"<tr><td><code>{escape(field)}</code><td>{_type(one)}<td>{escape(one.get('description', ''))}</tr>"
        yield "</table>"


def _type(schema: dict[str, Any]) -> str:
    """A type in words, with a link where it is a document of its own."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(schema.get("format") or schema.get("type") or "any")
