"""Submitting jobs: one form, which also takes the model's file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Row, Table
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dynolab.errors import Conflict, Error, NotFound, SpecInvalid
from dynolab.hub.pages import forms, texts
from dynolab.hub.pages.jobs import line
from dynolab.hub.pages.option_fields import PREFIX, offered
from dynolab.hub.pages.rendering import HEADERS, language, page, words
from dynolab.hub.pages.sheets import (
    COMING,
    DATASET_FILE,
    MODEL_FILE,
    Sheet,
    device_value,
    device_wanted,
    together,
)
from dynolab.hub.pages.visitors import FIELDS_MOST, from_here, go, visitor
from dynolab.hub.store.tables import dataset as dataset_table
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_board_states import find_board_states
from dynolab.hub.usecases.find_boards import find_load
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.find_stored import find_stored, page_stored
from dynolab.hub.usecases.receive_file import check_dataset, receive_dataset, receive_model
from dynolab.hub.usecases.submit_job import check_waits, submit_job
from dynolab.hub.usecases.tell_format import END_BYTES, TAKEN, WHOLE, format_of
from dynolab.spec.facts import FACTS
from dynolab.spec.runs import check_runs

NEWEST = 20
"""Models and datasets to choose from; others are chosen on their own pages, which lead here."""
CLIENT_CLOSED = 499
_RECEIVE = {MODEL_FILE: ("model", receive_model), DATASET_FILE: ("dataset", receive_dataset)}
"""What takes a file, by the form's field, and the field that then names what was made of it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A device model that may be chosen."""

    model: DeviceModel
    queued: int
    boards: Counter[str]
    """How many are ``free``, ``busy`` and ``away``."""
    value: str
    chosen: bool


async def show(request: Request) -> Response:
    """``GET /submit``: the form; ``model``, ``dataset`` and ``device`` (a name) choose what there is already."""
    hub, account = await visitor(request)
    asked = request.query_params
    sheet = Sheet({name: [asked[name]] for name in ("model", "dataset") if asked.get(name)})
    if "dataset" in sheet.texts:
        sheet.texts["kind"] = ["inference"]
        sheet.texts["measures"] = ["yes"]
    for name in asked.getlist("device"):
        found = [one.model for one in await find_load(hub, account, name=name)] if "\x00" not in name else []
        if found:
            sheet.texts.setdefault("device", []).append(device_value(found[0]))
        else:
            sheet.problems["device"] = NotFound(f"there is no device {name!r}", hint="choose another")
    return await _form(request, hub, account, sheet)


async def check(request: Request) -> Response:
    """``GET /submit/check``: what the form's fields ask for: options as text and by field, and what is wrong with them."""
    hub, account = await visitor(request)
    sheet = _of_query(request)
    merged = sheet.options()
    problems = merged.problems
    if request.query_params.get("whole"):
        _check_names(sheet)
        sheet.check()
        await _look_up(hub, account, sheet)
        problems = sheet.problems
    count = len(problems)
    return JSONResponse(
        {
            "summary": texts.texts(language(request))("submit-problems", count=count) if count else "",
            "options": merged.text,
            "values": {PREFIX + path: value for path, value in merged.values.items()},
            "problems": {name: words(request, error) for name, error in problems.items()},
        },
        headers=HEADERS,
    )


async def send(request: Request) -> Response:
    """``POST /submit``: on to the new job, or the list of the new jobs; or the form again, with what is wrong beside each field."""
    from_here(request)
    hub, account = await visitor(request)
    try:
        sheet = await _received(request, hub, account)
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED)
    sheet.check()
    devices = await _look_up(hub, account, sheet)
    if sheet.problems:
        return await _form(request, hub, account, sheet)
    made: list[str] = []
    for value, device in devices:
        try:
            made.append((await submit_job(hub, account, sheet.request(device)))[0])
        except Error as error:
            # Those that are submitted stay so, and are not asked for again.
            sheet.problems["form"] = error
            sheet.texts["device"] = sheet.devices[sheet.devices.index(value) :]
            sheet.leave_out("key")
            return await _form(request, hub, account, sheet, made)
    if len(made) == 1:
        return go(request, f"/jobs/{made[0]}/")
    return go(request, "/submit/jobs?" + "&".join(f"job={job_id}" for job_id in made))


