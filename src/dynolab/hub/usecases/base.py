"""What every use case is handed: the hub's parts, and who asks."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import NotFound, SpecInvalid
from dynolab.hub.scheduling.queue import Queue
from dynolab.hub.scheduling.wakeups import Wakeups
from dynolab.hub.store import tables
from dynolab.hub.store.blobs import Blobs
from dynolab.hub.store.database import Database
from dynolab.hub.store.links import Links

_LETTERS = string.ascii_lowercase + string.digits
NAME_MAX = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and periods that use cases keep (see :class:`dynolab.hub.settings.Settings`)."""

    lease_s: float
    part_bytes: int
    model_max_bytes: int
    dataset_life_days: int


@dataclass(frozen=True, slots=True)
class Hub:
    """One running hub's parts."""

    database: Database
    queue: Queue
    wakeups: Wakeups
    blobs: Blobs
    links: Links
    limits: Limits


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks: a user, or the user whose agent asks."""

    id: int
    email: str
    name: str
    token_id: str


def new_id(letter: str) -> str:
    """An id that nobody can guess: a letter for its kind, then 12 letters and digits."""
    return letter + "".join(secrets.choice(_LETTERS) for _ in range(12))


def visible(table: Table, account: Account) -> ColumnElement[bool]:
    """Rows of ``job``, ``model`` or ``dataset`` that an account may see: its own and those shared with it."""
    shared = exists().where(tables.share.c.target_id == table.c.id, tables.share.c.email == account.email)
    return or_(table.c.account_id == account.id, shared)


async def one(connection: AsyncConnection, table: Table, target_id: str, account: Account) -> Row[Any]:
    """The row of that id. Raises :class:`NotFound` for what is not there and for what is another's, alike."""
    row = (
        await connection.execute(select(table).where(table.c.id == target_id, visible(table, account)))
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no {table.name} {target_id!r}", hint="it may have been deleted, or belong to another")
    return row


def checked_name(name: str, what: str) -> str:
    """A name as it is kept: trimmed. Raises :class:`SpecInvalid` for one that files could not be named by."""
    name = name.strip()
    if len(name) > NAME_MAX:
        raise SpecInvalid(f"the {what}'s name has {len(name)} characters; {NAME_MAX} is the most")
    odd = sorted({character for character in name if character == "/" or not character.isprintable()})
    if odd:
        raise SpecInvalid(
            f"the {what}'s name {name!r} holds {odd[0]!r}", hint="names have no slash and no control character"
        )
    return name
