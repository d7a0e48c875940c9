"""Blobs: sequences of bytes in a folder (also as file:///), or in an object store by its URL (s3://, gs://, az://)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import unquote

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from dynolab import errors, private_files, tracing
from dynolab.hub.telemetry import metrics

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CHUNK_BYTES = 1 << 20
AT_ONCE_BYTES = 256 << 10
"""Results and logs are shorter: written in one piece they cost half of what a stream costs."""
PART_BYTES = 5 << 20
"""The least that S3 takes for a part but the last."""
PARTS_AT_ONCE = 2
"""Of one stream, on their way to the store; each is held in memory."""
OBJECTS_AT_ONCE, FILES_AT_ONCE = 32, 400
"""Streams to a store and to a folder at a time. A part of an object has 5 MiB and of a file 256 KiB: so neither a thousand
uploads to a folder nor as many to a store take more memory than a few hundred MB. Direct transfers pass the hub by."""
PAGE = 1000
"""As many keys as S3 lists in one answer."""
SCHEMES = ("s3://", "gs://", "az://")
FOLDER = "file:///"
OWNER = "dynolab-hub"
"""The object that says whose place this is: two hubs in one would sweep each other's objects."""
HINTS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT for a store that is not Amazon's",
    "gs": "GOOGLE_SERVICE_ACCOUNT, the path of a service account's JSON file",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, and AZURE_STORAGE_ENDPOINT for a server of your own",
}
"""The environment that each kind of store reads, of what obstore's documentation lists."""
log = logging.getLogger(__name__)
KEEP_LOCK = 0x64796E62
"""The advisory lock of a backup, for as long as which no object of a blob is removed."""
PATIENCE: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=20)}
"""Less than the 28 s after which the official client asks again."""
START_S = 8.0
"""How long a store that takes connections and says nothing holds up the start."""
AT_START: RetryConfig = {"max_retries": 1, "retry_timeout": timedelta(seconds=3)}


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that was written: its key, its size, the store's tag for it (without quotes), and its SHA-256 digest.

    The digest is None where the bytes did not come through the hub.
    """

    key: str
    bytes: int
    etag: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that is in the store: its key, its size, and when it was last changed, in seconds since 1970."""

    key: str
    bytes: int
    changed_at: float


