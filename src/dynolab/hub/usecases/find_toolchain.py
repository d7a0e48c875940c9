"""Where a model is compiled: a pool whose agents make the target of models of its kind."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, device, pool, token
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_board_states import is_away
from dynolab.hub.usecases.pool_rights import may_send, trusts
from dynolab.spec.toolchain_support import MAKES, TOOLCHAINS_ONLY, made, no_toolchain


def _usable(account: Account) -> Select[Any]:
    """Agents' machines that the account's models may go to, whatever they make."""
    held = (attempt.c.id == device.c.attempt_id) & (attempt.c.state == "running")
    seen = func.greatest(device.c.seen_at, attempt.c.renewed_at)
    columns = device.c.pool_id, device.c.attributes, accounts.c.id, accounts.c.is_admin, is_away(seen).label("away")
    found = select(*columns, device.c.unfit, attempt.c.id.label("held"))
    found = found.select_from(device.outerjoin(attempt, held)).join(pool, pool.c.id == device.c.pool_id)
    found = found.join(accounts, accounts.c.id == pool.c.account_id).join(token, token.c.id == device.c.token_id)
    confined = or_(device.c.is_confined, token.c.account_id == account.id)
    return found.where(may_send(account), trusts(account), confined)


async def find_offered(hub: Hub, account: Account) -> list[str]:
    """What is made of the account's models, as attributes tell it: ``toolchain:onnx/torchscript``, each once."""
    async with hub.database.begin() as connection:
        rows = (await connection.execute(_usable(account))).all()
    return sorted({one for row in rows for one in row.attributes if one.startswith(MAKES)})


async def find_toolchain(connection: AsyncConnection, account: Account, toolchain: str) -> str:
    """The id of the pool that a job of this toolchain, such as ``onnx/torchscript``, goes to.

    Machines that are there and well come first; of them those that do nothing else, so that no device is kept from measuring;
    then who is free; then the account's own. Raises :class:`~dynolab.errors.SpecInvalid`, which tells what is made, where
    nobody makes it.
    """
    wanted = f"{MAKES}{toolchain}"
    rows = (await connection.execute(_usable(account))).all()
    able = [row for row in rows if wanted in row.attributes]
    if not able:
        raise no_toolchain(toolchain, [one for row in rows for one in made(row.attributes)])

    def worth(row: Any) -> tuple[bool, ...]:
        there = not row.away and not row.unfit
        return there, TOOLCHAINS_ONLY in row.attributes, row.held is None, row.id == account.id, row.is_admin

    return str(max(able, key=worth).pool_id)
