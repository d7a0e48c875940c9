"""Models and datasets at a hub."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dynolab.client.http import HubApi
from dynolab.errors import ModelInvalid, NotFound, PluginMissing, SpecInvalid
from dynolab.spec.models import EXTENSIONS, ModelFormat

if TYPE_CHECKING:
    from dynolab.client.http import Counted
    from dynolab.jobs._datasets import h5

DatasetEntries: TypeAlias = "Mapping[str, Sequence[h5.Array]]"
"""Batches by input name."""
ZIP_LEVEL = 1
"""Weights hardly compress: what more effort would save is not worth its time."""


@dataclass(frozen=True, slots=True)
class _Stored(ABC):
    """What a model and a dataset have in common."""

    api: HubApi
    document: dict[str, Any]
    told: Callable[[str], Counted]

    @property
    def name(self) -> str:
        """The name that it was given."""
        return str(self.document["name"])

    @property
    def date(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.document["created_at"])

    @abstractmethod
    def _path(self) -> str:
        """Where it lies below the API."""

    def get_sharing(self) -> list[str]:
        """With whom it is shared."""
        return list(self.api.get(f"{self._path()}/sharing")["emails"])

    def modify_sharing(self, add_emails: Sequence[str] = (), delete_emails: Sequence[str] = ()) -> None:
        """Share with some, and no longer with others."""
        document = {"add": list(add_emails or ()), "remove": list(delete_emails or ())}
        self.api.send("PATCH", f"{self._path()}/sharing", document)

    def disable_sharing(self) -> None:
        """Share with nobody."""
        self.api.send("DELETE", f"{self._path()}/sharing")

    def delete(self) -> None:
        """Delete it, with its bytes. Raises :class:`~dynolab.errors.Conflict` while a job that is not over uses it."""
        self.api.send("DELETE", self._path())

    def _fetch(self, target: Path, what: str) -> Path:
        found = self.api.get(f"{self._path()}/download")
        path = target / found["name"] if target.is_dir() else target
        self.api.download(found["url"], path, found["bytes"], self.told(f"downloading {what} {self.name}"))
        return path


class Model(_Stored):
    """A model that was uploaded."""

    @property
    def model_id(self) -> str:
        """Its id."""
        return str(self.document["id"])

    @property
    def model_type(self) -> str:
        """Its format, such as ``onnx``."""
        return str(self.document["kind"])

    def _path(self) -> str:
        return f"models/{self.model_id}"

    def download(self, filename: str | Path = ".") -> str:
        """Fetch its file into a folder, or under a name; where it is."""
        return str(self._fetch(Path(filename), "model"))


class Dataset(_Stored):
    """A dataset: named tensors in batches."""

    @property
    def dataset_id(self) -> str:
        """Its id."""
        return str(self.document["id"])

    @property
    def expiration_time(self) -> datetime | None:
        """When it is deleted; None: it is kept."""
        text = self.document["expires_at"]
        return datetime.fromisoformat(text) if text else None

    def _path(self) -> str:
        return f"datasets/{self.dataset_id}"

    def download(self, filename: str | Path | None = None) -> dict[str, list[h5.Array]] | str:
        """Its tensors; with a folder or file name, the HDF5 file, and where it is."""
        if filename is not None:
            return str(self._fetch(Path(filename), "dataset"))
        library = datasets_library()
        with tempfile.TemporaryDirectory(prefix="dynolab-download-") as folder:
            found: dict[str, list[h5.Array]] = library.read(self._fetch(Path(folder) / "dataset.h5", "dataset"))
            return found


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
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        yield path, _format(names, path.name), True
    elif path.suffix.lower() == ".xml":
        with _zip(path.stem, [path, path.with_suffix(".bin")], path.parent) as packed_path:
            yield packed_path, ModelFormat.OPENVINO_IR, True
    else:
        yield path, _format([path.name], path.name), False


def _format(names: Sequence[str], shown: str) -> ModelFormat:
    found = {EXTENSIONS[ending] for name in names if (ending := Path(name).suffix.lower()) in EXTENSIONS}
    if len(found) != 1:
        what = "no model" if not found else f"models of {len(found)} formats"
        raise ModelInvalid(f"{shown} holds {what}", hint=f"known endings: {', '.join(sorted(EXTENSIONS))}")
    return found.pop()


@contextmanager
def _zip(name: str, files: Sequence[Path], root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dynolab-upload-") as folder:
        target = Path(folder) / f"{name}.zip"
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
    with tempfile.TemporaryDirectory(prefix="dynolab-upload-") as folder:
        path = Path(folder) / "dataset.h5"
        library.write(path, data)
        yield path


def datasets_library() -> Any:
    """What reads and writes datasets; imported when it is needed. Raises :class:`PluginMissing`."""
    try:
        return import_module("dynolab.jobs._datasets.h5")
    except ModuleNotFoundError as error:
        raise PluginMissing(
            f"datasets need {error.name}, which is not installed", hint=f"{sys.executable} -m pip install h5py"
        ) from error
