"""What two inference jobs put out, held against each other; a confined process reads their files, the hub opens none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from dynolab.errors import Conflict, NotFound, SpecInvalid, TooLarge
from dynolab.hub.store.tables import dataset
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_jobs import JobFilter, find_job, page_jobs
from dynolab.hub.usecases.read_blob import blob_size, read_blob
from dynolab.jobs._outputs import compare_outputs as compare_files
from dynolab.jobs._outputs import outputs_folder
from dynolab.spec.compared_outputs import ComparedOutputs
from dynolab.spec.verifies import AtLeast

OUTPUT_BYTES = 128 << 20
"""Of both datasets together, as they lie in the store and as they unpack: some 30 million float32 values."""
KEPT = 32
"""Answers that are kept: datasets never change."""


async def find_with_outputs(hub: Hub, account: Account, job_ids: Sequence[str]) -> list[Row[Any]]:
    """The jobs of these ids, in their order, each once.

    Raises :class:`NotFound` for one that the account may not see, and :class:`Conflict` for one without outputs.
    """
    rows = [await find_job(hub, account, job_id) for job_id in dict.fromkeys(job_ids)]
    for row in rows:
        if row.output_dataset_id is None:
            why = f"it is {row.state}" if row.kind == "inference" else f"it is of the kind {row.kind}"
            raise Conflict(f"the job {row.id} has no outputs to compare: {why}", hint="choose finished inference jobs")
    return rows


async def compare_outputs(hub: Hub, account: Account, job_ids: Sequence[str]) -> tuple[list[Row[Any]], ComparedOutputs]:
    """Two jobs and what was found of their outputs; the first is A.

    Raises what :func:`find_with_outputs` does, :class:`SpecInvalid` for other than two jobs, for files that hold no outputs, and for
    outputs that have nothing in common; :class:`TooLarge` for more than :data:`OUTPUT_BYTES`.
    """
    rows = await find_with_outputs(hub, account, job_ids)
    if len(rows) != 2:
        raise SpecInvalid(f"outputs are compared of two jobs, {len(rows)} given", hint="choose two inference jobs")
    blobs = [await _blob(hub, row) for row in rows]
    key = (blobs[0], blobs[1])
    if (known := hub.compared_outputs.get(key)) is None:
        sizes = [await blob_size(hub, one) for one in blobs]
        if sum(sizes) > OUTPUT_BYTES:
            raise TooLarge(
                f"the outputs have {sum(sizes)} bytes, more than the {OUTPUT_BYTES} that are compared here",
                hint="download both datasets, and compare them there",
            )
        async with hub.comparing_outputs:
            known = await _compared(hub, blobs)
        while len(hub.compared_outputs) >= KEPT:
            hub.compared_outputs.pop(next(iter(hub.compared_outputs)))
        hub.compared_outputs[key] = known
    return rows, known


async def find_on_same_inputs(hub: Hub, account: Account, row: Row[Any], *, limit: int) -> list[Row[Any]]:
    """The newest jobs with outputs, of those that infer from the dataset that this one does; itself left out."""
    wanted = JobFilter(states=("done",), kinds=("inference",), dataset_id=row.dataset_id or "")
    found = await page_jobs(hub, account, wanted, limit=limit + 1)
    return [one for one in found if one.id != row.id and one.output_dataset_id is not None][:limit]


async def _blob(hub: Hub, row: Row[Any]) -> str:
    """The file of what a job put out. Raises :class:`NotFound` once that is deleted."""
    async with hub.database.begin() as connection:
        found = await connection.scalar(select(dataset.c.blob_id).where(dataset.c.id == row.output_dataset_id))
    if found is None:
        raise NotFound(f"the outputs of the job {row.id} are deleted")
    return str(found)


async def _compared(hub: Hub, blobs: Sequence[str]) -> ComparedOutputs:
    with outputs_folder() as folder:
        places = [folder / f"{side}.h5" for side in ("A", "B")]
        for place, blob_id in zip(places, blobs, strict=True):
            _, chunks = await read_blob(hub, blob_id)
            with place.open("wb") as file:
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)
        return await asyncio.to_thread(compare_files, *places, at_least=AtLeast(), max_bytes=OUTPUT_BYTES)
