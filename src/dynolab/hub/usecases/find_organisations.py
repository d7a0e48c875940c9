"""Organisations and projects that an account sees, with its role, their members and devices."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden, NotFound, UserError
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import member, organisation, pool, project
from dynolab.hub.usecases.access import full_name, standing_in
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.place import NAMED_MOST, no_project
from dynolab.hub.usecases.policy import LEAST, NOBODY, ROLES, Role, Standing, Verb, may

LOOKED_THROUGH = 1000
"""Projects among which those are looked for that are named like one that is not there."""


@dataclass(frozen=True, slots=True)
class Member:
    """An account and its role, a word of :data:`ROLES`."""

    email: str
    name: str
    role: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A project, as an account sees it: ``role`` is the account's there; None: it is no member, and runs the hub."""

    id: str
    name: str
    full_name: str
    """``ORGANISATION.PROJECT``."""
    organisation: str
    organisation_id: str
    role: str | None
    created_at: datetime
    members: tuple[Member, ...]
    """Those of this project alone; those of the organisation are members too."""
    kept_days: int | None
    most_bytes: int | None
    most_jobs: int | None
    most_minutes: int | None
    may_create: bool
    may_manage: bool


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation, as an account sees it; ``members`` and ``pools`` are empty for who is a member of a project alone."""

    id: str
    name: str
    role: str | None
    """The account's in all of it."""
    created_at: datetime
    members: tuple[Member, ...]
    projects: tuple[Project, ...]
    """Those that the account sees, by name."""
    pools: tuple[str, ...]
    """The names of its pools of devices."""
    may_manage: bool
    may_own: bool


async def find_organisations(hub: Hub, account: Account) -> list[Organisation]:
    """Those that the account sees, by name: as a member of them or of a project, or because it runs the hub."""
    async with hub.database.begin() as connection:
        return await _found(connection, account, select(organisation))


async def find_organisation(hub: Hub, account: Account, named: str) -> Organisation:
    """One of them, by id or name. Raises :class:`NotFound`."""
    async with hub.database.begin() as connection:
        named_so = or_(organisation.c.id == named, organisation.c.name == named)
        found = await _found(connection, account, select(organisation).where(named_so))
    if not found:
        raise _no_organisation(named)
    return found[0]


async def find_one_project(hub: Hub, account: Account, named: str) -> Project:
    """A project that the account sees, by id or ``ORGANISATION.PROJECT``. Raises :class:`NotFound`, :class:`Forbidden`."""
    async with hub.database.begin() as connection:
        row = await project_row(connection, account, named, Verb.SEE)
        of = select(organisation).where(organisation.c.id == row.organisation_id)
        found = await _found(connection, account, of)
        seen = [one for each in found for one in each.projects if one.id == row.id]
        if not seen:
            raise await _no_project(connection, account, named)
    return seen[0]


async def organisation_row(connection: AsyncConnection, account: Account, named: str, verb: Verb) -> Row[Any]:
    """The organisation's row, locked, if the account may do this in all of it. Raises :class:`NotFound`, :class:`Forbidden`."""
    found = select(organisation).where(or_(organisation.c.id == named, organisation.c.name == named))
    row: Row[Any] | None = (await connection.execute(found.with_for_update())).one_or_none()
    stands = NOBODY if row is None else await standing_in(connection, account, row.id, runs_hub=account.is_admin)
    if row is None or not (may(Verb.SEE, stands) or await _sees_a_project(connection, account, row.id)):
        raise _no_organisation(named)
    if not may(verb, stands):
        raise _refused(row.name, verb, stands)
    return row


async def project_row(connection: AsyncConnection, account: Account, named: str, verb: Verb) -> Row[Any]:
    """The project's row with ``full_name``, locked but to look at it, if the account may do this there. Raises :class:`NotFound`, :class:`Forbidden`."""
    found: Select[Any] = select(project, full_name().label("full_name")).join(organisation)
    found = found.where(or_(project.c.id == named, full_name() == named))
    if verb is not Verb.SEE:
        found = found.with_for_update(of=project)
    row: Row[Any] | None = (await connection.execute(found)).one_or_none()
    stands = NOBODY
    if row is not None:
        stands = await standing_in(connection, account, row.organisation_id, row.id, runs_hub=account.is_admin)
    if row is None or not may(Verb.SEE, stands):
        raise await _no_project(connection, account, named)
    if not may(verb, stands):
        raise _refused(row.full_name, verb, stands)
    return row


def _refused(name: str, verb: Verb, stands: Standing) -> Forbidden:
    if verb is Verb.RUN:
        return Forbidden(f"only an administrator of the hub may change this of {name}", hint="ask one of them")
    role = stands.role.word if stands.role is not None else "no member"
    takes = LEAST[
        Verb.MANAGE if verb is Verb.SEE else verb
    ]  # who sees a project alone may not look at the whole either
    return Forbidden(f"you are {role} in {name}: it takes {takes.word} to change this", hint="ask one of its admins")


