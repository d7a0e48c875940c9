"""Quantize jobs, as the official client submits and sees them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.errors import SpecInvalid
from dynolab.hub.aihub.models import made_model
from dynolab.hub.aihub.versions import SEEDED_TARGETS, Version
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.read_quantized import read_quantized
from dynolab.spec.show import show_time

DTYPES = {
    pb.QUANTIZE_DTYPE_INT4: "int4",
    pb.QUANTIZE_DTYPE_INT8: "int8",
    pb.QUANTIZE_DTYPE_INT16: "int16",
}
"""The protocol's QuantizeDtype; those that its client sends."""
NUMBERS = {name: number for number, name in DTYPES.items()}


def request(asked: pb.QuantizeJob, project: str) -> JobRequest:
    """What the message asks for. Raises :class:`SpecInvalid` for element types that the client has no name for."""
    return JobRequest(
        kind="quantize",
        model_id=asked.model.model_id,
        device_name="",
        device_os="",
        name=asked.name,
        options=asked.options,
        measures=False,
        dataset_id=asked.calibration_dataset.dataset_id or None,
        weights_dtype=_dtype(asked.weights_dtype, "weights"),
        activations_dtype=_dtype(asked.activations_dtype, "activations"),
        project_id=project,
    )


def _dtype(number: pb.QuantizeDtype, what: str) -> str:
    if number not in DTYPES:
        raise SpecInvalid(
            f"{what} are not quantised to the element type {number}", hint="INT4, INT8 and INT16 are known"
        )
    return DTYPES[number]


def tell(inner: pb.QuantizeJob, row: Row[Any], version: Version) -> None:
    """What a quantize job's message has beyond that of others. Its target is known from the start to clients that seed it."""
    inner.quantize_job_id = row.id
    inner.calibration_dataset.dataset_id = row.dataset_id
    inner.weights_dtype = NUMBERS[row.weights_dtype]
    inner.activations_dtype = NUMBERS[row.activations_dtype]
    if row.state == "done" or version >= SEEDED_TARGETS:
        inner.target_model.CopyFrom(made_model(row))


def status_message(summary: Any) -> str | None:
    """What the status of a finished quantize job says: time, and how its numbers stand to the float model's."""
    figures = summary if isinstance(summary, dict) else {}
    time_ns, psnr, agreement = (figures.get(name) for name in ("quantize_time_ns", "psnr_db", "agreement"))
    parts = [f"quantised in {show_time(time_ns)}"] if isinstance(time_ns, int) else []
    if isinstance(psnr, int | float):
        parts.append(f"its numbers beside the float model's: PSNR {psnr:.1f} dB")
    if isinstance(agreement, int | float):
        parts.append(f"{100 * agreement:.0f} % of the answers agree")
    return "; ".join(parts) or None


async def result(hub: Hub, row: Row[Any]) -> pb.QuantizeJobResult:
    """Which tools made it, and the PSNR of each output in decibels, where it is a number."""
    found = pb.QuantizeJobResult(quantize_job_id=row.id)
    made = await read_quantized(hub, row)
    for name, version in {} if made is None else made.tools.items():
        found.quantize_detail.tool_versions.add(name=name, version=version)
    for one in () if made is None or made.accuracy is None else made.accuracy.outputs:
        if one.psnr_db is not None:
            found.quantize_detail.psnr[one.name] = one.psnr_db
    return found
