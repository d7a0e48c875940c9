"""What a job leaves beside its results, as the official client asks for it: logs, and the timeline of what was measured."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.aihub.replies import protobuf, who
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.open_link import link_file
from dynolab.hub.usecases.read_profile import MEASURING
from dynolab.spec.toolchain_support import MAKING

FILES = {
    pb.JOB_ARTIFACT_TYPE_DEVICE_LOG: ("log", "device", ".log", "device log"),
    pb.JOB_ARTIFACT_TYPE_HUB_LOG: ("log", "hub", ".log", "hub log"),
    pb.JOB_ARTIFACT_TYPE_PROFILE_TRACE: ("trace", "profile_trace", ".json", "profile trace"),
}
"""The verb of a link to each type of artifact, the end of its file's name, and what people call it."""


def available(row: Row[Any]) -> list[pb.JobArtifactType]:
    """What the job whose row this is left; nothing before its end: the client asks no more after that."""
    if row.finished_at is None:
        return []
    found = []
    if row.log_blob_id is not None:
        # Models are made at the hub, by machines that are no device of the job.
        found.append(pb.JOB_ARTIFACT_TYPE_HUB_LOG if row.kind in MAKING else pb.JOB_ARTIFACT_TYPE_DEVICE_LOG)
    if row.state == "done" and row.kind in MEASURING and row.measures and row.result_blob_id is not None:
        found.append(pb.JOB_ARTIFACT_TYPE_PROFILE_TRACE)
    return found


async def listing(request: Request) -> Response:
    """``GET jobs/ID/device_runs/N/artifact_list/TYPE/``: where the files of one type are."""
    hub, account = await who(request)
    row = await find_job(hub, account, request.path_params["id"])
    answer = pb.NamedArtifactDownloadURLList()
    for one in available(row):
        if str(one) == request.path_params["type"]:
            verb, end, ending, name = FILES[one]
            path, file = link_file(hub, account, verb, row.id, f"{row.id}_{end}", ending)
            answer.artifacts.add(url=request.app.state.base_url(request) + path, filename=file, name=name)
    return protobuf(answer)


routes = [Route("/jobs/{id}/device_runs/{run}/artifact_list/{type}/", listing)]
