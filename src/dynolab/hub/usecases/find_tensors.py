"""What a model takes and gives and what a dataset holds, as far as jobs told: the hub opens no such file itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, case, null, or_, select

from dynolab.hub.store.tables import job
from dynolab.hub.usecases.access import readable
from dynolab.hub.usecases.base import Account, Hub
from dynolab.spec import codec
from dynolab.spec.agents import Tensors
from dynolab.spec.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class ModelTensors:
    """A model's inputs and outputs; ``job_id`` is the job in whose run they were so, None where the model fixes them."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    job_id: str | None


@dataclass(frozen=True, slots=True)
class DatasetEntries:
    """A dataset's entries, as the job ``job_id`` read or made them: the shape of one sample of each."""

    entries: tuple[TensorSpec, ...]
    job_id: str


async def find_model_tensors(hub: Hub, account: Account, row: Row[Any]) -> ModelTensors | None:
    """Of the model whose row this is; None while no job that the account may see has told."""
    if row.tensors is not None:
        kept = codec.decode(Tensors, row.tensors, f"the tensors of the model {row.id}")
        return ModelTensors(kept.inputs, kept.outputs, None)
    # What a job tells that compiles it is of the model that it made.
    told = select(job.c.id, job.c.tensors).where(job.c.model_id == row.id, job.c.kind != "compile")
    async with hub.database.begin() as connection:
        newest = told.where(job.c.tensors.is_not(null()), readable(job, account)).order_by(job.c.created_at.desc())
        found = (await connection.execute(newest.limit(1))).one_or_none()
    if found is None:
        return None
    run = codec.decode(Tensors, found.tensors, f"the tensors of the job {found.id}")
    return ModelTensors(run.inputs, run.outputs, found.id)


async def find_dataset_entries(hub: Hub, account: Account, row: Row[Any]) -> DatasetEntries | None:
    """Of the dataset whose row this is, rather from the job that made it; None while no job has told."""
    made = job.c.output_dataset_id == row.id
    told = select(job.c.id, job.c.tensors, made.label("made")).where(or_(made, job.c.dataset_id == row.id))
    order = case((made, 0), else_=1), job.c.created_at.desc()
    async with hub.database.begin() as connection:
        best = told.where(job.c.tensors.is_not(null()), readable(job, account)).order_by(*order)
        found = (await connection.execute(best.limit(1))).one_or_none()
    if found is None:
        return None
    run = codec.decode(Tensors, found.tensors, f"the tensors of the job {found.id}")
    return DatasetEntries(run.outputs if found.made else run.inputs, found.id)
