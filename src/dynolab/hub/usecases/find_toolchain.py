"""Where a model is compiled: a pool whose agents make the target of models of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Text, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, device, pool, token
from dynolab.hub.usecases.access import Given
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.board_health import takes_jobs
from dynolab.hub.usecases.find_board_states import is_away
from dynolab.hub.usecases.pool_rights import Sends, Who, may_send, trusts
from dynolab.spec.toolchain_support import MAKES, TOOLCHAINS_ONLY, made, no_toolchain


@dataclass(frozen=True, slots=True)
class Maker:
    """A pool with a machine that makes what is asked for; ``is_there``: it is not away, and well."""

    pool_id: str
    is_there: bool


def _usable(account: Who) -> Select[Any]:
    """Agents' machines that the account's models may go to, whatever they make."""
    held = (attempt.c.id == device.c.attempt_id) & (attempt.c.state == "running")
    seen = func.greatest(device.c.seen_at, attempt.c.renewed_at)
    columns = device.c.pool_id, device.c.attributes, accounts.c.id, accounts.c.is_admin, is_away(seen).label("away")
    found = select(*columns, device.c.unfit, takes_jobs().label("takes_jobs"), attempt.c.id.label("held"))
    found = found.select_from(device.outerjoin(attempt, held)).join(pool, pool.c.id == device.c.pool_id)
    found = found.join(accounts, accounts.c.id == pool.c.account_id).join(token, token.c.id == device.c.token_id)
    confined = or_(device.c.is_confined, token.c.account_id == account.id)
    return found.where(may_send(account), trusts(account), confined)


async def find_offered(hub: Hub, account: Account) -> list[str]:
    """What is made of the account's models, as attributes tell it: ``toolchain:onnx/torchscript``, each once."""
    async with hub.database.single() as connection:
        return sorted(row.word for row in await _offering(account.given).all(connection, **account.told))


@cache
def _offering(who: Given) -> Prepared:
    """Few differ in their attributes, so each set of them is taken apart once."""
    sets = select(_usable(who).subquery().c.attributes).distinct().subquery()
    words = select(func.unnest(sets.c.attributes).label("word")).distinct().subquery()
    return Prepared(select(words.c.word).where(words.c.word.startswith(MAKES, autoescape=True)))


async def pools_with(connection: AsyncConnection, account: Sends, toolchain: str) -> list[Maker]:
    """Who makes it of the account's models, the best first, machine by machine.

    Machines that are there and well come first; of them those that do nothing else, so that no device is kept from measuring;
    then who is free; then the account's own, and the administrators'.
    """
    able = await _rows(connection, account, f"{MAKES}{toolchain}")

    def worth(row: Any) -> tuple[bool, ...]:
        return _is_there(row), TOOLCHAINS_ONLY in row.attributes, row.held is None, row.id == account.id, row.is_admin

    return [Maker(row.pool_id, _is_there(row)) for row in sorted(able, key=worth, reverse=True)]


async def find_toolchain(connection: AsyncConnection, account: Sends, toolchain: str) -> str:
    """The id of the pool that a job of this toolchain, such as ``onnx/torchscript``, goes to: the best of :func:`pools_with`.

    Raises :class:`~dynolab.errors.SpecInvalid`, which tells what is made, where nobody makes it.
    """
    found = await pools_with(connection, account, toolchain)
    if not found:
        raise no_toolchain(toolchain, [one for row in await _rows(connection, account) for one in made(row.attributes)])
    return found[0].pool_id


async def _rows(connection: AsyncConnection, account: Sends, *attributes: str) -> Sequence[Any]:
    """Machines with these attributes."""
    return await _with_attributes(account.given).all(connection, attributes=list(attributes), **account.told)


@cache
def _with_attributes(who: Given) -> Prepared:
    return Prepared(_usable(who).where(device.c.attributes.contains(bindparam("attributes", type_=ARRAY(Text)))))


def _is_there(row: Any) -> bool:
    return not row.away and not row.unfit and bool(row.takes_jobs)
