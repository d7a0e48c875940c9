"""The form filled in as a job was asked for, so that it can be changed and submitted as another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from dynolab.hub.pages.job_form import JobForm, device_value
from dynolab.hub.pages.option_fields import TEXT
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_boards import find_load
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.job_request import Comparison
from dynolab.spec import compile_options, quantize_options
from dynolab.spec.input_shapes import show_shape
from dynolab.spec.option_grammar import Given, OptionTable
from dynolab.spec.toolchain_support import MAKING


async def form_of_job(hub: Hub, account: Account, job_id: str) -> JobForm:
    """What the job asked for, by field; a device that is not there any more is left out. Raises :class:`NotFound`."""
    row = await find_job(hub, account, job_id)
    given = {
        "kind": row.kind,
        "model": row.model_id,
        "name": row.name if row.name != row.model_name else "",
        "dataset": row.dataset_id or "",
        "priority": str(row.asked_priority or ""),
        "deadline_s": "" if row.deadline_s is None else f"{row.deadline_s:g}",
        "measures": "yes" if row.measures else "",
        **(_of_making(row) if row.kind in MAKING else _of_running(row)),
    }
    form = JobForm({name: [text] for name, text in given.items() if text})
    if row.linked_ids:
        form.texts["linked"] = list(row.linked_ids)
    for one in await find_load(hub, account, name=row.device_name) if row.device_name else []:
        if one.model.os == row.device_os:
            form.texts.setdefault("device", []).append(device_value(one.model))
            break
    return form


def _of_running(row: Row[Any]) -> Mapping[str, str]:
    """The fields of a job that runs a model."""
    found = {
        TEXT: row.options,
        "input_shapes": "\n".join(show_shape(name, shape) for name, shape in (row.input_shapes or {}).items()),
        "requirements": "\n".join(row.requirements),
        "keeps_artifact": "yes" if row.keeps_artifact else "",
    }
    if (compared := Comparison.of_row(row)) is None:
        return found
    differs = compared.options != row.options
    return found | {
        "baseline": compared.baseline_id,
        "other_options": "yes" if differs else "",
        "baseline_options": compared.options if differs else "",
        "budget": f"{compared.terms.budget_s:g}",
    }


def _of_making(row: Row[Any]) -> Mapping[str, str]:
    """The fields of a job that compiles, quantises or links."""
    if row.kind == "link":
        return {"link_options": row.options}
    if row.kind == "compile":
        specs = [f"{show_shape(one['name'], one['shape'])}:{one['dtype']}" for one in row.input_specs or []]
        fields = {"target_runtime": "target", "output_names": "output_names"}
        return _parted(compile_options.TABLE, row.options, fields, "compile_options") | {
            "input_specs": "\n".join(specs)
        }
    kept = _parted(quantize_options.TABLE, row.options, {"range_scheme": "range_scheme"}, "quantize_options")
    return kept | {"weights": row.weights_dtype, "activations": row.activations_dtype}


def _parted(table: OptionTable, text: str, fields: Mapping[str, str], rest: str) -> dict[str, str]:
    """Options that have fields of their own under those names, and the others as text in the field ``rest``."""
    given = table.parse(text)
    others = Given({name: value for name, value in given.plain.items() if name not in fields}, given.groups)
    found = {field: str(given.plain[name]) for name, field in fields.items() if name in given.plain}
    return found | {rest: table.write(others)}
