"""A backup becomes a hub again: in an empty folder, an empty database, an empty place for blobs; or nothing is left."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from alembic import command
from sqlalchemy import Connection, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import errors, private_files
from dynolab.hub.settings import Settings
from dynolab.hub.store import _archive as archive
from dynolab.hub.store import _rows as rows
from dynolab.hub.store.backup import COLUMNS, FILES, read_columns
from dynolab.hub.store.blobs import OWNER, Blobs
from dynolab.hub.store.database import Database, configuration, known, newest
from dynolab.hub.store.postgres import Postgres, running, urls
from dynolab.hub.store.tables import setting

Noted = Callable[[AsyncConnection, str], Awaitable[None]]
"""Is given the transaction in which all was put into the database, and the version of the dynolab whose backup it is."""


def restore(
    settings: Settings, path: Path, progress: archive.Progress, *, noted: Noted | None = None
) -> archive.Manifest:
    """Make the hub anew and say what it holds; it is not started. ``noted``: where the database has an audit log.

    Raises :class:`Conflict` where something is already, or a hub runs, or a newer dynolab made the file;
    :class:`SpecInvalid` for a file that is none, cut short or altered; :class:`NotFound` when there is no file.
    """
    if not path.is_file():
        raise errors.NotFound(f"there is no backup at {path}", hint="`dynolab hub backup FILE` makes one")
    _refuse_taken(settings.data)
    header, manifest = archive.checked(path, progress)
    if header.schema not in known():
        raise errors.Conflict(
            f"{path} was made by dynolab {header.dynolab}: this one knows schemas up to {newest()}, not {header.schema}",
            hint="update dynolab",
        )
    with _new_folder(settings.data) as folder, _database(settings, folder) as url:
        blobs = Blobs(settings.blobs_url or folder / "blobs")
        asyncio.run(_restore(url, blobs, folder, header, manifest, archive.contents(path, progress), noted))
    return manifest


def _refuse_taken(data: Path) -> None:
    if running(data / "postgres") is not None:
        raise errors.Conflict(f"a hub runs on {data}", hint="restore into another folder: --data FOLDER")
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise errors.Conflict(f"{data} is not empty: it is left as it is", hint="name a new folder with --data")


@contextmanager
def _new_folder(data: Path) -> Iterator[Path]:
    """A folder beside the data folder, which takes its name when the block ends well and is removed otherwise.

    What a restore that was killed left there is removed: whoever works there holds a lock on it.
    """
    folder = data.with_name(f"{data.name}.restoring")
    private_files.make_folder(data.parent)
    lock = os.open(data.with_name(f"{data.name}.restoring.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise errors.Conflict(f"another restore into {data} is under way", hint="wait for its end") from error
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
            folder.rename(data)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            data.with_name(f"{data.name}.restoring.lock").unlink(missing_ok=True)
    finally:
        os.close(lock)


@contextmanager
def _database(settings: Settings, folder: Path) -> Iterator[str]:
    """SQLAlchemy's URL of the database that is to be filled, the hub's own if no other is named."""
    if settings.database_url:
        yield urls(settings.database_direct_url or settings.database_url)[0]
        return
    server = Postgres.start(folder / "postgres")
    try:
        yield server.url
    finally:
        server.stop()


async def _restore(
    url: str,
    blobs: Blobs,
    folder: Path,
    header: archive.Header,
    manifest: archive.Manifest,
    contents: Iterator[tuple[str, IO[bytes]]],
    noted: Noted | None,
) -> None:
    """All of it in one transaction; objects that were written go again when it fails."""
    database, written = Database(url), list[str]()
    try:
        if not await blobs.is_empty():
            raise errors.Conflict(
                f"{blobs.place} is not empty: it is left as it is", hint="name another place for blobs"
            )
        async with database.begin() as connection:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await _make_schema(connection, header.schema)
            await _fill(connection, contents, blobs, folder, written)
            await rows.set_sequences(connection, manifest.sequences)
            if noted is not None and await connection.scalar(text("SELECT to_regclass('audit') IS NOT NULL")):
                await noted(connection, header.dynolab)
            owner = await connection.scalar(select(setting.c.value).where(setting.c.name == "hub_id"))
            if owner is not None:
                written.append(OWNER)
                await blobs.claim(owner)
    except BaseException:
        await blobs.delete(written)
        raise
    finally:
        await database.close()


async def _make_schema(connection: AsyncConnection, version: str) -> None:
    """The tables as they were; a hub that starts on them brings them up to date."""
    taken = (
        "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
    )
    if await connection.scalar(text(taken)):
        raise errors.Conflict("the database has tables already: it is left as it is", hint="name an empty one")
    await connection.run_sync(partial(_upgrade, version=version))


def _upgrade(connection: Connection, version: str) -> None:
    command.upgrade(configuration(connection), version)


async def _fill(
    connection: AsyncConnection,
    contents: Iterator[tuple[str, IO[bytes]]],
    blobs: Blobs,
    folder: Path,
    written: list[str],
) -> None:
    """Put every member where it belongs, by the first step of its name."""
    columns: dict[str, list[str]] = {}
    for name, source in contents:
        kind, _, rest = name.partition("/")
        if name == COLUMNS:
            columns = read_columns(source.read())
        elif kind == "rows" and rest in columns:
            await rows.copy_in(connection, rest, columns[rest], source)
        elif kind == "blobs":
            written.append(rest)
            blobs.write(rest, iter(partial(source.read, archive.CHUNK_BYTES), b""))
        elif kind == "files" and rest in FILES:
            _keep(folder / rest, source.read())
        else:
            raise errors.SpecInvalid(
                f"the backup holds {name!r}, which this dynolab does not know", hint="update dynolab"
            )


def _keep(path: Path, content: bytes) -> None:
    """A file for its owner's eyes only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
