"""Statements that the driver runs itself, and the transactions that they share with SQLAlchemy's."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from dynolab.errors import Conflict, Unavailable
from dynolab.hub.store import database as database_module
from dynolab.hub.store.database import Database
from dynolab.hub.store.prepared import Prepared, driver
from dynolab.hub.store.tables import setting
from dynolab.testing.databases import OwnDatabase

KEEP = Prepared(insert(setting).values(name=bindparam("name"), value=bindparam("value")).returning(setting.c.name))
FIND = Prepared(select(setting.c.name, setting.c.value).where(setting.c.name == bindparam("name")))
CHANGE = Prepared(
    update(setting).where(setting.c.name == bindparam("which")).values(value=bindparam("value", "unsaid"))
)
QUOTED = "it's 100 % of \\ 'it'"
AMONG = Prepared(
    select(setting.c.name).where(setting.c.value.in_(["unsaid", QUOTED]), setting.c.name == bindparam("which"))
)
NAP = Prepared(select(func.pg_sleep(0.002)))


def through(postgres: OwnDatabase, use: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        database = Database(postgres.url)
        try:
            await database.upgrade()
            await use(database)
        finally:
            await database.close()

    asyncio.run(run())


def a_name() -> str:
    return uuid.uuid4().hex


async def value_of(database: Database, name: str) -> str | None:
    async with database.single() as connection:
        found: str | None = await connection.scalar(select(setting.c.value).where(setting.c.name == name))
    return found


def test_constants_stand_in_the_statement_whatever_is_in_them(postgres: OwnDatabase) -> None:
    async def use(database: Database) -> None:
        name = a_name()
        async with database.single() as connection:
            await KEEP.execute(connection, name=name, value=QUOTED)
            assert await AMONG.scalar(connection, which=name) == name
            await KEEP.execute(connection, name=(other := a_name()), value="it's")
            assert await AMONG.scalar(connection, which=other) is None

    assert "$2" not in AMONG.sql
    through(postgres, use)


def test_rows_have_their_columns_names_and_what_is_not_said_has_its_default(postgres: OwnDatabase) -> None:
    async def use(database: Database) -> None:
        name = a_name()
        async with database.single() as connection:
            assert await FIND.one_or_none(connection, name=name) is None
            assert await FIND.scalar(connection, name=name) is None
            assert await KEEP.scalar(connection, name=name, value="first") == name
            row = await FIND.one_or_none(connection, name=name)
            assert (row.name, row.value) == (name, "first")
            await CHANGE.execute(connection, which=name)
            assert [one.value for one in await FIND.all(connection, name=name)] == ["unsaid"]
            with pytest.raises(KeyError, match="value"):
                await KEEP.scalar(connection, name=a_name())

    through(postgres, use)


def test_documents_arrive_as_they_were_and_none_is_null(postgres: OwnDatabase) -> None:
    given = bindparam("document", type_=JSONB(none_as_null=True))
    echo = Prepared(select(given.label("document"), given.is_(None).label("is_null")))

    async def use(database: Database) -> None:
        async with database.single() as connection:
            for document in ({"ä": [1, 2.5, None]}, [], "text"):
                assert tuple(await echo.one_or_none(connection, document=document)) == (document, False)
            assert tuple(await echo.one_or_none(connection, document=None)) == (None, True)

    through(postgres, use)


def test_both_ways_of_asking_share_one_transaction(postgres: OwnDatabase) -> None:
    async def use(database: Database) -> None:
        mine, theirs = a_name(), a_name()

        async def undone() -> None:
            async with database.begin() as connection:
                await KEEP.execute(connection, name=mine, value="prepared")
                await connection.execute(insert(setting).values(name=theirs, value="by SQLAlchemy"))
                assert await connection.scalar(select(setting.c.value).where(setting.c.name == mine)) == "prepared"
                raise Conflict("undone")

        with pytest.raises(Conflict):
            await undone()
        assert await value_of(database, mine) is None
        assert await value_of(database, theirs) is None
        async with database.begin() as connection:
            await connection.execute(insert(setting).values(name=theirs, value="by SQLAlchemy"))
            await KEEP.execute(connection, name=mine, value="prepared")
            assert await value_of(database, mine) is None, "not before the end"
        assert await value_of(database, mine) == "prepared"
        assert await value_of(database, theirs) == "by SQLAlchemy"

    through(postgres, use)


def test_who_is_cut_off_anywhere_leaves_no_transaction_to_the_next(postgres: OwnDatabase) -> None:
    """A transaction that is left open would swallow what the connection's next user commits."""
    source = random.Random(7)

    async def use(database: Database) -> None:
        async def change(name: str) -> None:
            async with database.begin() as connection:
                await KEEP.execute(connection, name=name, value="half")
                await NAP.execute(connection)
                await CHANGE.execute(connection, which=name, value="whole")

        kept: list[str] = []
        for _ in range(15):
            names = [a_name() for _ in range(20)]
            tasks = [asyncio.create_task(change(name)) for name in names]
            for task in tasks[::2]:
                asyncio.get_running_loop().call_later(source.random() * 0.02, task.cancel)
            await asyncio.gather(*tasks, return_exceptions=True)
            kept += [name for name, task in zip(names, tasks, strict=True) if not task.cancelled()]
            async with database.single() as connection:
                assert not driver(connection).is_in_transaction()
        outside = await asyncpg.connect(postgres.dsn)
        try:
            found = dict(await outside.fetch("SELECT name, value FROM setting WHERE name = ANY($1)", kept))
            open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
            assert await outside.fetchval(open_ones) == 0
        finally:
            await outside.close()
        assert found == dict.fromkeys(kept, "whole")

    through(postgres, use)


def test_a_connection_that_is_lost_amid_a_transaction_is_told_as_such(
    postgres: OwnDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database_module, "_told", {})
    end = text("SELECT pg_terminate_backend(:pid)")

    async def use(database: Database) -> None:
        name = a_name()

        async def lost() -> None:
            async with database.begin() as connection:
                await KEEP.execute(connection, name=name, value="lost")
                async with database.single() as other:
                    await other.execute(end, {"pid": driver(connection).get_server_pid()})
                await NAP.execute(connection)

        for _ in range(3):
            with pytest.raises(Unavailable):
                await lost()
        assert await value_of(database, name) is None

    through(postgres, use)
    logged = [one.message for one in caplog.records if one.message.startswith("the database: ")]
    assert logged, "whoever runs the hub is told why"
    assert len(logged) == len({*logged}), "and of each reason once in a while"
