"""Time in which the hub, or its database, was away: it counts against no lease and no deadline.

Whoever was amid a transaction when the database stood still goes on with the clock of its beginning, and may be done only
after a sweep has found out. So nothing here rests on what other transactions wrote down, or on their rows being there yet.

The same goes for a clock that is set: forward it looks like time away; back, the sweeps themselves tell, as they come later
and later. All instants of leases and deadlines are the database's, so that there is one clock.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Float, Text, bindparam, cast, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, setting

AWAY_S = 2.0
"""Leases are swept every second; after this long without a sweep they say nothing about the agents."""
JUST_NOW_S = 0.7
"""One replica that sweeps every second is enough. When it is gone the next one sweeps within :data:`AWAY_S` of its last time."""
SWEPT, BACK = "leases_swept_at", "leases_count_from"
"""When leases were swept last, and when that was first done after the hub had been away: seconds since 1970."""


async def swept_by_another(connection: AsyncConnection, own: set[float]) -> bool:
    """Whether another replica has swept leases just now, so that this one need not look through all that run. ``own``: as in :func:`note_time_away`."""
    last = await _SWEPT_JUST_NOW.scalar(connection)
    return last is not None and float(last) not in own


async def note_time_away(connection: AsyncConnection, own: set[float]) -> float:
    """For how many seconds the hub has been there without a break. Called with each sweep of leases.

    What it was away for is noted with the attempts that run. Replicas come one after the other. ``own``: when this one swept last.
    """
    since = await _noted_time_away(connection)
    own.clear()
    own.add(float(await _KEPT.scalar(connection, name=SWEPT) or 0))
    return since


async def _noted_time_away(connection: AsyncConnection) -> float:
    last = await _LOCKED.scalar(connection, name=SWEPT)
    at = await _note(connection, SWEPT)  # a statement later, hence after the others
    if last is not None and at < float(last):
        await _set_back(connection, float(last) - at)
        await _note(connection, BACK)
        return 0.0
    if last is not None and at - float(last) <= AWAY_S:
        return at - float(await _KEPT.scalar(connection, name=BACK) or 0)
    await _note(connection, BACK)
    ran_s = _clock() - func.extract("epoch", attempt.c.started_at)
    gap_s = ran_s if last is None else at - float(last)  # an attempt may have begun meanwhile
    longer = {"away_s": attempt.c.away_s + func.least(ran_s, gap_s)}
    await connection.execute(update(attempt).where(attempt.c.state == "running").values(longer))
    return 0.0


async def note_sweep(connection: AsyncConnection, name: str) -> None:
    """Note that a sweep has ended well at this moment, for who looks after the hub (``dynolab hub check``)."""
    await _note(connection, name)


async def _set_back(connection: AsyncConnection, by_s: float) -> None:
    """Carry the attempts that run over to a clock that was set back: leases begin anew, and deadlines come no later.

    One that began or was renewed after now did so by the clock as it was before; of the others nobody can tell, and they
    keep what the clock says.
    """
    now = func.clock_timestamp()
    before = or_(attempt.c.started_at > now, attempt.c.renewed_at > now)
    carried = {"renewed_at": func.least(attempt.c.renewed_at, now), "away_s": attempt.c.away_s - by_s}
    await connection.execute(update(attempt).where(attempt.c.state == "running", before).values(carried))


def away_s() -> ColumnElement[float]:
    """For how long of an attempt's time the hub was away; less than 0 where the clock was set back meanwhile.

    One that began before the hub was back, but of which nothing was noted, was not there to be seen yet: it was still
    being claimed.
    """
    back = select(cast(setting.c.value, Float)).where(setting.c.name == BACK).scalar_subquery()
    unseen_s = func.greatest(0.0, back - func.extract("epoch", attempt.c.started_at))
    return func.coalesce(func.nullif(attempt.c.away_s, 0.0), unseen_s)


def is_known() -> ColumnElement[bool]:
    """Whether all that the hub was away for is noted by now."""
    return exists().where(setting.c.name == SWEPT, _clock() - cast(setting.c.value, Float) < AWAY_S)


def _clock() -> ColumnElement[Any]:
    return func.extract("epoch", func.clock_timestamp())


async def _note(connection: AsyncConnection, name: str) -> float:
    """Note this moment under the name; the moment."""
    return float(await _NOTING.scalar(connection, name=name))


def _noting() -> Prepared:
    noted = insert(setting).values(name=bindparam("name"), value=cast(_clock(), Text))
    noted = noted.on_conflict_do_update(index_elements=["name"], set_={"value": noted.excluded.value})
    return Prepared(noted.returning(setting.c.value))


def _swept_just_now() -> Prepared:
    ago = _clock() - cast(setting.c.value, Float)
    return Prepared(select(setting.c.value).where(setting.c.name == SWEPT, ago >= 0, ago < JUST_NOW_S))


_NAMED = select(setting.c.value).where(setting.c.name == bindparam("name"))
_KEPT, _LOCKED, _NOTING = Prepared(_NAMED), Prepared(_NAMED.with_for_update()), _noting()
_SWEPT_JUST_NOW = _swept_just_now()
