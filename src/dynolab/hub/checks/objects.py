"""Whether the bytes that the database names are in the blob store, and the store holds no others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import errors
from dynolab.hub.checks.base import SHOWN_MOST, Finding, Problem
from dynolab.hub.checks.file_rules import UNOWNED
from dynolab.hub.settings import Settings
from dynolab.hub.store.backup import whose
from dynolab.hub.store.blobs import OWNER, Blobs, Listed, folder_of, no_credentials
from dynolab.hub.store.direct import PREFIXES
from dynolab.hub.store.tables import blob, setting, upload, upload_part

BATCH = 1000
ROUNDS = 3
"""Of the sweep of objects, after which what nobody refers to is gone: one that finds it, one that removes it, one to spare."""
Snapshot = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
Progress = Callable[[str, int, int], None]
LOST = (
    "is DYNOLAB_BLOBS_URL, or the data folder, the right one? Put the object back from a backup; else delete what it "
    "is part of, so that nobody waits for it"
)
RULES = {
    "blob-store-answers": (
        "the blob store is there, answers, and is this hub's own",
        "see the message; the settings must be the hub's own: DYNOLAB_BLOBS_URL, the store's keys, --data",
    ),
    "blob-bytes-are-there": ("every byte that the database names is in the blob store", LOST),
    "blob-has-its-size": ("what is in the blob store has the size that was noted", LOST),
    "object-has-an-owner": (
        "what is in the blob store belongs to a blob or an open upload, or is removed",
        "a hub removes it within three times DYNOLAB_ORPHAN_AGE_S: look into its log for why it does not",
    ),
    "no-writing-was-cut-short": (
        "files whose writing was cut short are removed",
        "a hub removes them within three times DYNOLAB_ORPHAN_AGE_S: look into its log for why it does not",
    ),
}
DIGESTS = (
    "blob-has-its-digest",
    "what is in the blob store has the SHA-256 digest that was noted when it came",
    LOST,
)


@dataclass(slots=True)
class _Problems:
    """Those of one check: all are counted, the first are told."""

    told: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, what: str, why: str, since: datetime | None = None) -> None:
        self.count += 1
        if len(self.told) < SHOWN_MOST:
            self.told.append(Problem(what, why, since))


class ObjectChecks:
    """One look through a blob store, beside a snapshot of the database. It keeps about 250 bytes for each object."""

    def __init__(self, settings: Settings, connection: AsyncConnection, again: Snapshot, progress: Progress) -> None:
        self._settings, self._connection, self._again, self._progress = settings, connection, again, progress
        self._found: dict[str, _Problems] = {name: _Problems() for name in (*RULES, DIGESTS[0])}
        self._objects: dict[str, Listed] = {}
        self._named: set[str] = set()
        self.counts: dict[str, int] = {}

    async def findings(self, *, up_s: float, digests: bool) -> list[Finding]:
        """What was found; ``up_s``: for how long a hub has been there, which would have removed what nobody owns."""
        blobs, skipped = await self._opened(), ""
        if blobs is None:
            skipped = "the blob store cannot be looked into"
        else:
            try:
                await self._look(blobs, digests)
            except errors.Unavailable as error:
                self._found["blob-store-answers"].add("blob store", error.message)
                skipped = "the blob store failed meanwhile"
        return [*self._told(up_s, skipped), self._digest_finding(skipped, digests)]

    async def _opened(self) -> Blobs | None:
        """The store, unless it is not there or another's. Raises :class:`Forbidden` where this command has no credentials for it."""
        url, wrong = self._settings.blobs_url, self._found["blob-store-answers"]
        folder = self._settings.data / "blobs" if url is None else folder_of(url)
        if folder is not None and not folder.is_dir():
            if await self._connection.scalar(select(blob.c.id).limit(1)) is not None:
                wrong.add("blob store", f"the folder {folder} is not there")
            return None
        blobs = Blobs(url or self._settings.data / "blobs")
        try:
            owner = b"".join([chunk async for chunk in blobs.stream([OWNER])]).decode("utf-8", "replace")
        except FileNotFoundError:
            owner = ""
        except errors.Unavailable as error:
            if (missing := no_credentials(blobs.place, error.__cause__)) is not None:
                raise missing from error
            wrong.add("blob store", error.message)
            return None
        own = await self._connection.scalar(select(setting.c.value).where(setting.c.name == "hub_id"))
        if owner != own:
            why = "is another hub's" if owner else "is no hub's yet"
            wrong.add("blob store", f"{blobs.place} {why}: the object {OWNER} says so")
            return None
        return blobs

    async def _look(self, blobs: Blobs, digests: bool) -> None:
        began = time.time()
        for prefix in PREFIXES:
            async for page in blobs.listed(prefix):
                self._objects.update({one.key: one for one in page})
                self._progress("objects of the store", len(self._objects), 0)
        self.counts["object"] = len(self._objects)
        await self._parts(blobs)
        await self._blobs(blobs, digests)
        await self._unowned(began)
        oldest = began - ROUNDS * self._settings.orphan_age_s
        for path, changed_at in blobs.unfinished():
            if changed_at < oldest:
                self._found["no-writing-was-cut-short"].add(
                    f"file {path}", "its writing was cut short", _at(changed_at)
                )

    async def _parts(self, blobs: Blobs) -> None:
        """Those of uploads that are open."""
        parts = select(upload_part.c.key, upload_part.c.bytes, upload.c.id, upload.c.created_at)
        parts = parts.join(upload, upload.c.id == upload_part.c.upload_id).where(upload.c.completed_at.is_(None))
        for row in (await self._connection.execute(parts)).all():
            self._named.add(row.key)
            size = await self._size(blobs, row.key)
            if size is None:
                still = select(upload_part.c.key).where(upload_part.c.key == row.key)
                if await self._holds_still(still):
                    why = f"the object {row.key} is gone"
                    self._found["blob-bytes-are-there"].add(f"part of the upload {row.id}", why, row.created_at)
            elif size != row.bytes:
                why = f"{size} bytes are there, {row.bytes} were noted"
                self._found["blob-has-its-size"].add(f"part of the upload {row.id}", why, row.created_at)

    async def _blobs(self, blobs: Blobs, digests: bool) -> None:
        total = int(await self._connection.scalar(select(func.count()).select_from(blob)) or 0)
        done = 0
        async for row in self._rows():
            self._named.update(row.keys)
            if await self._is_there(blobs, row) and digests:
                await self._digest(blobs, row)
            done += 1
            self._progress("bytes of blobs" if digests else "blobs", done, total)

    async def _rows(self) -> AsyncIterator[Any]:
        """All blobs, some at a time."""
        last = ""
        while rows := (
            await self._connection.execute(select(blob).where(blob.c.id > last).order_by(blob.c.id).limit(BATCH))
        ).all():
            for row in rows:
                yield row
            last = rows[-1].id

    async def _is_there(self, blobs: Blobs, row: Any) -> bool:
        sizes = [await self._size(blobs, key) for key in row.keys]
        if not any(size is None for size in sizes) and sum(size or 0 for size in sizes) == row.bytes:
            return True
        needed = text(f"SELECT b.id FROM blob b WHERE b.id = :id AND NOT ({UNOWNED})").bindparams(id=row.id)
        if not await self._holds_still(needed):
            return False  # it was deleted meanwhile, or its removal was cut short after its objects: that is done again
        what = f"blob {row.id}: {await whose(self._connection, row.id)}"
        for key, size in zip(row.keys, sizes, strict=True):
            if size is None:
                self._found["blob-bytes-are-there"].add(what, f"the object {key} is gone", row.created_at)
        if None not in sizes:
            why = f"{sum(size or 0 for size in sizes)} bytes are there, {row.bytes} were noted"
            self._found["blob-has-its-size"].add(what, why, row.created_at)
        return False

    async def _size(self, blobs: Blobs, key: str) -> int | None:
        """The object's size; None: it is not there. What the list did not have is asked for by itself."""
        if (known := self._objects.get(key)) is not None:
            return known.bytes
        return await blobs.size(key)

    async def _digest(self, blobs: Blobs, row: Any) -> None:
        for key, known in zip(row.keys, row.digests or [None] * len(row.keys), strict=True):
            if known is None:
                self.counts["object without a known digest"] = self.counts.get("object without a known digest", 0) + 1
                continue
            digest = hashlib.sha256()
            try:
                async for chunk in blobs.stream([key]):
                    digest.update(chunk)
            except FileNotFoundError:
                continue  # it was deleted meanwhile: it was there a moment ago
            if digest.hexdigest() != known:
                what = f"blob {row.id}: {await whose(self._connection, row.id)}"
                why = f"the object {key} has the digest {digest.hexdigest()}, {known} was noted"
                self._found[DIGESTS[0]].add(what, why, row.created_at)

    async def _unowned(self, began: float) -> None:
        """What is old enough to have been removed, and still belongs to nobody."""
        oldest = began - ROUNDS * self._settings.orphan_age_s
        rest = [one for key, one in self._objects.items() if key not in self._named and one.changed_at < oldest]
        for start in range(0, len(rest), BATCH):
            some = rest[start : start + BATCH]
            owned = await self._owned_by_now([one.key for one in some])
            for one in some:
                if one.key not in owned:
                    why = f"{one.bytes} bytes that nothing refers to"
                    self._found["object-has-an-owner"].add(f"object {one.key}", why, _at(one.changed_at))

    async def _owned_by_now(self, keys: Sequence[str]) -> set[str]:
        async with self._again() as connection:
            overlapping = await connection.execute(select(blob.c["keys"]).where(blob.c["keys"].overlap(list(keys))))
            owned = {key for row in overlapping.scalars() for key in row}
            parts = select(upload_part.c.key).where(upload_part.c.key.in_(keys))
            return owned | set((await connection.execute(parts)).scalars())

    async def _holds_still(self, statement: Any) -> bool:
        async with self._again() as connection:
            return await connection.scalar(statement) is not None

    def _told(self, up_s: float, skipped: str) -> list[Finding]:
        swept = up_s > ROUNDS * self._settings.orphan_age_s
        found = []
        for name, (holds, hint) in RULES.items():
            problems = self._found[name]
            lesser = name in ("object-has-an-owner", "no-writing-was-cut-short") and not swept
            why = "" if name == "blob-store-answers" else skipped
            told = tuple(problems.told)
            found.append(Finding(name, holds, hint, told, problems.count, "warning" if lesser else "wrong", why))
        return found

    def _digest_finding(self, skipped: str, digests: bool) -> Finding:
        name, holds, hint = DIGESTS
        why = skipped or ("" if digests else "it was not asked for: --digests reads all bytes")
        problems = self._found[name]
        return Finding(name, holds, hint, tuple(problems.told), problems.count, skipped=why)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
