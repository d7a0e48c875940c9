"""Digests of bytes that did not come through the hub: each object is read once, at a bounded rate, and its SHA-256 digest is noted.

S3 itself has none to give: of what was sent in parts it keeps a checksum of the parts' checksums, and AI Hub's client sends none.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, select, text, update

from dynolab.hub.store.tables import UNREAD, blob
from dynolab.hub.usecases.base import Hub

BATCH = 100
OBJECTS_PER_S = 50
"""Small objects count as more bytes than they have: to read one and to note it takes a replica one or two milliseconds."""
LEASE_S, RENEW_EVERY_S = 60.0, 15.0
"""One replica reads at a time, so that the rate is that of all; how long nobody else begins after it was last heard of."""
TAKEN = text("""
    INSERT INTO setting (name, value) VALUES ('digests_read_by', :me || ' ' || extract(epoch FROM now()) + :lease_s)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE split_part(setting.value, ' ', 1) = :me
        OR split_part(setting.value, ' ', 2)::float NOT BETWEEN extract(epoch FROM now()) AND extract(epoch FROM now()) + :lease_s
    RETURNING name
""")
log = logging.getLogger(__name__)


async def sweep_digests(hub: Hub) -> None:
    """Read what nobody has read, until nothing is left, or another replica is at it."""
    if not await _unread(hub, ""):
        return
    reading = _Reading(hub)
    if not await reading.take(LEASE_S):
        return
    try:
        last = ""
        while rows := await _unread(hub, last):
            for row in [one for one in rows if one.id not in hub.wrong_blobs]:
                with suppress(FileNotFoundError):  # deleted meanwhile, or lost, which `dynolab hub check` tells
                    if not await reading.note(row):
                        return
            last = rows[-1].id
    finally:
        await reading.take(0.0)


async def _unread(hub: Hub, after: str) -> Sequence[Row[Any]]:
    """The next blobs of which a digest is not known."""
    found = select(blob).where(text(UNREAD), blob.c.id > after).order_by(blob.c.id).limit(BATCH)
    async with hub.database.single() as connection:
        return (await connection.execute(found)).all()


class _Reading:
    """One round of one replica."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._me = hub, secrets.token_hex(8)
        self._began_s = self._renewed_s = time.monotonic()
        self._bytes = 0

    async def take(self, lease_s: float) -> bool:
        """Whether it is this replica's turn, for so long; 0: no more."""
        async with self._hub.database.single() as connection:
            return await connection.scalar(TAKEN, {"me": self._me, "lease_s": lease_s}) is not None

    async def note(self, row: Row[Any]) -> bool:
        """Read a blob and note its digests; False: it is another's turn by now. Raises FileNotFoundError."""
        digests, size = [], 0
        for key in row.keys:
            digest, before = hashlib.sha256(), size
            async for chunk in self._hub.blobs.stream([key]):
                await asyncio.to_thread(digest.update, chunk)
                size += len(chunk)
                if not await self._paced(len(chunk)):
                    return False
            read = size - before
            if not await self._paced(counted(read, self._hub.limits.digest_bytes_per_s) - read):
                return False
            digests.append(digest.hexdigest())
        if size != row.bytes:
            self._hub.wrong_blobs.add(row.id)
            log.warning(
                "the blob %s has %d bytes in the store, %d were noted: no digest is noted", row.id, size, row.bytes
            )
            return True
        async with self._hub.database.single() as connection:
            await connection.execute(update(blob).where(blob.c.id == row.id).values(digests=digests))
        return True

    async def _paced(self, size: int) -> bool:
        """Wait until that many bytes more were due; False: it is another's turn by now."""
        self._bytes += size
        await asyncio.sleep(ahead_s(self._bytes, time.monotonic() - self._began_s, self._hub.limits.digest_bytes_per_s))
        if time.monotonic() - self._renewed_s < RENEW_EVERY_S:
            return True
        self._renewed_s = time.monotonic()
        return await self.take(LEASE_S)


def ahead_s(size: int, took_s: float, per_s: int) -> float:
    """How long to wait, where so many bytes took less time than they may."""
    return max(0.0, size / per_s - took_s)


def counted(size: int, per_s: int) -> int:
    """The bytes that an object of this size counts as."""
    return max(size, per_s // OBJECTS_PER_S)
