"""Jobs: submitted, polled, listed, and their results."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, TypeGuard

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound, SpecInvalid
from dynolab.hub.aihub import artifacts, compile_jobs, link_jobs, quantize_jobs
from dynolab.hub.aihub.device_words import announced, told
from dynolab.hub.aihub.lost_answers import submissions
from dynolab.hub.aihub.models import NUMBERS
from dynolab.hub.aihub.profiles import detail, microseconds
from dynolab.hub.aihub.replies import body, created, number, protobuf, timestamp, who
from dynolab.hub.aihub.states import our_states, shown_as, shown_as_profile, state_number
from dynolab.hub.aihub.tensors import tell_specs, tensor_types
from dynolab.hub.aihub.versions import MERGED_JOBS, Version, client_version
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.store.tables import job as job_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_jobs import JobFilter, find_job, find_jobs, narrow_to_project
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.read_profile import read_profile
from dynolab.hub.usecases.rename import rename as give_name
from dynolab.hub.usecases.submit_job import submit_job
from dynolab.spec.requirements import Outcome
from dynolab.spec.runtime_support import is_simulated
from dynolab.spec.show import show_time, show_time_range

FAILURES = {
    "OutOfMemory": pb.JOB_FAILURE_TYPE_RUNTIME_DEVICE_OOM,
    "WorkerTimeout": pb.JOB_FAILURE_TYPE_RUNTIME_TIMEOUT,
    "WorkerCrashed": pb.JOB_FAILURE_TYPE_RUNTIME_CRASH,
    "InferenceFailed": pb.JOB_FAILURE_TYPE_INVALID_INPUTS,
    "LoadFailed": pb.JOB_FAILURE_TYPE_MODEL_INVALID,
    "ModelInvalid": pb.JOB_FAILURE_TYPE_MODEL_CORRUPT,
    "SpecInvalid": pb.JOB_FAILURE_TYPE_INVALID_ARGUMENT,
    "DependencyFailed": pb.JOB_FAILURE_TYPE_RUNTIME_FAILED_DEPENDENCY,
}
"""The protocol's JobFailureType by code of our errors."""
MAKING: dict[str, Any] = {"compile": compile_jobs, "quantize": quantize_jobs, "link": link_jobs}
"""What is known of the kinds of jobs that make a model."""
KINDS = ("profile", "inference", *MAKING)
"""Our kinds of jobs that AI Hub has, too."""


async def submit(request: Request) -> Response:
    """``POST jobs/``. Kinds that there is no toolchain for are refused with a text; what is sent again is done once."""
    hub, account = await who(request)
    asked = await body(request, pb.Job())
    kind = asked.WhichOneof("job")
    project = request.path_params.get("project", "")
    if kind is not None and (making := MAKING.get(kind.removesuffix("_job"))) is not None:
        wanted = making.request(getattr(asked, kind), project)
    elif kind in ("profile_job", "inference_job"):
        wanted = _request(asked, kind, project)
    else:
        name = (kind or "empty").replace("_", " ")
        raise SpecInvalid(
            f"this hub takes no {name}: it has no toolchain for it",
            hint="compile, quantize, link, profile and inference jobs run",
        )
    async with submissions(request).key(request, account.id, await request.body()) as key:
        new_id, at = await submit_job(hub, account, replace(wanted, idempotency_key=key))
    return created(new_id, at)


def _request(asked: pb.Job, kind: str, project: str) -> JobRequest:
    """What either message asks for. Without a dataset, an inference job that measures is a profile job."""
    message: Any = asked.profile_job if kind == "profile_job" else asked.inference_job
    data = message.dataset.dataset_id or None
    measures = kind == "profile_job" or message.is_profiling_on
    if data is None and not measures:
        raise SpecInvalid("an inference job without inputs and without profiling has nothing to do")
    return JobRequest(
        kind="profile" if data is None else "inference",
        model_id=message.model.model_id,
        device_name=message.device.name,
        device_os=message.device.os,
        device_attributes=announced(message.device.attributes),
        name=message.name,
        options=message.options,
        measures=measures,
        dataset_id=data,
        project_id=project,
    )


async def show(request: Request) -> Response:
    """``GET jobs/ID/``: what the client polls. Log and end come in one reply."""
    hub, account = await who(request)
    row = await _find(hub, account, request.path_params["id"])
    return protobuf(message(row, client_version(request)))


async def _find(hub: Hub, account: Account, job_id: str) -> Any:
    """One job. Raises :class:`NotFound`, also for one of a kind that AI Hub does not have."""
    row = await find_job(hub, account, job_id)
    if row.kind not in KINDS:
        raise NotFound(
            f"the job {job_id} is of the kind {row.kind}, which AI Hub's client does not know",
            hint="see its page, or use dynolab's own client",
        )
    return row


