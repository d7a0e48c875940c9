"""``dynolab hub audit``: who did what at a hub, for whoever runs it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dynolab.hub.usecases.base import Hub
    from dynolab.hub.usecases.find_audit import AuditFilter

DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command("audit")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The hub's data folder.")
@click.option("--who", default="", help="What this e-mail address did; operator: commands; hub: the hub itself.")
@click.option("--thing", default="", help="What was done to the job, model, token ... of this id.")
@click.option("--verb", default="", help="Such as token.make, or token for all of those.")
@click.option("--outcome", type=click.Choice(["ok", "refused"]), help="Only what was done, or only what was refused.")
@click.option("--since", type=DAY, help="From this day or instant on, in UTC.")
@click.option("--until", type=DAY, help="Before this day or instant, in UTC.")
@click.option("--limit", type=click.IntRange(1), help="At most so many, the newest. Default: all.")
@click.option("--format", "form", type=click.Choice(["text", "csv", "jsonl"]), default="text", show_default=True, help="How it is printed.")  # fmt: skip
@click.pass_obj
def audit(
    before: Path | None,
    /,
    data: Path | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    form: str,
    **wanted: str | None,
) -> None:
    """Print a hub's audit log, oldest first, while it runs or not.

    \b
    dynolab hub audit --limit 20
    dynolab hub audit --verb session.open --outcome refused
    dynolab hub audit --since 2026-01-01 --format jsonl > audit.jsonl
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.cli._hub_settings import configuration
    from dynolab.hub.operate import carry_out
    from dynolab.hub.usecases.find_audit import AuditFilter

    asked = AuditFilter(
        **{name: text or "" for name, text in wanted.items()}, since=_instant(since), until=_instant(until)
    )
    carry_out(configuration(data or before).settings, lambda hub: _print(hub, asked, form, limit))


async def _print(hub: Hub, asked: AuditFilter, form: str, limit: int | None) -> None:
    from dynolab.hub.usecases.find_audit import export_audit, export_lines

    rows = export_audit(hub, None, asked) if limit is None else _newest(hub, asked, limit)
    if form == "text":
        async for row in rows:
            click.echo(_line(row))
        return
    async for line in export_lines(rows, form):
        click.echo(line.rstrip("\r\n"))


async def _newest(hub: Hub, asked: AuditFilter, limit: int) -> AsyncIterator[Any]:
    from dynolab.hub.operate import OPERATOR
    from dynolab.hub.usecases.find_audit import find_audit

    for row in reversed(await find_audit(hub, OPERATOR, asked, limit=limit)):
        yield row


def _line(row: Any) -> str:
    from dynolab.spec.untrusted import printable

    details = ", ".join(f"{name}: {value}" for name, value in row.details.items())
    parts = (f"{row.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", row.who or "-", row.verb, row.thing, row.address)
    refused = "REFUSED" if row.outcome == "refused" else ""
    return printable("  ".join(one for one in (*parts, refused, details) if one))


def _instant(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
