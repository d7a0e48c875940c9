"""An agent says what a probe showed of its board; the hub judges it by the board's own history."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Date as SqlDate
from sqlalchemy import Row, cast, extract, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict
from dynolab.hub.store.tables import device, probe
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.announce_device import announce_device
from dynolab.hub.usecases.audit import ITSELF, note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.board_health import health_columns, health_of
from dynolab.hub.usecases.check_protocol import check_protocol
from dynolab.spec.agents import ProbeAnswer, ProbeReport
from dynolab.spec.board_health import (
    BAND_DAYS,
    BAND_PROBES,
    DRIFT_DAYS,
    FIGURES,
    Judgement,
    Probe,
    after,
    again_in_s,
    cool_celsius,
    drift,
    judge,
)

IN_BAND = ("learning", "good")
log = logging.getLogger(__name__)


async def report_probe(hub: Hub, agent: Account, report: ProbeReport) -> ProbeAnswer:
    """What the hub makes of it. The device is announced by it as by a question for a job.

    Raises :class:`Conflict` when hub and agent do not speak the same protocol, and what
    :func:`~dynolab.hub.usecases.announce_device.announce_device` does.
    """
    check_protocol(report.protocol)
    bounds.check_probe(report.probe)
    async with hub.claims:
        await announce_device(hub, agent, report.device)
    async with hub.database.begin() as connection:
        mine = device.c.id == report.device.id, device.c.token_id == agent.token_id
        row = (await connection.execute(select(device).where(*mine).with_for_update())).one_or_none()
        if row is None:
            raise Conflict(f"the device {report.device.id!r} is served with another token by now")
        history = await find_history(connection, row, report.probe.identity)
        judgement = judge(report.probe, history)
        await _keep(connection, row.id, report.probe, judgement)
        before, now = health_of(row), after(health_of(row), judgement)
        told = await _drift(connection, row, report.probe.identity)
        changes: dict[str, object] = {**health_columns(now), "drift": told}
        if now.state != before.state:
            changes["health_since"] = func.now()
            told_of = {"state": now.state, "before": before.state, "why": now.why}
            await note(connection, "device.health", "device", row.id, who=ITSELF, details=told_of)
        await connection.execute(update(device).where(device.c.id == row.id).values(**changes))
    _tell(row, now.state, judgement, told)
    return ProbeAnswer(now.state, now.why, again_in_s(now, judgement), cool_celsius(history))


async def find_history(connection: AsyncConnection, row: Row[Any], identity: str) -> list[Probe]:
    """The board's probes that were in its band, or before there was one, the newest first; of one identity."""
    found = (
        select(probe)
        .where(*_of(row, identity, BAND_DAYS))
        .order_by(probe.c.at.desc(), probe.c.id.desc())
        .limit(BAND_PROBES)
    )
    return [probe_of(one) for one in (await connection.execute(found)).all()]


def probe_of(row: Row[Any]) -> Probe:
    """The probe that a row tells."""
    return Probe(row.figures, row.cores, row.identity, row.others_share, row.celsius)


def medians() -> list[Any]:
    """Columns: the median of each figure over the rows of a group, in ns."""
    return [func.percentile_cont(0.5).within_group(probe.c.figures[name].as_float()).label(name) for name in FIGURES]


def _of(row: Row[Any], identity: str, days: int) -> Sequence[Any]:
    since = func.coalesce(row.learns_from, func.now() - func.make_interval(0, 0, 0, days))
    return (
        probe.c.device_id == row.id,
        probe.c.identity == identity,
        probe.c.verdict.in_(IN_BAND),
        probe.c.at >= func.greatest(since, func.now() - func.make_interval(0, 0, 0, days)),
    )


async def _keep(connection: AsyncConnection, device_id: str, found: Probe, judgement: Judgement) -> None:
    values = {
        "device_id": device_id,
        "at": func.clock_timestamp(),
        "identity": found.identity,
        "figures": found.figures,
        "cores": found.cores,
        "others_share": found.others_share,
        "celsius": found.celsius,
        "verdict": judgement.verdict,
        "why": judgement.why,
    }
    await connection.execute(insert(probe).values(values))


async def _drift(connection: AsyncConnection, row: Row[Any], identity: str) -> str:
    """What changed slowly over days, in words; empty: nothing that chance would not make."""
    day = cast(func.timezone("UTC", probe.c.at), SqlDate)
    number = (extract("epoch", day) / 86400).label("day")
    found = select(number, *medians()).where(*_of(row, identity, DRIFT_DAYS)).group_by(day).order_by(day)
    days = [
        (int(one.day), {name: float(value) for name in FIGURES if (value := getattr(one, name)) is not None})
        for one in (await connection.execute(found)).all()
    ]
    alarm = drift(days)
    return "" if alarm is None else alarm.text


def _tell(row: Row[Any], state: str, judgement: Judgement, told: str) -> None:
    """Changes that somebody may have to do something about are logged."""
    if state != row.health:
        log.warning("the board %s (%s) is %s: %s", row.id, row.name, state, judgement.why or "its probes are good")
    if told and told != row.drift:
        log.warning("the board %s (%s) drifts: %s", row.id, row.name, told)
