"""Sides of a verification that run on devices: what their models take and give there, and their outputs for the samples."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dynolab.errors import Bug, WorkerCrashed
from dynolab.jobs import _campaigns as campaigns
from dynolab.jobs import _toolchain_child as shared
from dynolab.jobs._verify_child import Fed
from dynolab.jobs._verify_sides import OnDevice, WantedSide, naming
from dynolab.jobs.base import Context
from dynolab.measure.campaign_messages import Measured
from dynolab.spec import untrusted
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Notice


@dataclass(frozen=True, slots=True)
class DeviceSide:
    """One side, and the device that it runs on."""

    name: str
    """``A`` or ``B``."""
    spec: ProfileSpec
    context: Context

    def described(self, wanted: WantedSide) -> tuple[WantedSide, list[Notice]]:
        """The side with what the model takes and gives on its device, and what was assumed of it."""
        with naming(self.name):
            measured = campaigns.carry_out(self.spec, self.context, measures=False).measured
        found = measured.inspection
        if found is None:
            raise Bug("a campaign that ended well left no inspection")
        inputs = tuple(one.spec for one in found.inputs)
        notices = [Notice("info", "default-shape", text) for text in found.notes]
        return replace(wanted, on_device=OnDevice(inputs, found.outputs)), notices

    def ran(self, wanted: WantedSide, fed: Sequence[dict[str, Path]], folder: Path) -> WantedSide:
        """The side with its outputs for the samples, which are brought into the folder."""
        batches = campaigns.Batches(tuple(fed), folder)
        spec = replace(self.spec, input_files=dict(fed[0]), input_shapes={})
        with naming(self.name):
            carried = campaigns.carry_out(spec, self.context, batches=batches, measures=False)
        if wanted.on_device is None or len(carried.outputs) != len(fed):
            raise Bug(f"{len(fed)} samples were sent to {self.name}, and {len(carried.outputs)} came back")
        given = tuple({name: str(path) for name, path in one.items()} for one in carried.outputs)
        told = replace(
            wanted.told,
            versions=carried.measured.versions,
            effective=carried.measured.effective,
            device=_device(carried.measured, self.context.connection.address),
        )
        return replace(wanted, told=told, on_device=replace(wanted.on_device, given=given))


def _device(measured: Measured, address: str) -> str:
    return f"{measured.device.name} ({address})"


def fed_to(name: str, fed: Fed, work: Path, folder: Path) -> list[dict[str, Path]]:
    """The samples of one side that a confined process left in ``work``, copied into the folder: they are anybody's."""
    made, batches = work / shared.MADE_FOLDER, [dict[str, Path]() for _ in range(fed.samples)]
    for path, tensor in fed.inputs.items():
        side, number, file = [*untrusted.relative_path(path).parts, "", ""][:3]
        if side != name:
            continue
        if not number.isdecimal() or int(number) >= fed.samples:
            told = f"it names {path[:200]!r} as one of {fed.samples} samples"
            raise WorkerCrashed(f"the process that works on {name} gave no answer ({told})")
        target = folder / f"{int(number)}-{file}"
        with untrusted.open_file(made / path, inside=made) as opened, target.open("wb") as out:
            shutil.copyfileobj(opened, out)
        batches[int(number)][tensor] = target
    return batches
