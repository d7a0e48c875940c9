"""Models that jobs make: known by id, name and format once the job is submitted; their bytes come with its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from sqlalchemy import Row, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.formats import EXTENSIONS
from dynolab.hub.store.tables import model
from dynolab.hub.usecases.base import NAME_MAX, new_id
from dynolab.hub.usecases.create_model import ENDINGS
from dynolab.hub.usecases.keep_tensors import is_printable
from dynolab.hub.usecases.place import Place
from dynolab.spec import codec
from dynolab.spec.agents import Outcome
from dynolab.spec.compiles import InputSpec


async def seed_target(
    connection: AsyncConnection, place: Place, job_id: str, job_name: str, *, suffix: str, kind: str
) -> str:
    """The id of a new model without bytes, which the job is to make. Part of the transaction that keeps the job."""
    values = {
        "id": new_id("m"),
        "account_id": place.account.id,
        "name": _name(job_name, suffix),
        "kind": kind,
        "producer_id": job_id,
        **place.columns,
    }
    await connection.execute(insert(model).values(values))
    return str(values["id"])


async def keep_made(connection: AsyncConnection, row: Row[Any], blob_id: str | None, outcome: Outcome) -> Any:
    """Give the target model of the job whose row this is its bytes; what is kept with the job of its tensors.

    An agent's word: a format that nobody knows is left as it was, and names that no text can hold are not kept.
    """
    tensors = outcome.tensors
    document = codec.encode(tensors) if tensors is not None and is_printable(tensors) else None
    values: dict[str, Any] = {"blob_id": blob_id, "tensors": document}
    if outcome.made is not None and outcome.made.kind in ENDINGS:
        values |= {"kind": outcome.made.kind, "is_directory": outcome.made.is_directory}
    there = model.c.id == row.target_model_id, model.c.deleted_at.is_(None)
    await connection.execute(update(model).where(*there).values(values))
    return document


def specs_for_row(specs: Mapping[str, InputSpec] | None) -> list[dict[str, Any]] | None:
    """As a job's row keeps them: an object of JSON would lose their order."""
    if specs is None:
        return None
    return [{"name": name, "shape": list(one.shape), "dtype": one.dtype} for name, one in specs.items()]


def specs_of_row(row: Any) -> dict[str, InputSpec] | None:
    """The input specs of a job's row; None: it compiles nothing."""
    if row.input_specs is None:
        return None
    return {one["name"]: InputSpec(tuple(one["shape"]), one["dtype"]) for one in row.input_specs}


def _name(source: str, suffix: str) -> str:
    """The target's name: the job's, which mostly is its model's, without an ending of a format, and what it was made."""
    path = PurePath(source)
    stem = path.stem if path.suffix in {*ENDINGS.values(), *EXTENSIONS} else source
    return f"{stem[: NAME_MAX - len(suffix) - 1]}-{suffix}"
