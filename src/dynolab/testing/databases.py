"""One PostgreSQL for many tests: each hub gets a database of its own in it, with the newest schema."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dynolab.hub.store.database import Database
from dynolab.hub.store.postgres import Postgres, urls
from dynolab.hub.store.prepared import driver

T = TypeVar("T")
SHARED = "TEST_POSTGRES"
"""The address of a server that tests are to use instead of one of their own."""


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """A database that nobody else uses: its address as SQLAlchemy writes it, and the plain one."""

    url: str
    dsn: str

    def rows(self, statement: str, *values: object) -> list[Any]:
        """What one statement gives, beside the hubs that use the database."""

        async def asked() -> list[Any]:
            database = Database(self.url)
            try:
                async with database.single() as connection:
                    return list(await driver(connection).fetch(statement, *values))
            finally:
                await database.close()

        return _run(asked())

    def waiting(self) -> int:
        """How many of its sessions wait for a lock. By a connection of its own: a transaction sees that view but once."""
        asked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return len(self.rows(asked))


class Databases:
    """A running server, and new databases in it."""

    def __init__(self, dsn: str) -> None:
        self._template = urlsplit(dsn)
        self._numbers = itertools.count(1)

    def prepare(self) -> None:
        """Bring the template up to date, once for a server."""
        _run(_upgraded(urls(self._template.geturl())[0]))
        # A crash of the machine may cost the tests their data.
        self._carry_out("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def new(self) -> OwnDatabase:
        """A database of its own for whoever asks."""
        name = f"own_{os.getpid()}_{next(self._numbers)}"
        self._carry_out(f"CREATE DATABASE {name} TEMPLATE {self._template.path.lstrip('/')}")
        return OwnDatabase(*urls(self._address(name)))

    def _address(self, name: str) -> str:
        return self._template._replace(path=f"/{name}").geturl()

    def _carry_out(self, *statements: str) -> None:
        """Run statements beside the template, which is not to be in use."""

        async def run() -> None:
            database = Database(urls(self._address("postgres"))[0])
            async with database.single() as connection:
                for statement in statements:
                    await driver(connection).execute(statement)
            await database.close()

        _run(run())


def _run(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: a browser's loop may run in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work)).result()


async def _upgraded(url: str) -> None:
    database = Database(url)
    await database.upgrade()
    await database.close()


@contextmanager
def databases(folder: Path) -> Iterator[Databases]:
    """A server on a new folder, until the block ends; or the one that :func:`shared_server` made for several runs of tests."""
    if shared := os.environ.get(SHARED):
        yield Databases(shared)
        return
    with shared_server(folder) as environment:
        yield Databases(environment[SHARED])


@contextmanager
def shared_server(folder: Path) -> Iterator[dict[str, str]]:
    """The environment by which tests find a server that is kept until the block ends."""
    server = Postgres.start(folder)
    try:
        Databases(server.dsn).prepare()
        yield {SHARED: server.dsn}
    finally:
        server.stop()
