"""An upload begins: how many parts, and where each goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Table, Text, bindparam, cast, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, NotFound, SpecInvalid, StorageFull, TooLarge
from dynolab.hub.store.direct import COPY_MOST_BYTES, DirectTransfers, Form
from dynolab.hub.store.prepared import Prepared, driver
from dynolab.hub.store.tables import total_bytes, upload
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.base import Account, Hub, new_id
from dynolab.hub.usecases.open_link import sign_link
from dynolab.hub.usecases.quotas import Owner, check_bytes, owner_of_upload

QUOTA_LOCK = 0x64796E71
"""The advisory lock under which bytes are reserved, so that two uploads do not both take the last ones."""
SMALL_BYTES = 16 << 20
"""Up to so many are reserved beside others, where there is room: what comes hundreds of times a second is no larger."""

FORM = "form"
"""What an upload's ``direct`` is where one form takes its bytes."""
OPEN_MOST = 1000
"""Uploads of one account that are not complete."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload: its id, the size of each part but the last (None: it comes as one), and a token for each part.

    ``urls``, or ``form``: where the bytes go in the store itself, in place of the hub.
    """

    id: str
    part_bytes: int | None
    tokens: tuple[str, ...]
    urls: tuple[str, ...] = ()
    form: Form | None = None

    def addresses(self, base: str) -> list[str]:
        """Where each part goes; ``base``: how the client reaches the hub."""
        return list(self.urls) or [f"{base}files/parts/{token}" for token in self.tokens]


