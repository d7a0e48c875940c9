"""A file that an attempt leaves goes to the store itself: where, and what becomes of it once it is there."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping

from dynolab import errors
from dynolab.hub.store.direct import DirectTransfers
from dynolab.hub.store.links import UPLOAD_LIFE_S, Link
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.begin_upload import check_room, part_sizes
from dynolab.hub.usecases.check_claimed import check_claimed
from dynolab.hub.usecases.store_file import keep_file, over
from dynolab.spec.agents import FileLate, FileOffer, FilePlaces, FileSent

VERB = "placed"
DIRECT_LEAST_BYTES = 256 << 10
"""What is shorter costs the hub less than the questions about it would."""
MOST_BYTES: Mapping[str, int] = {"result": 256 << 20, "log": 64 << 20}
"""As the agents' door takes them; the rest: a model's most."""


async def place_file(hub: Hub, agent: Account, attempt_id: uuid.UUID, asked: FileOffer) -> FilePlaces:
    """Where the agent sends the file; no address: to the hub.

    ``what``: one of :data:`~dynolab.hub.usecases.store_file.COLUMNS`. Raises :class:`NotFound`, :class:`Conflict` when the attempt is over, :class:`TooLarge` and :class:`StorageFull`.
    """
    await _check_running(hub, agent, attempt_id)
    if hub.direct is None or asked.bytes < DIRECT_LEAST_BYTES:
        return FilePlaces()
    most = MOST_BYTES.get(asked.what, hub.limits.model_max_bytes)
    if asked.bytes > most:
        raise errors.TooLarge(f"{asked.bytes} bytes are more than this hub takes ({most})")
    await check_room(hub, asked.bytes)
    key, part = f"attempts/{attempt_id}/{asked.what}-{secrets.token_hex(4)}", hub.limits.part_bytes
    upload, urls = await hub.direct.begin(key, part_sizes(asked.bytes, part))
    signed = hub.links.sign(Link(VERB, f"{asked.what} {key} {upload}", str(attempt_id), asked.bytes))
    return FilePlaces(signed, urls, part)


async def place_file_again(hub: Hub, agent: Account, attempt_id: uuid.UUID, late: FileLate) -> FilePlaces:
    """The same places with addresses that are good from now on. Raises as :func:`place_file`."""
    await _check_running(hub, agent, attempt_id)
    link, direct = _placed(hub, attempt_id, late.upload)
    _, key, upload = link.target.split(" ", 2)
    part = hub.limits.part_bytes
    return FilePlaces(late.upload, await direct.addresses(key, upload, part_sizes(link.number, part)), part)


def _placed(hub: Hub, attempt_id: uuid.UUID, signed: str) -> tuple[Link, DirectTransfers]:
    """What :func:`place_file` gave out, and where it leads. Raises :class:`NotFound`."""
    link = hub.links.read(signed, life_s=UPLOAD_LIFE_S)
    if link is None or link.verb != VERB or link.holder != str(attempt_id) or hub.direct is None:
        raise errors.NotFound("this upload is not known, or was swept", hint="send it again")
    return link, hub.direct


async def keep_placed_file(hub: Hub, agent: Account, attempt_id: uuid.UUID, sent: FileSent) -> None:
    """Keep what was sent there. Raises as :func:`place_file`, and :class:`SpecInvalid` for other bytes than were announced."""
    link, direct = _placed(hub, attempt_id, sent.upload)
    what, key, upload = link.target.split(" ", 2)
    try:
        await _check_running(hub, agent, attempt_id)
    except errors.Conflict:
        await direct.abort(key, upload)
        raise
    stored = await direct.complete(key, upload, sent.etags, link.number)
    await keep_file(hub, agent, attempt_id, what, stored)


async def _check_running(hub: Hub, agent: Account, attempt_id: uuid.UUID) -> None:
    async with hub.database.single() as connection:
        if await check_claimed(connection, agent, attempt_id) != "running":
            raise over(attempt_id)
