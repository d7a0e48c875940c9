"""Opens what a user handed in as a model: a file, a folder or a zip; checks it; tells which files it consists of.

What stands in the files is read by a confined process (``_source_child``); here they are only found and hashed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynolab import formats
from dynolab.connections.local import own_folder
from dynolab.errors import Forbidden, ModelInvalid, NotFound
from dynolab.jobs import _confined as confined
from dynolab.jobs._model_files import Found, files_of, model_in
from dynolab.spec import codec, untrusted
from dynolab.spec.models import FileFact, ModelFormat

_CHILD = ("-m", "dynolab.jobs._source_child")
READ_WITHIN_S, READ_BYTES_PER_S = 60.0, 10 << 20
"""A zip is unpacked at some 200 MB/s on one core of a small machine."""
MEMORY_MAX_BYTES = 1 << 30
_read_before: dict[tuple[str | int, ...], Found] = {}
"""What was read last of a file that is no zip, by its content as far as the system tells of changes: a job is checked, then run."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model's files: ``entry`` is the one that a runtime opens, ``files`` are all, relative to ``folder``."""

    name: str
    format: ModelFormat
    folder: Path
    entry: str
    files: tuple[FileFact, ...]
    sha256: str


@contextmanager
def open_source(path: Path) -> Iterator[ModelSource]:
    """The model at ``path``, checked as far as that goes without a runtime; a zip is unpacked for as long as it is open.

    Raises :class:`NotFound` and :class:`ModelInvalid`.
    """
    if not path.exists():
        raise NotFound(f"there is no model at {path}", hint="check the path; a file, a folder or a .zip is expected")
    if not path.is_dir() and not path.is_file():
        raise ModelInvalid(f"{path} is no regular file", hint="a file, a folder or a .zip is expected")
    with own_folder("zip-") as own:
        folder = own / "out"
        folder.mkdir()
        file = model_in(path) if path.is_dir() else path
        found = _read(file, folder)
        if file.suffix.lower() == ".zip":
            entry = folder / untrusted.relative_path(found.entry)
            yield _source(entry, path.name, found, unpacked=folder)
        else:
            yield _source(file, path.name, found, unpacked=None)


def check_format(source: ModelSource, formats: Sequence[str]) -> None:
    """Raise :class:`ModelInvalid` for a model of another format than it was said to be; ``formats`` empty: nothing was said."""
    if formats and source.format not in formats:
        raise ModelInvalid(
            f"{source.name} was said to be {formats[0]}, and holds a model of the format {source.format}",
            hint="hand it in as what it is",
        )


def _read(file: Path, folder: Path) -> Found:
    """What a confined process makes of a file; it has the file open, and sees no other but those that it writes."""
    try:
        opened = file.open("rb")
    except OSError as error:
        raise ModelInvalid(f"{file} cannot be opened: {error.strerror}", hint="see that you may read it") from error
    with opened:
        known = formats.to_text(formats.known().formats)
        seen = os.fstat(opened.fileno())
        same = (file.name, known, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        if (before := _read_before.get(same)) is not None:
            return before
        answer = confined.ask(
            _CHILD,
            [file.name, known],
            opened,
            folder,
            max_s=READ_WITHIN_S + file.stat().st_size / READ_BYTES_PER_S,
            max_bytes=MEMORY_MAX_BYTES,
            kind=ModelInvalid,
            hint="is it truncated? download or export it again",
        )
    found = codec.decode(Found, answer, "what was read of the model")
    if file.suffix.lower() != formats.ARCHIVE:
        _read_before.clear()
        _read_before[same] = found
    return found


def _source(entry: Path, name: str, found: Found, unpacked: Path | None) -> ModelSource:
    """The source of a model's entry; what was unpacked may hold links that somebody made while it was."""
    files = files_of(entry, found)
    for file in files if unpacked else ():
        try:
            untrusted.open_file(entry.parent / file, inside=unpacked or entry.parent).close()
        except (Forbidden, OSError) as error:
            raise ModelInvalid(f"{name} holds no plain file {file!r}", hint="pack plain files") from error
    facts = tuple(FileFact(file, (entry.parent / file).stat().st_size) for file in files)
    return ModelSource(name, found.format, entry.parent, entry.name, facts, _digest(entry.parent, files))


def _digest(folder: Path, files: Sequence[str]) -> str:
    """SHA-256 over the contents of the files, in their order."""
    digest = hashlib.sha256()
    for name in files:
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
