"""Opens what a user handed in as a model: a file, a folder or a zip; checks it; tells which files it consists of.

What stands in the files is read by a confined process (``_source_child``); here they are only found and hashed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dynolab import formats
from dynolab.connections.local import own_folder
from dynolab.errors import Forbidden, ModelInvalid, NotFound
from dynolab.jobs import _confined as confined
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


@dataclass(frozen=True, slots=True)
class Found:
    """What the confined process tells of a model: its format, where in a zip it lies, and the files that it names."""

    format: ModelFormat
    entry: str
    external: tuple[str, ...] = ()
    """Locations of external data, as they stand in the file."""


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
        file = _in_folder(path) if path.is_dir() else path
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


def _in_folder(folder: Path) -> Path:
    """The file of the one model in a folder, or in a folder inside it."""
    found = [path for path, _ in untrusted.files_in(folder, linked=True)]
    known = formats.endings()
    models = [path for path in found if path.suffix.lower() in known and not path.name.startswith("._")]
    return choose(models, folder, folder.name, known)


def choose(found: Sequence[Path], folder: Path, name: str, endings: Sequence[str]) -> Path:
    """The one model among several files, which have these endings, or the one called ``model``. Raises :class:`ModelInvalid`."""
    if not found:
        raise ModelInvalid(
            f"{name} holds no model", hint=f"a file ending in one of {', '.join(endings)} is expected in it"
        )
    preferred = found if len(found) == 1 else [path for path in found if path.stem == "model"]
    if len(preferred) != 1:
        listed = ", ".join(str(path.relative_to(folder)) for path in found[:5])
        raise ModelInvalid(f"{name} holds {len(found)} models: {listed}", hint="name one of the files")
    return preferred[0]


def _source(entry: Path, name: str, found: Found, unpacked: Path | None) -> ModelSource:
    """The source of a model's entry; what was unpacked may hold links that somebody made while it was."""
    files = _files(entry, found)
    for file in files if unpacked else ():
        try:
            untrusted.open_file(entry.parent / file, inside=unpacked or entry.parent).close()
        except (Forbidden, OSError) as error:
            raise ModelInvalid(f"{name} holds no plain file {file!r}", hint="pack plain files") from error
    facts = tuple(FileFact(file, (entry.parent / file).stat().st_size) for file in files)
    return ModelSource(name, found.format, entry.parent, entry.name, facts, _digest(entry.parent, files))


def _files(path: Path, found: Found) -> list[str]:
    """All files that the model consists of, the entry first, relative to its folder."""
    declared = formats.by_name(found.format)
    beside = [path.with_suffix(ending) for ending in (declared.beside if declared else ())]
    for other in beside:
        if not other.is_file():
            endings = " and ".join((path.suffix, *(one.suffix for one in beside)))
            raise ModelInvalid(
                f"{other.name} is missing beside {path.name}",
                hint=f"{declared.title if declared else found.format} is several files: {endings}",
            )
    if beside:
        return [path.name, *(other.name for other in beside)]
    return [path.name, *(_external_file(path, location) for location in found.external)]


def _external_file(path: Path, location: str) -> str:
    """One file of external data, checked to lie inside the model's folder."""
    pure = PurePosixPath(location)
    inside = (
        not pure.is_absolute() and ".." not in pure.parts and location and "\\" not in location and "\0" not in location
    )
    folder = path.parent.resolve()
    if not inside or not (folder / location).resolve().is_relative_to(folder):
        raise ModelInvalid(
            f"{path.name} wants external data from {location[:100]!r}, outside its folder: refused",
            hint="save the model again with its data beside it",
        )
    if not (folder / location).is_file():
        raise ModelInvalid(
            f"{path.name} keeps weights in {location!r}, which is not there", hint=f"put it beside {path.name}"
        )
    return location


def _digest(folder: Path, files: Sequence[str]) -> str:
    """SHA-256 over the contents of the files, in their order."""
    digest = hashlib.sha256()
    for name in files:
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
