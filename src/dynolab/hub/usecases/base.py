"""What every use case is handed: the hub's parts, and who asks."""

from __future__ import annotations

import asyncio
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, Table, Text, and_, bindparam, cast, or_, true
from sqlalchemy.dialects.postgresql import ARRAY, array

from dynolab.errors import SpecInvalid
from dynolab.hub.scheduling.followers import Followers
from dynolab.hub.scheduling.queue import Queue
from dynolab.hub.scheduling.wakeups import Wakeups
from dynolab.hub.store import tables
from dynolab.hub.store.blobs import Blobs
from dynolab.hub.store.concurrency_limit import ConcurrencyLimit
from dynolab.hub.store.database import Database
from dynolab.hub.store.direct import DirectTransfers
from dynolab.hub.store.links import Links
from dynolab.hub.store.oidc_flow import Flows
from dynolab.hub.store.passwords import Passwords
from dynolab.hub.usecases.access import GIVEN, GIVEN_PROJECT, Given, array_of, given_with_rights, organisations_of
from dynolab.hub.usecases.policy import Verb
from dynolab.hub.usecases.scopes import ALL
from dynolab.hub.usecases.sign_in_throttle import SignInThrottle
from dynolab.spec.compare import StageComparison
from dynolab.spec.compared_outputs import ComparedOutputs
from dynolab.spec.profiles import Profile

if TYPE_CHECKING:
    from dynolab.hub.store.oidc import Provider
    from dynolab.hub.usecases.announce_device import Announced
    from dynolab.hub.usecases.find_probes import Probes

_LETTERS = string.ascii_lowercase + string.digits
NAME_MAX = 256
CLAIMS_AT_ONCE, CLAIMS_WAITING = 4, 500
"""Looks of agents for a job: a fleet that comes back all at once leaves connections of the database's pool to everybody else."""
WAIT_MAX_S = 25.0
"""How long an agent's question for a job is held open."""
COMPARED_WAITING = 10
"""Comparisons of outputs that wait for the one that is made."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and periods that use cases keep (see :class:`dynolab.hub.settings.Settings`)."""

    lease_s: float
    part_bytes: int
    model_max_bytes: int
    dataset_life_days: int
    data_max_bytes: int | None = None
    quota_bytes: int | None = None
    """Of one project, or one account's personal space, as are the two below (see :mod:`dynolab.hub.usecases.quotas`)."""
    quota_jobs: int | None = None
    quota_minutes: int | None = None
    orphan_age_s: float = 3600.0
    digest_bytes_per_s: int = 32 << 20
    """How fast what went past the hub is read for its digest, by all replicas together."""
    run_s: float = 3600.0
    """How long an attempt of a job without a deadline may run."""
    audit_kept: timedelta | None = timedelta(days=365)
    """How long rows of the audit log are kept; None: for ever."""
    token_life: timedelta | None = None
    """How long a new token is good where nobody says; None: for ever."""
    token_life_max: timedelta | None = None
    token_overlap: timedelta = timedelta(days=1)
    """How long a token's old secret is good beside the new one."""


@dataclass(frozen=True, slots=True)
class TrendCache:
    """What trends were last drawn from (see :mod:`dynolab.hub.usecases.find_trend`): a result never changes."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    """Without layers and readings, by the result's blob."""
    answers: dict[tuple[str, str, str], StageComparison] = field(default_factory=dict)
    """By the two blobs and the stage."""


@dataclass(frozen=True, slots=True)
class SignInProvider:
    """An OpenID Connect provider, and the sign-ins that are under way there."""

    provider: Provider
    flows: Flows


@dataclass(frozen=True, slots=True)
class Waiting:
    """The jobs that wait for devices of pools of one name."""

    jobs: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """``queues`` by name of pool; ``devices`` by state (``free``, ``busy``, ``away``) and health (as on the devices' page)."""

    queues: dict[str, Waiting]
    devices: dict[tuple[str, str], int]
    attempts_running: int


