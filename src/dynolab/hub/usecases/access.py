"""The policy in SQL: which rows an account may read, its role beside a row, and one row for one verb.

:func:`readable` says for lists what :func:`dynolab.hub.usecases.policy.may` says of one thing; a test holds the two against each
other, for every standing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden, NotFound
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import member, organisation, project, share
from dynolab.hub.usecases.policy import ROLES, Role, Standing, Verb, least_roles, may

Lock = Literal["share", "own"]
ACTS = {
    "rename": Verb.CHANGE,
    "upload": Verb.CHANGE,
    "cancel": Verb.CHANGE,
    "pin": Verb.CHANGE,
    "share": Verb.SHARE,
    "delete": Verb.DELETE,
}
"""What is done with a thing, as people are told it, and the policy's verb for it."""


class Who(Protocol):
    """An account: who asks, or columns of a statement that tell one in each row."""

    @property
    def id(self) -> Any:
        """Its number."""

    @property
    def email(self) -> Any:
        """Its address."""


class Asker(Who, Protocol):
    """Who asks, with the project that is looked at."""

    @property
    def project_id(self) -> Any:
        """The project that is looked at; None: all."""

    @property
    def is_bound(self) -> bool:
        """Whether the token is bound to it."""


class Caller(Asker, Protocol):
    """Who asks, as prepared statements are made for it."""

    @property
    def given(self) -> Given:
        """Who stands for it in such a statement."""

    @property
    def told(self) -> dict[str, object]:
        """What the statement is told of it with each call."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """An asker whose words a prepared statement is given with each call. Rules differ by whether one project is looked at."""

    id: Any
    email: Any
    project_id: Any = None
    is_bound: bool = False
    is_admin: bool = False
    of_organisations: Any = None

    @property
    def organisations(self) -> Any:
        """An array of the ids of the organisations whose devices its jobs may go to: those that are given, or those it works in."""
        return array_of(organisations_of(self, Verb.CREATE)) if self.of_organisations is None else self.of_organisations


_WHO = bindparam("who_id", type_=BigInteger), bindparam("who_email", type_=Text)
GIVEN, GIVEN_PROJECT = Given(*_WHO), Given(*_WHO, bindparam("who_project", type_=Text))
"""Who looks at everything, and at one project."""


@cache
def given_with_rights(*, in_project: bool, is_bound: bool, is_admin: bool) -> Given:
    """The same, for statements that differ by whether the token is bound to the project, and by who runs the hub."""
    return replace(GIVEN_PROJECT if in_project else GIVEN, is_bound=is_bound, is_admin=is_admin)


def array_of(found: Select[Any]) -> ColumnElement[Any]:
    """The array of what a statement finds."""
    return func.array(found.scalar_subquery())


def projects_of(who: Who, verb: Verb = Verb.READ) -> Select[Any]:
    """The ids of the projects in which the account's role allows this, whoever made a thing there."""
    of, there = member.alias(), project.alias()
    here = and_(
        of.c.organisation_id == there.c.organisation_id, or_(of.c.project_id.is_(None), of.c.project_id == there.c.id)
    )
    roles = [role.word for role in least_roles(verb)]
    found = select(there.c.id).distinct().join(of, here).where(of.c.account_id == who.id, of.c.role.in_(roles))
    bound = getattr(who, "project_id", None)
    return found if bound is None else found.where(there.c.id == bound)


def organisations_of(who: Who, verb: Verb = Verb.SEE) -> Select[Any]:
    """The ids of the organisations with such a project, or in all of which the account's role allows this."""
    of, there = member.alias(), project.alias()
    roles = [role.word for role in least_roles(verb)]
    found = select(of.c.organisation_id).distinct().where(of.c.account_id == who.id, of.c.role.in_(roles))
    bound = getattr(who, "project_id", None)
    if bound is None:
        return found
    here = or_(of.c.project_id.is_(None), of.c.project_id == there.c.id)
    return found.where(exists().where(there.c.id == bound, there.c.organisation_id == of.c.organisation_id, here))


def organisations_run_by(who: Who) -> Select[Any]:
    """The ids of the organisations that the account manages: all of it, not a project alone."""
    of = member.alias()
    roles = [role.word for role in least_roles(Verb.MANAGE)]
    mine = of.c.account_id == who.id, of.c.project_id.is_(None), of.c.role.in_(roles)
    return select(of.c.organisation_id).where(*mine)


def readable(table: Table, account: Asker) -> ColumnElement[bool]:
    """Rows of ``job``, ``model`` or ``dataset`` that the account may read, not the deleted."""
    mine = table.c.in_project == any_(array_of(projects_of(account)))
    if account.project_id is None:
        own = and_(table.c.account_id == account.id, table.c.in_project.is_(None))
        mine = or_(own, mine, _shared(table, account))
    return and_(mine, table.c.deleted_at.is_(None)) if "deleted_at" in table.c else mine


def _shared(table: Table, account: Who) -> ColumnElement[bool]:
    of = share.alias()
    return exists().where(of.c.target_id == table.c.id, of.c.email == account.email).correlate(table)


