"""The API's description as one page that loads nothing: no script, no style sheet, no font from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_name("docs.css")
HUB = "/"
"""Where the hub's pages are."""


@cache
def style() -> str:
    """The page's style sheet."""
    return STYLE.read_text(encoding="utf-8")


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    about = document["info"]
    title = escape(f"{about['title']} {about['version']}")
    groups = _groups(document)
    body = "".join(_group(name, routes) for name, routes in groups.items()) + "".join(_schemas(document))
    menu = "".join(f'<li><a href="#of-{name}">{name}</a></li>' for name in groups)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style()}</style>'
        f'<main><p class="back"><a href="{HUB}">dynolab hub</a></p><h1>{title} API</h1>'
        f"<p>{_text(about['description'])} Every request needs the header <code>Authorization: Bearer TOKEN</code>. "
        f'For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f'<nav aria-label="Sections"><ul>{menu}<li><a href="#documents">Documents</a></li></ul></nav>{body}</main></html>'
    )


def _text(words: str) -> str:
    """Plain text with `code` in it, as markup."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words))


def _groups(document: dict[str, Any]) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
    """Verb, path and description of each route, by the first part of the path."""
    found: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, verbs in document["paths"].items():
        for verb, route in verbs.items():
            found.setdefault(path.split("/")[1], []).append((verb.upper(), path, route))
    return found


def _group(name: str, routes: list[tuple[str, str, Mapping[str, Any]]]) -> str:
    return f'<section aria-labelledby="of-{name}"><h2 id="of-{name}">{name}</h2>{"".join(_route(*one) for one in routes)}</section>'


def _route(verb: str, path: str, route: Mapping[str, Any]) -> str:
    rows = [
        (f"<code>{escape(one['name'])}</code>", escape(one["in"]), _text(one.get("description", "")))
        for one in route.get("parameters", ())
    ]
    rows += [("body", _type(media["schema"]), "") for media in route.get("requestBody", {}).get("content", {}).values()]
    for status, answer in route["responses"].items():
        if status < "300":
            content = answer.get("content", {})
            kinds = ", ".join(f"{escape(kind)} {_type(one['schema'])}" for kind, one in content.items())
            rows.append((status, kinds or "nothing", ""))
    words = _text(route.get("description", ""))
    return f'<article><h3><span class="verb">{verb}</span> <code>{escape(path)}</code></h3><p>{words}</p>{_table(rows)}</article>'


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    yield '<section aria-labelledby="documents"><h2 id="documents">Documents</h2>'
    for name, schema in sorted(document["components"]["schemas"].items()):
        rows = [
            (f"<code>{escape(field)}</code>", _type(one), _text(one.get("description", "")))
            for field, one in schema.get("properties", {}).items()
        ]
        title, words = escape(name), _text(schema.get("description", ""))
        yield f'<article><h3 id="{title}">{title}</h3><p>{words}</p>{_table(rows)}</article>'
    yield "</section>"


def _table(rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f'<tr><th scope="row">{one}</th><td>{two}</td><td>{three}</td></tr>' for one, two, three in rows)
    return f"<table>{lines}</table>"


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
