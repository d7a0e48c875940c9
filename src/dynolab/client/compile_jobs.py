"""Jobs that compile a model for a device, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynolab.client.devices import Device
from dynolab.client.jobs import Job
from dynolab.client.models import Model
from dynolab.client.results import CompileJobResult
from dynolab.errors import NotFound
from dynolab.spec import codec
from dynolab.spec.compiles import Compiled

Shapes = dict[str, tuple[tuple[int, ...], str]]
"""Shape and element type by name."""


class CompileJob(Job, kinds=("compile",)):
    """A job that makes the model that a device takes of another one, its target model."""

    @property
    def model(self) -> Model:
        """What is compiled."""
        return Model.find(self._transport, self._document["model_id"])

    @property
    def target_model(self) -> Model:
        """What it makes; it has no bytes until the job is done, and may be handed to the next job at once."""
        return Model.find(self._transport, self._document["target_model_id"])

    def get_target_model(self) -> Model | None:
        """What it made, once it is over; None where it failed."""
        return self.target_model if self.wait().success else None

    def download_target_model(self, filename: str | Path) -> str | None:
        """What it made, into a folder or under a name: where it is. Waits for the job; None where it failed."""
        found = self.get_target_model()
        return None if found is None else found.download(filename)

    @property
    def shapes(self) -> Shapes:
        """Shape and element type that was asked for, by input."""
        return {one["name"]: (tuple(one["shape"]), one["dtype"]) for one in self._document["input_specs"] or ()}

    def get_target_shapes(self, timeout: float | None = None) -> Shapes | None:
        """Shape and element type by input of the compiled model, once the job is over; None where it failed."""
        if not self.wait(timeout).success:
            return None
        return {one.name: (one.sizes, one.dtype) for one in self.compiled.inputs}

    @property
    def target_shapes(self) -> Shapes | None:
        """The same, however long it takes."""
        return self.get_target_shapes()

    @property
    def compatible_devices(self) -> list[Device]:
        """The devices that it compiles for."""
        return [self.device]

    @property
    def calibration_dataset(self) -> None:
        """None: compile jobs take no calibration data here."""

    @property
    def compiled(self) -> Compiled:
        """What is told of the compiled model, once it is there. Raises :class:`NotFound` when the job failed."""
        found = self.wait()
        if not found.success:
            raise NotFound(f"the job {self.job_id} left no compiled model: {found.message}")
        document = self._transport.api.get(f"jobs/{self.job_id}/compiled")
        return codec.decode(Compiled, document, f"the compiled model of {self.job_id}")

    def download_results(self, artifacts_dir: str | Path) -> CompileJobResult:
        """Log and compiled model, as far as they are there, in a folder. Waits for the job."""
        found = super().download_results(artifacts_dir)
        path = self.download_target_model(found.artifacts_dir)
        told: dict[str, Any] = {} if path is None else {"target_model": path}
        return CompileJobResult(found.status, found.url, found.artifacts_dir, **told)
