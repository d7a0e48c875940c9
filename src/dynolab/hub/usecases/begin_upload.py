"""An upload begins: how many parts, and where each goes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Table, insert

from dynolab.errors import Conflict, SpecInvalid, TooLarge
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import upload
from dynolab.hub.usecases.base import Account, Hub, new_id, one


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload: its id, the size of each part but the last (None: it comes as one), and a token for each part."""

    id: str
    part_bytes: int | None
    tokens: tuple[str, ...]


async def begin_upload(
    hub: Hub, account: Account, table: Table, target_id: str, *, size: int | None, verb: str = "part"
) -> Begun:
    """Begin the upload of a model's or dataset's bytes; ``size`` is None where the client does not tell it.

    Raises :class:`NotFound`, :class:`Conflict` when the bytes are there already, and :class:`TooLarge` before any flow.
    """
    if size is not None and size < 0:
        raise SpecInvalid(f"file_size {size} is below 0")
    if size is not None and size > hub.limits.model_max_bytes:
        raise TooLarge(f"{size} bytes are more than this hub takes ({hub.limits.model_max_bytes})")
    part = hub.limits.part_bytes if verb == "part" else None
    count = -(-size // part) if part and size else 1
    upload_id = new_id("u")
    async with hub.database.begin() as connection:
        target = await one(connection, table, target_id, account)
        if target.blob_id is not None:
            raise Conflict(f"the {table.name} {target_id} has its bytes already")
        values = {"id": upload_id, "account_id": account.id, "target_id": target_id, "bytes": size, "part_bytes": part}
        await connection.execute(insert(upload).values(values))
    tokens = tuple(hub.links.sign(Link(verb, upload_id, number)) for number in range(count))
    return Begun(upload_id, part, tokens)
