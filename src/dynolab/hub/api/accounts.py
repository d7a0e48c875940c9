"""Who is signed in, the password, the tokens and the browsers of the account."""

from __future__ import annotations

from fastapi import APIRouter

from dynolab.hub.api.common import Caller, TheHub
from dynolab.hub.api.schemas import (
    Me,
    NewToken,
    PasswordAsked,
    RotationAsked,
    Session,
    Sessions,
    Token,
    TokenAsked,
    Tokens,
)
from dynolab.hub.usecases.end_session import end_session
from dynolab.hub.usecases.find_sessions import find_sessions
from dynolab.hub.usecases.find_tokens import find_tokens
from dynolab.hub.usecases.make_token import TokenTerms, make_own_token
from dynolab.hub.usecases.revoke_token import revoke_token
from dynolab.hub.usecases.rotate_token import rotate_token
from dynolab.hub.usecases.set_password import change_password

router = APIRouter(tags=["account"])


@router.get("/me")
async def me(account: Caller) -> Me:
    """Who the token belongs to."""
    return Me.model_validate(account)


@router.put("/account/password", status_code=204)
async def password(hub: TheHub, account: Caller, asked: PasswordAsked) -> None:
    """Set, change or remove one's own password, for `qai-hub configure`; browsers are signed out, tokens are as good as before."""
    await change_password(hub, account, asked.password, current=asked.current)


@router.get("/tokens")
async def tokens(hub: TheHub, account: Caller) -> Tokens:
    """All tokens of the account, also the revoked."""
    return Tokens(tokens=[Token.model_validate(row) for row in await find_tokens(hub, account)])


@router.post("/tokens", status_code=201)
async def make(hub: TheHub, account: Caller, asked: TokenAsked) -> NewToken:
    """Make a token; its secret is in this reply and nowhere else."""
    terms = TokenTerms(asked.scopes, asked.days, made_by="api")
    row, secret = await make_own_token(
        hub, account, kind=asked.kind, label=asked.label, terms=terms, project=asked.project
    )
    return NewToken(**Token.model_validate(row).model_dump(), secret=secret)


@router.post("/tokens/own/rotate", status_code=201)
async def rotate_own(hub: TheHub, account: Caller, asked: RotationAsked) -> NewToken:
    """Give the token that asks another secret; the old one is good for a while."""
    return await _rotated(hub, account, account.token_id, asked)


@router.post("/tokens/{id}/rotate", status_code=201)
async def rotate(hub: TheHub, account: Caller, id: str, asked: RotationAsked) -> NewToken:
    """Give a token another secret; the old one is good for a while. It stays the same token, and so do devices and browsers."""
    return await _rotated(hub, account, id, asked)


async def _rotated(hub: TheHub, account: Caller, id: str, asked: RotationAsked) -> NewToken:
    row, secret = await rotate_token(hub, account, id, overlap_s=asked.overlap_s, days=asked.days)
    return NewToken(**Token.model_validate(row).model_dump(), secret=secret)


@router.delete("/tokens/{id}", status_code=204)
async def revoke(hub: TheHub, account: Caller, id: str) -> None:
    """Revoke a token: it opens nothing any more, at once."""
    await revoke_token(hub, account, id)


@router.get("/sessions")
async def sessions(hub: TheHub, account: Caller) -> Sessions:
    """The browsers that the account is signed in with at the hub's pages."""
    return Sessions(sessions=[Session.model_validate(row) for row in await find_sessions(hub, account)])


@router.delete("/sessions/{id}", status_code=204)
async def end(hub: TheHub, account: Caller, id: str) -> None:
    """Sign a browser out, at once."""
    await end_session(hub, account, id)
