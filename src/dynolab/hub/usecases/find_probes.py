"""What a board's probes showed: the newest one with its bands, and how the figures went over days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, extract, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import device, probe
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.report_probe import IN_BAND, find_history, medians
from dynolab.spec.board_health import DRIFT_DAYS, FIGURES, Band, bands

POINTS, MARKS = 120, 100
"""Of a chart: spans of time with the medians of what was in the band, and single probes that were out of it, the newest."""

SHOWN_MOST = 200
"""Boards whose probes are kept in memory: pages look again every few seconds, and probes come every few minutes."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One instant, or a span's middle, with the figures in ns."""

    at: datetime
    figures: dict[str, float]
    verdict: str


@dataclass(frozen=True, slots=True)
class Probes:
    """A board's newest probe (a row of the table; None: it was never probed), its bands, and its course over days."""

    newest: Row[Any] | None
    bands: dict[str, Band]
    course: tuple[Shown, ...]
    marks: tuple[Shown, ...]


async def find_probes(hub: Hub, device_id: str) -> Probes:
    """Of a board that the account was told of: nothing here is its owner's alone."""
    async with hub.database.begin() as connection:
        newest = (await connection.execute(_newest(device_id))).one_or_none()
        if newest is None:
            return Probes(None, {}, (), ())
        row = (await connection.execute(select(device).where(device.c.id == device_id))).one()
        key = newest.id, row.learns_from
        if (before := hub.shown_probes.get(device_id)) is not None and before[0] == key:
            return before[1]
        history = await find_history(connection, row, newest.identity)
        mine = _lately(device_id, newest.identity)
        found = Probes(newest, bands(history), await _course(connection, mine), await _marks(connection, mine))
    if len(hub.shown_probes) >= SHOWN_MOST:
        hub.shown_probes.clear()
    hub.shown_probes[device_id] = key, found
    return found


def _newest(device_id: str) -> Any:
    found = select(probe).where(probe.c.device_id == device_id)
    return found.order_by(probe.c.at.desc(), probe.c.id.desc()).limit(1)


def _lately(device_id: str, identity: str) -> tuple[Any, ...]:
    since = func.now() - func.make_interval(0, 0, 0, DRIFT_DAYS)
    return probe.c.device_id == device_id, probe.c.identity == identity, probe.c.at > since


async def _course(connection: AsyncConnection, mine: tuple[Any, ...]) -> tuple[Shown, ...]:
    in_band = (*mine, probe.c.verdict.in_(IN_BAND))
    ends = select(func.min(probe.c.at), func.max(probe.c.at)).where(*in_band)
    first, last = (await connection.execute(ends)).one()
    if first is None:
        return ()
    span_s = max(1.0, (last - first).total_seconds() / POINTS)
    at_s = extract("epoch", probe.c.at)
    number = func.floor((at_s - first.timestamp()) / span_s)
    found = select(func.avg(at_s).label("at_s"), *medians()).where(*in_band).group_by(number).order_by(number)
    return tuple(
        Shown(
            datetime.fromtimestamp(float(row.at_s), UTC),
            {name: float(value) for name in FIGURES if (value := getattr(row, name)) is not None},
            "good",
        )
        for row in (await connection.execute(found)).all()
    )


async def _marks(connection: AsyncConnection, mine: tuple[Any, ...]) -> tuple[Shown, ...]:
    out = select(probe).where(*mine, probe.c.verdict.not_in(IN_BAND)).order_by(probe.c.at.desc()).limit(MARKS)
    rows = (await connection.execute(out)).all()
    return tuple(Shown(row.at, row.figures, row.verdict) for row in reversed(rows))
