"""An upload is complete: its parts become the model's or dataset's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Table, func, insert, select, update

from dynolab.errors import Conflict, SpecInvalid
from dynolab.hub.store.database import after_commit
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import blob, upload, upload_part
from dynolab.hub.telemetry import metrics
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.base import Account, Hub, new_id
from dynolab.hub.usecases.begin_upload import FORM, direct_key, reserve_come
from dynolab.hub.usecases.store_part import note_part


async def complete_upload(
    hub: Hub, account: Account, table: Table, target_id: str, *, upload_id: str | None = None, etags: Sequence[str] = ()
) -> None:
    """Join the parts; said twice it is done once. ``upload_id`` None: the last upload that has parts.

    Raises :class:`Conflict` when parts are missing, :class:`SpecInvalid` when a part's tag is not the one it was given.
    """
    if await _collected(hub, account, table, target_id, upload_id, etags):
        etags = ()  # they were the store's business
    async with hub.database.begin() as connection:
        # Locked, so that two that complete at once do not both make a blob of the same parts.
        target = await find_owned(connection, table, target_id, account, "upload", lock="own")
        chosen = select(upload).where(upload.c.target_id == target_id).order_by(upload.c.created_at.desc())
        if upload_id is not None:
            chosen = chosen.where(upload.c.id == upload_id)
        found = (await connection.execute(chosen.limit(1).with_for_update())).one_or_none()
        if found is None:
            raise Conflict(f"no upload was begun for the {table.name} {target_id}", hint="upload it first")
        if target.blob_id is not None:
            return
        rows = select(upload_part).where(upload_part.c.upload_id == found.id).order_by(upload_part.c.number)
        parts = (await connection.execute(rows)).all()
        size = sum(part.bytes for part in parts)
        if not parts or [part.number for part in parts] != list(range(len(parts))) or found.bytes not in (None, size):
            expected = "all" if found.bytes is None else f"{found.bytes}"
            raise Conflict(f"{size} bytes in {len(parts)} parts have arrived, {expected} were announced")
        if etags and len(etags) != len(parts):
            raise SpecInvalid(f"{len(etags)} tags were sent for {len(parts)} parts", hint="send those of all, in order")
        for part, etag in zip(parts, etags, strict=False):
            if etag.strip('"') != part.etag:
                raise SpecInvalid(f"part {part.number} has the tag {part.etag}, not {etag}", hint="send the part again")
        values = {"id": new_id("b"), "bytes": size, "keys": [part.key for part in parts]}
        values["digests"] = [part.sha256 for part in parts]
        values |= {"account_id": target.account_id, "in_project": target.in_project}
        await connection.execute(insert(blob).values(values))
        await connection.execute(update(table).where(table.c.id == target_id).values(blob_id=values["id"]))
        await connection.execute(update(upload).where(upload.c.id == found.id).values(completed_at=func.now()))
        after_commit(connection, metrics.UPLOADS.labels(table.name).inc)
        after_commit(connection, partial(metrics.UPLOAD_BYTES.labels(table.name).inc, size))


async def _collected(
    hub: Hub, account: Account, table: Table, target_id: str, upload_id: str | None, etags: Sequence[str]
) -> bool:
    """Whether the bytes went to the store itself: what came there is then the upload's only part.

    Outside of any transaction, since the store may take its time. Raises :class:`SpecInvalid` for other bytes than were announced.
    """
    chosen = select(upload).where(upload.c.target_id == target_id).order_by(upload.c.created_at.desc()).limit(1)
    if upload_id is not None:
        chosen = chosen.where(upload.c.id == upload_id)
    async with hub.database.begin() as connection:
        await find_owned(connection, table, target_id, account, "upload")
        found = (await connection.execute(chosen)).one_or_none()
        if found is None or found.direct is None:
            return False
        come = select(func.count()).where(upload_part.c.upload_id == found.id)
        if found.completed_at is not None or await connection.scalar(come):
            return True
    if hub.direct is None:  # it was, when the upload was begun: nothing has come that would be known
        return True
    if found.direct == FORM:
        stored = await hub.direct.take_form(direct_key(found.id), found.bytes)
        if stored is None:
            return True
        if found.bytes is None:
            await reserve_come(hub, found.id, stored.bytes)
    else:
        stored = await hub.direct.complete(direct_key(found.id), found.direct, etags, found.bytes)
    await note_part(hub, Link("part", found.id, ""), stored)
    return True
