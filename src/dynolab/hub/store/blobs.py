"""Blobs: sequences of bytes in a local folder, or in an object store by its URL (s3://, gs://, az://)."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that was written: its key, its size, and the store's tag for it (without quotes)."""

    key: str
    bytes: int
    etag: str


class Blobs:
    """One blob store. Keys are made by the hub, never by a client."""

    def __init__(self, place: Path | str) -> None:
        if isinstance(place, Path):
            place.mkdir(parents=True, exist_ok=True)
            self._store: ObjectStore = LocalStore(
                place, automatic_cleanup=True
            )  # an empty folder goes with its last file
        else:
            self._store = from_url(place)

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> Stored:
        """Write an object as its bytes come; nothing is kept when they break off."""
        count = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal count
            async for chunk in chunks:
                if chunk:
                    count += len(chunk)
                    yield bytes(chunk)

        result = await obstore.put_async(self._store, key, counted())
        return Stored(key, count, (result["e_tag"] or key).strip('"'))

    async def stream(self, keys: Sequence[str]) -> AsyncIterator[bytes]:
        """The bytes of several objects, one after the other. Raises FileNotFoundError."""
        for key in keys:
            found = await obstore.get_async(self._store, key)
            async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are gone already are no error."""
        for key in keys:
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue

    async def keys(self, prefix: str) -> list[str]:
        """The keys of all objects below a prefix, a whole number of the key's steps."""
        found = [meta["path"] async for batch in obstore.list(self._store, prefix) for meta in batch]
        return sorted(found)
