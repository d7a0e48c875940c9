"""Jobs that compile a model for a device, and what they leave."""

from __future__ import annotations

from dynolab.client.devices import Device
from dynolab.client.made_jobs import MadeJob
from dynolab.errors import NotFound
from dynolab.spec import codec
from dynolab.spec.compiles import Compiled

Shapes = dict[str, tuple[tuple[int, ...], str]]
"""Shape and element type by name."""


class CompileJob(MadeJob, kinds=("compile",)):
    """A job that makes the model that a device takes of another one."""

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
