"""Single devices, and how busy the boards of a device model are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Text, and_, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, device, job, pool
from dynolab.hub.usecases.access import Given
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_board_states import HELD, SEEN, is_away
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.pool_rights import sees

_BUSY = attempt.c.id.is_not(None)
_MODEL = device.c.pool_id, device.c.os, device.c.attributes


@dataclass(frozen=True, slots=True)
class Load:
    """A device model, and what its boards have to do.

    ``queued`` counts the jobs that wait for any board of this name and system, whichever attributes it has.
    """

    model: DeviceModel
    boards: int
    busy: int
    away: int
    queued: int
    unfit: tuple[str, ...]
    """Why boards of it take no job for the time being, one for each that says so."""
    quarantined: tuple[str, ...]
    """Why boards of it are in quarantine, one for each."""
    drifts: tuple[str, ...]
    """What changed slowly of boards of it, one for each."""
    seen_at: datetime


def _boards(*columns: Any) -> Select[Any]:
    """Devices beside the attempt that each is at now."""
    return select(*columns).select_from(device.outerjoin(attempt, HELD))


def _load() -> tuple[Prepared, Prepared]:
    """What the boards of these ``pools`` are at, by device model; and how many jobs wait there."""
    here = any_(bindparam("pools", type_=ARRAY(Text)))
    counted = _boards(
        *_MODEL,
        func.count().label("boards"),
        func.count().filter(_BUSY).label("busy"),
        func.count().filter(and_(~_BUSY, is_away(SEEN))).label("away"),
        func.array_agg(device.c.unfit).filter(device.c.unfit != "").label("unfit"),
        func.array_agg(device.c.health_why).filter(device.c.health == "quarantined").label("quarantined"),
        func.array_agg(device.c.drift).filter(device.c.drift != "").label("drifts"),
        func.max(SEEN).label("seen_at"),
    )
    in_queue = job.c.state == literal_column("'queued'"), job.c.queue_entry.is_not(None), job.c.toolchain.is_(None)
    waiting = select(job.c.pool_id, job.c.device_os, func.count().label("jobs")).where(job.c.pool_id == here, *in_queue)
    counted = counted.where(device.c.pool_id == here).group_by(*_MODEL)
    return Prepared(counted), Prepared(waiting.group_by(job.c.pool_id, job.c.device_os))


_COUNTED, _WAITING = _load()


async def find_load(
    hub: Hub,
    account: Account,
    *,
    name: str = "",
    os: str = "",
    attributes: Sequence[str] = (),
    pools: Collection[str] | None = None,
) -> list[Load]:
    """The device models that the account's jobs with these wishes may go to, in the order of :func:`find_devices`. ``pools``: in these only."""
    return await load_of(hub, await find_devices(hub, account, name=name, os=os, attributes=attributes, pools=pools))


async def load_of(hub: Hub, models: Sequence[DeviceModel]) -> list[Load]:
    """The same of these device models, in their order; not of those that have no board any more."""
    found_in = list({one.pool_id for one in models})
    async with hub.database.begin() as connection:
        rows = await _COUNTED.all(connection, pools=found_in)
        queues = await _WAITING.all(connection, pools=found_in)
    queued = {(row.pool_id, row.device_os): row.jobs for row in queues}
    by_model = {(row.pool_id, row.os, tuple(row.attributes)): row for row in rows}
    found = [(one, by_model.get(one.key)) for one in models]
    return [
        Load(
            one,
            row.boards,
            row.busy,
            row.away,
            queued.get((one.pool_id, one.os), 0),
            unfit=tuple(sorted(row.unfit or ())),
            quarantined=tuple(sorted(row.quarantined or ())),
            drifts=tuple(sorted(row.drifts or ())),
            seen_at=row.seen_at,
        )
        for one, row in found
        if row is not None
    ]


async def count_compiles(hub: Hub, pool_id: str) -> int:
    """How many jobs wait for the toolchains of a pool."""
    waiting = job.c.state == "queued", job.c.queue_entry.is_not(None), job.c.toolchain.is_not(None)
    async with hub.database.begin() as connection:
        return await connection.scalar(select(func.count()).where(job.c.pool_id == pool_id, *waiting)) or 0


async def find_board(hub: Hub, account: Account, device_id: str) -> Any:
    """One device that the account is told of, with ``busy`` and ``last_seen_at``. Raises :class:`NotFound`."""
    finding = _finding(account.given_with_rights)
    async with hub.database.single() as connection:
        row = await finding.one_or_none(connection, device_id=device_id, **account.told)
    if row is None:
        raise NotFound(
            f"there is no device {device_id!r}", hint="`GET devices` lists the models, with their boards' ids"
        )
    return row


@cache
def _finding(who: Given) -> Prepared:
    found = _boards(device, _BUSY.label("busy"), SEEN.label("last_seen_at"))
    found = found.join(pool, pool.c.id == device.c.pool_id)
    return Prepared(found.where(device.c.id == bindparam("device_id"), sees(who)))
