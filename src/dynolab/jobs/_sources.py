"""Opens what a user handed in as a model: a file, a folder or a zip; checks it; tells which files it consists of."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dynolab.connections.local import own_folder
from dynolab.errors import DeviceUnfit, ModelInvalid, NotFound
from dynolab.spec.models import EXTENSIONS, FileFact, ModelFormat
from dynolab.spec.onnxfile import external_data

ZIP_MAX_FILES = 10_000
ZIP_MAX_RATIO = 100
"""Weights hardly compress; a zip that unpacks to more than this many times its size is a bomb..."""
ZIP_SMALL_BYTES = 256 * 10**6
"""...unless it is small anyway."""


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
    if path.is_dir():
        yield _in_folder(path, path.name)
    elif not path.is_file():
        raise ModelInvalid(f"{path} is no regular file", hint="a file, a folder or a .zip is expected")
    elif path.suffix.lower() == ".zip":
        with own_folder("zip-") as own:
            folder = own / "model"
            folder.mkdir()
            _unpack(path, folder)
            yield _in_folder(folder, path.name)
    else:
        yield _from_file(path, path.name)


def _in_folder(folder: Path, name: str) -> ModelSource:
    """The one model in a folder, or in the only folder inside it."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in EXTENSIONS and path.is_file()]
    if not found:
        raise ModelInvalid(
            f"{name} holds no model", hint=f"a file ending in one of {', '.join(sorted(EXTENSIONS))} is expected in it"
        )
    if len(found) > 1:
        preferred = [path for path in found if path.stem == "model"]
        if len(preferred) != 1:
            listed = ", ".join(str(path.relative_to(folder)) for path in found[:5])
            raise ModelInvalid(f"{name} holds {len(found)} models: {listed}", hint="name one of the files")
        found = preferred
    return _from_file(found[0], name)


def _from_file(path: Path, name: str) -> ModelSource:
    if path.stat().st_size == 0:
        raise ModelInvalid(f"{path.name} is empty (0 bytes)", hint="download or export it again")
    kind = EXTENSIONS.get(path.suffix.lower())
    actual = sniff(path)
    if kind is None:
        raise ModelInvalid(
            f"{path.name} has no ending that dynolab knows" + (f", it looks like {actual}" if actual else ""),
            hint=f"known endings: {', '.join(sorted(EXTENSIONS))}, and .zip or a folder that holds one",
        )
    if (
        actual is not None
        and kind is not actual
        and {kind, actual} != {ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM}
    ):
        right = next(ending for ending, value in EXTENSIONS.items() if value is actual)
        raise ModelInvalid(
            f"{path.name} is named like {kind}, but holds {actual}", hint=f"rename it to {path.stem}{right}"
        )
    if kind in (ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM):
        kind = _torch_format(path)
    _check_content(path, kind, actual)
    files = _files(path, kind)
    facts = tuple(FileFact(file, (path.parent / file).stat().st_size) for file in files)
    return ModelSource(name, kind, path.parent, path.name, facts, _digest(path.parent, files))


def sniff(path: Path) -> ModelFormat | None:
    """The format that a file's first bytes show, or None where they show none (ONNX has no mark of its own)."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] == b"TFL3":
        return ModelFormat.TFLITE
    if head.startswith(b"PK\x03\x04"):
        return ModelFormat.TORCHSCRIPT
    if head.lstrip().startswith(b"<") and b"<net" in head:
        return ModelFormat.OPENVINO_IR
    return None


def _check_content(path: Path, kind: ModelFormat, actual: ModelFormat | None) -> None:
    """Formats that have a mark of their own must show it."""
    marks = {ModelFormat.TFLITE: "the TFL3 mark of TFLite", ModelFormat.OPENVINO_IR: "a <net> element of OpenVINO IR"}
    if kind in marks and actual is not kind:
        raise ModelInvalid(f"{path.name} does not hold {marks[kind]}", hint="is it another format, or truncated?")


def _torch_format(path: Path) -> ModelFormat:
    """TorchScript or an exported program, by what the archive holds; a pickled checkpoint is refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [PurePosixPath(name).parts for name in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise ModelInvalid(
            f"{path.name} is not a whole TorchScript or exported program: {error}",
            hint="save it with torch.jit.save or torch.export.save; plain pickles are not opened",
        ) from error
    inner = {name for names in parts for name in names[1:]}
    if "code" in inner and "data.pkl" in inner:
        return ModelFormat.TORCHSCRIPT
    if {"serialized_exported_program.json", "archive_format", "models"} & inner | ({"models"} & {p[0] for p in parts}):
        return ModelFormat.EXPORTED_PROGRAM
    raise ModelInvalid(
        f"{path.name} is a pickled checkpoint, which may run any code when opened: it is refused",
        hint="save the model with torch.jit.save or torch.export.save",
    )


def _files(path: Path, kind: ModelFormat) -> list[str]:
    """All files that the model consists of, the entry first, relative to its folder."""
    if kind is ModelFormat.OPENVINO_IR:
        weights = path.with_suffix(".bin")
        if not weights.exists():
            raise ModelInvalid(f"{weights.name} is missing beside {path.name}", hint="OpenVINO IR is a pair of files")
        return [path.name, weights.name]
    if kind is ModelFormat.NULL:
        return [path.name, *(_external_file(path, location) for location in _null_data(path))]
    if kind is not ModelFormat.ONNX:
        return [path.name]
    return [path.name, *(_external_file(path, location) for location in external_data(path))]


def _null_data(path: Path) -> list[str]:
    """The file that a null model maps, if it names one; what is no null model is its runtime's to refuse."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return []
    file = document.get("file") if isinstance(document, dict) else None
    return [file] if isinstance(file, str) else []


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


def _unpack(path: Path, folder: Path) -> None:
    """Unpack a zip; absolute paths, ``..``, links, too many files and bombs are refused before anything is written."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                _check_entry(path, entry)
            _check_amount(path, entries, folder)
            for entry in entries:
                if not entry.is_dir():
                    _unpack_one(archive, entry, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelInvalid(f"{path.name} is not a whole zip file: {error}") from error


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
        raise ModelInvalid(f"{path.name} holds the path {entry.filename[:100]!r}, which leads outside: refused")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ModelInvalid(f"{path.name} holds the link {entry.filename[:100]!r}: refused", hint="pack plain files")


def _check_amount(path: Path, entries: Sequence[zipfile.ZipInfo], folder: Path) -> None:
    size, packed = sum(entry.file_size for entry in entries), path.stat().st_size
    if len(entries) > ZIP_MAX_FILES or (size > ZIP_SMALL_BYTES and size > ZIP_MAX_RATIO * packed):
        raise ModelInvalid(
            f"{path.name} ({packed} bytes) would unpack to {len(entries)} files and {size} bytes: refused as a zip bomb",
            hint="hand in the folder instead",
        )
    if size > shutil.disk_usage(folder).free:
        raise DeviceUnfit(f"{path.name} unpacks to {size} bytes, and there is less room on the device's disk")


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
