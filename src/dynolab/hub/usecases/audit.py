"""The audit log: who did what, to which thing, from where and with what. A row is written in the transaction of its act."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import insert, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from dynolab.errors import Error, RateLimited, UserError
from dynolab.hub.store.connecting import engine, reason
from dynolab.hub.store.database import is_away
from dynolab.hub.store.tables import account, audit
from dynolab.hub.usecases.asking import asking
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.rate_limit import RateLimit

OPERATOR, ITSELF = "operator", "hub"
"""Who did what a command or the hub itself does; people go by their e-mail addresses."""
VERBS = (
    "account.make", "account.link", "account.admin", "account.password", "account.close", "account.open",
    "session.open", "session.end", "session.end-others",
    "token.make", "token.rotate", "token.revoke", "token.use",
    "join-token.make", "join-token.use", "join-token.revoke",
    "job.share", "job.unshare", "job.delete", "job.rename",
    "model.share", "model.unshare", "model.delete", "model.rename", "model.download",
    "dataset.share", "dataset.unshare", "dataset.delete", "dataset.rename", "dataset.download",
    "artifact.download", "log.download",
    "organisation.make", "organisation.delete", "project.make", "project.delete", "member.change", "member.invite", "member.uninvite", "member.join",
    "retention.change", "quota.change", "job.pin",
    "hub.upgrade", "hub.backup", "hub.restore", "hub.check",
    "pool.change", "trust.add", "trust.remove", "device.quarantine", "device.release", "device.health",
)  # fmt: skip
"""All that is written down."""
TEXT_MOST = 500
"""Characters that are kept of a text that somebody sent."""
ADDRESSES_MOST = 20
"""From which most came, that a row names."""
OTHERS = "others"
log = logging.getLogger(__name__)
_refusals = RateLimit(1.0, 60.0)
"""By address: what fails again and again is not to fill the log; the sign-in throttle bounds it besides."""


async def note(
    connection: AsyncConnection,
    verb: str,
    kind: str = "",
    thing: object = "",
    *,
    account_id: int | None = None,
    who: str = "",
    outcome: Literal["ok", "refused"] = "ok",
    details: Mapping[str, object] | None = None,
) -> None:
    """Write a row. Who it was is known of the request that is being answered, unless ``account_id`` or ``who`` says so.

    ``details`` are never secrets: names, addresses, scopes, instants.
    """
    assert verb in VERBS, verb
    request = asking.get()
    owner = account_id if account_id is not None or request is None else request.account_id
    named: Any = who or (request.email if request is not None and account_id is None else "")
    if not named and owner is not None:
        named = select(account.c.email).where(account.c.id == owner).scalar_subquery()
    values: dict[str, Any] = {"verb": verb, "kind": kind, "thing": str(thing)[:TEXT_MOST], "outcome": outcome}
    values |= {"account_id": owner, "who": named if named != "" else literal(OPERATOR if request is None else "")}
    told = (details or {}).items()
    values["details"] = {name: _plain(value) for name, value in told if value not in (None, "", [], ())}
    if request is not None:
        values |= {"door": request.door, "address": request.address[:TEXT_MOST]}
        values |= {"token_id": request.token_id, "session_id": request.session_id}
    else:
        values["door"] = "command" if named in ("", OPERATOR) else ""
    await connection.execute(insert(audit).values(**values))


async def note_refused(hub: Hub, verb: str, kind: str = "", thing: object = "", *, who: str = "", why: str) -> None:
    """As :func:`note`, of what was not done: there is no transaction of the act's own. Too many of one address are only counted."""
    request = asking.get()
    if request is not None and _refusals.count(request.address):
        hub.sign_in_throttle.left_out.count(request.address)
        return
    async with hub.database.begin() as connection:
        await note(connection, verb, kind, thing, who=who[:TEXT_MOST], outcome="refused", details={"why": why})


async def sweep_refusals(hub: Hub) -> None:
    """Note in one row how many tries to sign in were refused, since the last row, that left none of their own."""
    counts = hub.sign_in_throttle.left_out.taken()
    if not counts:
        return
    most = sorted(counts.items(), key=lambda one: -one[1])[:ADDRESSES_MOST]
    told = {"why": RateLimited.__name__, "times": sum(counts.values()), "addresses": len(counts)}
    told["most"] = [f"{address or OTHERS}: {count}" for address, count in most]
    try:
        async with hub.database.begin() as connection:
            await note(connection, "session.open", who=ITSELF, outcome="refused", details=told)
    except Error:
        hub.sign_in_throttle.left_out.put_back(counts)
        raise


async def note_command(url: str, verb: str, thing: object = "", **details: object) -> None:
    """Note what a command does, on a connection of its own. A database that takes no row is no error: that is logged.

    ``url``: the database's, as SQLAlchemy takes it. Whoever runs the hub reads a copy that cannot be written, or a broken one, too.
    """
    opened = engine(url, level="READ COMMITTED", bounded=False, poolclass=NullPool)
    try:
        async with opened.connect() as connection, connection.begin():
            await connection.execute(text("SET LOCAL application_name = 'dynolab command'"))  # it is no hub's
            await note(connection, verb, "hub", thing, who=OPERATOR, details=details)
    except Exception as error:
        if not (is_away(error) or isinstance(error, DBAPIError)):
            raise
        log.warning("the audit log has no row of this (%s): %s", verb, reason(error))
    finally:
        await opened.dispose()


@asynccontextmanager
async def refusals_noted(hub: Hub, verb: str, *, who: str = "", **details: str) -> AsyncIterator[None]:
    """Notes when the block ends with a refusal; a limit that was passed, and a fault of ours, are none."""
    try:
        yield
    except Error as error:
        if isinstance(error, UserError) and not isinstance(error, RateLimited):
            why = str(error.details.get("reason") or error.code)
            await note_refused(hub, verb, who=who, why=" ".join([*details.values(), why]))
        raise


def _plain(value: object) -> object:
    """A value as JSON keeps it, bounded."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in list(value)[:100]]
    return str(value).replace("\x00", "\N{REPLACEMENT CHARACTER}")[:TEXT_MOST]
