"""When a queued job begins: told from how long the last ones took on the same boards."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from sqlalchemy import Row, and_, func, select, true

from dynolab.hub.store.tables import attempt, device
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.board_health import takes_jobs, why_not
from dynolab.hub.usecases.find_board_states import is_away
from dynolab.spec.toolchain_support import MAKES

OVERRUN = 2
"""An attempt that runs this many times as long as the longest of the last ones is not like them: its end is not known."""
LAST = 5
"""Attempts of each board that tell how long one takes."""
STEPS = ((100, 10), (3600, 60), (float("inf"), 600))
"""Below so many seconds an estimate is told to so many: to tell it more closely would promise what nobody knows."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """In about how many ``seconds`` a job begins, or None for the ``reason``."""

    seconds: int | None
    reason: Literal["waits", "no-board", "unwell", "no-history", "overrun"] | None = None
    """``unwell``: boards are there, and none of them takes jobs."""
    unwell: tuple[str, ...] = ()
    """Why each of them takes none."""


def begins_in(took_s: Sequence[float], runs_s: Sequence[float | None], ahead: int) -> Estimate:
    """The estimate for a job that ``ahead`` others stand before.

    ``took_s``: how long the last attempts took; their median stands for all that are to come. ``runs_s``: for each board
    that is there how long its attempt runs by now, None for a free one. Each job goes to the board that is free first; what
    takes far longer than the last ones did keeps its board for nobody knows how long.
    """
    if not runs_s:
        return Estimate(None, "no-board")
    if ahead < sum(one is None for one in runs_s):
        return Estimate(0)
    if not took_s:
        return Estimate(None, "no-history")
    typical_s, longest_s = median(took_s), OVERRUN * max(took_s)
    known = [one for one in runs_s if one is None or one <= longest_s]
    if not known:
        return Estimate(None, "overrun")
    free_in = [0.0 if one is None else max(0.0, typical_s - one) for one in known]
    heapq.heapify(free_in)
    rounds, rest = divmod(ahead, len(free_in))
    for _ in range(rest):
        heapq.heapreplace(free_in, free_in[0] + typical_s)
    return Estimate(_told(free_in[0] + rounds * typical_s))


def _told(seconds: float) -> int:
    step = next(step for below, step in STEPS if seconds < below)
    return round(seconds / step) * step


async def estimate_start(hub: Hub, row: Row[Any], position: int | None) -> Estimate:
    """The estimate for the queued job whose row this is; ``position`` is its place in its queue (:func:`find_attempts`)."""
    if position is None:
        return Estimate(None, "waits")
    able = device.c.os == row.device_os
    if row.toolchain is not None:
        able = device.c.attributes.contains([f"{MAKES}{row.toolchain}"])
    mine = (device.c.pool_id == row.pool_id, able)
    running = (attempt.c.id == device.c.attempt_id) & (attempt.c.state == "running")
    there = ~is_away(func.greatest(device.c.seen_at, attempt.c.renewed_at))
    takes = and_(device.c.unfit == "", takes_jobs())
    boards = (
        select(func.extract("epoch", func.now() - attempt.c.started_at).label("runs_s"), takes.label("takes"), device)
        .select_from(device.outerjoin(attempt, running))
        .where(*mine, there)
        .order_by(device.c.id)
    )
    ended = (
        select(func.extract("epoch", attempt.c.finished_at - attempt.c.started_at).label("took_s"))
        .where(attempt.c.device_id == device.c.id, attempt.c.state.in_(("done", "failed")))
        .order_by(attempt.c.started_at.desc())
        .limit(LAST)
        .lateral()
    )
    lasted = select(ended.c.took_s).select_from(device.join(ended, true())).where(*mine)
    async with hub.database.begin() as connection:
        found = (await connection.execute(boards)).all()
        took: list[Any] = list((await connection.execute(lasted)).scalars())
    if found and not any(one.takes for one in found):
        return Estimate(None, "unwell", tuple(_why(one) for one in found))
    runs_s = [None if one.runs_s is None else max(0.0, float(one.runs_s)) for one in found if one.takes]
    return begins_in([float(one) for one in took], runs_s, position - 1)


def _why(row: Row[Any]) -> str:
    return f"{row.id}: {why_not(row)}"
