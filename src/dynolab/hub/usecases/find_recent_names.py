"""Names that search fields offer: devices, models and creators of the newest jobs that an account may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from sqlalchemy import select

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import job, model
from dynolab.hub.usecases.access import Given
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_jobs import JobShape, page_ids

JOBS = 200
"""Jobs that are looked at, however many there are."""


@dataclass(frozen=True, slots=True)
class RecentNames:
    """Names of devices and models, and e-mail addresses of creators, in the order of the alphabet."""

    devices: list[str]
    models: list[str]
    creators: list[str]


async def find_recent_names(hub: Hub, account: Account) -> RecentNames:
    """Each name once, of the newest jobs that the account may see."""
    async with hub.database.single() as connection:
        found = await _names(account.given).all(connection, **account.told)
    return RecentNames(*(_each(row[at] for row in found) for at in range(3)))


@cache
def _names(who: Given) -> Prepared:
    ids = page_ids(who, JobShape(), limit=JOBS)
    names = (
        select(job.c.device_name, model.c.name, account_table.c.email)
        .join(ids, ids.c.id == job.c.id)
        .join(model, model.c.id == job.c.model_id)
        .join(account_table, account_table.c.id == job.c.account_id)
        .distinct()
    )
    return Prepared(names)


def _each(names: Iterable[str]) -> list[str]:
    return sorted(set(names), key=str.casefold)
