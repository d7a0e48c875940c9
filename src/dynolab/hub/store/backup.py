"""A hub's backup: all that a hub in a data folder keeps, in one file, while it runs."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from dynolab import errors
from dynolab.hub.settings import Settings
from dynolab.hub.store import _archive as archive
from dynolab.hub.store import _rows as rows
from dynolab.hub.store.blobs import KEEP_LOCK, Blobs
from dynolab.hub.store.connecting import engine
from dynolab.hub.store.database import is_away, known_version
from dynolab.hub.store.maintenance import database_urls
from dynolab.hub.store.tables import blob

FILES = ("client.ini", "agent.token")
"""Of the data folder, besides database and blobs."""
COLUMNS = "columns.json"
OWNERS = text("""
    SELECT 'the model ' || id FROM model WHERE blob_id = :blob
    UNION SELECT 'the dataset ' || id FROM dataset WHERE blob_id = :blob
    UNION SELECT 'the result of the job ' || job_id FROM attempt WHERE result_blob_id = :blob
    UNION SELECT 'the outputs of the job ' || job_id FROM attempt WHERE output_blob_id = :blob
    UNION SELECT 'the compiled artifact of the job ' || job_id FROM attempt WHERE artifact_blob_id = :blob
    UNION SELECT 'the log of the job ' || job_id FROM attempt WHERE log_blob_id = :blob
    ORDER BY 1
""")


Noted = Callable[[str], Awaitable[None]]
"""Told the database's address once a backup begins to be written."""


def backup(
    settings: Settings,
    path: Path,
    progress: archive.Progress,
    *,
    skip_missing: bool = False,
    noted: Noted | None = None,
) -> archive.Manifest:
    """Write the backup and say what it holds; the hub may run, or not.

    Objects that the store has lost are an error, or, with ``skip_missing``, named by the manifest.

    Raises :class:`NotFound` when there is no hub's data, :class:`Conflict` for a file that is there already, a database that a
    newer dynolab made, and when it ended meanwhile; what was written until then is removed.
    """
    with database_urls(settings) as (url, _):
        try:
            return asyncio.run(_backup(settings, url, path, progress, skip_missing=skip_missing, noted=noted))
        except Exception as error:
            if is_away(error):
                raise errors.Unavailable(f"the database cannot be read: {error}", hint="try it again") from error
            raise


async def _backup(
    settings: Settings,
    url: str,
    path: Path,
    progress: archive.Progress,
    *,
    skip_missing: bool,
    noted: Noted | None,
) -> archive.Manifest:
    """The order is what makes it whole: no object is removed any more, then the snapshot, then the objects that it names."""
    blobs = Blobs(settings.blobs_url or settings.data / "blobs")
    async with _kept(url), _snapshot(url) as connection:
        header = archive.Header(
            archive.FORMAT, version("dynolab"), await _schema(connection, settings), datetime.now(UTC).isoformat()
        )
        with archive.written(path, header) as target:
            if noted is not None:
                await noted(url)
            await _write_rows(connection, target, path.parent)
            for file in FILES:
                if (settings.data / file).is_file():
                    with (settings.data / file).open("rb") as source:
                        target.add(f"files/{file}", (settings.data / file).stat().st_size, source)
            found = (
                await connection.execute(select(blob.c.id, blob.c.bytes, blob.c["keys"]).order_by(blob.c.id))
            ).all()
            lost = _write_blobs(blobs, found, target, progress, skip_missing)
            target.manifest.missing = {key: await whose(connection, blob_id) for key, blob_id in lost.items()}
    return target.manifest


@asynccontextmanager
async def _connected(url: str, level: str) -> AsyncIterator[AsyncConnection]:
    opened = engine(url, level=level, bounded=False, poolclass=NullPool)
    try:
        async with opened.connect() as connection:
            yield connection
    finally:
        await opened.dispose()


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
    found = await known_version(connection)
    if found is None:
        raise errors.NotFound(
            f"the database {settings.database_url or settings.data} is no hub's", hint="start the hub once before"
        )
    return found


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


def _write_blobs(
    blobs: Blobs, found: Sequence[Any], target: archive.Writer, progress: archive.Progress, skip_missing: bool
) -> dict[str, str]:
    """The blobs of the objects that are lost, by the object's key."""
    total, done = sum(row.bytes for row in found), 0
    lost: dict[str, str] = {}
    for row in found:
        size = 0
        for key in row.keys:
            try:
                count, chunks = blobs.open(key)
                target.add(f"blobs/{key}", count, archive.Chunks(chunks))  # type: ignore[arg-type]  # it reads, no more
            except FileNotFoundError as error:
                if not skip_missing:
                    raise errors.NotFound(
                        f"the object {key} of the blob {row.id} is gone from {blobs.place}",
                        hint="is it the right store? --skip-missing makes a backup of what is there",
                    ) from error
                lost[key] = row.id
                continue
            size += count
        if size != row.bytes and row.id not in lost.values():
            raise errors.Conflict(f"the blob {row.id} has {size} bytes in {blobs.place}, {row.bytes} were noted")
        done += row.bytes
        progress(done, total)
    return lost


async def whose(connection: AsyncConnection, blob_id: str) -> str:
    """What a blob is part of, in words: ``the model mabc``."""
    found = (await connection.execute(OWNERS, {"blob": blob_id})).scalars().all()
    return ", ".join(found) or f"the blob {blob_id}, which nobody needs"


def read_columns(source: bytes) -> dict[str, list[str]]:
    """The columns of every table in a backup."""
    found: dict[str, list[str]] = json.loads(source)
    return found
