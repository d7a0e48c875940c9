"""A backup's file: a tar whose last member names every other one with its size and digest, so that it vouches for all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from dynolab.errors import Conflict, SpecInvalid

FORMAT = 1
HEADER, MANIFEST = "dynolab-backup.json", "manifest.json"
CHUNK_BYTES = 1 << 20
Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done."""


@dataclass(frozen=True, slots=True)
class Header:
    """Who made a backup: the form of the file, dynolab's version, the schema's, and when (UTC, ISO 8601)."""

    format: int
    dynolab: str
    schema: str
    made_at: str


@dataclass(slots=True)
class Manifest:
    """What a backup holds: rows by table, sequences' values, sizes and digests by member.

    ``missing``: objects that were lost before it was made, by their key, with what they were part of.
    """

    rows: dict[str, int] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    members: dict[str, list[int | str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class Writer:
    """Adds members, and remembers what they were."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.manifest = Manifest()

    def add(self, name: str, size: int, source: IO[bytes]) -> None:
        """Add ``size`` bytes. Raises OSError when fewer come."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        counted = _Digested(source)
        self._archive.addfile(member, counted)  # type: ignore[arg-type]  # it reads, no more
        self.manifest.members[name] = [size, counted.digest.hexdigest()]

    def add_document(self, name: str, document: object) -> None:
        """Add a JSON document."""
        content = json.dumps(document, indent=1).encode()
        self.add(name, len(content), io.BytesIO(content))


class Chunks:
    """What comes in chunks, as a file to be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (chunk := next(self._chunks, b"")):
            self._left += chunk
        found, self._left = self._left[:size], self._left[size:]
        return found


class _Digested:
    def __init__(self, source: IO[bytes]) -> None:
        self._source, self.digest = source, hashlib.sha256()

    def read(self, size: int) -> bytes:
        found = self._source.read(size)
        self.digest.update(found)
        return found


@contextmanager
def written(path: Path, header: Header) -> Iterator[Writer]:
    """A new backup, compressed when its name ends in .gz or .tgz; it has its name once it is whole and on the disk.

    For its owner's eyes only: it opens everything that the hub's tokens open. Raises :class:`Conflict` for a file that
    is there already.
    """
    _refuse_existing(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            mode = "w|gz" if path.suffix in (".gz", ".tgz") else "w|"
            with tarfile.open(mode=mode, fileobj=file, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]  # the mode is one of two
                writer = Writer(archive)
                writer.add_document(HEADER, asdict(header))
                yield writer
                writer.add_document(MANIFEST, asdict(writer.manifest))
            file.flush()
            os.fsync(file.fileno())
        _refuse_existing(path)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise Conflict(f"{path} is there already", hint="name another file")


def checked(path: Path, progress: Progress) -> tuple[Header, Manifest]:
    """What a file says of itself, once every byte of it is seen to be what was written.

    Raises :class:`SpecInvalid` for a file that is no backup, or is cut short, or altered.
    """
    members: dict[str, list[int | str]] = {}
    header, manifest = None, None
    size = path.stat().st_size
    with _whole(path), path.open("rb") as file:
        for name, source in _members(file):
            progress(file.tell(), size)
            if manifest is not None:
                raise SpecInvalid(f"{path} was altered: something follows its end")
            if name == MANIFEST:
                manifest = _document(Manifest, source.read(), path)
                continue
            if name == HEADER:
                content = source.read()
                header, found = _document(Header, content, path), hashlib.sha256(content)
                count = len(content)
            elif header is None:
                break
            else:
                found, count = hashlib.sha256(), 0
                while chunk := source.read(CHUNK_BYTES):
                    found.update(chunk)
                    count += len(chunk)
            members[name] = [count, found.hexdigest()]
    if header is None or header.format != FORMAT:
        form = "" if header is None else f" that this dynolab reads: its format is {header.format}, not {FORMAT}"
        raise SpecInvalid(f"{path} is no backup of a hub{form}", hint="`dynolab hub backup FILE` makes one")
    if manifest is None:
        raise SpecInvalid(f"{path} is cut short: its end is missing", hint="fetch it again, or take an older one")
    if members != manifest.members:
        wrong = next(iter(_differing(members, manifest.members)))
        raise SpecInvalid(f"{path} was altered: {wrong} is not what was written", hint="take another backup")
    return header, manifest


def _differing(one: dict[str, list[int | str]], other: dict[str, list[int | str]]) -> list[str]:
    return [name for name in (*one, *other) if one.get(name) != other.get(name)]


def contents(path: Path, progress: Progress) -> Iterator[tuple[str, IO[bytes]]]:
    """Every member of a backup but the two about it, by its name."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for name, source in _members(file):
            if name not in (HEADER, MANIFEST):
                yield name, source
            progress(file.tell(), size)


def _members(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(mode="r|*", fileobj=file) as archive:
        for member in archive:
            source = archive.extractfile(member)
            if source is not None:
                yield member.name, source


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise SpecInvalid(
            f"{path} is no whole backup of a hub: {error}", hint="`dynolab hub backup FILE` makes one"
        ) from error


def _document(kind: type[Any], content: bytes, path: Path) -> Any:
    with suppress(ValueError, TypeError):
        return kind(**json.loads(content))
    raise SpecInvalid(f"{path} is no backup of a hub: what it says of itself cannot be read")
