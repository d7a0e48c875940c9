"""Boards, and what each is at: free, busy with a job, or away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from packaging.version import InvalidVersion, Version
from sqlalchemy import ColumnElement, Row, Subquery, and_, case, func, or_, select, true, tuple_

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, device, job, pool
from dynolab.hub.usecases.access import readable
from dynolab.hub.usecases.base import WAIT_MAX_S, Account, Hub, contains_text
from dynolab.hub.usecases.pool_rights import owns, sees

AWAY_AFTER_S = 2 * WAIT_MAX_S
"""A free board's agent asks again at least every :data:`WAIT_MAX_S`; after twice that it is not there."""

MARK_MOST = 20
"""Characters of an id that is shown whole; agents that have none make themselves one of 36."""
_BOARDS = device.join(pool, pool.c.id == device.c.pool_id).join(accounts, accounts.c.id == pool.c.account_id)


@dataclass(frozen=True, slots=True)
class BoardState:
    """A board; ``state`` is ``free``, ``busy`` or ``away``, ``since`` when its job began or its agent was last heard of.

    Apart from that ``health`` is ``good``, ``probation``, ``quarantined`` or ``unfit``, and ``why`` says why; an unfit or quarantined
    board takes no job.
    """

    id: str
    pool_id: str
    owner: str
    """The e-mail address of the account that answers for its pool."""
    name: str
    os: str
    attributes: tuple[str, ...]
    description: str
    frameworks: tuple[tuple[str, str], ...]
    created_at: datetime
    seen_at: datetime
    state: str
    health: str
    why: str
    health_by: str
    """Who quarantined it by hand, by e-mail address; empty: its probes did, or it is not."""
    health_since: datetime | None
    drift: str
    """What changed slowly over days; empty: nothing."""
    probed_again: str
    """Why it is being probed once more before it takes a job; empty: it is not."""
    is_own: bool
    """Whether who asks may quarantine and release it."""
    since: datetime
    job_id: str | None
    """What it is busy with; None also where the account may not see that job."""
    job_name: str | None
    agent_version: str
    """Of dynolab there; empty: its agent did not say."""

    @property
    def agent_is_older(self) -> bool:
        """Whether its agent is of an older version than this hub."""
        try:
            return bool(self.agent_version) and Version(self.agent_version) < Version(version("dynolab"))
        except InvalidVersion:
            return False

    @property
    def mark(self) -> str:
        """What tells it apart from others of its name: its id, of a long one the beginning."""
        return self.id if len(self.id) <= MARK_MOST else self.id[:8]

    @property
    def model(self) -> tuple[str, str, tuple[str, ...]]:
        """What it shares with the other boards of its device model."""
        return self.pool_id, self.os, self.attributes


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Which boards: empty is all."""

    id: str = ""
    name: str = ""
    """The whole name of their device."""
    text: str = ""
    """A part of their id, name, system, attributes or description."""
    attribute: str = ""
    lines: Collection[tuple[str, str]] | None = None
    """Pools and systems; None: all."""


async def find_board_states(
    hub: Hub,
    account: Account,
    wanted: BoardFilter,
    *,
    limit: int,
    after: tuple[str, str] = ("", ""),
    of_each_model: int | None = None,
) -> list[BoardState]:
    """The boards that the account is told of, by name and id, from those on that come ``after`` a name and id.

    ``of_each_model``: no more than so many of each device model, the first ones by their ids.
    """
    held = (attempt.c.id == device.c.attempt_id) & (attempt.c.state == "running")
    own = (job.c.id == attempt.c.job_id) & _own(account)
    seen = func.greatest(device.c.seen_at, attempt.c.renewed_at)
    page = _page(account, wanted, limit, after, of_each_model)
    statement = (
        select(
            device,
            accounts.c.email.label("owner"),
            owns(account).label("is_own"),
            seen.label("last_seen_at"),
            is_away(seen).label("away"),
            attempt.c.started_at,
            job.c.id.label("job_id"),
            job.c.name.label("job_name"),
        )
        .select_from(page.join(_BOARDS, device.c.id == page.c.id).outerjoin(attempt, held).outerjoin(job, own))
        .order_by(device.c.name, device.c.id)
    )
    async with hub.database.begin() as connection:
        return [_state(row) for row in (await connection.execute(statement)).all()]


@lru_cache(maxsize=64)
def _own(account: Account) -> ColumnElement[bool]:
    """Jobs whose names it may be told. Kept: to build it takes a few milliseconds."""
    return readable(job, account)


def _page(
    account: Account, wanted: BoardFilter, limit: int, after: tuple[str, str], of_each_model: int | None
) -> Subquery:
    """The ids of the page's boards."""
    name, id = after
    beyond = and_(device.c.name >= name, or_(device.c.name > name, device.c.id > id)) if name or id else true()
    found = select(device.c.id, device.c.name).select_from(_BOARDS).where(*matching(account, wanted), beyond)
    if of_each_model is not None:
        of = (device.c.pool_id, device.c.os, device.c.attributes)
        number = func.row_number().over(partition_by=of, order_by=device.c.id).label("number")
        numbered = found.add_columns(number).subquery()
        found = select(numbered.c.id, numbered.c.name).where(numbered.c.number <= of_each_model)
        return found.order_by(numbered.c.name, numbered.c.id).limit(limit).subquery()
    return found.order_by(device.c.name, device.c.id).limit(limit).subquery()


