"""Pools of devices: who may send jobs to them, who may join them, and whose may receive one's models."""

from __future__ import annotations

from fastapi import APIRouter

from dynolab.errors import NotFound
from dynolab.hub.api.common import Caller, Filter, TheHub
from dynolab.hub.api.schemas import Pool, PoolChangeAsked, Pools, Trusted, TrustedAsked
from dynolab.hub.usecases.change_pool import PoolChange, change_pool
from dynolab.hub.usecases.change_trust import stop_trusting, trust_owner
from dynolab.hub.usecases.find_pools import find_pools, find_trusted

router = APIRouter(tags=["devices"])


@router.get("/pools")
async def listing(hub: TheHub, account: Caller, name: Filter = "") -> Pools:
    """The pools of devices that the account owns, may send jobs to, or may join."""
    return Pools(pools=[Pool.model_validate(one) for one in await find_pools(hub, account, name=name)])


@router.patch("/pools/{id}")
async def change(hub: TheHub, account: Caller, id: str, asked: PoolChangeAsked) -> Pool:
    """Say who may use a pool; for its owner and administrators. Jobs that may not wait there any more fail."""
    wanted = PoolChange(asked.let_send, asked.let_join, asked.remove, asked.is_open, asked.organisation)
    await change_pool(hub, account, id, wanted)
    found = next((one for one in await find_pools(hub, account) if one.id == id), None)
    if found is None:
        raise NotFound(f"there is no pool of devices {id!r}")
    return Pool.model_validate(found)


@router.get("/trusted")
async def trusted(hub: TheHub, account: Caller) -> Trusted:
    """Whose devices may receive the account's models, besides its own."""
    return Trusted(owners=[one.email for one in await find_trusted(hub, account)])


@router.post("/trusted")
async def trust(hub: TheHub, account: Caller, asked: TrustedAsked) -> Trusted:
    """Let somebody's devices receive the account's models; one's jobs may then go to those that one may use."""
    await trust_owner(hub, account, asked.owner)
    return Trusted(owners=[one.email for one in await find_trusted(hub, account)])


@router.delete("/trusted/{owner}", status_code=204)
async def distrust(hub: TheHub, account: Caller, owner: str) -> None:
    """Not any more; jobs that wait for those devices fail."""
    await stop_trusting(hub, account, owner)
