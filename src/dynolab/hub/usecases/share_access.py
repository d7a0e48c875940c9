"""Whom a job, model or dataset is shared with. Sharing a job shares what belongs to it and to the job's owner as well."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Row, Table, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import SpecInvalid
from dynolab.hub.store.tables import account as owners
from dynolab.hub.store.tables import dataset, job, model, share
from dynolab.hub.usecases.access import allowed_among, find_owned, find_visible
from dynolab.hub.usecases.addresses import as_spelled
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub, job_uses
from dynolab.hub.usecases.withdraw_jobs import withdraw_jobs

EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
EMAIL_MOST = 254
"""Characters of an address (RFC 5321, 4.5.3.1.3, less the angle brackets)."""
AT_ONCE_MOST, SHARED_MOST = 100, 1000
"""Addresses in one change, and with whom one thing may be shared."""


async def shared_with(hub: Hub, account: Account, table: Table, target_id: str) -> list[str]:
    """The addresses that its owner shares it with for itself, sorted. Raises :class:`NotFound`."""
    async with hub.database.begin() as connection:
        await find_visible(connection, table, target_id, account)
        found = select(share.c.email).where(share.c.target_id == target_id, share.c.via == "").order_by(share.c.email)
        return list((await connection.execute(found)).scalars())


async def change_sharing(
    hub: Hub, account: Account, table: Table, target_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> list[str]:
    """Share with some addresses, and no longer with others; those of ``add`` that nobody here has, yet.

    With a job goes what belongs to it, as far as that is the account's own. What ends is what this sharing brought: what is
    shared for itself, or with another job, stays so.

    Raises :class:`NotFound`, :class:`Forbidden` for what is another's, and :class:`SpecInvalid` for what is no address or for
    too many.
    """
    checked_emails([*add, *remove])
    async with hub.database.begin() as connection:
        row = await find_owned(connection, table, target_id, account, "share", lock="own")
        add, remove = await as_spelled(connection, add), [*remove, *await as_spelled(connection, remove)]
        if remove:
            await _end(hub, connection, target_id, share.c.email.in_(remove))
            await note(
                connection,
                f"{table.name}.unshare",
                table.name,
                target_id,
                details={"emails": list(dict.fromkeys(remove))},
            )
        if add:
            await _grant(connection, account, table, row, add)
            await note(connection, f"{table.name}.share", table.name, target_id, details={"emails": add})
        known = set((await connection.execute(select(owners.c.email).where(owners.c.email.in_(add)))).scalars())
    return [email for email in add if email not in known]


async def stop_sharing(hub: Hub, account: Account, table: Table, target_id: str) -> None:
    """Share with nobody. Raises :class:`NotFound`, and :class:`Forbidden` for what is another's."""
    async with hub.database.begin() as connection:
        await find_owned(connection, table, target_id, account, "share", lock="own")
        await _end(hub, connection, target_id)
        await note(connection, f"{table.name}.unshare", table.name, target_id, details={"emails": "all"})


def checked_emails(emails: Sequence[str]) -> None:
    """Raises :class:`SpecInvalid` for what is no address, and for more than a request may hold."""
    if len(emails) > AT_ONCE_MOST:
        raise SpecInvalid(
            f"{len(emails)} addresses in one request; {AT_ONCE_MOST} is the most", hint="send them in several"
        )
    wrong = next((email for email in emails if len(email) > EMAIL_MOST or not EMAIL.fullmatch(email)), None)
    if wrong is not None:
        raise SpecInvalid(f"{wrong[:EMAIL_MOST]!r} is no e-mail address", hint="such as ana@example.org")


async def _grant(
    connection: AsyncConnection, account: Account, table: Table, row: Row[object], emails: list[str]
) -> None:
    targets = {row.id: ""} | dict.fromkeys(await _belonging(connection, account, table, row), row.id)
    rows = [
        {"target_id": target, "email": email, "via": via, "granted_by": account.id}
        for target, via in targets.items()
        for email in emails
    ]
    await connection.execute(insert(share).values(rows).on_conflict_do_nothing())
    count = select(func.count()).where(share.c.target_id == row.id, share.c.via == "")
    if int(await connection.scalar(count) or 0) > SHARED_MOST:
        raise SpecInvalid(f"the {table.name} {row.id} would be shared with more than {SHARED_MOST} addresses")


async def _belonging(connection: AsyncConnection, account: Account, table: Table, row: Row[object]) -> list[str]:
    """What belongs to a job and may be shared by the account: its models, its data, its outputs. Of what is another's nothing is widened."""
    if table is not job:
        return []
    parts = (
        (model, [row.model_id, row.baseline_id, *(row.linked_ids or []), row.target_model_id]),
        (dataset, [row.dataset_id, row.output_dataset_id]),
    )
    found: list[str] = []
    for of, ids in parts:
        there = [one for one in ids if one]
        same = select(of.c.id).where(of.c.id.in_(there), of.c.in_project.is_not_distinct_from(row.in_project))
        inside = list((await connection.execute(same)).scalars())
        able = await allowed_among(connection, of, inside, account, "share")
        found += [one for one in inside if one in able]
    return found


async def _end(hub: Hub, connection: AsyncConnection, target_id: str, *conditions: ColumnElement[bool]) -> None:
    """Take away what sharing this thing brought: itself, and what was shared with it. Jobs that wait for it fail."""
    brought = or_((share.c.target_id == target_id) & (share.c.via == ""), share.c.via == target_id)
    gone = (await connection.execute(delete(share).where(brought, *conditions).returning(share.c.target_id))).scalars()
    targets = list(gone)
    if targets:
        await withdraw_jobs(hub, connection, or_(job_uses(model, targets), job_uses(dataset, targets)))