class Blobs:
    """One blob store. Keys are made by the hub, never by a client.

    All raise :class:`Unavailable` when an object store cannot be reached, or refuses.
    """

    def __init__(self, place: Path | str) -> None:
        """Raises :class:`SpecInvalid` for a URL that names no store. ``file:///folder`` is a folder that replicas share."""
        place = (folder_of(place) or place) if isinstance(place, str) else place
        self.place = place
        self._unfinished: dict[Path, tuple[tuple[int, int], float]] = {}
        """Files that are being written, or were: size and time when they were first seen so, and when (monotonic) that was."""
        if isinstance(place, Path):
            private_files.make_folder(place)
            # An empty folder goes with its last file. What it makes has the modes that the process's umask leaves.
            self._store: ObjectStore = LocalStore(place, automatic_cleanup=True)
            self._part_bytes, streams = AT_ONCE_BYTES, FILES_AT_ONCE
        else:
            self._store = _opened(place, PATIENCE)
            self._part_bytes, streams = PART_BYTES, OBJECTS_AT_ONCE
        self._streaming = asyncio.Semaphore(streams)
        """Those that stand in line have come as far as :data:`AT_ONCE_BYTES`; no more of them is read meanwhile."""

    async def claim(self, owner: str, *, expected: bool = False) -> None:
        """Write whose place this is. Raises :class:`Conflict` when it is another's.

        ``expected``: that its owner has marked its place before, so that one without a mark is the wrong one (:class:`Conflict`).

        It tells at once whether all that the hub needs is there and allowed. Raises :class:`NotFound` for a bucket that is
        not there, :class:`Forbidden` for one that is not ours to use, :class:`Unavailable` when nobody answers.
        """
        store = self._store if isinstance(self.place, Path) else _opened(self.place, AT_START)
        try:
            async with asyncio.timeout(START_S):
                await _mark(store, self.place, owner, expected)
        except (BaseError, FileNotFoundError) as error:
            raise _refusal(self.place, error) from error
        except TimeoutError as error:
            raise _refusal(self.place, TimeoutError(f"nothing came within {START_S:g} s")) from error

    async def is_empty(self) -> bool:
        """Whether nothing is there. Raises as :meth:`claim`."""
        try:
            async for batch in obstore.list(self._store, chunk_size=1):
                return not batch
        except (BaseError, FileNotFoundError) as error:
            raise _refusal(self.place, error) from error
        return True

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> Stored:
        """Write an object as its bytes come, a short one at once; nothing is kept when they break off."""
        begun, rest = bytearray(), aiter(chunks)
        async for chunk in rest:
            begun += chunk
            if len(begun) > AT_ONCE_BYTES:
                break
        else:
            with self._answering("put", write=True):
                result = await obstore.put_async(self._store, key, bytes(begun))
            metrics.BLOB_BYTES.labels("written").inc(len(begun))
            return Stored(key, len(begun), (result["e_tag"] or key).strip('"'), hashlib.sha256(begun).hexdigest())
        count, digest = len(begun), hashlib.sha256(begun)

        async def counted() -> AsyncIterator[bytes]:
            nonlocal count
            yield bytes(begun)
            async for chunk in rest:
                if chunk:
                    count += len(chunk)
                    digest.update(chunk)
                    yield bytes(chunk)

        async with self._streaming:
            with self._answering("put_stream", write=True):
                result = await obstore.put_async(
                    self._store, key, counted(), chunk_size=self._part_bytes, max_concurrency=PARTS_AT_ONCE
                )
        metrics.BLOB_BYTES.labels("written").inc(count)
        return Stored(key, count, (result["e_tag"] or key).strip('"'), digest.hexdigest())

    async def stream(self, keys: Sequence[str]) -> AsyncIterator[bytes]:
        """The bytes of several objects, one after the other. Raises FileNotFoundError."""
        for key in keys:
            with self._answering("get"):
                found = await obstore.get_async(self._store, key)
            with self._answering():
                async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                    metrics.BLOB_BYTES.labels("read").inc(len(chunk))
                    yield bytes(chunk)

    def open(self, key: str) -> tuple[int, Iterator[bytes]]:
        """Size and bytes of one object, for a program that does nothing else meanwhile. Raises FileNotFoundError."""
        with self._answering():
            found = obstore.get(self._store, key)
            return found.meta["size"], (bytes(chunk) for chunk in found.stream(min_chunk_size=CHUNK_BYTES))

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """As :meth:`put`, for a program that does nothing else meanwhile."""
        with self._answering(write=True):
            obstore.put(self._store, key, iter(chunks), chunk_size=PART_BYTES)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are gone already are no error."""
        with self._answering("delete"):
            for key in keys:
                with suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, key)

    async def keys(self, prefix: str) -> list[str]:
        """The keys of all objects below a prefix, a whole number of the key's steps."""
        return sorted([key async for page in self.pages(prefix) for key in page])

    async def pages(self, prefix: str) -> AsyncIterator[list[str]]:
        """The same in pages, in no order: there may be millions."""
        with self._answering():  # not timed: whoever asks does other things between two pages
            async for batch in obstore.list(self._store, prefix, chunk_size=PAGE):
                yield [meta["path"] for meta in batch]

    async def listed(self, prefix: str) -> AsyncIterator[list[Listed]]:
        """As :meth:`pages`, with what the store tells of each object."""
        with self._answering():
            async for batch in obstore.list(self._store, prefix, chunk_size=PAGE):
                yield [Listed(meta["path"], meta["size"], meta["last_modified"].timestamp()) for meta in batch]

    async def size(self, key: str) -> int | None:
        """How many bytes an object has; None: it is not there."""
        with self._answering(), suppress(FileNotFoundError):
            return (await obstore.head_async(self._store, key))["size"]
        return None

    def unfinished(self) -> Iterator[tuple[Path, float]]:
        """What a folder keeps of objects whose writing goes on or was cut short, and when that was last changed."""
        if isinstance(self.place, Path):
            for path in self.place.rglob("*#*"):
                with suppress(FileNotFoundError):
                    if re.search(r"#\d+$", path.name) and path.is_file():
                        yield path, path.stat().st_mtime

    def drop_unfinished(self, older_than_s: float) -> None:
        """Remove what a folder keeps of objects whose writing was cut short; stores in the cloud have rules for that.

        They are those that stayed as they are for so long since an earlier call: files' own times may be set, and what is
        being written must not go. obstore's local store writes to a name with ``#`` and a number at its end, and lists no such
        file.
        """
        if isinstance(self.place, Path):
            now, seen = time.monotonic(), self._unfinished
            self._unfinished = {}
            for path, _ in self.unfinished():
                with suppress(FileNotFoundError):
                    if path.is_file():
                        state = path.stat().st_size, path.stat().st_mtime_ns
                        known = seen.get(path)
                        since = known[1] if known is not None and known[0] == state else now
                        self._unfinished[path] = state, since
                        if now - since >= older_than_s and known is not None:
                            path.unlink()

    @contextmanager
    def _answering(self, operation: str = "", *, write: bool = False) -> Iterator[None]:
        """What goes wrong within becomes :class:`Unavailable`; FileNotFoundError passes, but for what is written.

        ``operation``: what it is counted and timed as; empty: it is not.
        """
        try:
            with _observed(operation) if operation else nullcontext():
                yield
        except FileNotFoundError as error:
            if write:
                raise self._away(error) from error
            raise
        except BaseError as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> errors.Unavailable:
        log.warning("the blob store %s failed: %s", self.place, reason(error))
        return errors.Unavailable(f"the hub's blob store failed: {reason(error)}", hint="ask again")