@dataclass(slots=True)
class FleetCache:
    """What was found last."""

    fleet: Fleet | None = None
    until_s: float = 0.0
    """Until when (monotonic) it is told."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Hub:
    """One running hub's parts."""

    database: Database
    queue: Queue
    wakeups: Wakeups
    blobs: Blobs
    links: Links
    limits: Limits
    direct: DirectTransfers | None = None
    """How bytes go to the store and come from it past the hub; None: through the hub alone."""
    signed_in: dict[tuple[str, str], CachedAccount] = field(default_factory=dict)
    """Accounts by door and token's digest, for a few seconds (see :mod:`dynolab.hub.usecases.sign_in`)."""
    looking_up: dict[tuple[str, str, int], asyncio.Task[Account]] = field(default_factory=dict)
    """The same, with the revision of the tokens: those that are being asked for."""
    announced: dict[str, Announced] = field(default_factory=dict)
    """What was last said of each device (see :mod:`dynolab.hub.usecases.announce_device`)."""
    wrong_blobs: set[str] = field(default_factory=set)
    """Those that have another size in the store than was noted: told once, and not read again."""
    seen: set[str] = field(default_factory=set)
    """Devices that were heard of since that was last noted."""
    shown_probes: dict[str, tuple[tuple[object, ...], Probes]] = field(default_factory=dict)
    """What was found last of each device's probes, by what it was made of (see :mod:`dynolab.hub.usecases.find_probes`)."""
    followers: Followers = field(default_factory=Followers)
    claims: ConcurrencyLimit = field(
        default_factory=lambda: ConcurrencyLimit(
            "too many agents ask for a job at once", CLAIMS_AT_ONCE, CLAIMS_WAITING
        )
    )
    passwords: Passwords = field(default_factory=Passwords)
    oidc: SignInProvider | None = None
    """Whom people may sign in by; None: by tokens and passwords alone."""
    sign_in_throttle: SignInThrottle = field(default_factory=SignInThrottle)
    unnamed: dict[str, float] = field(default_factory=dict)
    """Objects that nobody refers to, and when (monotonic) they were first seen so (see :mod:`.sweep_objects`)."""
    swept: set[float] = field(default_factory=set)
    """When this replica swept leases last, by the database's clock (see :mod:`dynolab.hub.usecases.time_away`)."""
    looked_at: dict[str, str] = field(default_factory=dict)
    """How far sweeps that go through a large table bit by bit have come, by the table's name: the last key."""
    fleet: FleetCache = field(default_factory=FleetCache)
    page_ends: dict[tuple[str, int], tuple[Cursor, float]] = field(default_factory=dict)
    """Which rows pages by offset ended with, and until when (monotonic) that holds (see :mod:`dynolab.hub.usecases.offset_pages`)."""
    trends: TrendCache = field(default_factory=TrendCache)
    compared_outputs: dict[tuple[str, str], ComparedOutputs] = field(default_factory=dict)
    """What was found of two jobs' outputs, by their blobs (see :mod:`dynolab.hub.usecases.compare_outputs`)."""
    comparing_outputs: ConcurrencyLimit = field(
        default_factory=lambda: ConcurrencyLimit("too many outputs are compared at once", 1, COMPARED_WAITING)
    )


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks: a user, or the user whose agent asks."""

    id: int
    email: str
    name: str
    token_id: str
    """What was sent, or what the browser was signed in with; empty where that was no token."""
    session_id: str = ""
    """The browser's; empty for whoever sends a token."""
    is_admin: bool = False
    """Runs the hub."""
    scopes: frozenset[str] = ALL
    """What the token is for (see :mod:`dynolab.hub.usecases.scopes`)."""
    expires_at: datetime | None = None
    """When what was sent is good no more; None: it has no end of its own."""
    rotate_after: datetime | None = None
    """From when on it should be rotated; None: that is up to its holder."""
    is_replaced: bool = False
    """A token's secret of before its rotation was sent."""
    project_id: str | None = None
    """The project that is looked at: nothing else is seen, and what is made is in there."""
    is_bound: bool = False
    """Whether the token is bound to that project, and so changes nothing of the account; else a browser has chosen it for now."""
    project_name: str = ""
    """Of the project that a browser has chosen, or its token is bound to."""

    @property
    def given(self) -> Given:
        """Who stands for it in a prepared statement."""
        return GIVEN if self.project_id is None else GIVEN_PROJECT

    @property
    def given_with_rights(self) -> Given:
        """The same in a statement whose rules are others for who runs the hub, and for a token that is bound."""
        in_project = self.project_id is not None
        return given_with_rights(in_project=in_project, is_bound=self.is_bound, is_admin=self.is_admin)

    @property
    def told(self) -> dict[str, object]:
        """What a prepared statement is told of it with each call."""
        return {"who_id": self.id, "who_email": self.email, "who_project": self.project_id}

    @property
    def organisations(self) -> ColumnElement[Any]:
        """An array of the ids of the organisations whose devices its jobs may go to, as a part of a statement."""
        return array_of(organisations_of(self, Verb.CREATE))


