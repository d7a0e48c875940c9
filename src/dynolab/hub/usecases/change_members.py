"""Who is a member of an organisation or project, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, Forbidden, NotFound, SpecInvalid
from dynolab.hub.store.tables import job, member, member_link, organisation, project
from dynolab.hub.usecases.access import check_whole, full_name, standing_in
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.change_organisation import account_of
from dynolab.hub.usecases.find_organisations import organisation_row, project_row
from dynolab.hub.usecases.policy import ROLES, Role, Verb, may_name
from dynolab.hub.usecases.sign_in import digest
from dynolab.hub.usecases.withdraw_jobs import withdraw_jobs

LINK_LIFE = timedelta(days=7)
MEMBERS_MOST = 1000
"""Of one organisation with its projects."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What somebody has become a member of."""

    organisation: str
    project: str | None
    """``ORGANISATION.PROJECT``; None: the whole organisation."""
    role: str


@dataclass(frozen=True, slots=True)
class Where:
    """A whole organisation, or a project of it (``project_id``), by ids and by the ``name`` that people know."""

    organisation_id: str
    project_id: str | None
    name: str

    @property
    def columns(self) -> dict[str, str | None]:
        return {"organisation_id": self.organisation_id, "project_id": self.project_id}

    def of(self, table: Any) -> Any:
        """The rows of members, or of links, that are of exactly this."""
        here = table.c.project_id.is_(None) if self.project_id is None else table.c.project_id == self.project_id
        return and_(table.c.organisation_id == self.organisation_id, here)


async def set_member(
    hub: Hub, account: Account, email: str, role: str | None, *, organisation: str = "", project: str = ""
) -> None:
    """Make an account a member with this role, or none any more (None), of an organisation or of one project.

    What takes something away takes effect at once: jobs of the account's that wait for what it may not see any more fail.

    Raises :class:`NotFound` for what is not there, :class:`SpecInvalid` for a role that is none, :class:`Forbidden` for what the
    account may not give, and :class:`Conflict` where no owner would be left and for an account that was closed.
    """
    check_whole(account)
    becomes = None if role is None else checked_role(role, of_project=bool(project))
    async with hub.database.begin() as connection:
        where = await where_named(connection, account, organisation, project, Verb.SEE)
        account_id = await account_of(connection, email, closed=becomes is None)
        mine = member.c.account_id == account_id, where.of(member)
        before = await connection.scalar(select(member.c.role).where(*mine).with_for_update())
        if before is None and becomes is None:
            raise NotFound(f"{email} is no member of {where.name}", hint="its page lists its members")
        leaves = becomes is None and account_id == account.id
        await _check_name(connection, account, where, ROLES.get(before or ""), becomes, leaves=leaves)
        await _put(connection, where, account_id, becomes)
        told = {"email": email, "role": role, "before": before, "in": where.name}
        await note(connection, "member.change", "account", account_id, details=told)
        if before is not None and (becomes is None or becomes < ROLES[before]):
            await withdraw_jobs(hub, connection, job.c.account_id == account_id)


async def _put(connection: AsyncConnection, where: Where, account_id: int, becomes: Role | None) -> None:
    mine = member.c.account_id == account_id, where.of(member)
    if becomes is None:
        await connection.execute(delete(member).where(*mine))
    elif await connection.scalar(update(member).where(*mine).values(role=becomes.word).returning(member.c.id)) is None:
        values = {**where.columns, "account_id": account_id, "role": becomes.word}
        await connection.execute(upsert(member).values(values).on_conflict_do_nothing())
    at = member.c.organisation_id == where.organisation_id
    if int(await connection.scalar(select(func.count()).where(at)) or 0) > MEMBERS_MOST:
        raise Conflict(f"{where.name} would have more than {MEMBERS_MOST} members")
    owners = select(member.c.id).where(at, member.c.project_id.is_(None), member.c.role == Role.OWNER.word)
    if await connection.scalar(owners.limit(1)) is None:
        raise Conflict(f"{where.name} would be left without an owner", hint="make somebody else an owner first")


