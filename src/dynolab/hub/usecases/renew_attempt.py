"""An agent says that it is still at it."""

from __future__ import annotations

import uuid

from sqlalchemy import Text, bindparam, exists, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from dynolab import errors
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, job, live_log
from dynolab.hub.telemetry import metrics
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.check_claimed import check_claimed
from dynolab.spec.agents import LIVE_LOG_BYTES, Renewal, RenewalAnswer


def _renewing() -> Prepared:
    """Renews the attempt, if it still runs, keeps what came of its log, and calls its job running once there is progress.

    It gives the job's ``cancelled_at`` and kind, and whether it ``begun`` by that.
    """
    log = bindparam("log", type_=Text)
    told = bindparam("progress", type_=JSONB(none_as_null=True))
    renewed = (
        update(attempt)
        .where(attempt.c.id == bindparam("attempt"), attempt.c.state == "running")
        .where(attempt.c.token_id == bindparam("token"))
        .values(renewed_at=func.clock_timestamp(), progress=func.coalesce(told, attempt.c.progress))
        .returning(attempt.c.id, attempt.c.job_id)
        .cte("renewed")
    )
    preparing = job.c.id == renewed.c.job_id, job.c.state == "preparing", told.is_not(None)
    begun = (
        update(job).where(*preparing).values(state="running", updated_at=func.now()).returning(job.c.id).cte("begun")
    )
    logged = insert(live_log).from_select(["attempt_id", "text"], select(renewed.c.id, log).where(log.is_not(None)))
    kept = logged.on_conflict_do_update(index_elements=["attempt_id"], set_={"text": log}).cte("kept")
    told_of = select(job.c.cancelled_at, job.c.kind, exists(select(begun.c.id)).label("begun"))
    return Prepared(told_of.join(renewed, renewed.c.job_id == job.c.id).add_cte(begun, kept))


RENEWING = _renewing()


async def renew_attempt(hub: Hub, agent: Account, attempt_id: uuid.UUID, renewal: Renewal) -> RenewalAnswer:
    """Start the lease anew, note the progress and the end of the log.

    Raises :class:`NotFound` for an attempt that another token claimed, and :class:`Conflict` when it is over.
    """
    bounds.check_renewal(renewal)
    async with hub.database.single() as connection:
        log = None if renewal.log is None else renewal.log[-LIVE_LOG_BYTES:]
        told = {"attempt": attempt_id, "token": agent.token_id, "progress": renewal.progress, "log": log}
        row = await RENEWING.one_or_none(connection, **told)
        if row is None:
            await check_claimed(connection, agent, attempt_id)
            raise errors.Conflict(f"the attempt {attempt_id} is over: its lease ran out, or the job was cancelled")
    if row.begun:
        metrics.JOB_STATES.labels(row.kind, "running").inc()
    return RenewalAnswer(cancel=row.cancelled_at is not None)
