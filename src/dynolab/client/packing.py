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

    A folder is packed, and so are the files of a format that has several, such as OpenVINO's. Raises :class:`NotFound` and
    :class:`ModelInvalid`.
    """
    if not path.exists():
        raise NotFound(f"there is no model at {path}", hint="a file, a folder or a .zip is expected")
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.is_file())
        kind = _format([one.name for one in files], path.name, told)
        with _zip(path.name, files, path) as packed_path:
            yield packed_path, kind, True
        return
    if path.suffix.lower() == formats.ARCHIVE:
        yield path, _format(_names(path), path.name, told), True
        return
    declared = formats.by_ending(path.suffix)
    if declared is None or not declared.beside:
        yield path, _format([path.name], path.name, told), False
        return
    others = [path.with_suffix(ending) for ending in declared.beside]
    for other in others:
        if not other.is_file():
            raise NotFound(f"there is no {other.name} beside {path}", hint=f"{declared.title} is several files")
    with _zip(path.stem, [path, *others], path.parent) as packed_path:
        yield packed_path, declared.kind, True


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile as error:
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