async def _check_name(
    connection: AsyncConnection,
    account: Account,
    where: Where,
    named: Role | None,
    becomes: Role | None,
    *,
    leaves: bool,
) -> None:
    stands = await standing_in(connection, account, where.organisation_id, where.project_id, runs_hub=account.is_admin)
    if leaves or may_name(stands, named, becomes):
        return
    role = "no member" if stands.role is None else stands.role.word
    takes = Role.OWNER if Role.OWNER in (named, becomes) else Role.ADMIN
    raise Forbidden(
        f"you are {role} in {where.name}: it takes {takes.word} to change this", hint="ask one of its admins"
    )


async def make_member_link(
    hub: Hub, account: Account, role: str, secret: str, *, organisation: str = "", project: str = ""
) -> None:
    """Keep the digest of a link's secret: whoever is signed in and follows it within a week becomes a member, once.

    Raises what :func:`set_member` does; owners are not made by links.
    """
    check_whole(account)
    wanted = checked_role(role, of_project=True)
    async with hub.database.begin() as connection:
        where = await where_named(connection, account, organisation, project, Verb.MANAGE)
        await connection.execute(delete(member_link).where(member_link.c.expires_at < func.now()))
        values = {**where.columns, "role": wanted.word, "digest": digest(secret), "made_by": account.id}
        await connection.execute(insert(member_link).values(**values, expires_at=func.now() + LINK_LIFE))
        told = {"role": wanted.word, "in": where.name}
        kind, place = ("project", where.project_id) if project else ("organisation", where.organisation_id)
        await note(connection, "member.invite", kind, place, details=told)


async def read_member_link(hub: Hub, secret: str) -> Joined:
    """What a link makes its follower. Raises :class:`NotFound` for one that is used, too old, or none."""
    async with hub.database.begin() as connection:
        return _joined(await _link(connection, secret, take=False))


async def follow_member_link(hub: Hub, account: Account, secret: str) -> Joined:
    """Become a member by a link, which then is used. Who is one already keeps the higher role. Raises :class:`NotFound`."""
    check_whole(account)
    async with hub.database.begin() as connection:
        row = await _link(connection, secret, take=True)
        where = Where(row.organisation_id, row.project_id, row.full_name or row.organisation_name)
        mine = member.c.account_id == account.id, where.of(member)
        before = ROLES.get(await connection.scalar(select(member.c.role).where(*mine).with_for_update()) or "")
        if before is None or before < ROLES[row.role]:
            await _put(connection, where, account.id, ROLES[row.role])
        told = {"role": row.role, "in": where.name}
        await note(connection, "member.join", "account", account.id, details=told)
        return _joined(row)


async def _link(connection: AsyncConnection, secret: str, *, take: bool) -> Row[Any]:
    found = (
        select(member_link, organisation.c.name.label("organisation_name"), full_name().label("full_name"))
        .join(organisation, organisation.c.id == member_link.c.organisation_id)
        .outerjoin(project, project.c.id == member_link.c.project_id)
        .where(member_link.c.digest == digest(secret), member_link.c.expires_at > func.now())
    )
    row: Row[Any] | None = (
        await connection.execute(found.with_for_update(of=member_link) if take else found.where(true()))
    ).one_or_none()
    if row is None:
        raise NotFound("this invitation is not valid, or not any more", hint="ask for a new one")
    if take:
        await connection.execute(delete(member_link).where(member_link.c.digest == row.digest))
    return row


def _joined(row: Row[Any]) -> Joined:
    return Joined(row.organisation_name, row.full_name if row.project_id else None, row.role)


async def where_named(
    connection: AsyncConnection, account: Account, organisation_named: str, project_named: str, verb: Verb
) -> Where:
    """What is named, if the account may do this there. Raises :class:`NotFound` and :class:`Forbidden`."""
    if project_named:
        row = await project_row(connection, account, project_named, verb)
        return Where(row.organisation_id, row.id, row.full_name)
    row = await organisation_row(connection, account, organisation_named, verb)
    return Where(row.id, None, row.name)


def checked_role(word: str, *, of_project: bool) -> Role:
    """The role. Raises :class:`SpecInvalid` for a word that is none; a project has no owners of its own."""
    known = [role for role in Role if not (of_project and role is Role.OWNER)]
    found = next((role for role in known if role.word == word), None)
    if found is None and word == Role.OWNER.word:
        raise SpecInvalid(
            "owners are of a whole organisation, and are not made by links",
            hint="an owner of the organisation names them on its page, by their address",
        )
    if found is None:
        raise SpecInvalid(f"the role {word[:40]!r} is none", hint=f"known: {', '.join(role.word for role in known)}")
    return found
