"""Whose browser it is that asks for a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import bindparam, func, select, update

from dynolab.errors import Unauthorized
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account, organisation, project, session, token
from dynolab.hub.usecases.access import check_whole, full_name
from dynolab.hub.usecases.asking import asking
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.place import find_project, no_project
from dynolab.hub.usecases.scopes import ALL, check_scope, held
from dynolab.hub.usecases.sign_in import digest

SEEN_EVERY = timedelta(minutes=5)
"""How often it is written down that a browser was here: a page that is open asks every second."""


async def read_session(hub: Hub, secret: str, *, any_scope: bool = False) -> Account:
    """Whose cookie it is. Raises :class:`Unauthorized` for one that is forged, too old, or was ended.

    Unless ``any_scope``, raises :class:`Forbidden` where the token that it was opened by is not for such a request.
    """
    key = digest(secret)
    async with hub.sign_in_throttle.counted("secret", key):
        found = await _read(hub, key)
    if (request := asking.get()) is not None:
        request.noted(found.id, found.email, token_id=found.token_id, session_id=found.session_id)
        if not any_scope:
            check_scope(found.scopes, request.method, request.path)
    return found


def _finding() -> Prepared:
    """Whose browser it is, by the ``digest`` of its cookie."""
    unseen = (session.c.seen_at < func.now() - SEEN_EVERY).label("unseen")
    found = (
        select(
            *(account.c.id, account.c.email, account.c.name, account.c.is_admin),
            *(session.c.id.label("session_id"), session.c.token_id, unseen, token.c.scopes),
            *(token.c.project_id.label("bound_to"), session.c.project_id, full_name().label("project_name")),
        )
        .join(session, session.c.account_id == account.c.id)
        .outerjoin(token, token.c.id == session.c.token_id)
        .outerjoin(project, project.c.id == func.coalesce(token.c.project_id, session.c.project_id))
        .outerjoin(organisation, organisation.c.id == project.c.organisation_id)
        .where(
            session.c.digest == bindparam("digest"), session.c.expires_at > func.now(), account.c.closed_at.is_(None)
        )
    )
    return Prepared(found)


_FINDING = _finding()


async def _read(hub: Hub, key: str) -> Account:
    async with hub.database.single() as connection:
        row = await _FINDING.one_or_none(connection, digest=key)
        if row is not None and row.unseen:
            seen = update(session).where(session.c.id == row.session_id).values(seen_at=func.now())
            await connection.execute(seen)
    if row is None:
        raise Unauthorized("this browser is not signed in, or not any more", hint="sign in again")
    scopes = ALL if row.token_id is None else held("user", row.scopes)
    return Account(
        row.id,
        row.email,
        row.name,
        row.token_id or "",
        row.session_id,
        is_admin=row.is_admin,
        scopes=scopes,
        project_id=row.bound_to or row.project_id,
        is_bound=row.bound_to is not None,
        project_name=row.project_name or "",
    )


async def choose_project(hub: Hub, account: Account, named: str) -> None:
    """Have the browser look at one project from now on, by id or name; empty: at all that the account may see.

    Raises :class:`NotFound` for a project that the account does not see, and :class:`Forbidden` where its token is bound to one.
    """
    check_whole(account)
    async with hub.database.begin() as connection:
        chosen = await find_project(connection, replace(account, project_id=None), named) if named else None
        if named and chosen is None:
            raise await no_project(connection, account, named)
        mine = session.c.id == account.session_id, session.c.account_id == account.id
        await connection.execute(update(session).where(*mine).values(project_id=chosen))
