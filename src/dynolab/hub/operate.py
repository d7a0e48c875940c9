"""What whoever runs a hub does to it with commands, while it runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.maintenance import database_urls
from dynolab.hub.usecases.add_account import add_account, add_token
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.set_password import set_password

__all__ = ["add_account", "add_token", "carry_out", "set_password"]
T = TypeVar("T")


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