async def begin_upload(
    hub: Hub,
    account: Account,
    table: Table,
    target_id: str,
    *,
    size: int | None,
    verb: str = "part",
    direct: bool = False,
    asks_again: bool = True,
) -> Begun:
    """Begin the upload of a model's or dataset's bytes; ``size`` is None where the client does not tell it.

    ``direct``: whether the client may be sent to the store itself, if the hub does that; ``asks_again``: whether it asks for other
    addresses there (:func:`renew_addresses`) when these have run out.

    Raises :class:`NotFound`, :class:`Conflict` when the bytes are there already, and :class:`TooLarge` or
    :class:`StorageFull` before any flow.
    """
    if size is not None and size < 0:
        raise SpecInvalid(f"file_size {size} is below 0")
    if size is not None and size > hub.limits.model_max_bytes:
        raise TooLarge(f"{size} bytes are more than this hub takes ({hub.limits.model_max_bytes})")
    part = hub.limits.part_bytes if verb == "part" else None
    count = -(-size // part) if part and size else 1
    upload_id = new_id("u")
    async with hub.database.begin() as connection:
        target = await find_owned(connection, table, target_id, account, "upload")
        if target.blob_id is not None:
            raise Conflict(f"the {table.name} {target_id} has its bytes already")
        await _check_number(connection, account)
        await check_bytes(hub, connection, Owner(target.account_id, target.in_project), size or 0)
        await reserve(hub, connection, size or 0)
        values = {"id": upload_id, "account_id": account.id, "target_id": target_id, "bytes": size, "part_bytes": part}
        await connection.execute(insert(upload).values(values))
    if direct and hub.direct is not None:
        sent = await _sent_on(hub, hub.direct, upload_id, size, part, asks_again=asks_again)
        if sent is not None:
            return sent
    tokens = tuple(sign_link(hub, account, verb, upload_id, number) for number in range(count))
    return Begun(upload_id, part, tokens)


async def renew_addresses(hub: Hub, account: Account, table: Table, target_id: str, upload_id: str) -> Begun:
    """An upload that was begun, with addresses of its parts that are good from now on.

    Raises :class:`NotFound` for one that is not known, was completed or came as a form, and :class:`Conflict` when the bytes are there.
    """
    async with hub.database.single() as connection:
        target = await find_owned(connection, table, target_id, account, "upload")
        if target.blob_id is not None:
            raise Conflict(f"the {table.name} {target_id} has its bytes already")
        of_it = upload.c.id == upload_id, upload.c.target_id == target_id, upload.c.completed_at.is_(None)
        row = (await connection.execute(select(upload).where(*of_it))).one_or_none()
    if row is None or row.part_bytes is None or row.bytes is None:
        raise NotFound(
            f"there is no upload {upload_id} in parts for the {table.name} {target_id}", hint="begin another"
        )
    sizes = part_sizes(row.bytes, row.part_bytes)
    if row.direct is None:
        tokens = tuple(sign_link(hub, account, "part", upload_id, number) for number in range(len(sizes) or 1))
        return Begun(upload_id, row.part_bytes, tokens)
    if hub.direct is None:
        raise NotFound(f"the upload {upload_id} went to a store that this hub uses no more", hint="begin another")
    urls = await hub.direct.addresses(direct_key(upload_id), row.direct, sizes)
    return Begun(upload_id, row.part_bytes, (), urls=urls)


async def _sent_on(
    hub: Hub, direct: DirectTransfers, upload_id: str, size: int | None, part: int | None, *, asks_again: bool
) -> Begun | None:
    """Where the bytes of an upload go in the store, which is noted; None: they go through the hub, since there are none."""
    key = direct_key(upload_id)
    if part is None and (size or 0) <= COPY_MOST_BYTES:
        sent = Begun(upload_id, None, (), form=direct.form(key, size or 0, size or hub.limits.model_max_bytes))
        way = FORM
    elif part is not None and size:
        way, urls = await direct.begin(key, part_sizes(size, part), asks_again=asks_again)
        sent = Begun(upload_id, part, (), urls=urls)
    else:
        return None
    async with hub.database.begin() as connection:
        await connection.execute(update(upload).where(upload.c.id == upload_id).values(direct=way))
    return sent


def direct_key(upload_id: str) -> str:
    """The object that an upload makes in the store itself."""
    return f"uploads/{upload_id}/00000-direct"


def part_sizes(size: int, part: int) -> list[int]:
    """How many bytes each part has."""
    return [min(part, size - start) for start in range(0, size, part)]


async def _check_number(connection: AsyncConnection, account: Account) -> None:
    """Raises :class:`Conflict` where too many uploads were begun: what they announced is room that others cannot have."""
    begun = select(func.count()).where(upload.c.account_id == account.id, upload.c.completed_at.is_(None))
    if int(await connection.scalar(begun) or 0) >= OPEN_MOST:
        raise Conflict(
            f"the account has {OPEN_MOST} uploads that were not completed", hint="complete them, or wait a day"
        )


async def reserve_come(hub: Hub, upload_id: str, come: int) -> None:
    """Note how many bytes of an upload have come that told no size. Raises :class:`StorageFull` and :class:`TooLarge` when they are too many."""
    async with hub.database.begin() as connection:
        owner = await owner_of_upload(connection, upload_id) if come else None
        if owner is not None:
            await check_bytes(hub, connection, owner, come, but=upload_id)
        if come:
            await reserve(hub, connection, come, but=upload_id)
        await connection.execute(update(upload).where(upload.c.id == upload_id).values(come_bytes=come))


async def check_room(hub: Hub, size: int) -> None:
    """Raises :class:`StorageFull` when ``size`` bytes more pass the bound of all that is kept. Nothing is reserved by that."""
    if hub.limits.data_max_bytes is not None:
        async with hub.database.single() as connection:
            _check_fits(hub.limits.data_max_bytes, (await _USED.one_or_none(connection, but="")).bytes, size)


async def reserve(hub: Hub, connection: AsyncConnection, size: int, *, but: str = "") -> None:
    """Raises :class:`StorageFull` when what is kept, what other open uploads announced, and ``size`` pass the bound.

    Others that ask wait until the transaction ends, in which what it asks for is noted: unless few bytes are asked for (:data:`SMALL_BYTES`)
    far from the bound, where as much as all connections of the database could ask for at once would fit as well. ``but``: the upload
    whose bytes ``size`` stands for.
    """
    most = hub.limits.data_max_bytes
    if most is None:
        return
    if size <= SMALL_BYTES:
        shared = f"SAVEPOINT reserving; SELECT pg_advisory_xact_lock_shared({QUOTA_LOCK})"
        await driver(connection).execute(shared)
        found = await _USED.one_or_none(connection, but=but)
        if found.bytes + found.connections * SMALL_BYTES <= most:
            return
        await driver(connection).execute(
            "ROLLBACK TO SAVEPOINT reserving"
        )  # the lock goes with it: nobody waits for whom it waits for
    await connection.execute(select(func.pg_advisory_xact_lock(QUOTA_LOCK)))
    _check_fits(most, (await _USED.one_or_none(connection, but=but)).bytes, size)


def _using() -> Prepared:
    """The ``bytes`` of all blobs and of open uploads, announced or come, ``but`` those of one; and how many ``connections`` there may be.

    As many transactions are under way at most, through a pooler as well.
    """
    kept = select(func.coalesce(func.sum(total_bytes.c.bytes), 0)).scalar_subquery()
    taken = func.sum(func.coalesce(upload.c.bytes, upload.c.come_bytes))
    others = upload.c.completed_at.is_(None), upload.c.id != bindparam("but", type_=Text)
    announced = select(func.coalesce(taken, 0)).where(*others).scalar_subquery()
    connections = cast(func.current_setting("max_connections"), Integer)
    columns: list[ColumnElement[Any]] = [
        cast(kept + announced, BigInteger).label("bytes"),
        connections.label("connections"),
    ]
    return Prepared(select(*columns))


_USED = _using()


def _check_fits(most: int, used: int, size: int) -> None:
    if used + size > most or (used >= most and size == 0):
        raise StorageFull(
            f"{size} bytes more do not fit: this hub keeps {used} of at most {most} bytes",
            hint="delete models, datasets or jobs that are no longer needed, or ask the operator for DYNOLAB_DATA_MAX_BYTES",
            details={"asked_bytes": size, "used_bytes": used, "most_bytes": most},
        )
