"""What the form's fields name, looked up: models, datasets, devices, and who makes what of them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Row

from dynolab.errors import Conflict, Error, NotFound
from dynolab.hub.pages.job_form import (
    BASELINE_FILE,
    COMING,
    DATASET_FILE,
    MODEL_FILE,
    JobForm,
    joined_problems,
    parse_device_value,
)
from dynolab.hub.pages.option_fields import PREFIX, TEXT
from dynolab.hub.store.tables import dataset as dataset_table
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.find_formats import find_formats
from dynolab.hub.usecases.find_models_and_datasets import find_model_or_dataset
from dynolab.hub.usecases.find_toolchain import find_offered
from dynolab.hub.usecases.receive_file import check_dataset
from dynolab.hub.usecases.submit_job import check_waits
from dynolab.hub.usecases.tell_format import format_of
from dynolab.spec import toolchain_support
from dynolab.spec.options import parse
from dynolab.spec.runtime_support import check_own_options, check_runtime_support
from dynolab.spec.toolchain_support import MAKING


def check_names(form: JobForm, endings: Mapping[str, str]) -> None:
    """Note files that are none by their names, before their bytes come: where a script asks, the fields hold the names."""
    model = partial(format_of, told=endings)
    for name, check in ((MODEL_FILE, model), (BASELINE_FILE, model), (DATASET_FILE, check_dataset)):
        if form.text(name):
            try:
                check(form.text(name))
            except Error as error:
                form.problems[name] = error


async def look_up(hub: Hub, account: Account, form: JobForm) -> list[DeviceModel]:
    """The device models that are chosen, in their order. What is not there any more, or not ready, becomes a problem."""
    kinds = await _model_kinds(hub, account, form)
    if form.takes_dataset and form.text("dataset") not in ("", COMING):
        await _noted(form, "dataset", find_model_or_dataset(hub, account, dataset_table, form.text("dataset")))
    if form.kind == "compile":
        await _check_target(hub, account, form, kinds[0])
    elif form.kind == "quantize":
        await _check_quantizer(hub, account, form, kinds[0])
    elif form.kind == "link":
        await _check_linker(hub, account, form, kinds[0])
    await _check_waits(hub, account, form)
    found = []
    for value in form.devices if form.has_device else ():
        wanted = parse_device_value(value)
        name, os = wanted.get("name", [""])[0], wanted.get("os", [""])[0]
        models = (
            await find_devices(hub, account, name=name, os=os, attributes=wanted.get("attribute", [])) if name else []
        )
        if models:
            for kind in kinds if form.kind not in MAKING else []:
                _check_device(form, models[0], kind)
            found.append(models[0])
        else:
            gone = NotFound(f"the device {name or value[:100]!r} is not there any more", hint="choose another")
            form.problems["device"] = gone
    return found


async def _model_kinds(hub: Hub, account: Account, form: JobForm) -> list[str | None]:
    """The kinds of the models that are chosen, the baseline's last; None: not known."""
    kinds = []
    endings = (await find_formats(hub, account)).endings
    for field, file in (("model", MODEL_FILE), ("baseline", BASELINE_FILE)):
        if field == "baseline" and form.kind != "compare":
            continue
        model = None
        if form.text(field) not in ("", COMING):
            model = await _noted(form, field, find_model_or_dataset(hub, account, model_table, form.text(field)))
        kinds.append(model.kind if model is not None else _kind(form, file, endings))
    return kinds


def _kind(form: JobForm, file: str, endings: Mapping[str, str]) -> str | None:
    """The kind of the model whose file is yet to come, by its name; None: not known."""
    try:
        return format_of(form.text(file), endings) if form.text(file) else None
    except Error:
        return None  # a problem of that field already


def _check_device(form: JobForm, device: DeviceModel, model_kind: str | None) -> None:
    """Note that the device cannot run the model, or not with the runtime that is asked for."""
    for field, runtime in (("device", None), (f"{PREFIX}runtime", form.options().values.get("runtime"))):
        try:
            check_runtime_support(device.name, [device.attributes], runtime=runtime, model_kind=model_kind)
        except Error as error:
            form.problems.setdefault(field, error)
            return
    if not form.options().problems:
        try:
            check_own_options(parse(form.options().text), [device.attributes])
        except Error as error:
            form.problems.setdefault(TEXT, error)


async def _check_target(hub: Hub, account: Account, form: JobForm, model_kind: str | None) -> None:
    """Note that nobody makes the target of the model."""
    offered = toolchain_support.made(await find_offered(hub, account))
    wanted = toolchain_support.toolchain(form.target, model_kind or "")
    if form.target and model_kind is not None and wanted not in offered:
        form.problems.setdefault("target", toolchain_support.no_toolchain(wanted, offered))


async def _check_quantizer(hub: Hub, account: Account, form: JobForm, model_kind: str | None) -> None:
    """Note that nobody quantises models like the chosen one."""
    offered = toolchain_support.made(await find_offered(hub, account))
    wanted = toolchain_support.toolchain(toolchain_support.QUANTIZE, model_kind or "")
    if model_kind is not None and wanted not in offered:
        field = MODEL_FILE if form.text("model") in ("", COMING) else "model"
        form.problems.setdefault(field, toolchain_support.no_toolchain(wanted, offered))


async def _check_linker(hub: Hub, account: Account, form: JobForm, model_kind: str | None) -> None:
    """Note a further model that is not to be had, and that nobody links models like the first."""
    for one in form.linked:
        await _noted(form, "linked", find_model_or_dataset(hub, account, model_table, one))
    offered = toolchain_support.made(await find_offered(hub, account))
    wanted = toolchain_support.toolchain(toolchain_support.LINK, model_kind or "")
    if model_kind is not None and wanted not in offered:
        field = MODEL_FILE if form.text("model") in ("", COMING) else "model"
        form.problems.setdefault(field, toolchain_support.no_toolchain(wanted, offered))


async def _check_waits(hub: Hub, account: Account, form: JobForm) -> None:
    """Note every job that cannot be waited for."""
    if "waits_for" in form.problems:
        return
    wrong: list[Error] = []
    for job_id in form.waits_for:
        try:
            await check_waits(hub, account, [job_id])
        except Error as error:
            wrong.append(error)
    if wrong:
        form.problems["waits_for"] = joined_problems(wrong)


async def _noted(form: JobForm, field: str, finding: Awaitable[Row[Any]]) -> Row[Any] | None:
    """What was chosen in a field; None, and a problem noted, where it is not to be had."""
    try:
        row = await finding
    except Error as error:
        form.problems[field] = error
        return None
    if row.blob_id is None and not getattr(row, "producer_id", ""):  # a model may still be made: the job waits for it
        form.problems[field] = Conflict(f"the {field} {row.id} has no bytes yet", hint="choose another")
    return row
