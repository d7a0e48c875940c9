"""The process that reads one model file of anybody's, confined: unpacks a zip, tells the format and the files that it names.

Started by ``_sources``; standard input is the file.
"""

from __future__ import annotations

import shutil
import stat
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dynolab import formats
from dynolab.errors import DeviceUnfit, ModelInvalid
from dynolab.formats import ARCHIVE, OURS, Format
from dynolab.jobs import _confined as confined
from dynolab.jobs._model_files import NO_ZIP, Found, choose, examine_file
from dynolab.spec import codec, untrusted

ZIP_MAX_FILES = 10_000
ZIP_MAX_RATIO = 100
"""Weights hardly compress; a zip that unpacks to more than this many times its size is a bomb..."""
ZIP_SMALL_BYTES = 256 * 10**6
"""...unless it is small anyway."""
UNPACKED = "model"


def examine(name: str, file: BinaryIO, folder: Path, known: Sequence[Format] = OURS) -> Found:
    """What a file is, by its name and its content; a zip's are unpacked into the folder. Raises :class:`ModelInvalid`.

    ``known`` are the formats that are declared on this machine.
    """
    if PurePosixPath(name).suffix.lower() != ARCHIVE:
        return examine_file(name, file, known)
    place = folder / UNPACKED
    place.mkdir()
    _unpack(name, file, place)
    endings = formats.endings(known)
    models = [path for path, _ in untrusted.files_in(place) if path.suffix.lower() in endings]
    entry = choose(models, place, name, endings)
    with entry.open("rb") as inner:
        found = examine_file(entry.name, inner, known)
    return Found(found.format, str(entry.relative_to(folder)), found.external)


def _unpack(name: str, file: BinaryIO, folder: Path) -> None:
    """Unpack a zip; absolute paths, ``..``, links, too many files and bombs are refused before anything is written."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries, packed = [one for one in archive.infolist() if not _of_macos(one)], file.seek(0, 2)
            for entry in entries:
                _check_entry(name, entry)
            _check_amount(name, packed, entries, folder)
            for entry in entries:
                if not entry.is_dir():
                    _unpack_one(archive, entry, folder)
    except NO_ZIP as error:
        raise ModelInvalid(f"{name} is not a whole zip file: {error}") from error


def _of_macos(entry: zipfile.ZipInfo) -> bool:
    """Whether macOS's Archive Utility put it in beside the files that were to be packed."""
    parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
    return bool(parts) and (parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] == ".DS_Store")


def _check_entry(name: str, entry: zipfile.ZipInfo) -> None:
    inner = PurePosixPath(entry.filename.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts or ":" in entry.filename:
        raise ModelInvalid(f"{name} holds the path {entry.filename[:100]!r}, which leads outside: refused")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ModelInvalid(f"{name} holds the link {entry.filename[:100]!r}: refused", hint="pack plain files")


def _check_amount(name: str, packed: int, entries: Sequence[zipfile.ZipInfo], folder: Path) -> None:
    size = sum(entry.file_size for entry in entries)
    if len(entries) > ZIP_MAX_FILES or (size > ZIP_SMALL_BYTES and size > ZIP_MAX_RATIO * packed):
        raise ModelInvalid(
            f"{name} ({packed} bytes) would unpack to {len(entries)} files and {size} bytes: refused as a zip bomb",
            hint="hand in the folder instead",
        )
    if size > shutil.disk_usage(folder).free:
        raise DeviceUnfit(f"{name} unpacks to {size} bytes, and there is less room on the device's disk")


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """One entry; more bytes than it declared are refused."""
    target = folder / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as source, target.open("wb") as out:
        while block := source.read(1 << 20):
            written += len(block)
            if written > entry.file_size:
                raise ModelInvalid(f"{entry.filename[:100]!r} unpacks to more than it declares: refused as a zip bomb")
            out.write(block)


def main(arguments: list[str]) -> int:
    """``NAME FORMATS FOLDER``: examine standard input, which has that name; the answer goes to the folder."""
    name, folder = arguments[0], Path(arguments[2])
    known = formats.from_text(arguments[1])
    with open(0, "rb") as file:  # a descriptor has no path
        return confined.answer(folder, lambda: codec.encode(examine(name, file, folder, known)), name, ModelInvalid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
