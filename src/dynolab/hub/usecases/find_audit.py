"""What the audit log holds: all of it for administrators, and for everybody what was done by or to their own account."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, or_, select, union_all

from dynolab.errors import Forbidden, SpecInvalid
from dynolab.hub.store.tables import audit
from dynolab.hub.usecases.audit import VERBS
from dynolab.hub.usecases.base import Account, Cursor, Hub, newest_first

AT_ONCE = 1000
"""Rows of an export that are read at a time."""
OWN_MOST = 20
ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows; empty is all. ``who``: an e-mail address, or ``operator``; ``thing``: an id; ``verb``: one, or its beginning up to a dot."""

    who: str = ""
    thing: str = ""
    verb: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


async def find_audit(
    hub: Hub, account: Account, wanted: AuditFilter, *, limit: int, cursor: Cursor | None = None
) -> list[Row[Any]]:
    """Rows, newest first, as an administrator may see them. Raises :class:`Forbidden`, and :class:`SpecInvalid` for no verb."""
    _check_admin(account)
    async with hub.database.single() as connection:
        rows = (await connection.execute(page_of(wanted, limit, cursor))).all()
    return newest_first(rows, cursor)


def page_of(wanted: AuditFilter, limit: int, cursor: Cursor | None = None) -> Select[Any]:
    """The statement of a page. Each verb is read in order off an index, and they are merged: no page reads more than it may show of each.

    Raises :class:`SpecInvalid`.
    """
    if cursor is not None and (not cursor.id.isdecimal() or len(cursor.id) > ID_DIGITS):
        raise SpecInvalid(f"{cursor.id[:40]!r} is no place in the audit log", hint="begin with its first page")
    here = [*_conditions(wanted), *_beyond(cursor)]
    verbs = _verbs(wanted.verb)
    each = [[*here, audit.c.verb == verb] for verb in verbs] or [here]
    backwards = cursor is not None and cursor.newer
    order = (audit.c.at, audit.c.id) if backwards else (audit.c.at.desc(), audit.c.id.desc())
    parts = [select(*_columns()).where(*conditions).order_by(*order).limit(limit) for conditions in each]
    if len(parts) == 1:
        return parts[0]
    of = union_all(*(part.subquery().select() for part in parts)).subquery()
    merged = (of.c.at, of.c.id) if backwards else (of.c.at.desc(), of.c.id.desc())
    return select(of).order_by(*merged).limit(limit)


async def export_audit(hub: Hub, account: Account | None, wanted: AuditFilter) -> AsyncIterator[Row[Any]]:
    """All rows, oldest first, a few at a time; ``account`` None: whoever runs the hub asks. Raises what :func:`find_audit` does."""
    if account is not None:
        _check_admin(account)
    verbs = _verbs(wanted.verb)
    named = [audit.c.verb.in_(verbs)] if verbs else []
    matching, after = select(*_columns()).where(*_conditions(wanted), *named).order_by(audit.c.id), 0
    while True:
        async with hub.database.single() as connection:
            rows = (await connection.execute(matching.where(audit.c.id > after).limit(AT_ONCE))).all()
        for row in rows:
            yield row
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].id


async def find_own_events(hub: Hub, account: Account) -> list[Row[Any]]:
    """The newest of what the account did, or was done to it."""
    to_it = audit.c.kind == "account", audit.c.thing == str(account.id), audit.c.account_id.is_distinct_from(account.id)
    parts = [
        select(*_columns())
        .where(*mine)
        .order_by(audit.c.at.desc(), audit.c.id.desc())
        .limit(OWN_MOST)
        .subquery()
        .select()
        for mine in ((audit.c.account_id == account.id,), to_it)
    ]
    of = union_all(*parts).subquery()
    newest = select(of).order_by(of.c.at.desc(), of.c.id.desc()).limit(OWN_MOST)
    async with hub.database.single() as connection:
        return list((await connection.execute(newest)).all())


def as_document(row: Row[Any]) -> dict[str, Any]:
    """A row as exports have it."""
    found: dict[str, Any] = {name: getattr(row, name) for name in NAMES}
    return {**found, "at": row.at.isoformat(), "details": row.details}


async def export_lines(rows: AsyncIterator[Row[Any]], format: str) -> AsyncIterator[str]:
    """The rows as text: ``jsonl``, a line of JSON each, or ``csv`` (RFC 4180) with a head."""
    if format == "csv":
        yield csv_line(NAMES)
    async for row in rows:
        document = as_document(row)
        yield csv_line(document.values()) if format == "csv" else json.dumps(document, ensure_ascii=False) + "\n"


def csv_line(values: Iterable[object]) -> str:
    """A line of CSV. No cell begins a formula in the spreadsheet of whoever opens it."""
    text = io.StringIO()
    csv.writer(text).writerow([_cell(one) for one in values])
    return text.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
"""By the format of an export."""
NAMES = (
    "id", "at", "who", "account_id", "verb", "outcome", "kind", "thing", "door", "address", "token_id", "session_id", "details",
)  # fmt: skip
"""What is told of a row, in this order."""


def _columns() -> list[Any]:
    return [*(audit.c[name] for name in NAMES), audit.c.at.label("created_at")]


def _check_admin(account: Account) -> None:
    if not account.is_admin:
        raise Forbidden("the audit log is for those who run the hub", hint="the page /account/ has your own events")


def _verbs(text: str) -> list[str]:
    """Those that a filter names, by one or by the beginning of several; none: all. Raises :class:`SpecInvalid`."""
    if not text:
        return []
    verbs = [one for one in VERBS if one == text or one.startswith(f"{text}.")]
    if not verbs:
        raise SpecInvalid(f"nothing is written down as {text[:40]!r}", hint=f"known: {', '.join(VERBS)}")
    return verbs


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """All but that on the verb."""
    texts = ((audit.c.who, wanted.who), (audit.c.thing, wanted.thing), (audit.c.outcome, wanted.outcome))
    found: list[ColumnElement[bool]] = [column == text for column, text in texts if text]
    if wanted.since is not None:
        found.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        found.append(audit.c.at < wanted.until)
    return found


def _beyond(cursor: Cursor | None) -> list[ColumnElement[bool]]:
    if cursor is None:
        return []
    at, id = audit.c.at, int(cursor.id)
    if cursor.newer:
        return [at >= cursor.at, or_(at > cursor.at, audit.c.id > id)]
    return [at <= cursor.at, or_(at < cursor.at, audit.c.id < id)]
