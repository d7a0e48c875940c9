"""Link jobs, as the official client submits and sees them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.errors import SpecInvalid
from dynolab.hub.aihub.device_words import announced
from dynolab.hub.aihub.models import NUMBERS, made_model
from dynolab.hub.aihub.versions import SEEDED_TARGETS, Version
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.find_jobs import LinkedRow, linked_models
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.read_linked import read_linked
from dynolab.spec.show import show_bytes, show_time


def request(asked: pb.LinkJob, project: str) -> JobRequest:
    """What the message asks for. Raises :class:`SpecInvalid` for a job without models."""
    models = [one.model_id for one in asked.models.models]
    if not models:
        raise SpecInvalid("a link job takes at least one model", hint="name what is to be linked")
    return JobRequest(
        kind="link",
        model_id=models[0],
        linked_ids=tuple(models[1:]),
        device_name=asked.device.name,
        device_os=asked.device.os,
        device_attributes=announced(asked.device.attributes),
        name=asked.name,
        options=asked.options,
        measures=False,
        project_id=project,
    )


def tell(inner: pb.LinkJob, row: Row[Any], version: Version) -> None:
    """What a link job's message has beyond that of others. Its target is known from the start to clients that seed it."""
    inner.link_job_id = row.id
    told = [LinkedRow(row.model_id, row.model_name, row.model_kind), *linked_models(row)]
    for one in told:
        model = inner.models.models.add(model_id=one.id, name=one.name)
        if one.kind in NUMBERS:
            model.model_type = NUMBERS[one.kind]
    inner.models.total_query_count = len(told)
    if row.state == "done" or version >= SEEDED_TARGETS:
        inner.target_model.CopyFrom(made_model(row))


def status_message(summary: Any) -> str | None:
    """What the status of a finished link job says: time and size."""
    figures = summary if isinstance(summary, dict) else {}
    time_ns, size, graphs = (figures.get(name) for name in ("link_time_ns", "file_bytes", "graphs"))
    parts = [f"linked in {show_time(time_ns)}"] if isinstance(time_ns, int) else []
    if isinstance(size, int) and isinstance(graphs, int):
        parts.append(f"{graphs} graphs, {show_bytes(size)}")
    return "; ".join(parts) or None


async def result(hub: Hub, row: Row[Any]) -> pb.LinkJobResult:
    """Which tools made it."""
    found = pb.LinkJobResult(link_job_id=row.id)
    made = await read_linked(hub, row)
    for name, version in {} if made is None else made.tools.items():
        found.link_detail.tool_versions.add(name=name, version=version)
    return found
