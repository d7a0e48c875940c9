"""An agent says which device it serves."""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, exists, func, or_
from sqlalchemy.dialects.postgresql import insert

from dynolab.errors import Forbidden, SpecInvalid
from dynolab.hub.store.tables import device, token
from dynolab.hub.usecases.base import Account, Hub, checked_name
from dynolab.spec.agents import DeviceOffer

SAME_S = 10.0
ANNOUNCED_MOST = 100_000


async def announce_device(hub: Hub, agent: Account, offer: DeviceOffer) -> None:
    """Make the device known, or renew what is known of it. Raises :class:`Forbidden` when another agent announced it.

    A device whose token was revoked is taken over by another token of the same account.

    The same words of the same agent are written at most once in a while: an agent says them with every question.
    """
    now, said = time.monotonic(), (agent.token_id, offer)
    before = hub.announced.get(offer.id)
    if before is not None and before[1] == said and now - before[0] < SAME_S:
        return
    if not offer.id or not offer.name:
        raise SpecInvalid("a device needs an id and a name")
    for attribute in offer.attributes:
        if attribute.count(":") != 1:
            raise SpecInvalid(f"the device's attribute {attribute!r} is not key:value")
    values = {
        "name": checked_name(offer.name, "device"),
        "os": offer.os,
        "attributes": list(offer.attributes),
        "description": offer.description,
        "frameworks": [{"name": name, "version": version} for name, version in sorted(offer.frameworks.items())],
        "seen_at": func.now(),
    }
    statement = (
        insert(device)
        .values(id=offer.id, token_id=agent.token_id, **values)
        .on_conflict_do_update(
            index_elements=[device.c.id], set_={**values, "token_id": agent.token_id}, where=_may_speak_for(agent)
        )
        .returning(device.c.id)
    )
    async with hub.database.begin() as connection:
        if (await connection.execute(statement)).one_or_none() is None:
            raise Forbidden(f"the device {offer.id!r} was announced with another token")
    if len(hub.announced) > ANNOUNCED_MOST:
        hub.announced.clear()
    hub.announced[offer.id] = (now, said)


def _may_speak_for(agent: Account) -> ColumnElement[bool]:
    """Whether the device is the agent's, or was that of a token of the same account that is worth nothing any more."""
    old = token.c.id == device.c.token_id, token.c.account_id == agent.id, token.c.revoked_at.is_not(None)
    return or_(device.c.token_id == agent.token_id, exists().where(*old))
