"""A model packed for its upload: one file, or a ZIP file of a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from dynolab.connections.local import own_folder
from dynolab.errors import ModelInvalid, NotFound, SpecInvalid
from dynolab.spec.models import EXTENSIONS, ModelFormat

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


@contextmanager
def packed(path: Path) -> Iterator[tuple[Path, ModelFormat, bool]]:
    """The file to upload for a model, its format, and whether it is a ZIP file of a folder.

    A folder is packed, and so is OpenVINO's pair of files. Raises :class:`NotFound` and :class:`ModelInvalid`.
    """
    if not path.exists():
        raise NotFound(f"there is no model at {path}", hint="a file, a folder or a .zip is expected")
    if path.is_dir():
        with _zip(path.name, sorted(one for one in path.rglob("*") if one.is_file()), path) as packed_path:
            yield packed_path, _format([one.name for one in path.rglob("*")], path.name), True
    elif path.suffix.lower() == ".zip":
        yield path, _format(_names(path), path.name), True
    elif path.suffix.lower() == ".xml":
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise NotFound(f"there is no {weights.name} beside {path}", hint="an OpenVINO model is a pair of files")
        with _zip(path.stem, [path, weights], path.parent) as packed_path:
            yield packed_path, ModelFormat.OPENVINO_IR, True
    else:
        yield path, _format([path.name], path.name), False


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile as error:
        raise ModelInvalid(f"{path} is no ZIP file: {error}", hint="pack it anew, or give the folder") from error


def _format(names: Sequence[str], shown: str) -> ModelFormat:
    found = {EXTENSIONS[ending] for name in names if (ending := Path(name).suffix.lower()) in EXTENSIONS}
    if len(found) != 1:
        what = "no model" if not found else f"models of {len(found)} formats"
        raise ModelInvalid(f"{shown} holds {what}", hint=f"known endings: {', '.join(sorted(EXTENSIONS))}")
    return found.pop()


@contextmanager
def _zip(name: str, files: Sequence[Path], root: Path) -> Iterator[Path]:
    with own_folder("upload-") as folder:
        target = folder / f"{name}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as archive:
            for file in files:
                archive.write(file, f"{name}/{file.relative_to(root)}")
        yield target
