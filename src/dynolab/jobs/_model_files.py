"""What one model file is, by its name and its content, and which files belong to it."""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dynolab import formats
from dynolab.errors import ModelInvalid
from dynolab.formats import HEAD_BYTES, Format
from dynolab.spec import untrusted
from dynolab.spec.models import ModelFormat
from dynolab.spec.onnxfile import contexts, external_data

NO_ZIP = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError, struct.error, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What the standard library raises for a zip whose structures make no sense; a RecursionError is a RuntimeError."""
OPENED_BY_NAME = (ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM, ModelFormat.QNN_DLC)
"""Archives that are opened, whatever their first bytes are, to tell what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is told of a model: its format, where in a zip it lies, and the files that it names."""

    format: ModelFormat
    entry: str
    external: tuple[str, ...] = ()
    """Locations of external data, as they stand in the file."""


def examine_file(name: str, file: BinaryIO, known: Sequence[Format]) -> Found:
    """What one file is that is no ZIP file of others. Raises :class:`ModelInvalid`.

    ``known`` are the formats that are declared on this machine.
    """
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
    except NO_ZIP as error:
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
    except NO_ZIP as error:
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


def model_in(folder: Path) -> Path:
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


def files_of(path: Path, found: Found) -> list[str]:
    """All files that the model consists of, the entry first, relative to its folder. Raises :class:`ModelInvalid` where one is missing."""
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
            f"{path.name} keeps weights in {location!r}, which is not there",
            hint=f"put it beside {path.name}, or both into one .zip",
        )
    return location
