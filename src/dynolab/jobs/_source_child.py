"""The process that reads one model file of anybody's, confined: unpacks a zip, tells the format and the files that it names.

Started by ``_sources``; standard input is the file.
"""

from __future__ import annotations

import json
import lzma
import shutil
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dynolab import formats
from dynolab.errors import DeviceUnfit, ModelInvalid
from dynolab.formats import ARCHIVE, HEAD_BYTES, OURS, Format
from dynolab.jobs import _confined as confined
from dynolab.jobs._sources import Found, choose
from dynolab.spec import codec, untrusted
from dynolab.spec.models import ModelFormat
from dynolab.spec.onnxfile import contexts, external_data

ZIP_MAX_FILES = 10_000
ZIP_MAX_RATIO = 100
"""Weights hardly compress; a zip that unpacks to more than this many times its size is a bomb..."""
ZIP_SMALL_BYTES = 256 * 10**6
"""...unless it is small anyway."""


_NO_ZIP = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError, struct.error, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What the standard library raises for a zip whose structures make no sense; a RecursionError is a RuntimeError."""
UNPACKED = "model"
OPENED_BY_NAME = (ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM, ModelFormat.QNN_DLC)
"""Archives that are opened, whatever their first bytes are, to tell what is wrong with them."""


def examine(name: str, file: BinaryIO, folder: Path, known: Sequence[Format] = OURS) -> Found:
    """What a file is, by its name and its content; a zip's are unpacked into the folder. Raises :class:`ModelInvalid`.

    ``known`` are the formats that are declared on this machine.
    """
    if PurePosixPath(name).suffix.lower() != ARCHIVE:
        return _one(name, file, known)
    place = folder / UNPACKED
    place.mkdir()
    _unpack(name, file, place)
    endings = formats.endings(known)
    models = [path for path, _ in untrusted.files_in(place) if path.suffix.lower() in endings]
    entry = choose(models, place, name, endings)
    with entry.open("rb") as inner:
        found = _one(entry.name, inner, known)
    return Found(found.format, str(entry.relative_to(folder)), found.external)


def _one(name: str, file: BinaryIO, known: Sequence[Format]) -> Found:
    """What one file is that is no zip."""
    head = file.read(HEAD_BYTES)
    if not head:
        raise ModelInvalid(f"{name} is empty (0 bytes)", hint="download or export it again")
    kind = _checked(name, head, known).kind
    if kind == ModelFormat.QNN_DLC:
        return Found(_dlc(name, file), name)
    if kind in (ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM):
        kind = _torch_format(name, file)
    if kind == ModelFormat.ONNX:
        outside, held = external_data(name, file), contexts(name, file)
        kind = kind if held is None else ModelFormat.PRECOMPILED_QNN_ONNX
        return Found(kind, name, tuple(sorted({*outside, *(held or ())})))
    return Found(kind, name, _null_data(file) if kind == ModelFormat.NULL else ())


def _checked(name: str, head: bytes, known: Sequence[Format]) -> Format:
    """The format that a file's name says, once its beginning does not say otherwise."""
    path = PurePosixPath(name)
    said = formats.said_by(path.suffix, known)
    shown = [one for one in known if one.shown_by(head)]
    if said is None:
        raise ModelInvalid(
            f"{name} has no ending that dynolab knows" + (f", it looks like {shown[0].name}" if shown else ""),
            hint=f"known endings: {', '.join(formats.endings(known))}, and .zip or a folder that holds one",
        )
    if shown and said not in shown:
        raise ModelInvalid(
            f"{name} is named like {said.name}, but holds {shown[0].name}",
            hint=f"rename it to {path.stem}{shown[0].endings[0]}",
        )
    if said.marks and not shown and said.name not in OPENED_BY_NAME:
        marks = " or ".join(mark.content.decode("ascii", "backslashreplace").strip() for mark in said.marks)
        raise ModelInvalid(
            f"{name} does not hold the mark {marks} of {said.title}", hint="is it another format, or truncated?"
        )
    return said


def _dlc(name: str, file: BinaryIO) -> ModelFormat:
    """Qualcomm's container: a ZIP file with a model and notes of its making. What they hold is read by nobody here."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except _NO_ZIP as error:
        raise ModelInvalid(f"{name} is not a whole DLC file: {error}") from error
    if "model" not in names or not any(one.startswith("dlc.metadata") for one in names):
        raise ModelInvalid(f"{name} holds no model of a DLC file", hint="is it another format, or truncated?")
    return ModelFormat.QNN_DLC


def _null_data(file: BinaryIO) -> tuple[str, ...]:
    """The file that a null model maps, if it names one; what is no null model is its runtime's to refuse."""
    file.seek(0)
    try:
        document = json.loads(file.read())
    except (ValueError, RecursionError):
        return ()
    named = document.get("file") if isinstance(document, dict) else None
    return (named,) if isinstance(named, str) else ()


def _torch_format(name: str, file: BinaryIO) -> ModelFormat:
    """TorchScript or an exported program, by what the archive holds; a pickled checkpoint is refused."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = [PurePosixPath(part).parts for part in archive.namelist()]
    except _NO_ZIP as error:
        raise ModelInvalid(
            f"{name} is not a whole TorchScript or exported program: {error}",
            hint="save it with torch.jit.save or torch.export.save; plain pickles are not opened",
        ) from error
    inner = {part for names in parts for part in names[1:]}
    if "aotinductor" in inner:
        return ModelFormat.AOT_INDUCTOR
    if "code" in inner and "data.pkl" in inner:
        return ModelFormat.TORCHSCRIPT
    if {"serialized_exported_program.json", "archive_format", "models"} & inner | ({"models"} & {p[0] for p in parts}):
        return ModelFormat.EXPORTED_PROGRAM
    raise ModelInvalid(
        f"{name} is a pickled checkpoint, which may run any code when opened: it is refused",
        hint="save the model with torch.jit.save or torch.export.save",
    )


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
    except _NO_ZIP as error:
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
