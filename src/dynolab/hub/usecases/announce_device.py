"""An agent says which device it serves, and in whose pool."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    any_,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, Forbidden, SpecInvalid
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account, device, pool, token
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id
from dynolab.hub.usecases.find_devices import OWNER, board_queue, pool_queue
from dynolab.hub.usecases.pool_rights import may_join
from dynolab.spec.agents import SANDBOX, SANDBOX_NONE, DeviceOffer
from dynolab.spec.toolchain_support import MAKES, TOOLCHAINS_ONLY, made

SAME_S = 10.0
"""An agent that says the same again within this time is not noted as seen anew."""
ANNOUNCED_MOST = 50_000
"""Devices that one replica remembers, each some hundred bytes."""
DEVICES_MOST = 500
"""Of one account; an offer has up to 40 kB, and every list of devices reads them."""
UNFIT_MOST = 500
"""Characters that are kept of why a device is unfit."""
INSTANCES_KEPT = 8
"""Processes that served a device before, of which one that comes back is told."""


@dataclass(frozen=True, slots=True)
class Board:
    """A device that the hub knows: its pool, and the queues whose jobs it takes."""

    pool_id: str
    queues: tuple[str, ...]
    served_by: tuple[int, ...] | None
    """The accounts whose agents serve devices of the pool, of whose jobs it takes those as well; None: it takes its own account's alone."""


@dataclass(slots=True)
class Announced:
    """What was last said of a device and when (monotonic), by whose token, and what came of it."""

    at_s: float
    said: str
    """A digest."""
    token_id: str
    board: Board
    is_free: bool = False
    """Whether the last look found the board free to take a job; before the first one that is not known."""


async def announce_device(hub: Hub, agent: Account, offer: DeviceOffer, unfit: str = "") -> Board:
    """Make the device known, or renew what is known of it. ``unfit``: why it takes no job now.

    A device whose token was revoked is taken over by another token of the same account. An agent says the same with every question:
    that it was seen is then noted with that of all others, once in a while (:func:`note_seen`).

    Raises :class:`Forbidden` when another agent announced it, or when the pool is another's who did not let the account in, and
    :class:`Conflict` for an agent whose place another one has taken that told the same id: there are two of them.
    """
    now, before = time.monotonic(), hub.announced.get(offer.id)
    said = blake2b(repr((agent.token_id, offer, unfit)).encode(), digest_size=16).hexdigest()
    if before is not None and before.said == said:
        if now - before.at_s >= SAME_S:
            before.at_s = now
            hub.seen.add(offer.id)
        return before.board
    values = {**_checked(offer), "unfit": unfit[:UNFIT_MOST], "seen_at": func.now(), "token_id": agent.token_id}
    values["said"] = said
    async with hub.database.begin() as connection:
        values["pool_id"] = pool_id = await _pool(connection, agent, offer)
        statement = (
            insert(device)
            .values(id=offer.id, instance=offer.instance, **values)
            .on_conflict_do_update(
                index_elements=[device.c.id],
                set_={**values, **_instances(offer.instance)},
                where=and_(_may_speak_for(agent), ~_was_replaced(offer.instance)),
            )
            .returning(device.c.id)
        )
        await _check_room(connection, agent, offer)
        if (await connection.execute(statement)).one_or_none() is None:
            twice = select(device.c.id).where(device.c.id == offer.id, _may_speak_for(agent))
            if await connection.scalar(twice) is not None:
                raise Conflict(
                    f"the device {offer.id!r} is served from two places at once",
                    hint="another agent was started for it since, on this machine or for the same board: stop one of them, or give one "
                    "a folder and a name of its own (DYNOLAB_STATE=FOLDER dynolab agent --name NAME). Or two boards tell one id, or "
                    "one token is used on two machines: give each a token of its own, and on a copied "
                    "system remove device-id in the folder DYNOLAB_STATE, or write its machine-id anew",
                )
            raise Forbidden(f"the device {offer.id!r} was announced with another token")
        served = (await _serving(connection, [pool_id]))[pool_id] if values["is_confined"] else None
    lines = [f"{MAKES}{one}" for one in made(offer.attributes)]
    if TOOLCHAINS_ONLY not in offer.attributes:
        lines.append(offer.os)
    own = [pool_queue(pool_id, line, one) for line in lines for one in served or (agent.id,)]
    shared = [pool_queue(pool_id, line) for line in lines] if values["is_confined"] else []
    board = Board(pool_id, (*shared, *own, board_queue(offer.id)), served)
    if len(hub.announced) > ANNOUNCED_MOST:
        hub.announced.clear()
    hub.announced[offer.id] = Announced(now, said, agent.token_id, board)
    return board


async def note_seen(hub: Hub) -> None:
    """Note which devices were heard of since the last time, all in one statement.

    Those that are another's by now, that were put out of their pool, or said something else to another replica, are forgotten, and so
    are those whose pool others serve by now: they are announced anew with the next question.
    """
    seen = {one: known for one in hub.seen if (known := hub.announced.get(one)) is not None}
    hub.seen.clear()
    if not seen:
        return
    each = seen.values()
    told = {"tokens": [one.token_id for one in each], "pools": [one.board.pool_id for one in each]}
    async with hub.database.single() as connection:
        rows = await SEEN.all(connection, ids=list(seen), said=[one.said for one in each], **told)
        served = await _serving(connection, set(told["pools"]))
    noted = {row.id for row in rows}
    for id, known in seen.items():
        if id not in noted or known.board.served_by not in (None, served.get(known.board.pool_id)):
            hub.announced.pop(id, None)


