"""Quotas of a place, which is a project or an account's personal space: bytes, jobs at once, minutes of devices in a month.

A bound is looked up first, without a lock. Where there is one, whoever would add to the place locks its row, and counts then: two
that come at once, at whichever replicas, do not both take what is left. Minutes are counted when attempts end, and bytes that jobs
leave when they come, which are kept in any case: so jobs that run may pass these bounds, and what is submitted next is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden, RateLimited, TooLarge
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import blob, dataset, device_use, job, model, organisation, project, stored_bytes, upload
from dynolab.hub.usecases.access import full_name
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub

RETRY_AFTER_S = 20
"""As AI Hub's client waits before it submits again."""
MONTHS_KEPT = timedelta(days=400)
BATCH, ROUNDS = 10_000, 10
OWNERS_AT_ONCE = 1_000
LEFT = ("result", "output", "artifact", "log")
OWNERS_NOTED = text(f"""
    WITH looked AS (
        SELECT id FROM blob WHERE account_id IS NULL AND id > :after ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
    ), noted AS (
        UPDATE blob SET account_id = whose.account_id, in_project = whose.in_project
        FROM looked CROSS JOIN LATERAL (
            SELECT account_id, in_project FROM model WHERE blob_id = looked.id
            UNION ALL SELECT account_id, in_project FROM dataset WHERE blob_id = looked.id
            {
    " ".join(
        f"UNION ALL SELECT j.account_id, j.in_project FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.{one}_blob_id = looked.id"
        for one in LEFT
    )
}
            LIMIT 1
        ) AS whose WHERE blob.id = looked.id
    ) SELECT max(id) FROM looked
""")
"""Of blobs of before these were counted, and those that replicas make meanwhile that do not know of it."""
LIVE = ("queued", "preparing", "running")
ASK = "an administrator of the hub sets these bounds"
FREE = f"delete jobs, models or datasets that are no longer needed, or keep results for some days only; {ASK}"


@dataclass(frozen=True, slots=True)
class Owner:
    """Of what a place has: the project, or the account with what is in none."""

    account_id: Any
    in_project: Any = None

    @property
    def questions(self) -> _Questions:
        """What is asked of it."""
        return _questions(self.in_project is not None)

    @property
    def told(self) -> dict[str, object]:
        """What prepared statements are told of it."""
        return {"account": self.account_id, "project": self.in_project}

    def of(self, table: Table) -> ColumnElement[bool]:
        """The rows that are there."""
        if self.in_project is not None:
            mine: ColumnElement[bool] = table.c.in_project == self.in_project
            return mine
        return and_(table.c.account_id == self.account_id, table.c.in_project.is_(None))

    def row(self, *columns: str) -> Select[Any]:
        """What its own row says, with its ``name``."""
        if self.in_project is None:
            own = [accounts.c[one] for one in columns]
            return select(*own, accounts.c.email.label("name")).where(accounts.c.id == self.account_id)
        theirs = [project.c[one] for one in columns]
        named = select(*theirs, full_name().label("name")).select_from(project.join(organisation))
        return named.where(project.c.id == self.in_project)


@dataclass(frozen=True, slots=True)
class _Questions:
    """What is asked of a place."""

    bounds: Prepared
    lock: Prepared
    """Until the transaction ends nobody else counts there; what refers to the row is not held up."""
    jobs: Prepared
    minutes: Prepared


