"""Invitation links that nobody has followed yet: who made them, and taking them back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import member_link
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.change_members import where_named
from dynolab.hub.usecases.policy import Verb

short_digest = func.left(member_link.c.digest, 16)
"""What a link goes by: the beginning of its digest, which opens nothing."""


@dataclass(frozen=True, slots=True)
class MemberLink:
    """A link that is still good, once."""

    id: str
    role: str
    made_by: str
    """The address of who made it."""
    expires_at: datetime


async def find_member_links(
    hub: Hub, account: Account, *, organisation: str = "", project: str = ""
) -> list[MemberLink]:
    """Those into an organisation or into one project, soonest to end first. Raises :class:`NotFound` and :class:`Forbidden`."""
    check_whole(account)
    async with hub.database.begin() as connection:
        where = await where_named(connection, account, organisation, project, Verb.MANAGE)
        found = select(
            short_digest.label("id"), member_link.c.role, accounts.c.email.label("made_by"), member_link.c.expires_at
        )
        found = found.join(accounts, accounts.c.id == member_link.c.made_by)
        found = found.where(where.of(member_link), member_link.c.expires_at > func.now())
        rows = (await connection.execute(found.order_by(member_link.c.expires_at, short_digest))).all()
    return [MemberLink(row.id, row.role, row.made_by, row.expires_at) for row in rows]


async def withdraw_member_link(
    hub: Hub, account: Account, link_id: str, *, organisation: str = "", project: str = ""
) -> None:
    """From now on nobody becomes a member by it. Raises :class:`NotFound` and :class:`Forbidden`."""
    check_whole(account)
    async with hub.database.begin() as connection:
        where = await where_named(connection, account, organisation, project, Verb.MANAGE)
        gone = delete(member_link).where(where.of(member_link), short_digest == link_id).returning(member_link.c.role)
        role = await connection.scalar(gone)
        if role is None:
            raise NotFound(
                f"there is no invitation {link_id[:40]!r}", hint="it was followed or withdrawn, or has ended"
            )
        kind, place = ("project", where.project_id) if project else ("organisation", where.organisation_id)
        await note(connection, "member.uninvite", kind, place, details={"role": role, "in": where.name})
