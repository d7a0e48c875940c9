"""Where something new belongs: to a project, or to the personal space of the account that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, Text, any_, bindparam, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden, NotFound, UserError
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import member, organisation, project
from dynolab.hub.usecases.access import GIVEN, Given, array_of, full_name, projects_of
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.policy import ROLES, Standing, Verb, may
from dynolab.spec.projects import is_project

NAMED_MOST = 10
"""Projects that an error lists."""


@dataclass(frozen=True, slots=True)
class Place:
    """A project, with its organisation; or, with neither, the account's personal space, where ``label`` is any word of its own."""

    account: Account
    in_project: str | None = None
    organisation_id: str | None = None
    name: str = ""
    """``ORGANISATION.PROJECT``."""
    label: str = ""

    @property
    def columns(self) -> dict[str, str | None]:
        """What a row keeps of it."""
        return {"in_project": self.in_project, "project_id": self.in_project or self.label}

    @property
    def sender(self) -> Sender:
        """Who sends a job from here, as pools see it."""
        return Sender(self.account.id, self.account.email, self.organisation_id)


@dataclass(frozen=True, slots=True)
class Sender:
    """An account with a job of one organisation's, or of none."""

    id: int
    email: str
    organisation_id: str | None = None

    @property
    def given(self) -> Given:
        """As :attr:`Account.given`."""
        return SENDER

    @property
    def told(self) -> dict[str, object]:
        """As :attr:`Account.told`."""
        ids = [] if self.organisation_id is None else [self.organisation_id]
        return {"who_id": self.id, "who_email": self.email, "who_organisations": ids}


SENDER = replace(GIVEN, of_organisations=bindparam("who_organisations", type_=ARRAY(Text)))


async def find_place(connection: AsyncConnection, account: Account, named: str) -> Place:
    """Where the account makes something: a project that is named (by id or ``ORGANISATION.PROJECT``) or its token is bound to.

    Else it is its personal space, where any other word is a label of its own. Until the transaction ends nobody takes the account out of that project. Raises :class:`NotFound` for a project that the
    account may not see, and :class:`Forbidden` where it may only look.
    """
    if is_personal(account, named):
        return Place(account)
    wanted = named or str(account.project_id)
    row = await _project(connection, account, wanted)
    if row is None:
        if account.is_bound or not named or is_project(named):
            raise await no_project(connection, account, wanted)
        return Place(account, label=named)
    if not may(Verb.CREATE, Standing(await _locked_role(connection, account, row), in_project=True)):
        raise Forbidden(
            f"you may look at the project {row.full_name}, and make nothing in it",
            hint="its admins can make you a member",
        )
    return Place(account, row.id, row.organisation_id, row.full_name)


def is_personal(account: Account, named: str) -> bool:
    """Whether that can be told without a look: nothing is named."""
    return not named and account.project_id is None


async def no_project(connection: AsyncConnection, account: Account, named: str) -> UserError:
    """What to raise where the account sees no project of that name: it lists those that it sees, for a token that is bound its own."""
    who = account if account.is_bound else replace(account, project_id=None)
    seen = project.c.id == any_(array_of(projects_of(who)))
    names: Select[Any] = select(full_name()).select_from(project).join(organisation).where(seen).order_by(full_name())
    found = list((await connection.execute(names.limit(NAMED_MOST + 1))).scalars())
    if account.is_bound:
        return Forbidden(
            f"this token works in the project {found[0] if found else account.project_id} alone, not in {named!r}",
            hint="leave the project out, or use a token that is bound to none",
        )
    if not found:
        return NotFound(
            f"there is no project {named!r}", hint="you are in none: leave it out, or ask for an invitation"
        )
    more = ", ..." if len(found) > NAMED_MOST else ""
    return NotFound(f"there is no project {named!r}", hint=f"you are in {', '.join(found[:NAMED_MOST])}{more}")


async def look_in(hub: Hub, account: Account, named: str) -> str | None:
    """The id of the project that a list is narrowed to, by id or name; None: the word is a label. Raises as :func:`no_project` says.

    In a browser that looks at another project, nothing is in the list then.
    """
    who = account if account.is_bound else replace(account, project_id=None)
    async with hub.database.begin() as connection:
        known = await find_project(connection, who, named)
        if known is None and (account.is_bound or is_project(named)):
            raise await no_project(connection, account, named)
    return known


async def project_names(hub: Hub, account: Account) -> dict[str, str]:
    """``ORGANISATION.PROJECT`` of the projects that the account looks at, by id, in the order of names."""
    async with hub.database.single() as connection:
        rows = await _naming(account.given).all(connection, **account.told)
    return {row.id: row.full_name for row in rows}


@cache
def _naming(who: Given) -> Prepared:
    found: Select[Any] = select(project.c.id, full_name().label("full_name")).join(organisation)
    seen = project.c.id == any_(array_of(projects_of(who)))
    return Prepared(found.where(seen).order_by(full_name()))


async def listed_projects(hub: Hub, account: Account) -> dict[str, str]:
    """Those that a list can show side by side, as :func:`project_names`; none where it shows one alone."""
    return await project_names(hub, account) if account.project_id is None else {}


async def names_for(hub: Hub, account: Account, rows: Iterable[Row[Any]]) -> dict[str, str]:
    """The same for what these rows of jobs, models or datasets need: nothing is asked where none is in a project."""
    return await project_names(hub, account) if any(row.in_project is not None for row in rows) else {}


async def find_project(connection: AsyncConnection, account: Account, named: str) -> str | None:
    """The id of the project of this id or name that the account sees; None: there is none."""
    row = await _project(connection, account, named)
    return None if row is None else str(row.id)


async def _project(connection: AsyncConnection, account: Account, named: str) -> Any:
    return await _finding(account.given).one_or_none(connection, named=named, **account.told)


@cache
def _finding(who: Given) -> Prepared:
    columns = project.c.id, project.c.organisation_id, full_name().label("full_name")
    found = select(*columns).select_from(project.join(organisation))
    named_so = or_(project.c.id == bindparam("named"), full_name() == bindparam("named"))
    return Prepared(found.where(named_so, project.c.id == any_(array_of(projects_of(who)))))


async def _locked_role(connection: AsyncConnection, account: Account, row: Any) -> Any:
    """The account's role, whose rows stay as they are until the transaction ends."""
    told = {"account": account.id, "organisation": row.organisation_id, "project": row.id}
    return max((ROLES[one.role] for one in await _ROLES.all(connection, **told)), default=None)


def _roles() -> Prepared:
    of_it = or_(member.c.project_id.is_(None), member.c.project_id == bindparam("project"))
    mine = member.c.account_id == bindparam("account"), member.c.organisation_id == bindparam("organisation"), of_it
    return Prepared(select(member.c.role).where(*mine).with_for_update(read=True))


_ROLES = _roles()
