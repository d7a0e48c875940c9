"""The same is done with several jobs: with each by itself, and what was refused is told for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dynolab.errors import Error
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_jobs import find_listed

Act = Callable[[Hub, Account, str], Awaitable[str | None]]
"""What is done with one job, by its id; what it returns is the id of a job that came of it."""


@dataclass(frozen=True, slots=True)
class Acted:
    """Ids and names of the jobs that it was done with, and names and reasons of the others."""

    done: list[tuple[str, str]]
    refused: list[tuple[str, Error]]


async def act_on_jobs(hub: Hub, account: Account, job_ids: Sequence[str], act: Act) -> Acted:
    """Every job is tried, in this order; none is left out because another was refused."""
    wanted = list(dict.fromkeys(job_ids))
    names = {row.id: row.name for row in await find_listed(hub, account, wanted)}
    acted = Acted([], [])
    for job_id in wanted:
        name = names.get(job_id, job_id)
        try:
            acted.done.append((await act(hub, account, job_id) or job_id, name))
        except Error as error:
            acted.refused.append((name, error))
    return acted
