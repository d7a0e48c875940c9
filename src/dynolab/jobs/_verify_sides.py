"""The two sides of a verification in the process that compares them: a model that runs there, or what one on a device gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dynolab.errors import Error, ModelNotSupported, WorkerError
from dynolab.measure import inputs
from dynolab.spec.measurements import Layer
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import parse
from dynolab.spec.tensors import TensorSpec
from dynolab.spec.verifies import VerifiedSide
from dynolab.toolchains import _carried as carried
from dynolab.toolchains import _runs as runs
from dynolab.toolchains._layer_values.base import Traced, layer_values_of
from dynolab.toolchains.base import Array

TIMED_RUNS = 10
"""Inferences that the layers' times are the medians of."""
Sample = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class OnDevice:
    """What a side that runs on a device takes and gives, as it was found there, and what it gave."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    given: tuple[dict[str, str], ...] = ()
    """For each sample the .npy file of each output; empty: the samples themselves are wanted."""


@dataclass(frozen=True, slots=True)
class WantedSide:
    """One model, and how it is run."""

    model: str
    told: VerifiedSide
    on_device: OnDevice | None = None
    """None: it runs in this process."""


@contextmanager
def naming(side: str) -> Iterator[None]:
    """An error that comes up inside names the side, and is no fault of ours."""
    try:
        yield
    except WorkerError as error:
        raise ModelNotSupported(f"{side}: {error.message}", hint=error.hint, details=error.details) from error
    except Error as error:
        error.message = f"{side}: {error.message}"
        raise


class Side:
    """One model as it runs here."""

    def __init__(self, name: str, wanted: WantedSide, scratch: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """``shapes``: for a TorchScript file, which may record none of its own."""
        self.name, self.told = name, wanted.told
        self.path = Path(wanted.model)
        place = scratch / name
        place.mkdir()
        with naming(name):
            self._running = runs.Running(self.told.runtime, self.path, self.told.format, place, self.told.options)
            described = self._running.describe(shapes if self.told.format == ModelFormat.TORCHSCRIPT else {})
        self.inputs, self.outputs = described.inputs, described.outputs
        self.scales = carried.Scales()

    def __call__(self, sample: Sample) -> dict[str, Array]:
        """The outputs for inputs as ``inputs`` has them. Raises :class:`ModelNotSupported` and what else the runtime raises."""
        with naming(self.name):
            found = self._running(self.as_file(sample))
        return self.scales.real(found)

    def as_file(self, sample: Sample) -> dict[str, Array]:
        """Inputs as ``inputs`` has them, as the file has them."""
        return self.scales.quantized(sample)

    def traced(self) -> Traced:
        """The same model, to look into. Raises :class:`ModelNotSupported`."""
        with naming(self.name):
            values = layer_values_of(self.told.runtime, self.told.format)
            if values is None:
                raise ModelNotSupported(f"{self.told.runtime} tells no tensors inside of {self.told.format} models")
            return values.open(self.path, self.told.format, parse(self.told.options))

    def layers(self, sample: Sample) -> list[Layer]:
        """What its layers take."""
        with naming(self.name):
            return self._running.layers(self.as_file(sample), TIMED_RUNS)

    def close(self) -> None:
        """Give the loaded model back; it is loaded again where it must be."""
        self._running.close()

    def as_real(self) -> None:
        """From now on, integers that stand for real numbers go in and out as those."""
        self.scales = carried.of(self.path, self.told.format)
        self.inputs = self.scales.specs(self.inputs)

    def ran(self) -> VerifiedSide:
        return replace(self.told, effective=self._running.effective())


class GivenSide(Side):
    """One model as it ran on a device; before it did, its samples are written down."""

    def __init__(self, name: str, wanted: WantedSide, found: OnDevice, made: Path) -> None:
        self.name, self.told, self.path = name, wanted.told, Path(wanted.model)
        self.inputs, self.outputs, self._given = found.inputs, found.outputs, found.given
        self.scales, self._made = carried.Scales(), made / name
        self.written: dict[str, str] = {}
        self._count = 0

    def __call__(self, sample: Sample) -> dict[str, Array]:
        number, self._count = self._count, self._count + 1
        if not self._given:
            self._write(number, self.as_file(sample))
            return {}
        with naming(self.name):
            return self.scales.real({name: inputs.load_file(Path(path)) for name, path in self._given[number].items()})

    def _write(self, number: int, values: Mapping[str, Array]) -> None:
        folder = self._made / str(number)
        folder.mkdir(parents=True)
        for index, (name, array) in enumerate(values.items()):
            np.save(folder / f"{index}.npy", array, allow_pickle=False)
            self.written[f"{self.name}/{number}/{index}.npy"] = name

    def ran(self) -> VerifiedSide:
        return self.told


def open_side(name: str, wanted: WantedSide, made: Path, scratch: Path, shapes: Mapping[str, tuple[int, ...]]) -> Side:
    if wanted.on_device is not None:
        return GivenSide(name, wanted, wanted.on_device, made)
    return Side(name, wanted, scratch, shapes)
