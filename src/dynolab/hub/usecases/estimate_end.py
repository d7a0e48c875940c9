"""How long a running job's attempt usually takes: told from the last ones of the same model on the same kind of device."""

from __future__ import annotations

from statistics import median
from typing import Any

from sqlalchemy import Row, func, select

from dynolab.hub.store.tables import attempt, device, job
from dynolab.hub.usecases.base import Hub

LAST = 5
"""Attempts that tell how long the next one takes."""


async def usual_seconds(hub: Hub, row: Row[Any]) -> float | None:
    """Median seconds of the last attempts like that of this job's row; None: there was none."""
    took = (
        select(func.extract("epoch", attempt.c.finished_at - attempt.c.started_at))
        .select_from(attempt.join(job, job.c.id == attempt.c.job_id).join(device, device.c.id == attempt.c.device_id))
        .where(
            attempt.c.state == "done",
            *(job.c[name] == getattr(row, name) for name in ("model_id", "kind", "options")),
            job.c.baseline_id.is_not_distinct_from(row.baseline_id),
            device.c.pool_id == row.pool_id,
            *(() if row.toolchain is not None else (device.c.os == row.device_os,)),
        )
        .order_by(attempt.c.started_at.desc())
        .limit(LAST)
    )
    async with hub.database.begin() as connection:
        found = [float(one) for one in (await connection.execute(took)).scalars()]
    return median(found) if found else None
