"""Addresses of files, which stand for their holder's access at the moment they are used, not at the one they were made."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.links import READ_LIFE_S, UPLOAD_LIFE_S, Link
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, dataset, job, model, session, token
from dynolab.hub.usecases.access import find_visible
from dynolab.hub.usecases.asking import asking
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub

TABLES = {"model": model, "dataset": dataset, "artifact": job, "log": job}
"""What an address of each verb leads to: the bytes of a model or dataset, what a job compiled, its last log."""
TRACE = "trace"
"""The verb of an address that leads to what is drawn up of a job's profile when it is asked for."""
WRITES = ("part", "form")
_ODD = re.compile(r"[^A-Za-z0-9_-]+")


def sign_link(hub: Hub, account: Account, verb: str, target_id: str, number: int = 0) -> str:
    """The token of an address with which the account's holder of it does ``verb`` on the target."""
    holder = f"session:{account.session_id}" if account.session_id else f"token:{account.token_id}"
    return hub.links.sign(Link(verb, target_id, holder, number))


def link_file(hub: Hub, account: Account, verb: str, target_id: str, name: str, ending: str) -> tuple[str, str]:
    """The address below the hub's own from which the account reads a file for a while, and the file's name in it.

    The name has the ending once, and no other dot or slash of its own: clients build paths from it.
    """
    if name.lower().endswith(ending.lower()):
        name = name[: len(name) - len(ending)]
    file = (_ODD.sub("_", name).strip("_") or "file") + ending
    place = "traces" if verb == TRACE else "files/blobs"
    return f"{place}/{sign_link(hub, account, verb, target_id)}/{file}", file


async def open_upload(hub: Hub, text: str, verb: str) -> Link:
    """The link of an upload's part or form. Raises :class:`NotFound` unless it is good, and its holder still signed in."""
    link = hub.links.read(text, life_s=UPLOAD_LIFE_S)
    if link is None or link.verb != verb or verb not in WRITES:
        raise _invalid()
    async with hub.database.single() as connection:
        await _holder(connection, link.holder)
    return link


async def open_read(hub: Hub, text: str) -> str:
    """The blob that the address leads to. Raises :class:`NotFound` unless it is good and its holder may see the target."""
    link = hub.links.read(text, life_s=READ_LIFE_S)
    if link is None or link.verb not in TABLES:
        raise _invalid()
    async with hub.database.begin() as connection:
        account = await _holder(connection, link.holder)
        row = await find_visible(connection, TABLES[link.verb], link.target, account)
        blob_id = await _blob_id(connection, link, row)
        if blob_id is not None and row.account_id != account.id:  # by others than its owner, who needs no witness
            kind = TABLES[link.verb].name
            await note(connection, f"{link.verb}.download", kind, link.target)
    if blob_id is None:
        raise NotFound("this file is gone")
    return blob_id


async def open_trace(hub: Hub, text: str) -> tuple[Account, str]:
    """Who holds the address of a trace, and the job's id. Raises :class:`NotFound` unless it is good."""
    link = hub.links.read(text, life_s=READ_LIFE_S)
    if link is None or link.verb != TRACE:
        raise _invalid()
    async with hub.database.single() as connection:
        return await _holder(connection, link.holder), link.target


async def _blob_id(connection: AsyncConnection, link: Link, row: Row[Any]) -> str | None:
    if link.verb != "log":
        found: str | None = row.artifact_blob_id if link.verb == "artifact" else row.blob_id
        return found
    last = select(attempt.c.log_blob_id).where(attempt.c.job_id == row.id).order_by(attempt.c.number.desc())
    log: str | None = await connection.scalar(last.limit(1))
    return log


async def _holder(connection: AsyncConnection, holder: str) -> Account:
    """Whose token or browser it is. Raises :class:`NotFound` once that is worth nothing any more."""
    kind, _, id = holder.partition(":")
    columns = accounts.c.id, accounts.c.email, accounts.c.name, accounts.c.is_admin, token.c.project_id
    found: Select[Any] = select(*columns)
    if kind == "token":
        found = found.join(token, token.c.account_id == accounts.c.id)
        good = or_(token.c.expires_at.is_(None), token.c.expires_at > func.now())
        found = found.where(token.c.id == id, token.c.revoked_at.is_(None), good)
    else:
        found = found.join(session, session.c.account_id == accounts.c.id)
        found = found.outerjoin(token, token.c.id == session.c.token_id)
        found = found.where(session.c.id == id, session.c.expires_at > func.now())
    row = (await connection.execute(found.where(accounts.c.closed_at.is_(None)))).one_or_none()
    if row is None:
        raise _invalid()
    token_id, session_id = (id, "") if kind == "token" else ("", id)
    if (request := asking.get()) is not None:
        request.noted(row.id, row.email, token_id=token_id, session_id=session_id)
    return Account(
        row.id,
        row.email,
        row.name,
        token_id,
        session_id,
        is_admin=row.is_admin,
        project_id=row.project_id,
        is_bound=row.project_id is not None,
    )


def _invalid() -> NotFound:
    return NotFound("this address is not valid, or not any more", hint="ask for a new one")
