"""A hub's backup: all that a hub in a data folder keeps, in one file, while it runs."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from dynolab import errors
from dynolab.hub.settings import Settings
from dynolab.hub.store import _archive as archive
from dynolab.hub.store import _rows as rows
from dynolab.hub.store.blobs import KEEP_LOCK, Blobs
from dynolab.hub.store.database import is_away
from dynolab.hub.store.postgres import Postgres, running, urls
from dynolab.hub.store.tables import blob

FILES = ("client.ini", "agent.token")
"""Of the data folder, besides database and blobs."""
COLUMNS = "columns.json"


def backup(settings: Settings, path: Path, progress: archive.Progress) -> archive.Manifest:
    """Write the backup and say what it holds; the hub may run, or not.

    Raises :class:`NotFound` when there is no hub's data, :class:`Conflict` for a file that is there already and when the
    database ended meanwhile; what was written until then is removed.
    """
    with _database(settings) as url:
        try:
            return asyncio.run(_backup(settings, url, path, progress))
        except Exception as error:
            if is_away(error):
                raise errors.Unavailable(f"the database cannot be read: {error}", hint="try it again") from error
            raise


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """SQLAlchemy's URL of the hub's database, whose own PostgreSQL is started unless it runs."""
    folder = settings.data / "postgres"
    if settings.database_url:
        yield urls(settings.database_url)[0]
    elif (url := running(folder)) is not None:
        yield url
    elif not (folder / "PG_VERSION").is_file():
        raise errors.NotFound(f"there is no hub's database in {settings.data}", hint="name the folder with --data")
    else:
        server = Postgres.start(folder)
        try:
            yield server.url
        finally:
            server.stop()


async def _backup(settings: Settings, url: str, path: Path, progress: archive.Progress) -> archive.Manifest:
    """The order is what makes it whole: no object is removed any more, then the snapshot, then the objects that it names."""
    blobs = Blobs(settings.blobs_url or settings.data / "blobs")
    async with _kept(url), _snapshot(url) as connection:
        header = archive.Header(
            archive.FORMAT, version("dynolab"), await _schema(connection, settings), datetime.now(UTC).isoformat()
        )
        with archive.written(path, header) as target:
            await _write_rows(connection, target, path.parent)
            for file in FILES:
                if (settings.data / file).is_file():
                    with (settings.data / file).open("rb") as source:
                        target.add(f"files/{file}", (settings.data / file).stat().st_size, source)
            found = (
                await connection.execute(select(blob.c.id, blob.c.bytes, blob.c["keys"]).order_by(blob.c.id))
            ).all()
            _write_blobs(blobs, found, target, progress)
    return target.manifest


@asynccontextmanager
async def _connected(url: str, level: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, isolation_level=level, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def _kept(url: str) -> AsyncIterator[None]:
    """Have the hub remove no blob for as long as the block runs. Raises :class:`Conflict` when that was not kept."""
    async with _connected(url, "AUTOCOMMIT") as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": KEEP_LOCK})
        yield
        if not await connection.scalar(text("SELECT pg_advisory_unlock(:key)"), {"key": KEEP_LOCK}):
            raise errors.Conflict("the database let the backup's lock go", hint="try it again")


@asynccontextmanager
async def _snapshot(url: str) -> AsyncIterator[AsyncConnection]:
    """A connection that sees the database as it is now, until the block ends."""
    async with _connected(url, "REPEATABLE READ") as connection, connection.begin():
        await connection.execute(text("SELECT 1 FROM pg_class LIMIT 1"))  # the snapshot is that of the first statement
        yield connection


async def _schema(connection: AsyncConnection, settings: Settings) -> str:
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        raise errors.NotFound(
            f"the database {settings.database_url or settings.data} is no hub's", hint="start the hub once before"
        )
    return cast(str, await connection.scalar(text("SELECT version_num FROM alembic_version")))


async def _write_rows(connection: AsyncConnection, target: archive.Writer, folder: Path) -> None:
    found = await rows.tables(connection)
    target.add_document(COLUMNS, {table.name: table.columns for table in found})
    for table in found:
        with tempfile.TemporaryFile(dir=folder) as spooled:  # a member's size comes before it
            target.manifest.rows[table.name] = await rows.copy_out(connection, table, spooled)
            size = spooled.tell()
            spooled.seek(0)
            target.add(f"rows/{table.name}", size, spooled)
    target.manifest.sequences = await rows.sequences(connection)


def _write_blobs(blobs: Blobs, found: Sequence[Any], target: archive.Writer, progress: archive.Progress) -> None:
    total, done = sum(row.bytes for row in found), 0
    for row in found:
        size = 0
        for key in row.keys:
            try:
                count, chunks = blobs.open(key)
                target.add(f"blobs/{key}", count, archive.Chunks(chunks))  # type: ignore[arg-type]  # it reads, no more
            except FileNotFoundError as error:
                raise errors.NotFound(
                    f"the object {key} of the blob {row.id} is gone from {blobs.place}", hint="is it the right store?"
                ) from error
            size += count
        if size != row.bytes:
            raise errors.Conflict(f"the blob {row.id} has {size} bytes in {blobs.place}, {row.bytes} were noted")
        done += size
        progress(done, total)


def read_columns(source: bytes) -> dict[str, list[str]]:
    """The columns of every table in a backup."""
    found: dict[str, list[str]] = json.loads(source)
    return found
