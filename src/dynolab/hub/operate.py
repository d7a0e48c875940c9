"""What whoever runs a hub does to it from beside, while it runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from dynolab import errors
from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.postgres import Postgres, running, urls
from dynolab.hub.usecases.add_account import add_account, add_token
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.set_password import set_password

__all__ = ["add_account", "add_token", "carry_out", "set_password"]
T = TypeVar("T")


def carry_out(settings: Settings, verb: Callable[[Hub], Awaitable[T]]) -> T:
    """What the verb gives for the hub of these settings. Raises :class:`NotFound` where no hub has been, and what it raises."""
    with _database(settings) as (url, dsn):

        async def opened() -> T:
            hub = await open_hub(settings, url, dsn)
            try:
                return await verb(hub)
            finally:
                await hub.database.close()

        return asyncio.run(opened())


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[str, str]]:
    """SQLAlchemy's form of the database's address, and the plain one; the hub's own is started unless it runs."""
    folder = settings.data / "postgres"
    if settings.database_url:
        yield urls(settings.database_url)
    elif (url := running(folder)) is not None:
        yield url, url.replace("+asyncpg", "", 1)
    elif not (folder / "PG_VERSION").is_file():
        raise errors.NotFound(f"there is no hub's database in {settings.data}", hint="name the folder with --data")
    else:
        server = Postgres.start(folder)
        try:
            yield server.url, server.dsn
        finally:
            server.stop()