@cache
def _questions(in_project: bool) -> _Questions:
    """Of projects, or of accounts' personal spaces."""
    owner = (
        Owner(None, bindparam("project", type_=Text)) if in_project else Owner(bindparam("account", type_=BigInteger))
    )
    table, id = (accounts, owner.account_id) if owner.in_project is None else (project, owner.in_project)
    live = select(func.count().label("jobs")).select_from(job)
    live = live.where(owner.of(job), job.c.state.in_(LIVE), job.c.state != "done")
    used = select(func.sum(device_use.c.seconds).label("seconds"))
    return _Questions(
        bounds=Prepared(owner.row("most_bytes", "most_jobs", "most_minutes")),
        lock=Prepared(select(table.c.id).where(table.c.id == id).with_for_update(key_share=True)),
        jobs=Prepared(live),
        minutes=Prepared(used.where(owner.of(device_use), device_use.c.month == this_month())),
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a place may have; None: as much as comes."""

    name: str
    bytes: int | None
    jobs: int | None
    minutes: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a place has: bytes with those that are on their way, jobs that are not over, device minutes of this month (UTC)."""

    bounds: Bounds
    bytes: int
    bytes_of_jobs: int
    """Of them: what jobs left besides models and datasets, such as profiles and logs."""
    jobs: int
    minutes: float
    kept_days: int | None
    """For how many days jobs' results and datasets are kept; None: until they are deleted."""


async def read_usage(hub: Hub, account: Account, in_project: str | None = None) -> Usage:
    """Of the account's personal space, or of a project, which it has to be allowed to see."""
    return await usage_of(hub, Owner(account.id, in_project))


async def usage_of(hub: Hub, owner: Owner) -> Usage:
    """Of a place, whoever asks."""
    async with hub.database.begin() as connection:
        bounds = await _bounds(hub, connection, owner)
        used_bytes, of_jobs = await _bytes(connection, owner), await _bytes_of_jobs(connection, owner)
        jobs = await _jobs(connection, owner)
        minutes = await _minutes(connection, owner)
        kept = await connection.scalar(owner.row("kept_days"))
    return Usage(bounds, used_bytes, of_jobs, jobs, minutes, kept)


async def check_jobs(hub: Hub, connection: AsyncConnection, owner: Owner) -> None:
    """Raises :class:`RateLimited` and :class:`Forbidden` where one job more, or any of this month, is one too many.

    Where there may never be a job, that is Forbidden too: no waiting mends it. Raises :class:`TooLarge` where the place has all
    its bytes: a job would leave more.
    """
    bounds = await _bounds(hub, connection, owner)
    if bounds.minutes is not None and (used := await _minutes(connection, owner)) >= bounds.minutes:
        raise Forbidden(
            f"{bounds.name} has used {used:.1f} of its {bounds.minutes} device minutes of this month",
            hint=ASK,
            details={"used_minutes": used, "most_minutes": bounds.minutes},
        )
    if bounds.jobs == 0:
        raise Forbidden(f"{bounds.name} may have no jobs: its quota is 0 jobs that wait or run", hint=ASK)
    if bounds.jobs is None and bounds.bytes is None:
        return
    await _lock(connection, owner)
    if bounds.bytes is not None and (kept := await _bytes(connection, owner)) >= bounds.bytes:
        left = await _bytes_of_jobs(connection, owner)
        raise TooLarge(
            f"{bounds.name} keeps {kept} of at most {bounds.bytes} bytes, {left} of them left by jobs: no job may leave more",
            hint=FREE,
            details={"used_bytes": kept, "most_bytes": bounds.bytes, "left_by_jobs_bytes": left},
        )
    if bounds.jobs is not None and (count := await _jobs(connection, owner)) >= bounds.jobs:
        raise RateLimited(
            f"{bounds.name} has {count} jobs that wait or run, of {bounds.jobs} at most",
            hint=f"wait for some to end; {ASK}",
            details={"retry_after_s": RETRY_AFTER_S, "jobs": count, "most_jobs": bounds.jobs},
        )


async def check_bytes(hub: Hub, connection: AsyncConnection, owner: Owner, size: int, *, but: str = "") -> None:
    """Raises :class:`TooLarge` where ``size`` bytes more pass the place's bound; ``but``: the upload whose bytes they stand for."""
    bounds = await _bounds(hub, connection, owner)
    if bounds.bytes is None:
        return
    await _lock(connection, owner)
    used = await _bytes(connection, owner, but=but)
    if used + size > bounds.bytes or (used >= bounds.bytes and size == 0):
        left = await _bytes_of_jobs(connection, owner)
        raise TooLarge(
            f"{size} bytes more do not fit: {bounds.name} keeps {used} of at most {bounds.bytes} bytes, {left} of them left by jobs",
            hint=FREE,
            details={
                "asked_bytes": size,
                "used_bytes": used,
                "most_bytes": bounds.bytes,
                "left_by_jobs_bytes": left,
            },
        )


async def owner_of_upload(connection: AsyncConnection, upload_id: str) -> Owner | None:
    """The place that an upload's bytes will be in."""
    for table in (model, dataset):
        found = select(table.c.account_id, table.c.in_project).join(upload, upload.c.target_id == table.c.id)
        row = (await connection.execute(found.where(upload.c.id == upload_id))).one_or_none()
        if row is not None:
            return Owner(row.account_id, row.in_project)
    return None


async def set_bounds(hub: Hub, owner: Owner, **values: int | None) -> None:
    """Set of ``most_bytes``, ``most_jobs`` and ``most_minutes`` those that are given; None: as the hub's settings say."""
    if not values:
        return
    table, id = (accounts, owner.account_id) if owner.in_project is None else (project, owner.in_project)
    async with hub.database.begin() as connection:
        await connection.execute(update(table).where(table.c.id == id).values(values))
        kind = "account" if owner.in_project is None else "project"
        told = {name: "as the hub" if value is None else value for name, value in values.items()}
        await note(connection, "quota.change", kind, id, details=told)


async def _bounds(hub: Hub, connection: AsyncConnection, owner: Owner) -> Bounds:
    row = await owner.questions.bounds.one_or_none(connection, **owner.told)
    limits = hub.limits
    chosen = (
        (row.most_bytes, limits.quota_bytes),
        (row.most_jobs, limits.quota_jobs),
        (row.most_minutes, limits.quota_minutes),
    )
    return Bounds(row.name, *(default if own is None else own for own, default in chosen))


async def _lock(connection: AsyncConnection, owner: Owner) -> None:
    await owner.questions.lock.execute(connection, **owner.told)


async def _jobs(connection: AsyncConnection, owner: Owner) -> int:
    return int(await owner.questions.jobs.scalar(connection, **owner.told) or 0)


async def _bytes(connection: AsyncConnection, owner: Owner, *, but: str = "") -> int:
    kept = await connection.scalar(select(func.sum(stored_bytes.c.bytes)).where(owner.of(stored_bytes)))
    total = int(kept or 0)
    coming = func.sum(func.coalesce(upload.c.bytes, upload.c.come_bytes))
    for table in (model, dataset):
        there = table.c.id == upload.c.target_id, upload.c.completed_at.is_(None), upload.c.id != but
        announced = select(coming).select_from(upload.join(table, and_(*there))).where(owner.of(table))
        total += int(await connection.scalar(announced) or 0)
    return total


async def _bytes_of_jobs(connection: AsyncConnection, owner: Owner) -> int:
    """Of what is kept: all that is no model's or dataset's."""
    total = int(await connection.scalar(select(func.sum(stored_bytes.c.bytes)).where(owner.of(stored_bytes))) or 0)
    for table in (model, dataset):
        kept = select(func.sum(blob.c.bytes)).join(table, table.c.blob_id == blob.c.id).where(owner.of(table))
        total -= int(await connection.scalar(kept) or 0)
    return max(0, total)


async def _minutes(connection: AsyncConnection, owner: Owner) -> float:
    return float(await owner.questions.minutes.scalar(connection, **owner.told) or 0.0) / 60


def this_month() -> ColumnElement[Any]:
    """The first day of the month that it is now (UTC)."""
    return cast(func.date_trunc("month", func.timezone("UTC", func.now())), Date)


def noted_use(closed: Any) -> Any:
    """Notes for how long attempts held their devices; ``closed`` has their ``job_id``, ``started_at`` and ``away_s``."""
    held = func.greatest(0.0, func.extract("epoch", func.now() - closed.c.started_at) - closed.c.away_s)
    rows = select(job.c.account_id, job.c.in_project, this_month(), held).join(closed, closed.c.job_id == job.c.id)
    return insert(device_use).from_select(["account_id", "in_project", "month", "seconds"], rows)


async def sweep_device_use(hub: Hub) -> None:
    """Add up the rows of each account and project; what other replicas have in hand is left to them."""
    async with hub.database.single() as connection:
        await connection.execute(delete(device_use).where(device_use.c.month < cast(func.now() - MONTHS_KEPT, Date)))
    await _add_up(hub, device_use, ["account_id", "in_project", "month"], "seconds")


async def sweep_stored_bytes(hub: Hub) -> None:
    """As :func:`sweep_device_use`; before that, find out whose blobs are that nobody is known of, some at a time."""
    while await _find_owners(hub):
        pass
    await _add_up(hub, stored_bytes, ["account_id", "in_project"], "bytes")


async def _add_up(hub: Hub, table: Table, names: list[str], counted: str) -> None:
    """Make one row of several with the same keys, the oldest first; a sweep is through with 100,000."""
    keys = [table.c[one] for one in names]
    several = select(literal(1)).select_from(table).group_by(*keys).having(func.count() > 1).limit(1)
    chosen = select(table.c.id).order_by(table.c.id).limit(BATCH).with_for_update(skip_locked=True)
    gone = delete(table).where(table.c.id.in_(chosen.scalar_subquery())).returning(*keys, table.c[counted]).cte("gone")
    of = [gone.c[one] for one in names]
    total = func.sum(gone.c[counted])
    summed = select(*of, total).group_by(*of).having(total != 0)
    for _ in range(ROUNDS):
        async with hub.database.begin() as connection:
            if await connection.scalar(several) is None:
                return
            await connection.execute(insert(table).from_select([*names, counted], summed))


async def _find_owners(hub: Hub) -> bool:
    """Note whose the next blobs are; whether there may be more. What nobody refers to is left, for the sweep of files."""
    after = hub.looked_at.get(stored_bytes.name, "")
    async with hub.database.begin() as connection:
        last = await connection.scalar(OWNERS_NOTED, {"after": after, "most": OWNERS_AT_ONCE})
    hub.looked_at[stored_bytes.name] = last or ""
    return last is not None
