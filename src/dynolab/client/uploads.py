"""The part of the client that models and datasets go through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynolab.client.base import LIST_DEFAULT, ClientBase
from dynolab.client.datasets import Dataset, DatasetEntries, dataset_file
from dynolab.client.models import Model
from dynolab.client.packing import model_file, packed
from dynolab.spec.runtime_support import told_endings


class Uploads(ClientBase):
    """Models and datasets, up and found again."""

    def upload_model(self, model: Any, name: str | None = None, project: str | None = None) -> Model:
        """Upload a file, a folder, a .zip, or an ONNX or TorchScript model in memory.

        Raises :class:`NotFound`, :class:`SpecInvalid` and :class:`ModelInvalid` before anything goes.
        """
        with model_file(model) as path, packed(path, self._told_endings) as (file, kind, is_directory):
            asked = {
                "name": name or path.stem,
                "kind": str(kind),
                "is_directory": is_directory,
                "project_id": self._in(project),
            }
            made = self.api.send("POST", "models", asked, patient=True)
            return Model(self.transport, self._upload(f"models/{made['id']}", file, f"model {made['name']}"))

    def _at_hub(self, model: Any, project: str) -> Model:
        """The model itself, where it is at the hub; else it is uploaded into that project."""
        return model if isinstance(model, Model) else self.upload_model(model, project=project)

    def _told_endings(self) -> dict[str, str]:
        return told_endings(word for one in self.api.get("devices")["devices"] for word in one["attributes"])

    def upload_dataset(
        self, data: DatasetEntries | str | Path, name: str | None = None, project: str | None = None
    ) -> Dataset:
        """Upload batches by input name, or an .h5 file."""
        with dataset_file(data) as file:
            asked = {"name": name or file.stem, "project_id": self._in(project)}
            made = self.api.send("POST", "datasets", asked, patient=True)
            return Dataset(self.transport, self._upload(f"datasets/{made['id']}", file, f"dataset {made['name']}"))

    def _upload(self, path: str, file: Path, what: str) -> dict[str, Any]:
        begun = self.api.send("POST", f"{path}/uploads", {"size": file.stat().st_size}, patient=True)
        place = f"{path}/uploads/{begun['upload_id']}"

        def renewed() -> list[str]:
            urls: list[str] = self.api.send("POST", f"{place}/addresses", patient=True)["urls"]
            return urls

        with self.transport.display.transfer(f"uploading {what}") as counted:
            etags = self.api.upload(file, begun["urls"], begun["part_bytes"], counted, renewed=renewed)
        found: dict[str, Any] = self.api.send("POST", f"{place}/complete", {"etags": etags}, patient=True)
        return found

    def get_model(self, model_id: str) -> Model:
        """One model. Raises :class:`NotFound`."""
        return Model.find(self.transport, model_id)

    def get_models(self, offset: int = 0, limit: int = LIST_DEFAULT, project: str | None = None) -> list[Model]:
        """Models, newest first; of one project alone, where that is named."""
        return [
            Model(self.transport, one)
            for one in self.transport.list_documents("models", offset, limit, project=self._in(project) or None)
        ]

    def get_dataset(self, dataset_id: str) -> Dataset:
        """One dataset. Raises :class:`NotFound`."""
        return Dataset.find(self.transport, dataset_id)

    def get_datasets(self, offset: int = 0, limit: int = LIST_DEFAULT, project: str | None = None) -> list[Dataset]:
        """Datasets, newest first; of one project alone, where that is named."""
        found = self.transport.list_documents("datasets", offset, limit, project=self._in(project) or None)
        return [Dataset(self.transport, one) for one in found]