async def submitted(request: Request) -> Response:
    """``GET /submit/jobs``: the jobs that one form has submitted."""
    hub, account = await visitor(request)
    ids = request.query_params.getlist("job")[:FIELDS_MOST]
    jobs = [line(await find_job(hub, account, job_id)) for job_id in ids]
    return await page(request, "submitted.html.j2", account, jobs=jobs)


async def _received(request: Request, hub: Hub, account: Account) -> Sheet:
    """The form; its files have become a model and a dataset, which are chosen in their place."""
    sheet = Sheet()
    count = 0
    async for part in forms.parts(request.headers.get("content-type", ""), request.stream()):
        count += 1
        if count > FIELDS_MOST:
            raise SpecInvalid(f"the form has more than {FIELDS_MOST} fields")
        if part.file_name is None:
            sheet.texts.setdefault(part.name, []).append(await part.text())
        elif part.file_name and part.name in _RECEIVE:
            field, receive = _RECEIVE[part.name]
            try:
                made = await receive(hub, account, part.file_name, part.chunks)
            except Error as error:
                sheet.problems[part.name] = error
            else:
                sheet.texts["uploaded_" + field] = [made]
    for field, _ in _RECEIVE.values():
        if made := sheet.one("uploaded_" + field):
            sheet.texts[field] = [made]
        elif sheet.one(field) == COMING:
            sheet.leave_out(field)
    return sheet


def _of_query(request: Request) -> Sheet:
    sheet = Sheet()
    for name, value in request.query_params.multi_items()[:FIELDS_MOST]:
        if "\x00" in value:
            raise SpecInvalid(f"the field {name!r} holds a NUL character")
        sheet.texts.setdefault(name, []).append(value.strip())
    return sheet


def _check_names(sheet: Sheet) -> None:
    """Note files that are none by their names, before their bytes come: where a script asks, the fields hold the names."""
    for name, check in ((MODEL_FILE, format_of), (DATASET_FILE, check_dataset)):
        if sheet.one(name):
            try:
                check(sheet.one(name))
            except Error as error:
                sheet.problems[name] = error


async def _look_up(hub: Hub, account: Account, sheet: Sheet) -> list[tuple[str, DeviceModel]]:
    """The device models that are chosen. What is not there any more, or not ready, becomes a problem."""
    model = None
    if sheet.one("model") not in ("", COMING):
        model = await _noted(sheet, "model", find_stored(hub, account, model_table, sheet.one("model")))
    if sheet.kind == "inference" and sheet.one("dataset") not in ("", COMING):
        await _noted(sheet, "dataset", find_stored(hub, account, dataset_table, sheet.one("dataset")))
    await _check_waits(hub, account, sheet)
    found = []
    for value in sheet.devices:
        wanted = device_wanted(value)
        name, os = wanted.get("name", [""])[0], wanted.get("os", [""])[0]
        models = (
            await find_devices(hub, account, name=name, os=os, attributes=wanted.get("attribute", [])) if name else []
        )
        if models:
            _check_device(sheet, models[0], model.kind if model is not None else _kind(sheet))
            found.append((value, models[0]))
        else:
            gone = NotFound(f"the device {name or value[:100]!r} is not there any more", hint="choose another")
            sheet.problems["device"] = gone
    return found


def _kind(sheet: Sheet) -> str | None:
    """The kind of the model whose file is yet to come, by its name; None: not known."""
    try:
        return format_of(sheet.one(MODEL_FILE)) if sheet.one(MODEL_FILE) else None
    except Error:
        return None  # a problem of that field already


