"""``dynolab toolchains``: what models can be compiled for and quantised to here, and the environments that some targets have of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from dynolab.toolchains._environments import Environment
    from dynolab.toolchains.base import Toolchain


@click.group("toolchains", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the targets of `dynolab compile` and what `dynolab quantize` takes, or: install, uninstall what a target needs.

    \b
    From which formats, with which versions, and what is missing.
    dynolab toolchains install tflite
    """  # noqa: D301 - click wants the backspace character itself
    import json

    if ctx.invoked_subcommand is not None:
        return
    targets, quantizers = _targets(), _quantizers()
    if as_json:
        click.echo(json.dumps({"targets": targets, "quantizers": quantizers}, indent=1))
    else:
        _show_targets(targets)
        click.echo()
        _show_quantizers(quantizers)


@command.command("install")
@click.argument("target")
def install(target: str) -> None:
    """Make the environment of its own that TARGET is compiled in; else the first compilation makes it."""
    from dynolab.cli import _notes
    from dynolab.spec.show import show_bytes

    own = _environment(target)
    if own.is_made:
        click.echo(f"the environment of {target} is there already: {own.folder}")
        return
    with _notes.follow(f"making the environment of {target}") as note:
        own.make(note)
    click.echo(f"made: {own.folder} ({show_bytes(own.bytes or 0)})")


@command.command("uninstall")
@click.argument("target")
def uninstall(target: str) -> None:
    """Remove the environments of TARGET, those of other versions, too."""
    from dynolab.spec.show import show_bytes
    from dynolab.toolchains import _environments as environments

    freed = environments.remove(_environment(target).name)
    click.echo(f"removed: {show_bytes(freed)}" if freed else f"there is no environment of {target}")


def _environment(target: str) -> Environment:
    """The target's environment. Raises :class:`~dynolab.errors.SpecInvalid` for one that has none."""
    from dynolab.errors import SpecInvalid
    from dynolab.toolchains.base import toolchain_named

    found = toolchain_named(target)
    own = next(filter(None, map(found.environment, found.sources)), None)
    if own is None:
        hint = found.unavailable() or "it is made with what is installed: see `dynolab toolchains`"
        raise SpecInvalid(f"the target {target} has no environment of its own", hint=hint)
    return own


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _versions(row: dict[str, Any]) -> str:
    from rich.markup import escape

    return escape(", ".join(f"{name} {version}" for name, version in row["versions"].items()))


def _why(reason: str) -> str:
    from rich.markup import escape

    return f"[yellow]unavailable:[/yellow] {escape(reason)}"


def _show_targets(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape

    table = _table("target", "from", "versions")
    for row in rows:
        ready = [kind for kind, reason in row["sources"].items() if reason is None]
        table.add_row(f"[bold]{escape(row['name'])}[/bold]", " ".join(ready), _versions(row))
        for kind, reason in row["sources"].items():
            if reason is not None:
                table.add_row("", kind, _why(reason))
        if (own := row["environment"]) is not None:
            table.add_row("", "", f"[dim]{escape(_made(row['name'], own))}[/dim]")
    Console().print(table)


def _show_quantizers(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape

    table = _table("quantises", "weights/activations", "versions")
    for row in rows:
        pairs = " ".join("/".join(pair) for pair in row["types"])
        table.add_row(f"[bold]{escape(row['name'])}[/bold]", pairs, _versions(row))
        if row["unavailable"] is not None:
            table.add_row("", "", _why(row["unavailable"]))
    Console().print(table)


def _made(target: str, own: dict[str, Any]) -> str:
    """How the environment of a target stands, in a line."""
    from dynolab.spec.show import show_bytes

    if own["made"]:
        return f"environment of its own: {show_bytes(own['bytes'])}, {own['folder']}"
    return (
        f"environment of its own, not made yet: `dynolab toolchains install {target}` or the first compilation makes it"
    )


def _targets() -> list[dict[str, Any]]:
    from dynolab import plugins
    from dynolab.toolchains.base import PACKAGE, toolchain_named

    found = [toolchain_named(name) for name in plugins.names(PACKAGE)]
    return [
        {
            "name": one.name,
            "makes": str(one.makes),
            "sources": {str(kind): one.unavailable(kind) for kind in one.sources},
            "versions": one.versions(),
            "options": list(one.options),
            "environment": _state(one),
        }
        for one in found
    ]


def _quantizers() -> list[dict[str, Any]]:
    from dynolab import plugins
    from dynolab.spec.models import ModelFormat
    from dynolab.toolchains._quantizers.base import PACKAGE, quantizer_of

    found = [quantizer_of(ModelFormat(name)) for name in plugins.names(PACKAGE)]
    return [
        {
            "name": one.name,
            "types": one.types,
            "needs": one.needs,
            "unavailable": one.unavailable(),
            "versions": one.versions(),
            "options": one.options,
        }
        for one in found
    ]


def _state(one: Toolchain) -> dict[str, Any] | None:
    own = next(filter(None, map(one.environment, one.sources)), None)
    return None if own is None else {"made": own.is_made, "bytes": own.bytes, "folder": str(own.folder)}
