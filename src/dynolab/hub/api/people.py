"""The people of the hub, for those who run it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from dynolab.hub.api.common import PAGE, Before, Caller, Filter, Limit, TheHub
from dynolab.hub.api.schemas import (
    AccountAsked,
    AccountChange,
    ClosedAccount,
    HubAccount,
    HubAccounts,
    NewAccount,
)
from dynolab.hub.usecases.add_account import add_account
from dynolab.hub.usecases.change_admin import set_admin
from dynolab.hub.usecases.close_account import close_account, open_account
from dynolab.hub.usecases.cursors import cut_page, decode_cursor
from dynolab.hub.usecases.find_accounts import AccountFilter, State, find_accounts, find_one_account

router = APIRouter(tags=["people"])


@router.get("/accounts")
async def listing(
    hub: TheHub,
    account: Caller,
    text: Annotated[Filter, Query(description="A part of the address or the name.")] = "",
    state: Annotated[State, Query(description="`admin`: those that run the hub.")] = "",
    limit: Limit = PAGE,
    before: Before = None,
) -> HubAccounts:
    """Who has an account, those that were made last first; for administrators."""
    wanted = AccountFilter(text.replace("\x00", ""), state)
    rows = await find_accounts(hub, account, wanted, limit=limit + 1, cursor=decode_cursor(before))
    shown, following = cut_page(rows, limit)
    return HubAccounts(accounts=[HubAccount.model_validate(one) for one in shown], next=following)


@router.post("/accounts", status_code=201)
async def make(hub: TheHub, account: Caller, asked: AccountAsked) -> NewAccount:
    """Let a person in: the secret of the account's first API token is in this reply and nowhere else."""
    secret = await add_account(hub, account, asked.email, asked.name, asked.is_admin)
    made = HubAccount.model_validate(await find_one_account(hub, account, asked.email))
    return NewAccount(**made.model_dump(), secret=secret)


@router.get("/accounts/{email}")
async def show(hub: TheHub, account: Caller, email: str) -> HubAccount:
    """One account, by its address."""
    return HubAccount.model_validate(await find_one_account(hub, account, email))


@router.patch("/accounts/{email}")
async def change(hub: TheHub, account: Caller, email: str, asked: AccountChange) -> HubAccount:
    """Say whether an account runs the hub; somebody always does."""
    if asked.is_admin is not None:
        await set_admin(hub, account, email, asked.is_admin)
    return HubAccount.model_validate(await find_one_account(hub, account, email))


@router.post("/accounts/{email}/close")
async def close(hub: TheHub, account: Caller, email: str) -> ClosedAccount:
    """Take away all that lets a person in: tokens, browsers, password, memberships. What they made stays."""
    return ClosedAccount.model_validate(await close_account(hub, account, email))


@router.post("/accounts/{email}/open")
async def reopen(hub: TheHub, account: Caller, email: str) -> HubAccount:
    """Open a closed account again; what ended with it does not come back."""
    await open_account(hub, account, email)
    return HubAccount.model_validate(await find_one_account(hub, account, email))