def message(row: Row[Any], version: Version) -> pb.Job:
    """A job, under the name that the client's version knows it by."""
    found = pb.Job(hub_version="dynolab")
    name = shown_as(row.kind, version)
    inner: Any = getattr(found, name)
    if name == "profile_job":
        inner.profile_job_id = row.id
    elif name == "inference_job":
        inner.inference_job_id = row.id
        inner.is_profiling_on = row.measures
    inner.user.id, inner.user.email, inner.user.first_name = row.account_id, row.email, row.owner_name
    inner.user_id, inner.name, inner.options, inner.project_id = row.account_id, row.name, row.options, row.project_id
    inner.job_state = _state(row, version)
    if row.kind != "link":
        inner.model.CopyFrom(_model(row))
    if row.kind != "quantize":
        attributes = told(row.device_attributes)
        inner.device.CopyFrom(pb.Device(name=row.device_name, os=row.device_os, attributes=attributes))
    if row.kind in MAKING:
        MAKING[row.kind].tell(inner, row, version)
    elif row.dataset_id is not None:
        inner.dataset.dataset_id = row.dataset_id
    for field, at in _instants(row).items():
        getattr(inner, field).CopyFrom(timestamp(at))
    _outcome(found, inner, row)
    return found


def _state(row: Row[Any], version: Version) -> pb.JobState:
    """The job's state by the rules of the kind that it is shown as: an older client's inference job never measures.

    A simulator measures nothing though the client asked for it, and the client takes the state of what it asked for alone: this
    job is shown in the one that comes before either.
    """
    if row.state == "running" and row.kind == "inference" and is_simulated(row.device_attributes):
        return state_number(row.kind, "preparing", measures=False)
    measures = row.measures if version >= MERGED_JOBS else shown_as_profile(row.kind, version)
    return state_number(row.kind, row.state, measures=measures)


def _model(row: Row[Any]) -> pb.Model:
    found = pb.Model(
        model_id=row.model_id,
        name=row.model_name,
        is_directory=row.model_is_directory,
        creation_time=timestamp(row.model_created_at),
        file_upload_complete=True,
    )
    if row.model_kind in NUMBERS:
        found.model_type = NUMBERS[row.model_kind]
    tell_specs(found, row.model_tensors)
    return found


def _instants(row: Row[Any]) -> dict[str, Any]:
    """The instants that are known, by the protocol's field."""
    named = {
        "creation_time": row.created_at,
        "queued_time": row.created_at,
        "start_time": row.started_at,
        "completion_time": row.finished_at,
        "last_updated_time": row.updated_at,
    }
    return {name: at for name, at in named.items() if at is not None}


def _outcome(found: pb.Job, inner: Any, row: Row[Any]) -> None:
    """What a job that is over leaves: its failure in words, its headline figures, its log."""
    if row.finished_at is None:
        return
    found.available_artifacts.extend(artifacts.available(row))
    if row.failure is not None:
        inner.failure_reason = _words(row.failure)
        found.failure_type = FAILURES.get(row.failure.get("code", ""), pb.JOB_FAILURE_TYPE_UNKNOWN)
        return
    found.failure_type = pb.JOB_FAILURE_TYPE_SUCCESS
    making = MAKING.get(row.kind)
    if (told := (status_message if making is None else making.status_message)(row.summary)) is not None:
        inner.failure_reason = told  # the client shows it as the status's message, whatever the state
    if making is not None:
        return
    _headline(inner, row.summary)
    fed = tensor_types(row.tensors, "inputs")
    if fed is not None:
        inner.tensor_type_list.CopyFrom(fed)


def _headline(inner: Any, summary: Any) -> None:
    """The figures of a job's or summary's message. An agent's word: what is no figure stays unset, as what is not measured."""
    figures = summary if isinstance(summary, dict) else {}
    time_ns, peak = figures.get("estimated_inference_time_ns"), figures.get("inference_memory_peak_bytes")
    if _is_count(time_ns):
        inner.execution_time = microseconds(time_ns)
    if isinstance(peak, list) and len(peak) == 2 and all(map(_is_count, peak)):
        inner.execution_peak_memory.CopyFrom(pb.Range(lower=peak[0], upper=peak[1]))


_DOUBTS = {
    "noisy": "the range is wide, the device was not quiet",
    "invalid": "do not use this number, a condition of the measurement was broken",
}


def status_message(summary: Any) -> str | None:
    """What the status of a finished job says; None where no time was measured. An agent's word, as in :func:`_headline`.

    It is the range of the inference time, a warning where that is wide or invalid, and how the requirements were decided.
    """
    figures = summary if isinstance(summary, dict) else {}
    upper, lower = figures.get("estimated_inference_time_ns"), figures.get("estimated_inference_time_lower_ns")
    if not _is_count(upper):
        return None
    shown = show_time_range(lower, upper) if _is_count(lower) and lower <= upper else show_time(upper)
    parts = [f"inference {shown}"]
    word = figures.get("inference_time_verdict")
    if isinstance(word, str) and word in _DOUBTS:
        parts.append(f"WARNING: {word}, {_DOUBTS[word]}")
    counts = figures.get("requirements")
    if isinstance(counts, dict):
        told = [f"{counts[one]} {one}" for one in Outcome if _is_count(counts.get(one)) and counts[one]]
        parts += [f"requirements: {', '.join(told)}"] if told else []
    return "; ".join(parts)


