"""Boards, and what each is at: free, busy with a job, or away."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from packaging.version import InvalidVersion, Version
from sqlalchemy import ColumnElement, Integer, Subquery, Text, and_, bindparam, func, not_, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, device, job, pool
from dynolab.hub.usecases.access import Given, readable
from dynolab.hub.usecases.base import WAIT_MAX_S, Account, Hub, contains_given, pattern
from dynolab.hub.usecases.pool_rights import owns, sees

AWAY_AFTER_S = 2 * WAIT_MAX_S
"""A free board's agent asks again at least every :data:`WAIT_MAX_S`; after twice that it is not there."""

MARK_MOST = 20
"""Characters of an id that is shown whole; agents that have none make themselves one of 36."""
_BOARDS = device.join(pool, pool.c.id == device.c.pool_id).join(accounts, accounts.c.id == pool.c.account_id)
_SHOWN = (
    *(device.c.id, device.c.pool_id, device.c.name, device.c.os, device.c.attributes, device.c.description),
    *(device.c.frameworks, device.c.created_at, device.c.unfit, device.c.health, device.c.health_why),
    *(device.c.health_by, device.c.health_since, device.c.bad_probes, device.c.drift, device.c.agent_version),
)
HELD = (attempt.c.id == device.c.attempt_id) & (attempt.c.state == "running")
"""The attempt that a board is at now."""
SEEN = func.greatest(device.c.seen_at, attempt.c.renewed_at)
"""When a board's agent was last heard of."""


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
        return bool(self.agent_version) and _is_older(self.agent_version)

    @property
    def mark(self) -> str:
        """What tells it apart from others of its name: its id, of a long one the beginning."""
        return self.id if len(self.id) <= MARK_MOST else self.id[:8]

    @property
    def model(self) -> tuple[str, str, tuple[str, ...]]:
        """What it shares with the other boards of its device model."""
        return self.pool_id, self.os, self.attributes


@lru_cache(maxsize=256)
def _is_older(agent_version: str) -> bool:
    """Kept: this hub's own version is read from a file each time."""
    try:
        return Version(agent_version) < Version(version("dynolab"))
    except InvalidVersion:
        return False


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

    @property
    def given(self) -> frozenset[str]:
        """What is not empty: statements differ by that."""
        named = {name for name in ("id", "name", "text", "attribute") if getattr(self, name)}
        return frozenset(named if self.lines is None else {*named, "lines"})

    @property
    def told(self) -> dict[str, object]:
        """What a prepared statement with :func:`matching` is given."""
        lines = list(self.lines or ())
        return {
            "wanted_id": self.id,
            "wanted_name": self.name,
            "wanted_text": pattern(self.text),
            "wanted_words": [self.attribute],
            "wanted_pools": [pool_id for pool_id, _ in lines],
            "wanted_systems": [system for _, system in lines],
        }


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
    finding = _finding(account.given_with_rights, wanted.given, any(after), of_each_model is not None)
    name, id = after
    told = {"most": limit, "after_name": name, "after_id": id, "of_each": of_each_model}
    async with hub.database.single() as connection:
        return [_state(row) for row in await finding.all(connection, **told, **wanted.told, **account.told)]


@cache
def _finding(who: Given, given: frozenset[str], is_after: bool, of_each_model: bool) -> Prepared:
    own = (job.c.id == attempt.c.job_id) & readable(job, who)
    page = _page(who, given, is_after, of_each_model)
    statement = (
        select(
            *_SHOWN,
            accounts.c.email.label("owner"),
            owns(who).label("is_own"),
            SEEN.label("last_seen_at"),
            is_away(SEEN).label("away"),
            attempt.c.started_at,
            job.c.id.label("job_id"),
            job.c.name.label("job_name"),
        )
        .select_from(page.join(_BOARDS, device.c.id == page.c.id).outerjoin(attempt, HELD).outerjoin(job, own))
        .order_by(device.c.name, device.c.id)
    )
    return Prepared(statement)


def _page(who: Given, given: frozenset[str], is_after: bool, of_each_model: bool) -> Subquery:
    """The ids of the page's boards."""
    name, id = (bindparam(f"after_{end}", type_=Text) for end in ("name", "id"))
    beyond = and_(device.c.name >= name, or_(device.c.name > name, device.c.id > id)) if is_after else true()
    found = select(device.c.id, device.c.name).select_from(_BOARDS).where(*matching(who, given), beyond)
    most = bindparam("most", type_=Integer)
    if of_each_model:
        of = (device.c.pool_id, device.c.os, device.c.attributes)
        number = func.row_number().over(partition_by=of, order_by=device.c.id).label("number")
        numbered = found.add_columns(number).subquery()
        found = select(numbered.c.id, numbered.c.name).where(numbered.c.number <= bindparam("of_each", type_=Integer))
        return found.order_by(numbered.c.name, numbered.c.id).limit(most).subquery()
    return found.order_by(device.c.name, device.c.id).limit(most).subquery()


def matching(who: Given, given: frozenset[str]) -> list[ColumnElement[bool]]:
    """The conditions on rows of devices, beside their pools, of a prepared statement: :attr:`BoardFilter.told` gives it the words."""
    words = func.array_to_string(device.c.attributes, " ")
    said = device.c.id, device.c.name, device.c.os, device.c.description, words
    pools, systems, attributes = (
        bindparam(f"wanted_{name}", type_=ARRAY(Text)) for name in ("pools", "systems", "words")
    )
    conditions = {
        "id": device.c.id == bindparam("wanted_id"),
        "name": device.c.name == bindparam("wanted_name"),
        "attribute": device.c.attributes.contains(attributes),
        "lines": tuple_(device.c.pool_id, device.c.os).in_(select(func.unnest(pools), func.unnest(systems))),
        "text": or_(*(contains_given(one, "wanted_text") for one in said)),
    }
    return [sees(who), *(condition for name, condition in conditions.items() if name in given)]


def is_away(seen: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a board was last heard of too long ago; or at a time that is yet to come, because the clock was set back since."""
    after = timedelta(seconds=AWAY_AFTER_S)
    return not_(seen.between(func.now() - after, func.now() + after))


def _state(row: Any) -> BoardState:
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
