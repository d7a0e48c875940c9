"""The OpenID Connect provider says that somebody has signed out there: their browsers are signed out here, too."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from dynolab.hub.store.tables import identity, logout_token, session
from dynolab.hub.usecases.audit import note, refusals_noted
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.sign_in import digest
from dynolab.hub.usecases.sign_in_by_oidc import the_provider

if TYPE_CHECKING:
    from dynolab.hub.store.oidc import Logout


async def end_sessions_by_oidc(hub: Hub, token: str) -> int:
    """How many browsers the provider's logout token signed out. Tokens that their people made stay good.

    Raises what :func:`dynolab.hub.store.oidc.refused` makes, for a token that came before too, and :class:`RateLimited`.
    """
    from dynolab.hub.store.oidc import FRESH_S, LEEWAY_S, refused

    there = the_provider(hub)
    async with refusals_noted(hub, "session.end", way="oidc"), hub.sign_in_throttle.counted("secret", digest(token)):
        logout = await there.provider.read_logout(token)
        values = {"digest": digest(f"{logout.issuer} {logout.token_id}")}
        until = func.now() + timedelta(seconds=FRESH_S + 2 * LEEWAY_S)  # it is too old then
        once = upsert(logout_token).values(**values, expires_at=until).on_conflict_do_nothing()
        async with hub.database.begin() as connection:
            if await connection.scalar(once.returning(logout_token.c.digest)) is None:
                raise refused("token", "the logout token has come before")
            ended = delete(session).where(session.c.way == "oidc", _named(logout))
            rows = (await connection.execute(ended.returning(session.c.id, session.c.account_id))).all()
            for row in rows:
                told = {"way": "oidc"}
                await note(connection, "session.end", "session", row.id, account_id=row.account_id, details=told)
    return len(rows)


def _named(logout: Logout) -> ColumnElement[bool]:
    """The browsers that it names: those of the session that ended there, or all of the person's where it tells none.

    Of a browser that signed in without such a name it is not known, so it ends with any.
    """
    of = identity.c.issuer == logout.issuer, identity.c.subject == logout.subject
    persons = session.c.account_id.in_(select(identity.c.account_id).where(*of))
    if logout.session is None:
        return persons
    same = session.c.provider_session == logout.session
    return same if logout.subject is None else and_(persons, or_(same, session.c.provider_session.is_(None)))