def _check_device(sheet: Sheet, device: DeviceModel, model_kind: str | None) -> None:
    """Note that the device cannot run the model, or not with the runtime that is asked for."""
    for field, runtime in (("device", None), (f"{PREFIX}runtime", sheet.options().values.get("runtime"))):
        try:
            check_runs(device.name, [device.attributes], runtime=runtime, model_kind=model_kind)
        except Error as error:
            sheet.problems.setdefault(field, error)
            return


async def _check_waits(hub: Hub, account: Account, sheet: Sheet) -> None:
    """Note every job that cannot be waited for."""
    if "waits_for" in sheet.problems:
        return
    wrong: list[Error] = []
    for job_id in sheet.waits_for:
        try:
            await check_waits(hub, account, [job_id])
        except Error as error:
            wrong.append(error)
    if wrong:
        sheet.problems["waits_for"] = together(wrong)


async def _noted(sheet: Sheet, field: str, finding: Awaitable[Row[Any]]) -> Row[Any] | None:
    """What was chosen in a field; None, and a problem noted, where it is not to be had."""
    try:
        row = await finding
    except Error as error:
        sheet.problems[field] = error
        return None
    if row.blob_id is None:
        sheet.problems[field] = Conflict(f"the {field} {row.id} has no bytes yet", hint="choose another")
    return row


async def _form(request: Request, hub: Hub, account: Account, sheet: Sheet, made: Sequence[str] = ()) -> Response:
    """The form with what the sheet holds. ``made``: jobs that are submitted already."""
    models = await _listed(hub, account, sheet, model_table)
    datasets = await _listed(hub, account, sheet, dataset_table)
    merged = sheet.options()
    chosen = next((one for one in models if one.id == sheet.one("model")), None)
    shown: dict[str, Any] = {
        "sheet": sheet,
        "problems": sheet.problems,
        "made": made,
        "models": models,
        "datasets": datasets,
        "devices": await _choices(hub, account, sheet),
        "merged": merged,
        "was": sheet.one("was") if merged.problems else merged.text,
        "offered": offered(merged, chosen.kind if chosen else None),
        "figures": FACTS,
        "endings": ",".join(WHOLE),
        "formats": json.dumps(TAKEN),
        "end_bytes": END_BYTES,
    }
    statuses = {error.http_status for error in sheet.problems.values()}
    status = HTTPStatus.OK if not sheet.problems or request.method == "GET" else HTTPStatus.UNPROCESSABLE_ENTITY
    if len(statuses) == 1 and request.method != "GET":
        status = HTTPStatus(statuses.pop())
    return await page(request, "submit.html.j2", account, status=status, **shown)


async def _listed(hub: Hub, account: Account, sheet: Sheet, table: Table) -> list[Row[Any]]:
    """The newest that can be used, and the chosen one. One that is not there becomes a problem, and is chosen no more."""
    rows = [row for row in await page_stored(hub, account, table, limit=NEWEST) if row.blob_id is not None]
    wanted = sheet.one(table.name)
    if wanted and wanted not in [row.id for row in rows]:
        try:
            rows.insert(0, await find_stored(hub, account, table, wanted))
        except Error as error:
            sheet.problems.setdefault(table.name, error)
            sheet.leave_out(table.name)
    return rows


async def _choices(hub: Hub, account: Account, sheet: Sheet) -> list[Choice]:
    """All device models, with what their boards are at."""
    states: dict[object, Counter[str]] = {}
    for board in await find_board_states(hub, account):
        states.setdefault(board.model, Counter())[board.state] += 1
    found = []
    for load in await find_load(hub, account):
        one = load.model
        counts = states.get(one.key, Counter())
        value = device_value(one)
        found.append(Choice(one, load.queued, counts, value, value in sheet.devices))
    return found


routes = [
    Route("/submit", show),
    Route("/submit", send, methods=["POST"]),
    Route("/submit/check", check),
    Route("/submit/jobs", submitted),
]
