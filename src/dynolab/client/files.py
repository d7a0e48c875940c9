"""Models and datasets at a hub."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from dynolab.client.http import HubApi
from dynolab.client.shared import Shared
from dynolab.connections.local import own_folder
from dynolab.errors import ModelInvalid, NotFound, PluginMissing, SpecInvalid
from dynolab.spec.models import EXTENSIONS, ModelFormat

if TYPE_CHECKING:
    from dynolab.client.client import Client
    from dynolab.client.jobs import Job
    from dynolab.jobs._datasets import h5

DatasetEntries: TypeAlias = "Mapping[str, Sequence[h5.Array]]"
"""Batches by input name."""
ZIP_LEVEL = 1
"""Weights hardly compress: what more effort would save is not worth its time."""


class SourceModelType(StrEnum):
    """The formats of models, under AI Hub's names where it has one."""

    ONNX = ModelFormat.ONNX
    ORT = ModelFormat.ORT
    TFLITE = ModelFormat.TFLITE
    TORCHSCRIPT = ModelFormat.TORCHSCRIPT
    TORCH_EXPORTED_PROGRAM = ModelFormat.EXPORTED_PROGRAM
    OPENVINO_IR = ModelFormat.OPENVINO_IR
    UNRECOGNIZED_MODEL_TYPE = "unrecognized"


class _Stored(Shared):
    """What a model and a dataset have in common."""

    KIND: ClassVar[str]
    """``model`` or ``dataset``."""

    def __init__(self, owner: Client, document: dict[str, Any]) -> None:
        self._owner, self.document = owner, document

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.document["id"])

    @property
    def name(self) -> str:
        """The name that it was given."""
        return str(self.document["name"])

    @property
    def date(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.document["created_at"])

    @property
    def verbose(self) -> bool:
        """Whether fetching it is shown."""
        return self._owner.verbose

    def set_name(self, name: str) -> None:
        """Give it another name."""
        api, where = self._place()
        self.document = api.send("PATCH", where, {"name": name})

    def _place(self) -> tuple[HubApi, str]:
        return self._owner.api, f"{self.KIND}s/{self.id}"

    def _file(self, target: str | Path) -> Path:
        return self._fetch("download", Path(target), f"downloading {self.KIND} {self.name}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.KIND}_id={self.id!r}, name={self.name!r})"


class Model(_Stored):
    """A model that was uploaded."""

    KIND = "model"

    @property
    def model_id(self) -> str:
        """Its id."""
        return self.id

    @property
    def model_type(self) -> SourceModelType:
        """Its format."""
        kind = str(self.document["kind"])
        known = {one.value: one for one in SourceModelType}
        return known.get(kind, SourceModelType.UNRECOGNIZED_MODEL_TYPE)

    @property
    def url(self) -> str:
        """Its page at the hub."""
        return f"{self._owner.config.pages}/models/{self.id}/"

    @property
    def producer(self) -> Job | None:
        """The job that made it; None: it was uploaded."""
        return self._owner.get_job(self.document["producer_id"]) if self.document["producer_id"] else None

    def get_producer(self) -> Job | None:
        """The same."""
        return self.producer

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is made; whether it is there. What was uploaded is."""
        producer = self.producer
        return True if producer is None else producer.wait(timeout).success

    def download(self, filename: str | Path = ".", timeout: float | None = None) -> str:
        """Fetch its file into a folder, or under a name; where it is. One that is still made is waited for."""
        self.wait(timeout)
        return str(self._file(filename))


class Dataset(_Stored):
    """A dataset: named tensors in batches."""

    KIND = "dataset"

    @property
    def dataset_id(self) -> str:
        """Its id."""
        return self.id

    @property
    def creation_time(self) -> datetime:
        """When it was made."""
        return self.date

    @property
    def expiration_time(self) -> datetime | None:
        """When it is deleted; None: it is kept."""
        text = self.document["expires_at"]
        return datetime.fromisoformat(text) if text else None

    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expiration_time is not None and self.expiration_time <= datetime.now(UTC)

    def get_expiration_status(self) -> str:
        """The same in words."""
        return "Expired" if self.is_expired() else "Not Expired"

    def download(self, filename: str | Path | None = None) -> dict[str, list[h5.Array]] | str:
        """Its tensors; with a folder or file name, the HDF5 file, and where it is."""
        if filename is not None:
            return str(self._file(filename))
        library = datasets_library()
        with own_folder("download-") as folder:
            found: dict[str, list[h5.Array]] = library.read(self._file(folder / "dataset.h5"))
            return found


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
    if write is None:
        raise SpecInvalid(
            f"a model is a file, a folder, a .zip, or an ONNX or TorchScript model, not {type(model).__name__}",
            hint="save it, and give the file's path",
        )
    with own_folder("upload-") as folder:
        path = folder / f"model{ending}"
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


@contextmanager
def dataset_file(data: DatasetEntries | str | Path) -> Iterator[Path]:
    """The HDF5 file of some batches, or the one that was named. Raises :class:`SpecInvalid` and :class:`NotFound`."""
    if isinstance(data, str | Path):
        if not Path(data).is_file():
            raise NotFound(f"there is no dataset file {data}")
        yield Path(data)
        return
    if not isinstance(data, Mapping):
        raise SpecInvalid(f"a dataset is a dict of lists of arrays or an .h5 file, not {type(data).__name__}")
    library = datasets_library()
    with own_folder("upload-") as folder:
        path = folder / "dataset.h5"
        library.write(path, data)
        yield path


def datasets_library() -> Any:
    """What reads and writes datasets; imported when it is needed. Raises :class:`PluginMissing`."""
    try:
        return import_module("dynolab.jobs._datasets.h5")
    except ModuleNotFoundError as error:
        raise PluginMissing(
            f"datasets need {error.name}, which is not installed", hint="pip install 'dynolab[datasets]'"
        ) from error
