"""The jobs that somebody wants to see side by side, with their profiles; and others that go with them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from dynolab.errors import Conflict, SpecInvalid, TooLarge
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_jobs import JobFilter, find_job, page_jobs
from dynolab.hub.usecases.read_blob import blob_size
from dynolab.hub.usecases.read_profile import read_profile
from dynolab.spec.profiles import Profile

MOST = 6
"""Jobs side by side: more do not fit next to each other."""


async def find_chosen(hub: Hub, account: Account, job_ids: Sequence[str]) -> list[Row[Any]]:
    """The jobs of these ids, in their order, each once.

    Raises :class:`SpecInvalid` for more than :data:`MOST`, :class:`NotFound` for one that the account may not see, and
    :class:`Conflict` for one that left no profile.
    """
    wanted = list(dict.fromkeys(job_ids))
    if len(wanted) > MOST:
        raise SpecInvalid(f"{len(wanted)} jobs were chosen; {MOST} fit side by side", hint="choose fewer")
    rows = [await find_job(hub, account, job_id) for job_id in wanted]
    for row in rows:
        if row.state != "done" or row.result_blob_id is None or not row.measures:
            why = "it was not asked to measure" if row.state == "done" else f"it is {row.state}"
            raise Conflict(f"the job {row.id} has no profile to compare: {why}", hint="choose a finished profile job")
    return rows


async def find_compared(hub: Hub, account: Account, job_ids: Sequence[str]) -> list[tuple[Row[Any], Profile]]:
    """As :func:`find_chosen`, with what each measured. Raises :class:`SpecInvalid` too for fewer than two jobs."""
    rows = await find_chosen(hub, account, job_ids)
    if len(rows) < 2:
        raise SpecInvalid(f"a comparison takes two jobs or more, {len(rows)} given")
    sizes = [await blob_size(hub, row.result_blob_id) for row in rows]
    if sum(sizes) > bounds.PROFILE_BYTES:
        raise TooLarge(
            f"the documents have {sum(sizes)} bytes, more than the {bounds.PROFILE_BYTES} that are read here",
            hint="`dynolab compare` holds fetched profiles against each other",
        )
    profiles = await asyncio.gather(*(read_profile(hub, row) for row in rows))
    return [(row, profile) for row, profile in zip(rows, profiles, strict=True) if profile is not None]


async def find_comparable(hub: Hub, account: Account, chosen: Sequence[Row[Any]], *, limit: int) -> list[Row[Any]]:
    """The newest jobs that go with the first of the chosen: those of a model of the same name, then those on the same device.

    Where none is chosen, the newest of all.
    """
    filters = [JobFilter(measured=True)]
    if chosen:
        first = chosen[0]
        of_model = JobFilter(measured=True, model_name=first.model_name)
        filters = [of_model, JobFilter(measured=True, device_name=first.device_name)]
    taken = {row.id for row in chosen}
    found: dict[str, Row[Any]] = {}
    for wanted in filters:
        for row in await page_jobs(hub, account, wanted, limit=limit + len(taken)):
            if row.id not in taken:
                found.setdefault(row.id, row)
    return list(found.values())[:limit]