def matching(account: Account, wanted: BoardFilter) -> list[ColumnElement[bool]]:
    """The conditions on rows of devices, beside their pools."""
    conditions = [sees(account)]
    if wanted.id:
        conditions.append(device.c.id == wanted.id)
    if wanted.name:
        conditions.append(device.c.name == wanted.name)
    if wanted.attribute:
        conditions.append(device.c.attributes.contains([wanted.attribute]))
    if wanted.lines is not None:
        conditions.append(tuple_(device.c.pool_id, device.c.os).in_(list(wanted.lines)))
    if wanted.text:
        words = func.array_to_string(device.c.attributes, " ")
        said = device.c.id, device.c.name, device.c.os, device.c.description, words
        conditions.append(or_(*(contains_text(one, wanted.text) for one in said)))
    return conditions


async def count_board_states(hub: Hub, account: Account, wanted: BoardFilter) -> Counter[str]:
    """How many boards are free, busy or away; free ones that take no job are counted as ``unfit`` or ``quarantined``."""
    held = (attempt.c.id == device.c.attempt_id) & (attempt.c.state == "running")
    away = is_away(func.greatest(device.c.seen_at, attempt.c.renewed_at))
    unwell = case((device.c.unfit != "", "unfit"), (device.c.health == "quarantined", "quarantined"), else_="free")
    state = case((attempt.c.id.is_not(None), "busy"), (away, "away"), else_=unwell)
    found = (
        select(state.label("state"), func.count().label("boards"))
        .select_from(_BOARDS.outerjoin(attempt, held))
        .group_by(state)
    )
    async with hub.database.begin() as connection:
        rows = (await connection.execute(found.where(*matching(account, wanted)))).all()
    return Counter({row.state: row.boards for row in rows})


def is_away(seen: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a board was last heard of too long ago; or at a time that is yet to come, because the clock was set back since."""
    return func.abs(func.extract("epoch", func.now() - seen)) > AWAY_AFTER_S


def _state(row: Row[Any]) -> BoardState:
    state = "busy" if row.started_at is not None else "away" if row.away else "free"
    return BoardState(
        id=row.id,
        pool_id=row.pool_id,
        owner=row.owner,
        name=row.name,
        os=row.os,
        attributes=tuple(row.attributes),
        description=row.description,
        frameworks=tuple((one["name"], one["version"]) for one in row.frameworks),
        created_at=row.created_at,
        seen_at=row.last_seen_at,
        state=state,
        health="unfit" if row.unfit else row.health,
        why=row.unfit or ("" if row.health == "good" else row.health_why),
        health_by=row.health_by,
        health_since=row.health_since,
        drift=row.drift,
        probed_again=row.health_why if row.health == "good" and row.bad_probes else "",
        is_own=row.is_own,
        since=row.started_at if state == "busy" else row.last_seen_at,
        job_id=row.job_id,
        job_name=row.job_name,
        agent_version=row.agent_version,
    )