def _seeing() -> Prepared:
    columns = {"id": "ids", "token_id": "tokens", "pool_id": "pools", "said": "said"}
    arrays = [bindparam(name, type_=ARRAY(Text)) for name in columns.values()]
    told = func.unnest(*arrays).table_valued(*columns).render_derived("told")
    same = [device.c[name] == told.c[name] for name in columns]
    return Prepared(update(device).where(*same).values(seen_at=func.now()).returning(device.c.id))


SEEN = _seeing()


def _checked(offer: DeviceOffer) -> dict[str, object]:
    """The columns that the offer tells. Raises :class:`SpecInvalid`."""
    bounds.check_offer(offer)
    if not offer.id or not offer.name:
        raise SpecInvalid("a device needs an id and a name")
    for attribute in offer.attributes:
        if attribute.count(":") != 1:
            raise SpecInvalid(f"the device's attribute {attribute!r} is not key:value")
        if attribute.startswith(OWNER):
            raise SpecInvalid(
                f"the device's attribute {attribute!r} is the hub's to tell: the owner of the pool that the device is in",
                hint="leave it out, or give it another key",
            )
    return {
        "name": checked_name(offer.name, "device"),
        "os": offer.os,
        "attributes": list(offer.attributes),
        "is_confined": any(one.startswith(SANDBOX) and one != SANDBOX_NONE for one in offer.attributes),
        "description": offer.description,
        "agent_version": offer.agent_version,
        "frameworks": [{"name": name, "version": version} for name, version in sorted(offer.frameworks.items())],
    }


def _instances(instance: str) -> dict[str, object]:
    """The columns of the process that speaks, where it tells itself; who spoke before is remembered for a while."""
    if not instance:
        return {}
    another = device.c.instance.not_in(["", instance])
    before = func.array_prepend(device.c.instance, device.c.instances_before, type_=ARRAY(Text))
    return {
        "instance": instance,
        "instances_before": case((another, before[1:INSTANCES_KEPT]), else_=device.c.instances_before),
    }


def _was_replaced(instance: str) -> ColumnElement[bool]:
    """Whether another process took the place of this one: a process that ended never comes back."""
    return any_(device.c.instances_before) == instance if instance else false()


async def _pool(connection: AsyncConnection, agent: Account, offer: DeviceOffer) -> str:
    """The id of the pool that the device is to be in: the account's own, made when it is the first, or the one it joins."""
    name = offer.name.strip()
    if offer.join and offer.join != agent.email:
        found = select(pool.c.id).join(account, account.c.id == pool.c.account_id)
        joined = found.where(account.c.email == offer.join, pool.c.name == name, may_join(agent))
        pool_id: str | None = await connection.scalar(joined)
        if pool_id is None:
            raise Forbidden(
                f"{agent.email} may not bring devices into a pool {name!r} of {offer.join}",
                hint=f"its owner allows it: dynolab devices access {name!r} --let-join {agent.email}",
            )
        return pool_id
    made = insert(pool).values(id=new_id("p"), account_id=agent.id, name=name, is_open=agent.is_admin)
    await connection.execute(made.on_conflict_do_nothing())
    own = select(pool.c.id).where(pool.c.account_id == agent.id, pool.c.name == name)
    return str(await connection.scalar(own))


async def _check_room(connection: AsyncConnection, agent: Account, offer: DeviceOffer) -> None:
    """Raises :class:`SpecInvalid` for one more device than an account may have."""
    mine = select(device.c.id).join(token, token.c.id == device.c.token_id).where(token.c.account_id == agent.id)
    known = list((await connection.execute(mine.limit(DEVICES_MOST + 1))).scalars())
    if len(known) >= DEVICES_MOST and offer.id not in known:
        raise SpecInvalid(f"{agent.email} has {len(known)} devices; {DEVICES_MOST} is the most")


async def _serving(connection: AsyncConnection, pool_ids: Collection[str]) -> dict[str, tuple[int, ...]]:
    """The accounts whose agents serve devices of the pools, by pool."""
    found = select(device.c.pool_id, token.c.account_id).join(device, device.c.token_id == token.c.id).distinct()
    rows = await connection.execute(found.where(device.c.pool_id.in_(pool_ids)).order_by(*found.selected_columns))
    served: dict[str, tuple[int, ...]] = {}
    for pool_id, account_id in rows:
        served[pool_id] = (*served.get(pool_id, ()), account_id)
    return served


def _may_speak_for(agent: Account) -> ColumnElement[bool]:
    """Whether the device is the agent's, or was that of a token of the same account that is worth nothing any more."""
    # no subquery of the device's own token: in ON CONFLICT it would be of any device's
    revoked = select(token.c.id).where(token.c.account_id == agent.id, token.c.revoked_at.is_not(None))
    return or_(device.c.token_id == agent.token_id, device.c.token_id.in_(revoked))
