"""Submitting jobs: one form, which also takes the model's file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Row, Table
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dynolab.errors import Error, NotFound, SpecInvalid
from dynolab.hub.pages import texts
from dynolab.hub.pages.job_form import (
    BASELINE_FILE,
    COMING,
    DATASET_FILE,
    KINDS,
    MODEL_FILE,
    OF_QUANTIZE_FIELDS,
    JobForm,
    device_value,
)
from dynolab.hub.pages.job_form_again import form_of_job
from dynolab.hub.pages.job_form_lookups import check_names, look_up
from dynolab.hub.pages.jobs import line
from dynolab.hub.pages.multipart import read_parts
from dynolab.hub.pages.option_fields import PREFIX, form_fields, offered_runtimes
from dynolab.hub.pages.posted_forms import FIELDS_MOST, check_same_origin
from dynolab.hub.pages.redirects import redirect
from dynolab.hub.pages.rendering import HEADERS, language, page, words
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.store.tables import dataset as dataset_table
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_boards import Load, find_load, load_of
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.find_formats import find_formats
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.find_models_and_datasets import find_model_or_dataset, page_models_or_datasets
from dynolab.hub.usecases.find_toolchain import find_offered
from dynolab.hub.usecases.receive_file import receive_dataset, receive_model
from dynolab.hub.usecases.submit_job import submit_job
from dynolab.hub.usecases.tell_format import END_BYTES, TAKEN, whole
from dynolab.spec import compile_options, link_options, quantize_options, toolchain_support
from dynolab.spec.facts import FACTS
from dynolab.spec.quantizes import ACTIVATIONS, WEIGHTS
from dynolab.spec.runtime_support import told_endings

NEWEST, CHOICES = 20, 40
"""Models and datasets, and device models, to choose from; others are chosen on their own pages, which lead here."""
CLIENT_CLOSED = 499
OF_FIELDS = ("target_runtime", "output_names")
"""Options of compile jobs that have fields of their own."""
_RECEIVE = {
    MODEL_FILE: ("model", receive_model),
    BASELINE_FILE: ("baseline", receive_model),
    DATASET_FILE: ("dataset", receive_dataset),
}
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


@dataclass(frozen=True, slots=True)
class Target:
    """What a model may be compiled for: its name, the formats of the models that it is made from, whether the chosen one is of them."""

    name: str
    formats: tuple[str, ...]
    fits: bool


async def show(request: Request) -> Response:
    """``GET /submit``: the form; ``model``, ``baseline``, ``dataset`` and ``device`` (a name) choose what there is already.

    ``kind`` and ``target`` choose what is to be done; ``job`` fills all fields in as that job was asked for.
    """
    hub, account = await current_account(request)
    asked = request.query_params
    if asked.get("job"):
        return await _form(request, hub, account, await form_of_job(hub, account, asked["job"]))
    form = JobForm({name: [asked[name]] for name in ("model", "baseline", "dataset", "target") if asked.get(name)})
    if asked.get("kind") in KINDS:
        form.texts |= {"kind": [asked["kind"]], "measures": ["yes"]}
    if "baseline" in form.texts:
        form.texts["kind"] = ["compare"]
    if "dataset" in form.texts and not form.takes_dataset:
        form.texts["kind"] = ["inference"]
        form.texts["measures"] = ["yes"]
    for name in asked.getlist("device"):
        found = [one.model for one in await find_load(hub, account, name=name)] if "\x00" not in name else []
        if found:
            form.texts.setdefault("device", []).append(device_value(found[0]))
        else:
            form.problems["device"] = NotFound(f"there is no device {name!r}", hint="choose another")
    return await _form(request, hub, account, form)


async def check(request: Request) -> Response:
    """``GET /submit/check``: what the form's fields ask for: options as text and by field, and what is wrong with them."""
    hub, account = await current_account(request)
    form = _of_query(request)
    merged = form.options()
    problems = merged.problems
    if request.query_params.get("whole"):
        check_names(form, (await find_formats(hub, account)).endings)
        form.check()
        await look_up(hub, account, form)
        problems = form.problems
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
    check_same_origin(request)
    hub, account = await current_account(request)
    try:
        form = await _received(request, hub, account)
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED)
    form.check()
    devices = await look_up(hub, account, form)
    if form.problems:
        return await _form(request, hub, account, form)
    made: list[str] = []
    for number, device in enumerate(devices or [None]):
        try:
            made.append((await submit_job(hub, account, form.request(device)))[0])
        except Error as error:
            # Those that are submitted stay so, and are not asked for again.
            form.problems["form"] = error
            form.texts["device"] = form.devices[number:]
            form.leave_out("key")
            return await _form(request, hub, account, form, made)
    if len(made) == 1:
        return redirect(request, f"/jobs/{made[0]}/")
    return redirect(request, "/submit/jobs?" + "&".join(f"job={job_id}" for job_id in made))


async def submitted(request: Request) -> Response:
    """``GET /submit/jobs``: the jobs that one form has submitted."""
    hub, account = await current_account(request)
    ids = request.query_params.getlist("job")[:FIELDS_MOST]
    jobs = [line(await find_job(hub, account, job_id)) for job_id in ids]
    return await page(request, "submitted.html.j2", account, jobs=jobs)


