"""An agent says which device it serves."""

from __future__ import annotations

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from dynolab.errors import Forbidden, SpecInvalid
from dynolab.hub.store.tables import device
from dynolab.hub.usecases.base import Account, Hub, checked_name
from dynolab.spec.agents import DeviceOffer


async def announce_device(hub: Hub, agent: Account, offer: DeviceOffer) -> None:
    """Make the device known, or renew what is known of it. Raises :class:`Forbidden` when another agent announced it."""
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
        .on_conflict_do_update(index_elements=[device.c.id], set_=values, where=device.c.token_id == agent.token_id)
        .returning(device.c.id)
    )
    async with hub.database.begin() as connection:
        if (await connection.execute(statement)).one_or_none() is None:
            raise Forbidden(f"the device {offer.id!r} was announced with another token")