def _role(account: Asker, project_id: ColumnElement[Any]) -> ColumnElement[Any]:
    """The number of the account's role in the project of a row; NULL: it has none."""
    of, there = member.alias(), project.alias()
    rank = case({word: role.value for word, role in ROLES.items()}, value=of.c.role)
    here = and_(
        of.c.organisation_id == there.c.organisation_id, or_(of.c.project_id.is_(None), of.c.project_id == there.c.id)
    )
    found = select(func.max(rank)).select_from(there.join(of, here))
    mine = there.c.id == project_id, of.c.account_id == account.id
    return found.where(*mine).correlate(project_id.table).scalar_subquery()


def standing_columns(table: Table, account: Asker) -> tuple[ColumnElement[Any], ...]:
    """What :func:`standing` reads of a row, beside ``account_id`` and ``in_project``."""
    shared = _shared(table, account) if account.project_id is None else literal(False)
    return _role(account, table.c.in_project).label("role"), shared.label("is_shared")


def standing(row: Any, account: Asker) -> Standing:
    """How the account stands to the thing whose row, with :func:`standing_columns`, this is."""
    if account.project_id not in (None, row.in_project):
        return Standing()
    return Standing(
        role=None if row.role is None else Role(row.role),
        in_project=row.in_project is not None,
        is_maker=row.account_id == account.id,
        is_shared=row.is_shared,
    )


async def find_visible(
    connection: AsyncConnection, table: Table, target_id: str, account: Caller, *, lock: Lock | None = None
) -> Any:
    """The row of that id, locked till the transaction ends: ``share`` keeps others from deleting it, ``own`` from all.

    Raises :class:`NotFound` for what is not there and for what the account may not read, alike.
    """
    row = None
    # Locked first: what is asked for together with a lock stands as it was before the wait for it, such as who may read.
    if lock is None or await _locking(table, lock).scalar(connection, target=target_id) is not None:
        row = await _looking(table, account.given).one_or_none(connection, target=target_id, **account.told)
    if row is None or not may(Verb.READ, standing(row, account)):
        raise NotFound(f"there is no {table.name} {target_id!r}", hint="it may have been deleted, or belong to another")
    return row


@cache
def _locking(table: Table, lock: Lock) -> Prepared:
    return Prepared(_there(select(table.c.id), table).with_for_update(read=lock == "share"))


@cache
def _looking(table: Table, who: Given) -> Prepared:
    return Prepared(_there(select(table, *standing_columns(table, who)), table))


def _there(found: Select[Any], table: Table) -> Select[Any]:
    """Narrowed to the ``target``, if it is not deleted."""
    found = found.where(table.c.id == bindparam("target"))
    return found.where(table.c.deleted_at.is_(None)) if "deleted_at" in table.c else found


async def find_owned(
    connection: AsyncConnection, table: Table, target_id: str, account: Caller, act: str, *, lock: Lock | None = None
) -> Any:
    """As :func:`find_visible`, for what its maker may do, and admins of its project: one of :data:`ACTS`. Raises :class:`Forbidden`."""
    row = await find_visible(connection, table, target_id, account, lock=lock)
    stands = standing(row, account)
    if may(ACTS[act], stands):
        return row
    if not stands.in_project or stands.role is None:
        raise Forbidden(f"the {table.name} {target_id} is another's: only its owner may {act} it")
    raise Forbidden(
        f"the {table.name} {target_id} is in a project where you are {stands.role.word}: its maker and admins may {act} it",
        hint="ask one of its admins",
    )


async def allowed_among(
    connection: AsyncConnection, table: Table, ids: list[str], account: Caller, act: str
) -> set[str]:
    """Those of the rows with which the account may do this."""
    rows = await _standings(table, account.given).all(connection, ids=ids, **account.told)
    return {row.id for row in rows if may(ACTS[act], standing(row, account))}


@cache
def _standings(table: Table, who: Given) -> Prepared:
    found = select(table.c.id, table.c.account_id, table.c.in_project, *standing_columns(table, who))
    return Prepared(found.where(table.c.id == any_(bindparam("ids", type_=ARRAY(Text)))))


async def standing_in(
    connection: AsyncConnection,
    account: Asker,
    organisation_id: str,
    project_id: str | None = None,
    *,
    runs_hub: bool = False,
) -> Standing:
    """How the account stands to an organisation, or a project of it."""
    of = member.alias()
    here = (
        of.c.project_id.is_(None)
        if project_id is None
        else or_(of.c.project_id.is_(None), of.c.project_id == project_id)
    )
    if account.is_bound:
        here = and_(here, literal(project_id == account.project_id))
    found = select(of.c.role).where(of.c.account_id == account.id, of.c.organisation_id == organisation_id, here)
    roles = [ROLES[word] for word in (await connection.execute(found)).scalars()]
    return Standing(max(roles, default=None), in_project=True, runs_hub=runs_hub and not account.is_bound)


def check_whole(account: Asker) -> None:
    """Raises :class:`Forbidden` for a token that is bound to a project, which changes nothing of its account."""
    if account.is_bound:
        raise Forbidden(
            f"this token works in the project {account.project_id} alone, and changes nothing of its account",
            hint="use a token that is bound to no project",
        )


def full_name() -> ColumnElement[Any]:
    """``ORGANISATION.PROJECT``, in a statement that joins both."""
    return organisation.c.name + "." + project.c.name
