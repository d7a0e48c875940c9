"""Datasets at a hub, and the HDF5 files that they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dynolab.client.handle import FileHandle
from dynolab.client.transport import Transport, object_path
from dynolab.connections.local import own_folder
from dynolab.errors import NotFound, PluginMissing, SpecInvalid

if TYPE_CHECKING:
    from dynolab.jobs._datasets import h5

DatasetEntries: TypeAlias = "Mapping[str, Sequence[h5.Array]]"
"""Batches by input name."""


class Dataset(FileHandle):
    """A dataset: named tensors in batches."""

    KIND = "dataset"

    @classmethod
    def find(cls, transport: Transport, dataset_id: str) -> Dataset:
        """The dataset of an id. Raises :class:`~dynolab.errors.NotFound`."""
        return cls(transport, transport.api.get(object_path("datasets", dataset_id)))

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
            return str(self._download(filename))
        library = datasets_library()
        with own_folder("download-") as folder:
            found: dict[str, list[h5.Array]] = library.read(self._download(folder / "dataset.h5"))
            return found


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
