"""Jobs that quantise a model, and what they leave."""

from __future__ import annotations

from enum import Enum

from dynolab.client.compile_jobs import Shapes
from dynolab.client.datasets import Dataset
from dynolab.client.made_jobs import MadeJob
from dynolab.errors import NotFound
from dynolab.spec import codec
from dynolab.spec.quantizes import Quantized


class QuantizeDtype(Enum):
    """The element types that AI Hub quantises to."""

    INT8 = 1
    INT16 = 3
    INT4 = 5


class QuantizeJob(MadeJob, kinds=("quantize",)):
    """A job that makes a model of integers of a float one, on no device."""

    @property
    def weights_dtype(self) -> QuantizeDtype:
        """What weights are quantised to."""
        return QuantizeDtype[self._document["weights_dtype"].upper()]

    @property
    def activations_dtype(self) -> QuantizeDtype:
        """What activations are quantised to."""
        return QuantizeDtype[self._document["activations_dtype"].upper()]

    @property
    def calibration_dataset(self) -> Dataset:
        """What the ranges of activations were taken from."""
        return Dataset.find(self._transport, self._document["dataset_id"])

    @property
    def shapes(self) -> Shapes:
        """Shape and element type by input; empty before the job is done."""
        if not self.get_status().success:
            return {}
        return {one.name: (one.sizes, one.dtype) for one in self.quantized.inputs}

    @property
    def quantized(self) -> Quantized:
        """What is told of the quantised model, once it is there. Raises :class:`NotFound` when the job failed."""
        found = self.wait()
        if not found.success:
            raise NotFound(f"the job {self.job_id} left no quantised model: {found.message}")
        document = self._transport.api.get(f"jobs/{self.job_id}/quantized")
        return codec.decode(Quantized, document, f"the quantised model of {self.job_id}")
