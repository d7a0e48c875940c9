"""Jobs: submitted, listed, watched, run again, deleted; their profiles and logs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Row

from dynolab.errors import Error, NotFound, SpecInvalid
from dynolab.hub.api.common import PAGE, Before, Caller, Limit, TheHub, download
from dynolab.hub.api.schemas import (
    Attempt,
    Comparison,
    Download,
    Failure,
    InputSpec,
    Job,
    JobAsked,
    JobChange,
    JobDevice,
    JobHead,
    Jobs,
    Kind,
    LinkedModel,
    State,
    dump,
)
from dynolab.hub.api.sharing import sharing_routes
from dynolab.hub.store import tables
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.cancel_job import cancel_job
from dynolab.hub.usecases.compare_outputs import compare_outputs
from dynolab.hub.usecases.cursors import cut_page, decode_cursor
from dynolab.hub.usecases.delete_job import delete_job
from dynolab.hub.usecases.estimate_start import estimate_start
from dynolab.hub.usecases.find_artifact import find_artifact
from dynolab.hub.usecases.find_attempts import find_attempts
from dynolab.hub.usecases.find_jobs import JobFilter, find_job, linked_models, narrow_to_project, page_jobs
from dynolab.hub.usecases.follow_job import Moment, follow_job
from dynolab.hub.usecases.job_request import Comparison as JobComparison
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.pin_job import pin_job
from dynolab.hub.usecases.place import names_for
from dynolab.hub.usecases.read_blob import read_blob
from dynolab.hub.usecases.read_log import read_log
from dynolab.hub.usecases.rename import rename as give_name
from dynolab.hub.usecases.rerun_job import rerun_job
from dynolab.hub.usecases.revoke_token import revocation
from dynolab.hub.usecases.sign_in import sign_in
from dynolab.hub.usecases.submit_job import submit_job
from dynolab.spec import codec
from dynolab.spec.compiles import InputSpec as CompiledInput
from dynolab.spec.duets import DuetTerms
from dynolab.spec.measurements import StageName

ALIVE_EVERY_S = 15.0
"""A comment this often keeps proxies from closing a stream in which nothing happens; the access is looked at again, too."""
RESULTS = {"compare": "comparison", "compile": "compiled model", "quantize": "quantised model", "link": "linked model"}
"""What the document is that a job of a kind leaves; of other kinds it is a profile."""
router = APIRouter(prefix="/jobs", tags=["jobs"])
sharing_routes(router, tables.job)


def _failure(document: Any) -> Failure | None:
    return Failure.model_validate(document) if isinstance(document, dict) and "code" in document else None


def _head(row: Row[Any], projects: dict[str, str]) -> dict[str, Any]:
    """What lists show of a job; ``projects`` are the names of those that the account sees."""
    same = [
        "id",
        "kind",
        "measures",
        "name",
        "state",
        "project_id",
        "model_id",
        "model_name",
        "dataset_id",
        "output_dataset_id",
        "target_model_id",
        "weights_dtype",
        "activations_dtype",
        "options",
        "input_shapes",
        "requirements",
        "is_pinned",
        "keeps_artifact",
        "artifact_bytes",
        "deadline_s",
    ]
    instants = ["created_at", "started_at", "finished_at", "cleared_at"]
    return {name: getattr(row, name) for name in same + instants} | {
        "owner": row.email,
        "project": projects.get(row.in_project or ""),
        "device": JobDevice(name=row.device_name, os=row.device_os, attributes=row.device_attributes),
        "comparison": _comparison(row),
        "target_model_name": row.target_name,
        "linked_models": _linked(row),
        "input_specs": _specs(row),
        "priority": row.asked_priority,
        "waits_for": row.waits_for or [],
        "cancel_asked_at": row.cancelled_at,
        "attempts_made": row.attempts,
        "summary": dump(row.summary),
        "failure": _failure(row.failure),
    }


def _linked(row: Row[Any]) -> list[LinkedModel]:
    return [LinkedModel(id=one.id, name=one.name) for one in linked_models(row)]


def _specs(row: Row[Any]) -> list[InputSpec] | None:
    return None if row.input_specs is None else [InputSpec(**one) for one in row.input_specs]


def _comparison(row: Row[Any]) -> Comparison | None:
    if row.comparison is None:
        return None
    return Comparison(
        model_id=row.baseline_id,
        model_name=row.baseline_name,
        options=row.comparison["options"],
        **row.comparison["terms"],
    )


async def _shown(hub: Hub, account: Account, job_id: str) -> Job:
    row = await find_job(hub, account, job_id)
    attempts, position = await find_attempts(hub, row)
    estimate = await estimate_start(hub, row, position) if row.state == "queued" else None
    running = [dump(one.progress) for one in attempts if one.state == "running"]
    return Job(
        **_head(row, await names_for(hub, account, [row])),
        attempts=[
            Attempt(
                number=one.number,
                device_id=one.device_id,
                state=one.state,
                progress=dump(one.progress),
                failure=_failure(one.failure),
                has_log=one.log_blob_id is not None,
                started_at=one.started_at,
                finished_at=one.finished_at,
            )
            for one in attempts
        ],
        progress=running[-1] if running else None,
        queue_position=position,
        estimated_start_s=None if estimate is None else estimate.seconds,
        no_estimate=None if estimate is None else estimate.reason,
        unwell=[] if estimate is None else list(estimate.unwell),
    )


@router.post("", status_code=201)
async def submit(
    hub: TheHub,
    account: Caller,
    asked: JobAsked,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1, max_length=255, description="The same key within a day stands for the same job, made once."
        ),
    ] = None,
) -> Job:
    """Submit a job."""
    width = "int8" if asked.kind == "quantize" else ""
    request = JobRequest(
        kind=asked.kind,
        model_id=asked.model_id,
        device_name=asked.device.name,
        device_os=asked.device.os,
        device_attributes=tuple(asked.device.attributes),
        name=asked.name,
        options=asked.options,
        measures=asked.kind == "profile" or (asked.kind == "inference" and asked.measures),
        dataset_id=asked.dataset_id,
        project_id=asked.project_id,
        idempotency_key=idempotency_key,
        input_shapes=asked.input_shapes,
        requirements=tuple(asked.requirements),
        keeps_artifact=asked.keeps_artifact,
        priority=asked.priority,
        deadline_s=asked.deadline_s,
        waits_for=tuple(asked.waits_for),
        comparison=_compared(asked),
        input_specs=_wanted_specs(asked),
        weights_dtype=asked.weights_dtype or width,
        activations_dtype=asked.activations_dtype or width,
        linked_ids=tuple(asked.linked_ids),
    )
    job_id, _ = await submit_job(hub, account, request)
    return await _shown(hub, account, job_id)


def _wanted_specs(asked: JobAsked) -> dict[str, CompiledInput] | None:
    """The inputs of a job that compiles, in their order. Raises :class:`SpecInvalid` for one that is named twice."""
    if asked.kind != "compile" and asked.input_specs is None:
        return None
    given = asked.input_specs or []
    found = {one.name: CompiledInput(tuple(one.shape), one.dtype) for one in given}
    if len(found) < len(given):
        raise SpecInvalid("the field 'input_specs' names an input twice", hint="name each input once")
    return found


def _compared(asked: JobAsked) -> JobComparison | None:
    given = asked.comparison
    if given is None:
        return None
    stages = tuple(dict.fromkeys(map(StageName, given.stages)))
    terms = DuetTerms(given.floor, given.limit, given.budget_s, stages, given.memory)
    return JobComparison(given.model_id, asked.options if given.options is None else given.options, terms)


@router.get("")
async def listing(
    hub: TheHub,
    account: Caller,
    state: Annotated[list[State], Query(description="Any of these.", max_length=100)] = [],  # noqa: B006 - FastAPI copies it
    kind: Annotated[list[Kind], Query(description="Any of these.", max_length=100)] = [],  # noqa: B006 - likewise
    creator: Annotated[str, Query(max_length=256, description="The owner's e-mail address or name.")] = "",
    device: Annotated[str, Query(max_length=256, description="The device model's name.")] = "",
    model: Annotated[str, Query(max_length=256, description="The model's id.")] = "",
    project: Annotated[
        str, Query(max_length=256, description="A project, by id or `ORGANISATION.PROJECT`; or a label.")
    ] = "",
    text: Annotated[str, Query(max_length=256, description="A part of the job's name or id, in any case.")] = "",
    limit: Limit = PAGE,
    before: Before = None,
) -> Jobs:
    """A page of the jobs that the account may see, newest first."""
    wanted = JobFilter(states=state, kinds=kind, creator=creator, device_name=device, model_id=model, text=text)
    wanted = await narrow_to_project(hub, account, wanted, project)
    rows = await page_jobs(hub, account, wanted, limit=limit + 1, cursor=decode_cursor(before))
    page, following = cut_page(rows, limit)
    projects = await names_for(hub, account, page)
    return Jobs(jobs=[JobHead(**_head(row, projects)) for row in page], next=following)


@router.get("/{id}")
async def show(hub: TheHub, account: Caller, id: str) -> Job:
    """One job, with its attempts, its progress, and its place in the queue."""
    return await _shown(hub, account, id)


@router.patch("/{id}")
async def rename(hub: TheHub, account: Caller, id: str, asked: JobChange) -> Job:
    """Give a job another name; pin it, so that retention does not reach it."""
    if asked.name is not None:
        await give_name(hub, account, tables.job, id, asked.name)
    if asked.is_pinned is not None:
        await pin_job(hub, account, id, asked.is_pinned)
    return await _shown(hub, account, id)


@router.post("/{id}/cancel")
async def cancel(hub: TheHub, account: Caller, id: str) -> Job:
    """Cancel a job: one that waits is over at once, one that runs when its agent hears of it. 409 for one that is over."""
    await cancel_job(hub, account, id)
    return await _shown(hub, account, id)


@router.post("/{id}/rerun", status_code=201)
async def rerun(hub: TheHub, account: Caller, id: str) -> Job:
    """Submit a job once more, as it was asked for: the new job."""
    job_id, _ = await rerun_job(hub, account, id)
    return await _shown(hub, account, job_id)


@router.delete("/{id}", status_code=204)
async def delete(hub: TheHub, account: Caller, id: str) -> None:
    """Delete a job that is over, with its results and logs. Model and datasets stay."""
    await delete_job(hub, account, id)


@router.get(
    "/{id}/profile",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "The document."}},
)
async def profile(hub: TheHub, account: Caller, id: str) -> StreamingResponse:
    """The whole profile document (`dynolab report` renders it); 404 until the job is done."""
    return await _result(hub, await find_job(hub, account, id), "profile")


@router.get(
    "/{id}/comparison",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "The document."}},
)
async def comparison(hub: TheHub, account: Caller, id: str) -> StreamingResponse:
    """What a job of the kind `compare` found: answers, ratios and all values, as `dynolab compare --json` prints; 404 until it is done."""
    return await _result(hub, await find_job(hub, account, id), "comparison")


@router.get(
    "/{id}/compiled",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "The document."}},
)
async def compiled(hub: TheHub, account: Caller, id: str) -> StreamingResponse:
    """What a job of the kind `compile` tells of the model that it made, as `dynolab compile --json` prints; 404 until it is done."""
    return await _result(hub, await find_job(hub, account, id), "compiled model")


@router.get(
    "/{id}/quantized",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "The document."}},
)
async def quantized(hub: TheHub, account: Caller, id: str) -> StreamingResponse:
    """What a job of the kind `quantize` tells of the model that it made, as `dynolab quantize --json` prints; 404 until it is done."""
    return await _result(hub, await find_job(hub, account, id), "quantised model")


@router.get(
    "/{id}/linked",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "The document."}},
)
async def linked(hub: TheHub, account: Caller, id: str) -> StreamingResponse:
    """What a job of the kind `link` tells of the file that it made, as `dynolab link --json` prints; 404 until it is done."""
    return await _result(hub, await find_job(hub, account, id), "linked model")


@router.get(
    "/{id}/compared-outputs",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "The document."}},
)
async def compared_outputs(
    hub: TheHub,
    account: Caller,
    id: str,
    other: Annotated[
        str, Query(alias="with", max_length=256, description="The job that is held against it: side B.")
    ] = "",
) -> Response:
    """The outputs of two inference jobs, output by output: largest error, PSNR, a classifier's answers, how the errors lie.

    409 where one of them has no outputs.
    """
    _, found = await compare_outputs(hub, account, [one for one in (id, other) if one])
    return Response(json.dumps(codec.encode(found)), media_type="application/json")


async def _result(hub: Hub, row: Row[Any], what: str) -> StreamingResponse:
    """The document that the job left, if it is one of this sort. Raises :class:`NotFound`."""
    kept = RESULTS.get(row.kind, "profile")
    if row.state != "done" or row.result_blob_id is None:
        raise NotFound(f"the job {row.id} has no {what}: it is {row.state}")
    if what != kept:
        raise NotFound(f"the job {row.id} has no {what}: it is of the kind {row.kind}", hint=f"ask for its {kept}")
    return await _file(hub, row.result_blob_id, "application/json")


@router.get("/{id}/artifact")
async def artifact(request: Request, hub: TheHub, account: Caller, id: str) -> Download:
    """Where what compile made on the device is to be had, as a zip file; 404 where there is none."""
    row = await find_job(hub, account, id)
    return await download(request, account, "artifact", row.id, find_artifact(row), f"{row.name}_{id}_artifact", ".zip")


@router.get(
    "/{id}/log",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The log."}},
)
async def log(hub: TheHub, account: Caller, id: str) -> StreamingResponse:
    """The log of the last attempt, while that runs as far as it has come; 404 until there is one."""
    return _streamed(*await read_log(hub, await find_job(hub, account, id)), "text/plain; charset=utf-8")


async def _file(hub: Hub, blob_id: str, media_type: str) -> StreamingResponse:
    return _streamed(*await read_blob(hub, blob_id), media_type)


def _streamed(size: int, chunks: AsyncIterator[bytes], media_type: str) -> StreamingResponse:
    headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(chunks, media_type=media_type, headers=headers)


@router.get(
    "/{id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "`state` (`{state, attempts_made}`), `progress`, `end` (`{state, summary, failure}`).",
        }
    },
)
async def events(request: Request, hub: TheHub, account: Caller, id: str) -> StreamingResponse:
    """Server-sent events: the state as it is now, then every change, within a second. The stream ends with the job.

    429 while the account follows as many as one may.
    """
    await find_job(hub, account, id)
    hub.followers.check(account.id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    chunks = _events(hub, account, request.headers.get("authorization", ""), id)
    return StreamingResponse(chunks, media_type="text/event-stream", headers=headers)


async def _events(hub: Hub, account: Account, authorization: str, job_id: str) -> AsyncIterator[str]:
    """The stream of one watcher; it also ends when the hub does, and when the watcher may not look any more."""
    before: Moment | None = None
    token = [revocation(account.token_id)]
    async with follow_job(hub, account, job_id) as watcher, hub.wakeups.waiter(token) as unsure:
        while not hub.wakeups.closed:
            watcher.changed.clear()
            moment = watcher.seen
            for event, data in _changes(before, moment if isinstance(moment, Moment) else None):
                yield f"event: {event}\ndata: {json.dumps(data)}\n\n"
            if not isinstance(moment, Moment) or moment.over:
                return
            before = moment
            if not await _either(watcher.changed, unsure):
                yield ": still there\n\n"
            elif not unsure.is_set():
                continue
            unsure.clear()
            try:
                await sign_in(hub, authorization, kind="user")
                await find_job(hub, account, job_id)
            except Error:
                return


async def _either(*events: asyncio.Event) -> bool:
    """Whether one of the events came in time."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waiting, timeout=ALIVE_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return bool(done)


def _changes(before: Moment | None, now: Moment | None) -> list[tuple[str, dict[str, Any]]]:
    """The events that lead from one moment to the next; None: the job is deleted, or was never looked at."""
    if now is None:
        return [("end", {"state": None, "summary": None, "failure": None})]
    found: list[tuple[str, dict[str, Any]]] = []
    if before is None or (before.state, before.attempts) != (now.state, now.attempts):
        found.append(("state", {"state": now.state, "attempts_made": now.attempts}))
    if isinstance(now.progress, dict) and not now.over and (before is None or before.progress != now.progress):
        found.append(("progress", now.progress))
    if now.over:
        found.append(("end", {"state": now.state, "summary": now.summary, "failure": now.failure}))
    return found
