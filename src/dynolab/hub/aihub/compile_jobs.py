"""Compile jobs, as the official client submits and sees them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.errors import SpecInvalid
from dynolab.hub.aihub.device_words import announced
from dynolab.hub.aihub.models import made_model
from dynolab.hub.aihub.tensors import input_specs, named_types, tensor_types
from dynolab.hub.aihub.versions import SEEDED_TARGETS, Version
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.read_compiled import read_compiled
from dynolab.spec.chipsets import FOR_CHIPSET
from dynolab.spec.show import show_time


def request(asked: pb.CompileJob, project: str) -> JobRequest:
    """What the message asks for. Raises :class:`SpecInvalid` for calibration data, and for a job without a device."""
    if asked.HasField("calibration_dataset"):
        raise SpecInvalid(
            "this hub's compile jobs take no calibration data", hint="leave it out: a float model is compiled as it is"
        )
    devices = [*asked.devices.devices, *([asked.device] if asked.HasField("device") else [])]
    if not devices:
        raise SpecInvalid("a compile job needs a device", hint="name one that get_devices() lists")
    return JobRequest(
        kind="compile",
        model_id=asked.model.model_id,
        device_name=devices[0].name,
        device_os=devices[0].os,
        device_attributes=announced(devices[0].attributes),
        name=asked.name,
        options=asked.options,
        measures=False,
        input_specs=input_specs(asked.tensor_type_list),
        project_id=project,
    )


def tell(inner: pb.CompileJob, row: Row[Any], version: Version) -> None:
    """What a compile job's message has beyond that of others. Its target is known from the start to clients that seed it."""
    inner.compile_job_id = row.id
    inner.devices.devices.append(inner.device)
    inner.tensor_type_list.CopyFrom(named_types(row.input_specs or []))
    if row.state == "done" or version >= SEEDED_TARGETS:
        inner.target_model.CopyFrom(made_model(row))
    made = tensor_types(row.tensors, "inputs")
    if made is not None:
        inner.target_tensor_type_list.CopyFrom(made)


def status_message(summary: Any) -> str | None:
    """What the status of a finished compile job says: time, size, and how its numbers stand to its source's."""
    figures = summary if isinstance(summary, dict) else {}
    time_ns, psnr, error = (figures.get(name) for name in ("compile_time_ns", "psnr_db", "max_abs_error"))
    where = " on a simulator" if figures.get("target") in FOR_CHIPSET else ""
    parts = [f"compiled to {figures.get('target')} in {show_time(time_ns)}"] if isinstance(time_ns, int) else []
    if isinstance(psnr, int | float):
        parts.append(f"its numbers{where} beside the source's: PSNR {psnr:.1f} dB")
    elif error == 0:
        parts.append(f"its numbers{where} are the source's, bit by bit")
    return "; ".join(parts) or None


async def result(hub: Hub, row: Row[Any]) -> pb.CompileJobResult:
    """Which tools made it."""
    found = pb.CompileJobResult(compile_job_id=row.id)
    made = await read_compiled(hub, row)
    for name, version in {} if made is None else made.tools.items():
        found.compile_detail.tool_versions.add(name=name, version=version)
    return found