@dataclass(frozen=True, slots=True)
class CachedAccount:
    """An account that was found, when (monotonic), and at which revision of the tokens (see :class:`Wakeups`)."""

    account: Account
    at_s: float
    revision: int | None


def new_id(letter: str) -> str:
    """An id that nobody can guess: a letter for its kind, then 12 letters and digits."""
    number, letters = secrets.randbelow(len(_LETTERS) ** 12), [letter]
    for _ in range(12):
        number, which = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[which])
    return "".join(letters)


def job_uses(table: Table, ids: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a job is given one of these models or datasets: their ids, or what stands for them in a prepared statement."""
    jobs = tables.job.c
    if table is tables.dataset:
        return jobs.dataset_id.in_(ids)
    return or_(
        jobs.model_id.in_(ids),
        jobs.baseline_id.in_(ids),
        *(column.overlap(cast(array(list(ids)), ARRAY(Text))) for column in (jobs.linked_ids, jobs.source_ids)),
    )


@dataclass(frozen=True, slots=True)
class Cursor:
    """A keyset cursor: a row's place in a list that is sorted newest first, by its instant and id.

    ``newer``: the page before it is asked for; else the page after it.
    """

    at: datetime
    id: str
    newer: bool = False


def beyond_cursor(at: ColumnElement[Any], id: ColumnElement[Any], cursor: Cursor | None) -> ColumnElement[bool]:
    """The condition for the rows beyond a cursor, on the side that it asks for, by these columns; None: all rows."""
    if cursor is None:
        return true()
    if cursor.newer:
        return and_(at >= cursor.at, or_(at > cursor.at, id < cursor.id))
    return and_(at <= cursor.at, or_(at < cursor.at, id > cursor.id))


def keyset_order(
    at: ColumnElement[Any], id: ColumnElement[Any], cursor: Cursor | None
) -> tuple[ColumnElement[Any], ...]:
    """The order in which the rows beyond a cursor are read: the newest first, or backwards from it."""
    return (at, id.desc()) if cursor is not None and cursor.newer else (at.desc(), id)


def newest_first(rows: Sequence[Row[Any]], cursor: Cursor | None) -> list[Row[Any]]:
    """Rows that were read in the order of :func:`keyset_order`, as they are shown."""
    return list(reversed(rows)) if cursor is not None and cursor.newer else list(rows)


def contains_given(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a text is part of the column's, in any case, in a prepared statement: it is given :func:`pattern` of it as ``name``."""
    return column.ilike(bindparam(name, type_=Text), escape="/")


def pattern(text: str) -> str:
    """What LIKE finds a text by in which nothing has a meaning of its own; ``/`` escapes."""
    escaped = re.sub("[/%_]", r"/\g<0>", text)
    return f"%{escaped}%"


def checked_name(name: str, what: str) -> str:
    """A name as it is kept: trimmed. Raises :class:`SpecInvalid` for one that files could not be named by."""
    name = name.strip()
    if len(name) > NAME_MAX:
        raise SpecInvalid(f"the {what}'s name has {len(name)} characters; {NAME_MAX} is the most")
    odd = sorted({character for character in name if character == "/" or not character.isprintable()})
    if odd:
        raise SpecInvalid(
            f"the {what}'s name {name!r} holds {odd[0]!r}", hint="names have no slash and no control character"
        )
    return name
