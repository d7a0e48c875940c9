"""Organisations and projects are made and deleted."""

from __future__ import annotations

import re

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, Forbidden, NotFound, SpecInvalid
from dynolab.hub.store.tables import dataset, job, member, model, organisation, project
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.addresses import account_at
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub, new_id
from dynolab.hub.usecases.closed import is_closed
from dynolab.hub.usecases.find_organisations import organisation_row, project_row
from dynolab.hub.usecases.policy import Role, Standing, Verb, may

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
PROJECTS_MOST = 200
"""Of one organisation: lists look into each project that an account sees."""


async def create_organisation(hub: Hub, account: Account, name: str, owner: str) -> str:
    """The new organisation's id; ``owner`` is the address of its first owner.

    Raises :class:`Forbidden` for who does not run the hub, :class:`SpecInvalid`, :class:`NotFound` for an address that no account
    has, and :class:`Conflict` for a name that is taken or an account that was closed.
    """
    check_whole(account)
    if not may(Verb.RUN, Standing(runs_hub=account.is_admin)):
        raise Forbidden("only an administrator of the hub makes organisations", hint="ask one of them")
    values = {"id": new_id("o"), "name": checked_slug(name)}
    async with hub.database.begin() as connection:
        owner_id = await account_of(connection, owner)
        made = upsert(organisation).values(values).on_conflict_do_nothing().returning(organisation.c.id)
        if await connection.scalar(made) is None:
            raise Conflict(f"there is an organisation {name!r} already", hint="choose another name")
        first = {"organisation_id": values["id"], "account_id": owner_id, "role": Role.OWNER.word}
        await connection.execute(insert(member).values(first))
        told = {"name": name, "owner": owner}
        await note(connection, "organisation.make", "organisation", values["id"], details=told)
    return values["id"]


async def create_project(hub: Hub, account: Account, organisation_named: str, name: str) -> str:
    """The new project's id. Raises :class:`NotFound`, :class:`Forbidden`, :class:`SpecInvalid` and :class:`Conflict`."""
    check_whole(account)
    values = {"id": new_id("r"), "name": checked_slug(name)}
    async with hub.database.begin() as connection:
        row = await organisation_row(connection, account, organisation_named, Verb.MANAGE)
        count = select(func.count()).where(project.c.organisation_id == row.id)
        if int(await connection.scalar(count) or 0) >= PROJECTS_MOST:
            raise Conflict(f"the organisation {row.name} has {PROJECTS_MOST} projects", hint="delete one that is empty")
        made = upsert(project).values(**values, organisation_id=row.id).on_conflict_do_nothing().returning(project.c.id)
        if await connection.scalar(made) is None:
            raise Conflict(f"there is a project {row.name}.{name} already", hint="choose another name")
        await note(connection, "project.make", "project", values["id"], details={"name": f"{row.name}.{name}"})
    return values["id"]


async def delete_project(hub: Hub, account: Account, named: str) -> None:
    """An empty project goes, with its members, and tokens that are bound to it.

    Raises :class:`NotFound`, :class:`Forbidden`, and :class:`Conflict` for one that has models, datasets or jobs.
    """
    check_whole(account)
    async with hub.database.begin() as connection:
        row = await project_row(connection, account, named, Verb.MANAGE)
        for table in (job, model, dataset):
            there = [table.c.in_project == row.id]
            if table is not job:  # the deleted keep a row for their name in jobs, which is nobody's any more
                gone = update(table).where(*there, table.c.deleted_at.is_not(None)).values(in_project=None)
                await connection.execute(gone)
            if await connection.scalar(select(table.c.id).where(*there).limit(1)) is not None:
                raise Conflict(
                    f"the project {row.full_name} is not empty: it has {table.name}s", hint="delete them first"
                )
        await connection.execute(delete(project).where(project.c.id == row.id))
        await note(connection, "project.delete", "project", row.id, details={"name": row.full_name})
    hub.signed_in.clear()


async def delete_organisation(hub: Hub, account: Account, named: str) -> None:
    """One without projects goes, with its members; its devices are their owners' again.

    Raises :class:`NotFound`, :class:`Forbidden`, and :class:`Conflict` for one that has projects.
    """
    check_whole(account)
    async with hub.database.begin() as connection:
        row = await organisation_row(connection, account, named, Verb.OWN)
        if (
            await connection.scalar(select(project.c.id).where(project.c.organisation_id == row.id).limit(1))
            is not None
        ):
            raise Conflict(f"the organisation {row.name} has projects", hint="delete them first")
        await connection.execute(delete(organisation).where(organisation.c.id == row.id))
        await note(connection, "organisation.delete", "organisation", row.id, details={"name": row.name})


async def account_of(connection: AsyncConnection, email: str, *, closed: bool = False) -> int:
    """The id of the account of this address, however it is capitalised.

    Raises :class:`NotFound`, and, unless ``closed``, :class:`Conflict` for one that was closed.
    """
    found = await account_at(connection, email)
    if found is None:
        raise NotFound(
            f"there is no account {email[:254]!r}", hint="`dynolab hub account add` makes one; a link invites as well"
        )
    if found.closed_at is not None and not closed:
        raise is_closed(found.email)
    return int(found.id)


def checked_slug(name: str) -> str:
    """The same. Raises :class:`SpecInvalid` for a name that no address could hold."""
    if not NAME.fullmatch(name):
        raise SpecInvalid(
            f"{name[:60]!r} is no name of an organisation or project",
            hint="small letters, digits and hyphens, 40 at most, and no hyphen at either end",
        )
    return name
