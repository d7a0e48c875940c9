"""Models at a hub."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from dynolab.client.handle import FileHandle
from dynolab.client.jobs import Job
from dynolab.client.transport import Transport, object_path
from dynolab.spec.models import ModelFormat


class SourceModelType(StrEnum):
    """The formats of models, under AI Hub's names where it has one."""

    ONNX = ModelFormat.ONNX
    ORT = ModelFormat.ORT
    TFLITE = ModelFormat.TFLITE
    TORCHSCRIPT = ModelFormat.TORCHSCRIPT
    TORCH_EXPORTED_PROGRAM = ModelFormat.EXPORTED_PROGRAM
    OPENVINO_IR = ModelFormat.OPENVINO_IR
    QNN_CONTEXT_BINARY = ModelFormat.QNN_CONTEXT_BINARY
    QNN_DLC = ModelFormat.QNN_DLC
    PRECOMPILED_QNN_ONNX = ModelFormat.PRECOMPILED_QNN_ONNX
    UNRECOGNIZED_MODEL_TYPE = "unrecognized"


class Model(FileHandle):
    """A model that was uploaded."""

    KIND = "model"

    @classmethod
    def find(cls, transport: Transport, model_id: str) -> Model:
        """The model of an id. Raises :class:`~dynolab.errors.NotFound`."""
        return cls(transport, transport.api.get(object_path("models", model_id)))

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
        return f"{self._transport.config.pages}/models/{self.id}/"

    @property
    def producer(self) -> Job | None:
        """The job that made it; None: it was uploaded."""
        producer_id = self.document["producer_id"]
        return (
            Job.of(self._transport, self._transport.api.get(object_path("jobs", producer_id))) if producer_id else None
        )

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
        return str(self._download(filename))