@contextmanager
def _observed(operation: str) -> Iterator[None]:
    with tracing.span(f"blob {operation}", "client", alone=False), metrics.blob_operation(operation):
        yield


def folder_of(url: str) -> Path | None:
    """The folder that a URL of blobs names; None: an object store."""
    return Path(unquote(url.removeprefix("file://"))) if url.startswith(FOLDER) else None


async def _mark(store: ObjectStore, place: Path | str, owner: str, expected: bool) -> None:
    await obstore.list(store, OWNER, chunk_size=1).collect_async()  # tells a missing bucket from a missing object
    with suppress(FileNotFoundError):
        found = bytes(await (await obstore.get_async(store, OWNER)).bytes_async()).decode("utf-8", "replace")
        if found != owner:
            raise errors.Conflict(
                f"{place} is the place of another hub, or of one with another database",
                hint="give each hub a folder or prefix of its own: a hub removes what its database does not know",
            )
        expected = False
    if expected:
        raise errors.Conflict(
            f"{place} holds nothing of this hub, which has kept its files elsewhere before",
            hint="blobs_url is the same for all replicas; where its files are lost for good, write the text "
            f"{owner} to the object {OWNER} there, and `dynolab hub check` says what is missing",
        )
    await obstore.put_async(store, OWNER, owner.encode())


def _opened(url: str, patience: RetryConfig) -> ObjectStore:
    """obstore's store, with credentials from the environment. Raises :class:`SpecInvalid`."""
    try:
        if not url.startswith(SCHEMES):
            raise ValueError(f"URLs of blob stores begin with {', '.join([*SCHEMES, FOLDER])}")
        # An endpoint without encryption is taken where the operator names one; the stores' own all have it.
        options: ClientConfig = {"allow_http": True, "connect_timeout": timedelta(seconds=3)}
        return from_url(url, client_options=options, retry_config=patience)
    except (BaseError, ValueError) as error:
        raise errors.SpecInvalid(
            f"DYNOLAB_BLOBS_URL={url!r} cannot be used: {reason(error)}",
            hint=f"such as s3://bucket/prefix; the environment must have {HINTS.get(url[:2], HINTS['s3'])}",
        ) from error


_METADATA_SERVICE = "169.254.169.254"
"""Where machines in a cloud learn their credentials; asked when the environment has none."""
_REFUSED: dict[str, tuple[type[errors.Error], Literal["bucket", "access", "answer"]]] = {
    "404": (errors.NotFound, "bucket"),
    "401": (errors.Forbidden, "access"),
    "403": (errors.Forbidden, "access"),
}


def _refusal(place: Path | str, error: Exception) -> errors.Error:
    """The error of a start, by what the store answered."""
    text = str(error)
    status = re.search(r"status code: (\d+)", text)
    hint = f"it is read from the environment: {HINTS.get(str(place)[:2], '')}"
    if (missing := no_credentials(place, error)) is not None:
        return missing
    kind, what = _REFUSED.get(status[1] if status else "", (errors.Unavailable, "answer"))
    if what == "bucket" or re.search(r"no ?such ?bucket|no bucket named", text, re.IGNORECASE):
        what, kind, hint = "bucket", errors.NotFound, "make it first: the hub makes no buckets; and check the endpoint"
    said = {"bucket": "has no such bucket", "access": "refuses this hub", "answer": "does not answer"}[what]
    return kind(f"the store of DYNOLAB_BLOBS_URL={place} {said}: {reason(error)}", hint=hint)


def no_credentials(place: Path | str, error: BaseException | None) -> errors.Forbidden | None:
    """The error of an environment that has none for this store; None: the store said something else."""
    if _METADATA_SERVICE not in str(error):
        return None
    hint = f"they are read from the environment: {HINTS.get(str(place)[:2], '')}"
    return errors.Forbidden(f"there are no credentials for DYNOLAB_BLOBS_URL={place}", hint=hint)


def reason(error: Exception) -> str:
    """The short form of what obstore says in many lines: status and the store's own words, or the innermost cause."""
    text = str(error).partition("\n\nDebug source:")[0]
    status = re.search(r"status code: (\d+ [\w ]+)", text)
    code, message = (re.search(rf"<{name}>([^<\n]*)", text) for name in ("Code", "Message"))
    if status:
        told = [found[1].strip() for found in (status, code, message) if found]
        return ", ".join(told)
    causes = cast(list[str], re.findall(r"(?:Error performing \w+ (\S+) in|(?<= - )(?:HTTP error: )?(.*))", text))
    if causes:
        address = next((one[0] for one in causes if one[0]), "")
        last = next((one[1] for one in reversed(causes) if one[1]), "")
        return f"{address.partition('?')[0]}: {last}" if address else last
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