async def _no_project(connection: AsyncConnection, account: Account, named: str) -> UserError:
    """As :func:`no_project`; who runs the hub is told of projects that are named alike, those of the same organisation first."""
    if account.is_bound or not account.is_admin:
        return await no_project(connection, account, named)
    message, owner = f"there is no project {named!r}", named.partition(".")[0]
    names: Select[Any] = select(full_name()).select_from(project).join(organisation).order_by(full_name())
    found = list((await connection.execute(names.where(organisation.c.name == owner).limit(LOOKED_THROUGH))).scalars())
    if found:
        return NotFound(message, hint=f"projects of {owner}: {_closest(named, found)}")
    found = list((await connection.execute(names.limit(LOOKED_THROUGH))).scalars())
    if found:
        return NotFound(message, hint=f"projects of this hub: {_closest(named, found)}")
    return NotFound(message, hint="this hub has none: `dynolab hub organisation project` makes one")


def _closest(named: str, names: list[str]) -> str:
    """The first :data:`NAMED_MOST` of the names, those that are most like this one before others."""
    ranked = sorted(names, key=lambda one: -difflib.SequenceMatcher(None, named, one).ratio())
    return ", ".join(ranked[:NAMED_MOST]) + (", ..." if len(ranked) > NAMED_MOST else "")


def _no_organisation(named: str) -> NotFound:
    return NotFound(f"there is no organisation {named!r}", hint="it may have another name, or you are no member of it")


async def _sees_a_project(connection: AsyncConnection, account: Account, organisation_id: str) -> bool:
    mine = select(member.c.project_id).where(
        member.c.account_id == account.id, member.c.organisation_id == organisation_id
    )
    ids = list((await connection.execute(mine)).scalars())
    return account.project_id in ids if account.is_bound else bool(ids)


async def _found(connection: AsyncConnection, account: Account, wanted: Select[Any]) -> list[Organisation]:
    """Four statements, however many there are."""
    mine = select(member.c.organisation_id).where(member.c.account_id == account.id)
    if not (account.is_admin and not account.is_bound):
        wanted = wanted.where(organisation.c.id.in_(mine))
    if account.is_bound:
        bound = select(project.c.organisation_id).where(project.c.id == account.project_id)
        wanted = wanted.where(organisation.c.id.in_(bound))
    rows = (await connection.execute(wanted.order_by(organisation.c.name))).all()
    ids = [row.id for row in rows]
    members = (
        await connection.execute(
            select(member, accounts.c.email, accounts.c.name)
            .join(accounts, accounts.c.id == member.c.account_id)
            .where(member.c.organisation_id.in_(ids))
            .order_by(accounts.c.email)
        )
    ).all()
    of_project: Select[Any] = select(project).where(project.c.organisation_id.in_(ids)).order_by(project.c.name)
    projects: Sequence[Any] = (await connection.execute(of_project)).all()
    pools: Sequence[Any] = (
        await connection.execute(
            select(pool.c.organisation_id, pool.c.name).where(pool.c.organisation_id.in_(ids)).order_by(pool.c.name)
        )
    ).all()
    by_place: dict[tuple[str, str | None], list[Row[Any]]] = defaultdict(list)
    for one in members:
        by_place[one.organisation_id, one.project_id].append(one)
    made = [_organisation(row, account, by_place, projects, pools) for row in rows]
    return [one for one in made if one is not None]


def _organisation(
    row: Row[Any],
    account: Account,
    members: dict[tuple[str, str | None], list[Row[Any]]],
    projects: Sequence[Any],
    pools: Sequence[Any],
) -> Organisation | None:
    whole = members[row.id, None]
    runs_hub = account.is_admin and not account.is_bound
    role = _role_among(whole, account)
    seen = []
    for one in projects:
        if one.organisation_id == row.id and (not account.is_bound or account.project_id == one.id):
            there = Standing(_highest(role, _role_among(members[row.id, one.id], account)), True, runs_hub=runs_hub)
            if may(Verb.SEE, there):
                seen.append(_project(one, row.name, there, members[row.id, one.id]))
    stands = Standing(None if account.is_bound else role, in_project=True, runs_hub=runs_hub)
    if not may(Verb.SEE, stands) and not seen:
        return None
    return Organisation(
        id=row.id,
        name=row.name,
        role=None if stands.role is None else stands.role.word,
        created_at=row.created_at,
        members=tuple(map(_member, whole)) if may(Verb.SEE, stands) else (),
        projects=tuple(seen),
        pools=tuple(one.name for one in pools if one.organisation_id == row.id) if may(Verb.SEE, stands) else (),
        may_manage=may(Verb.MANAGE, stands),
        may_own=may(Verb.OWN, stands),
    )


def _project(row: Row[Any], organisation_name: str, stands: Standing, members: Sequence[Row[Any]]) -> Project:
    return Project(
        id=row.id,
        name=row.name,
        full_name=f"{organisation_name}.{row.name}",
        organisation=organisation_name,
        organisation_id=row.organisation_id,
        role=None if stands.role is None else stands.role.word,
        created_at=row.created_at,
        members=tuple(map(_member, members)),
        kept_days=row.kept_days,
        most_bytes=row.most_bytes,
        most_jobs=row.most_jobs,
        most_minutes=row.most_minutes,
        may_create=may(Verb.CREATE, stands),
        may_manage=may(Verb.MANAGE, stands),
    )


def _member(row: Row[Any]) -> Member:
    return Member(row.email, row.name, row.role, row.added_at)


def _role_among(rows: Sequence[Row[Any]], account: Account) -> Role | None:
    return next((ROLES[row.role] for row in rows if row.account_id == account.id), None)


def _highest(*roles: Role | None) -> Role | None:
    return max((one for one in roles if one is not None), default=None)
