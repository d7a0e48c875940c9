"""Tokens that make machines devices, each one machine."""

from __future__ import annotations

from fastapi import APIRouter, Request

from dynolab import own_wheel
from dynolab.hub.api.common import Caller, TheHub
from dynolab.hub.api.schemas import JoiningDevice, JoinToken, JoinTokenAsked, JoinTokens, NewJoinToken
from dynolab.hub.usecases.find_join_token import Joining, find_join_token, find_join_tokens, revoke_join_token
from dynolab.hub.usecases.make_join_token import make_join_token
from dynolab.spec.joining import join_command

router = APIRouter(tags=["devices"])


@router.post("/join-tokens", status_code=201)
async def make(request: Request, hub: TheHub, account: Caller, asked: JoinTokenAsked) -> NewJoinToken:
    """Make a join token; its secret is in this reply and nowhere else."""
    id, secret = await make_join_token(hub, account, asked.name)
    made = _told(await find_join_token(hub, account, id))
    address = str(request.app.state.base_url(request)).rstrip("/")
    command = join_command(address, own_wheel.file_name(), secret)
    return NewJoinToken(**made.model_dump(), secret=secret, command=command)


@router.get("/join-tokens")
async def listing(hub: TheHub, account: Caller) -> JoinTokens:
    """Your join tokens that wait for their machines, without their secrets."""
    return JoinTokens(join_tokens=[_told(one) for one in await find_join_tokens(hub, account)])


@router.get("/join-tokens/{id}")
async def show(hub: TheHub, account: Caller, id: str) -> JoinToken:
    """What became of a join token: kept for a day after its end."""
    return _told(await find_join_token(hub, account, id))


@router.delete("/join-tokens/{id}", status_code=204)
async def revoke(hub: TheHub, account: Caller, id: str) -> None:
    """Revoke a join token that waits for its machine: none joins with it any more."""
    await revoke_join_token(hub, account, id)


def _told(one: Joining) -> JoinToken:
    device = None if one.device_id is None else JoiningDevice(id=one.device_id, name=one.device_name or "")
    ends = {"created_at": one.created_at, "expires_at": one.expires_at}
    return JoinToken(id=one.id, name=one.name, state=one.state, device=device, **ends)
