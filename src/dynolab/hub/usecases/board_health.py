"""Whether boards take jobs: a state of its own, apart from whether they are free, busy or away."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, and_, func, or_

from dynolab.hub.store.tables import device
from dynolab.spec.board_health import Health

REST_MOST_S = 600.0
"""Whoever would have to rest for longer does not: the clock was set back since."""


def takes_jobs(of: FromClause = device) -> ColumnElement[bool]:
    """Whether a board is given jobs, as far as its health goes.

    Not in quarantine, nor between a first probe out of its band and the second, nor while it rests after its agent was lost.
    """
    left_s = func.extract("epoch", of.c.rests_until - func.now())
    rested = or_(of.c.rests_until.is_(None), left_s <= 0, left_s > REST_MOST_S)
    return and_(of.c.health != "quarantined", of.c.bad_probes == 0, rested)


def health_of(row: Row[Any]) -> Health:
    """The health that a row of a device tells."""
    return Health(row.health, row.health_why, row.health_by, row.bad_probes, row.good_probes)


def health_columns(health: Health) -> dict[str, object]:
    """The columns that tell it."""
    return {
        "health": health.state,
        "health_why": health.why,
        "health_by": health.by,
        "bad_probes": health.bad,
        "good_probes": health.good,
    }


def why_not(row: Row[Any]) -> str:
    """Why the board whose row this is takes no job now, in words; empty: it does, as far as its health goes."""
    if row.unfit:
        return f"unfit: {row.unfit}"
    if row.health == "quarantined":
        return f"quarantined: {row.health_why}"
    if row.bad_probes:
        return f"it is probed again: {row.health_why}"
    return "it rests after its agent was lost" if row.rests_until is not None else ""