def _is_count(value: object) -> TypeGuard[int]:
    """Whether it is a number that an unsigned field of 64 bits can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64


def _words(failure: dict[str, Any]) -> str:
    """An error as the job's page and client show it."""
    hint = failure.get("hint")
    return f"{failure.get('message')}" + (f" ({hint})" if hint else "")


async def result(request: Request) -> Response:
    """``GET jobs/ID/result/``: 404 until the job is done."""
    hub, account = await who(request)
    row = await _find(hub, account, request.path_params["id"])
    if row.state != "done":
        raise NotFound(f"the job {row.id} has no result: it is {row.state}")
    answer = pb.JobResult()
    if row.kind in MAKING:
        getattr(answer, f"{row.kind}_job_result").CopyFrom(await MAKING[row.kind].result(hub, row))
        return protobuf(answer)
    measured = await read_profile(hub, row)
    profile = None if measured is None else await asyncio.to_thread(detail, measured)
    if shown_as_profile(row.kind, client_version(request)):
        answer.profile_job_result.profile_job_id = row.id
        if profile is not None:
            answer.profile_job_result.profile.CopyFrom(profile)
    else:
        answer.inference_job_result.inference_job_id = row.id
        answer.inference_job_result.output_dataset_id = row.output_dataset_id or ""
        if profile is not None:
            answer.inference_job_result.detail.CopyFrom(profile)
    return protobuf(answer)


async def rename(request: Request) -> Response:
    """``PATCH jobs/ID/``."""
    hub, account = await who(request)
    asked = await body(request, pb.JobPublicUpdate())
    await give_name(hub, account, job_table, request.path_params["id"], asked.name)
    return protobuf(pb.CreateUpdateResponse(id=request.path_params["id"]))


async def summaries(request: Request) -> Response:
    """``GET job_summaries/``."""
    rows, total, version = await _page(request)
    answer = pb.JobSummaryList(total_query_count=total)
    for row in rows:
        found = answer.job_summaries.add()
        name = shown_as(row.kind, version)
        inner: Any = getattr(found, f"{name}_summary")
        inner.job_id, inner.name, inner.project_id = row.id, row.name, row.project_id
        inner.user.id, inner.user.email, inner.user.first_name = row.account_id, row.email, row.owner_name
        inner.job_state = _state(row, version)
        if row.kind != "quantize":
            inner.device_name, inner.device_os_version = row.device_name, row.device_os
        for field, at in _instants(row).items():
            getattr(inner, field).CopyFrom(timestamp(at))
        if row.kind in MAKING:
            if row.target_kind in NUMBERS:
                inner.target_model_type = NUMBERS[row.target_kind]
            continue
        if name == "inference_job":
            inner.is_profiling_on = row.measures
        _headline(inner, row.summary)
    return protobuf(answer)


async def listing(request: Request) -> Response:
    """``GET jobs/``: whole jobs, for clients that ask for them."""
    rows, total, version = await _page(request)
    return protobuf(pb.JobList(jobs=[message(row, version) for row in rows], total_query_count=total))


async def _page(request: Request) -> tuple[list[Row[Any]], int, Version]:
    hub, account = await who(request)
    version, query = client_version(request), request.query_params
    try:
        states = our_states([int(text) for text in query.get("state", "").split(",") if text])
    except ValueError as error:
        raise SpecInvalid(f"state={query['state']!r} is no list of state numbers") from error
    kinds = _kinds(query.get("type", ""), version)
    if not kinds or (query.get("state") and not states):
        return [], 0, version
    wanted = JobFilter(states, kinds, query.get("creator", ""))
    wanted = await narrow_to_project(hub, account, wanted, request.path_params.get("project", ""))
    limit, offset = number(request, "limit", 50, 1000), number(request, "offset", 0, 1 << 31)
    rows, total = await find_jobs(hub, account, wanted, limit=limit, offset=offset)
    return rows, total, version


def _kinds(text: str, version: Version) -> tuple[str, ...]:
    """Our kinds that the client means by ``type``; an empty tuple: none."""
    named = {"1": "profile", "2": "inference", "3": "compile", "4": "quantize", "5": "link"}.get(text, text)
    if not named:
        return KINDS
    if named in MAKING:
        return (named,)
    if named == "inference":
        return ("inference",) if shown_as_profile("profile", version) else ("inference", "profile")
    return ("profile",) if named == "profile" and shown_as_profile("profile", version) else ()


routes = [
    Route("/jobs/", submit, methods=["POST"]),
    Route("/jobs/", listing),
    Route("/projects/{project}/jobs/", submit, methods=["POST"]),
    Route("/projects/{project}/jobs/", listing),
    Route("/job_summaries/", summaries),
    Route("/projects/{project}/job_summaries/", summaries),
    Route("/jobs/{id}/", show),
    Route("/jobs/{id}/", rename, methods=["PATCH"]),
    Route("/jobs/{id}/result/", result),
    *artifacts.routes,
]
