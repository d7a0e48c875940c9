"""The database for maintenance commands, whether the hub runs or not: backup, restore, accounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dynolab import errors
from dynolab.hub.settings import Settings
from dynolab.hub.store.postgres import Postgres, running, urls


@contextmanager
def database_urls(settings: Settings) -> Iterator[tuple[str, str]]:
    """SQLAlchemy's form of the database's own address, and the plain one; the hub's own PostgreSQL is started unless it runs.

    Raises :class:`NotFound` where no hub has been.
    """
    folder = settings.data / "postgres"
    if settings.database_url:
        yield urls(settings.database_direct_url or settings.database_url)
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
