"""The database: connections, transactions, and the schema brought up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
POOL_CONNECTIONS = 10
POOL_WAIT_S = 25.0
"""How long a request waits for a connection: less than the 28 s after which the official client asks again."""
UPGRADE_LOCK = 0x64796E6F
"""The advisory lock that lets one replica alone upgrade the schema."""


class Database:
    """Connections to one PostgreSQL database, by SQLAlchemy's URL (``postgresql+asyncpg://...``)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: AsyncEngine = create_async_engine(
            url, pool_size=POOL_CONNECTIONS, max_overflow=0, pool_timeout=POOL_WAIT_S, pool_pre_ping=True
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back when an error leaves it."""
        async with self._engine.begin() as connection:
            yield connection

    async def upgrade(self) -> None:
        """Bring the schema to the newest version; safe with several replicas at once."""
        async with self._engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
            if await _version(connection) != newest():
                await connection.run_sync(_upgrade)

    async def ready(self) -> None:
        """Ask the database for something; raises what the driver raises when it is not there."""
        async with self._engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def newest() -> str:
    """The newest version of the schema: the number that its migration's file begins with."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


async def _version(connection: AsyncConnection) -> str | None:
    """The version of the schema that is there, or None where there is none yet."""
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for these migrations, over a connection that is open already."""
    from alembic.config import Config  # with its templates, several MB that a hub with a new schema need not carry

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(configuration(connection), "head")
