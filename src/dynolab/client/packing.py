"""A model packed for its upload: one file, or a ZIP file of a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from dynolab import formats
from dynolab.connections.local import own_folder
from dynolab.errors import ModelInvalid, NotFound, SpecInvalid
from dynolab.jobs import _model_files as model_files

ZIP_LEVEL = 1
"""Weights hardly compress: what more effort would save is not worth its time."""


@contextmanager
def model_file(model: object) -> Iterator[Path]:
    """Where a model lies: the path that was given, or a file made of an ONNX or TorchScript model in memory.

    Raises :class:`SpecInvalid` for anything else.
    """
    if isinstance(model, str | Path):
        yield Path(model).expanduser()
        return
    write, ending = getattr(model, "SerializeToString", None), ".onnx"
    if write is None:
        write, ending = getattr(model, "save_to_buffer", None), ".pt"
    exported = type(model).__module__.startswith("torch.export.")
    if write is None and not exported:
        raise SpecInvalid(
            f"a model is a file, a folder, a .zip, or an ONNX, TorchScript or exported model, not {type(model).__name__}",
            hint="save it, and give the file's path; of a torch module: torch.jit.trace or torch.export.export first",
        )
    with own_folder("upload-") as folder:
        path = folder / f"model{'.pt2' if exported else ending}"
        if exported:
            import_module("torch.export").save(model, str(path))  # whoever has such a model has imported it
        elif write is not None:
            path.write_bytes(write())
        yield path


Endings = Callable[[], Mapping[str, str]]
"""Asks a hub which formats its devices read besides those that are declared here: format by ending."""


@contextmanager
def packed(path: Path, told: Endings = dict) -> Iterator[tuple[Path, str, bool]]:
    """The file to upload for a model, its format, and whether it is a ZIP file of a folder.

    A folder is packed, and so is a model of several files, such as OpenVINO's or ONNX with its weights beside it. What can be
    told of a model without a runtime is told here, before anything goes. Raises :class:`NotFound` and :class:`ModelInvalid`.
    """
    if not path.exists():
        raise NotFound(f"there is no model at {path}", hint="a file, a folder or a .zip is expected")
    if path.is_dir():
        found = sorted(one for one in path.rglob("*") if one.is_file())
        kind = _format([one.name for one in found], path.name, told)
        if formats.by_name(kind):
            kind = _examined(model_files.model_in(path))[0]
        with _zip(path.name, found, path) as packed_path:
            yield packed_path, kind, True
    elif path.suffix.lower() == formats.ARCHIVE:
        yield path, _format(_names(path), path.name, told), True
    elif _is_told(path.suffix, told):
        yield path, _format([path.name], path.name, told), False
    else:
        kind, files = _examined(path)
        if len(files) == 1:
            yield path, kind, False
            return
        with _zip(path.stem, [path.parent / one for one in files], path.parent) as packed_path:
            yield packed_path, kind, True


def _is_told(ending: str, told: Endings) -> bool:
    """Whether it is the hub that knows files with this ending, or nobody; it is not asked about those that are models wherever they are."""
    if formats.by_ending(ending) is not None:
        return False
    return ending.lower() in told() or formats.said_by(ending, formats.known().formats) is None


def _examined(file: Path) -> tuple[str, list[str]]:
    """A model's format, and the files that it consists of, relative to its folder."""
    try:
        with file.open("rb") as opened:
            found = model_files.examine_file(file.name, opened, formats.known().formats)
    except OSError as error:
        raise ModelInvalid(f"{file} cannot be read: {error.strerror}", hint="see that you may read it") from error
    return found.format, model_files.files_of(file, found)


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except model_files.NO_ZIP as error:
        raise ModelInvalid(f"{path} is no ZIP file: {error}", hint="pack it anew, or give the folder") from error


def _format(names: Sequence[str], shown: str, told: Endings) -> str:
    """The one format of these files, by dynolab's own endings first; a hub is asked only where those do not tell."""
    of_here: Mapping[str, str] = {ending: one.name for one in formats.known().formats for ending in one.endings}
    found = _found(names, of_here) or _found(names, of_here := {**told(), **of_here})
    if len(found) != 1:
        what = "no model" if not found else f"models of {len(found)} formats"
        raise ModelInvalid(f"{shown} holds {what}", hint=f"known endings: {', '.join(sorted(of_here))}")
    return found.pop()


def _found(names: Sequence[str], kinds: Mapping[str, str]) -> set[str]:
    return {kinds[ending] for name in names if (ending := Path(name).suffix.lower()) in kinds}


@contextmanager
def _zip(name: str, files: Sequence[Path], root: Path) -> Iterator[Path]:
    with own_folder("upload-") as folder:
        target = folder / f"{name}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as archive:
            for file in files:
                archive.write(file, f"{name}/{file.relative_to(root)}")
        yield target