async def _received(request: Request, hub: Hub, account: Account) -> JobForm:
    """The form; its files have become a model and a dataset, which are chosen in their place."""
    form = JobForm()
    count = 0
    async for part in read_parts(request.headers.get("content-type", ""), request.stream()):
        count += 1
        if count > FIELDS_MOST:
            raise SpecInvalid(f"the form has more than {FIELDS_MOST} fields")
        if part.file_name is None:
            form.texts.setdefault(part.name, []).append(await part.text())
        elif part.file_name and part.name in _RECEIVE:
            field, receive = _RECEIVE[part.name]
            try:
                made = await receive(hub, account, part.file_name, part.chunks)
            except Error as error:
                form.problems[part.name] = error
            else:
                form.texts["uploaded_" + field] = [made]
    for field, _ in _RECEIVE.values():
        if made := form.text("uploaded_" + field):
            form.texts[field] = [made]
        elif form.text(field) == COMING:
            form.leave_out(field)
    return form


def _of_query(request: Request) -> JobForm:
    form = JobForm()
    for name, value in request.query_params.multi_items()[:FIELDS_MOST]:
        if "\x00" in value:
            raise SpecInvalid(f"the field {name!r} holds a NUL character")
        form.texts.setdefault(name, []).append(value.strip())
    return form


async def _form(request: Request, hub: Hub, account: Account, form: JobForm, made: Sequence[str] = ()) -> Response:
    """The form with what was filled in. ``made``: jobs that are submitted already."""
    models = await _listed(hub, account, form, model_table, "model", "baseline", "linked")
    datasets = await _listed(hub, account, form, dataset_table, "dataset")
    offered = await find_offered(hub, account)
    merged = form.options()
    every = await find_devices(hub, account)
    devices = _choices(await load_of(hub, _offered(every, form)), form)
    told = list({word for one in every for word in one.attributes})
    runtimes, endings = offered_runtimes(told), told_endings(told)
    chosen = next((one for one in models if one.id == form.text("model")), None)
    shown: dict[str, Any] = {
        "form": form,
        "problems": form.problems,
        "made": made,
        "models": models,
        "datasets": datasets,
        "devices": devices,
        "more_devices": len(every) - len(devices),
        "merged": merged,
        "was": form.text("was") if merged.problems else merged.text,
        "offered": form_fields(merged, chosen.kind if chosen else None, runtimes),
        "targets": _targets(offered, chosen.kind if chosen else None),
        "other_options": [one for one in compile_options.OPTIONS if one.name not in OF_FIELDS],
        "quantized": toolchain_support.made_from(offered).get(toolchain_support.QUANTIZE, []),
        "linkable": [
            one for one in models if one.kind in toolchain_support.made_from(offered).get(toolchain_support.LINK, [])
        ],
        "link_options": link_options.OPTIONS,
        "widths": {"weights": WEIGHTS, "activations": ACTIVATIONS},
        "range_schemes": quantize_options.TABLE.top_level["range_scheme"].allowed,
        "quantize_options": [one for one in quantize_options.OPTIONS if one.name not in OF_QUANTIZE_FIELDS],
        "chosen_kind": chosen.kind if chosen else "",
        "kinds": KINDS,
        "figures": FACTS,
        "endings": ",".join(whole(endings)),
        "formats": json.dumps({**endings, **TAKEN}),
        "end_bytes": END_BYTES,
    }
    statuses = {error.http_status for error in form.problems.values()}
    status = HTTPStatus.OK if not form.problems or request.method == "GET" else HTTPStatus.UNPROCESSABLE_ENTITY
    if len(statuses) == 1 and request.method != "GET":
        status = HTTPStatus(statuses.pop())
    return await page(request, "submit.html.j2", account, status=status, **shown)


def _targets(offered: Sequence[str], model_kind: str | None) -> list[Target]:
    """What models can be compiled for, first what the chosen one can be."""
    found = [
        Target(name, tuple(kinds), model_kind in (None, *kinds))
        for name, kinds in toolchain_support.compiled_from(offered).items()
    ]
    return sorted(found, key=lambda one: not one.fits)


async def _listed(hub: Hub, account: Account, form: JobForm, table: Table, *fields: str) -> list[Row[Any]]:
    """The newest that can be used, and those chosen in these fields. One that is not there becomes a problem, and is chosen no more."""
    rows = [row for row in await page_models_or_datasets(hub, account, table, limit=NEWEST) if row.blob_id is not None]
    for field, wanted in [(name, one) for name in fields for one in form.texts.get(name, [])]:
        if not wanted or wanted in [row.id for row in rows]:
            continue
        try:
            rows.insert(0, await find_model_or_dataset(hub, account, table, wanted))
        except Error as error:
            form.problems.setdefault(field, error)
            form.leave_out(field, wanted)
    return rows


def _offered(models: Sequence[DeviceModel], form: JobForm) -> list[DeviceModel]:
    """The device models that the form offers: the first ones, and those that were chosen."""
    return [*models[:CHOICES], *(one for one in models[CHOICES:] if form.devices and device_value(one) in form.devices)]


def _choices(load: Sequence[Load], form: JobForm) -> list[Choice]:
    """What the form offers, with what their boards are at."""
    found = []
    for one in load:
        value = device_value(one.model)
        boards = Counter(busy=one.busy, away=one.away, free=one.boards - one.busy - one.away)
        found.append(Choice(one.model, one.queued, boards, value, value in form.devices))
    return found


routes = [
    Route("/submit", show),
    Route("/submit", send, methods=["POST"]),
    Route("/submit/check", check),
    Route("/submit/jobs", submitted),
]
