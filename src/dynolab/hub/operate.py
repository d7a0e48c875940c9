"""What whoever runs a hub does to it with commands, while it runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store import backup as store_backup
from dynolab.hub.store import restore as store_restore
from dynolab.hub.store._archive import Manifest, Progress
from dynolab.hub.store.maintenance import database_urls
from dynolab.hub.usecases.add_account import add_account, add_token
from dynolab.hub.usecases.audit import OPERATOR as AS_OPERATOR
from dynolab.hub.usecases.audit import note, note_command
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.change_admin import set_admin
from dynolab.hub.usecases.change_members import set_member
from dynolab.hub.usecases.change_organisation import account_of, create_organisation, create_project
from dynolab.hub.usecases.check_runs_hub import OPERATOR
from dynolab.hub.usecases.close_account import close_account, open_account
from dynolab.hub.usecases.find_accounts import find_accounts
from dynolab.hub.usecases.find_member_links import find_member_links, withdraw_member_link
from dynolab.hub.usecases.find_organisations import find_one_project, find_organisations
from dynolab.hub.usecases.quotas import Owner, Usage, set_bounds, usage_of
from dynolab.hub.usecases.set_password import set_password

__all__ = [
    "OPERATOR",
    "add_account",
    "add_token",
    "backup",
    "carry_out",
    "close_account",
    "create_organisation",
    "create_project",
    "find_accounts",
    "find_member_links",
    "find_organisations",
    "open_account",
    "restore",
    "set_admin",
    "set_member",
    "set_password",
    "set_quota",
    "withdraw_member_link",
]
T = TypeVar("T")


async def set_quota(hub: Hub, place: str, bounds: Mapping[str, int | None]) -> Usage:
    """Bound a project (by id or name) or an account's personal space (by address), as far as bounds are given; what then holds. Raises :class:`NotFound`."""
    if "@" in place:
        async with hub.database.single() as connection:
            owner = Owner(await account_of(connection, place, closed=True))
    else:
        owner = Owner(OPERATOR.id, (await find_one_project(hub, OPERATOR, place)).id)
    await set_bounds(hub, owner, **bounds)
    return await usage_of(hub, owner)


def backup(settings: Settings, path: Path, progress: Progress, *, skip_missing: bool = False) -> Manifest:
    """As :func:`dynolab.hub.store.backup.backup`, with a row in the audit log as soon as something is read."""
    noted = partial(note_command, verb="hub.backup", thing=path, skip_missing=skip_missing)
    return store_backup.backup(settings, path, progress, skip_missing=skip_missing, noted=noted)


def restore(settings: Settings, path: Path, progress: Progress) -> Manifest:
    """As :func:`dynolab.hub.store.restore.restore`, with a row in the audit log of the hub that is made."""
    return store_restore.restore(
        settings,
        path,
        progress,
        noted=lambda connection, made_by: note(
            *(connection, "hub.restore", "hub", path), who=AS_OPERATOR, details={"backup_of_dynolab": made_by}
        ),
    )


def carry_out(settings: Settings, verb: Callable[[Hub], Awaitable[T]]) -> T:
    """What the verb gives for the hub of these settings. Raises :class:`NotFound` where no hub has been, and what it raises."""
    with database_urls(settings) as (url, dsn):

        async def opened() -> T:
            hub = await open_hub(settings, url, dsn)
            try:
                return await verb(hub)
            finally:
                await hub.database.close()

        return asyncio.run(opened())
