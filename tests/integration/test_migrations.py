"""The schema's history leads to the tables that the code knows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.database import Database, configuration, newest
from dynolab.hub.store.postgres import Postgres
from dynolab.hub.store.tables import metadata
from dynolab.testing.databases import Databases


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres.start(Path(tmp_path_factory.mktemp("hub")) / "postgres")
    yield server
    server.stop()


def test_migrations_make_the_tables_that_the_code_knows(postgres: Postgres) -> None:
    async def differences() -> tuple[str | None, list[object]]:
        database = Database(postgres.url)
        for _ in range(2):  # a second time changes nothing
            await database.upgrade()
        await database.close()
        engine = create_async_engine(postgres.url)
        async with engine.connect() as connection:
            version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            found = await connection.run_sync(_differences)
        await engine.dispose()
        return version, found

    version, found = asyncio.run(differences())
    assert version == newest()
    assert found == []


def _differences(connection: Connection) -> list[object]:
    """What Alembic would change, save for the queue's own tables."""

    def ours(item: object, name: str | None, kind: str, *_: object) -> bool:
        table = name if kind == "table" else getattr(getattr(item, "table", None), "name", "")
        return not str(table).startswith("pgqueuer")

    context = MigrationContext.configure(connection, opts={"include_object": ours})
    return list(compare_metadata(context, metadata))


def test_tokens_fetched_by_password_are_known_after_the_upgrade(tmp_path: Path) -> None:
    """From 0010 on: before sessions there was nothing but the label to tell them by."""
    server = Postgres.start(tmp_path / "postgres")

    async def upgraded() -> list[tuple[str, bool, object]]:
        engine = create_async_engine(server.url)
        async with engine.begin() as connection:
            await connection.run_sync(lambda one: command.upgrade(configuration(one), "0010"))
            await connection.execute(text("INSERT INTO account (email) VALUES ('ana@example.org')"))
            await connection.execute(text("INSERT INTO setting VALUES ('hub_id', 'of a hub that ran')"))
            for label, kind in (("login by password", "user"), ("my laptop", "user"), ("login by password ", "agent")):
                values = {"id": f"t{label}{kind}", "kind": kind, "label": label}
                made = "INSERT INTO token (id, account_id, kind, digest, label) SELECT :id, id, :kind, :id, :label FROM account"
                await connection.execute(text(made), values)
        for _ in range(2):
            hub = await open_hub(Settings(tmp_path), server.url, server.dsn)
            await hub.database.close()
        async with engine.connect() as connection:
            told = text("SELECT who, thing, details ->> 'from' FROM audit WHERE verb = 'hub.upgrade'")
            assert [tuple(row) for row in await connection.execute(told)] == [("hub", newest(), "0010")], "once"
            found = (await connection.execute(text("SELECT label, by_password, used_at FROM token ORDER BY id"))).all()
        await engine.dispose()
        return [tuple(row) for row in found]

    try:
        assert asyncio.run(upgraded()) == [
            ("login by password ", False, None),
            ("login by password", True, None),
            ("my laptop", False, None),
        ]
    finally:
        server.stop()


def test_replicas_that_start_at_once_upgrade_once(postgres: Postgres) -> None:
    async def together() -> None:
        databases = [Database(postgres.url) for _ in range(4)]
        await asyncio.gather(*(database.upgrade() for database in databases))
        for database in databases:
            await database.close()

    asyncio.run(together())


COMMANDS = {
    "hub": "hub --data FOLDER/hub --no-agent --port 0",
    "account": "hub account --data FOLDER/hub add someone@example.org",
    "backup": "hub backup --data FOLDER/hub FOLDER/file",
}


@pytest.mark.parametrize(
    ("asked", "noted"),
    [*((asked, True) for asked in COMMANDS.values()), (COMMANDS["account"], False)],
    ids=[*COMMANDS, "account, and who made it is not noted"],
)
def test_a_database_of_a_newer_dynolab_is_told_of_in_words(
    asked: str, noted: bool, databases: Databases, tmp_path: Path
) -> None:
    database = databases.new()

    async def age() -> None:
        opened = Database(database.url)
        await opened.upgrade()
        async with opened.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            known = "UPDATE setting SET value = '9999 77.1' WHERE name = 'schema_made_by'"
            forgotten = "DELETE FROM setting WHERE name = 'schema_made_by'"
            await connection.execute(text(known if noted else forgotten))
        await opened.close()

    asyncio.run(age())
    words = [sys.executable, "-m", "dynolab.cli.main", *asked.replace("FOLDER", str(tmp_path)).split()]
    environment = {**os.environ, "DYNOLAB_DATABASE_URL": database.dsn}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "report this" not in done.stderr
    assert "schema 9999" in done.stderr
    assert ("dynolab 77.1" if noted else "a newer dynolab") in done.stderr
    assert newest() in done.stderr
