"""The bytes of all blobs, which the database counts: to the byte, with nobody waiting for anybody, and the bound that goes by them."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

import asyncpg
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from dynolab.errors import StorageFull
from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.database import Database, configuration
from dynolab.hub.store.tables import model
from dynolab.hub.usecases import begin_upload as reserving
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.begin_upload import begin_upload, check_room
from dynolab.hub.usecases.create_model import create_model
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import Databases, OwnDatabase
from dynolab.testing.waiting import until

INSERT = "INSERT INTO blob (id, bytes, keys) SELECT $1 || n, $2, '{}' FROM generate_series(1, $3) AS n"
COUNTED, KEPT = (
    "SELECT coalesce(sum(bytes), 0)::bigint FROM total_bytes",
    "SELECT coalesce(sum(bytes), 0)::bigint FROM blob",
)

HERE = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
"""Of ``pg_locks``: the server has other databases too."""


@asynccontextmanager
async def connections(dsn: str, count: int) -> AsyncIterator[list[Any]]:
    opened = [await asyncpg.connect(dsn) for _ in range(count)]
    try:
        yield opened
    finally:
        for one in opened:
            await one.close()


async def answer(dsn: str, question: str) -> Any:
    async with connections(dsn, 1) as (one,):
        return await one.fetchval(question)


async def seen(dsn: str, question: str, what: str) -> None:
    """Waits until the database answers with something."""

    await asyncio.to_thread(until, lambda: asyncio.run(answer(dsn, question)), what)


async def both(connection: Any) -> tuple[int, int]:
    """What is counted, and what there is."""
    return await connection.fetchval(COUNTED), await connection.fetchval(KEPT)


def test_many_at_once_are_counted_to_the_byte(databases: Databases) -> None:
    """Made, changed and removed, some in one statement, some of it taken back."""
    own = databases.new()

    async def work(connection: Any, seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(40):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(
                INSERT, f"{seed}-{turn}-", chance.randrange(1, 10**9), chance.choice([1, 1, 1, 30])
            )
            mine = f"{seed}-{chance.randrange(turn + 1)}-%"
            await connection.execute("UPDATE blob SET bytes = bytes + 7, digests = '{x}' WHERE id LIKE $1", mine)
            if chance.random() < 0.4:
                await connection.execute("DELETE FROM blob WHERE id LIKE $1", mine)
            await (transaction.rollback() if chance.random() < 0.3 else transaction.commit())

    async def drill() -> None:
        async with connections(own.dsn, 12) as opened:
            await asyncio.gather(*(work(one, seed) for seed, one in enumerate(opened)))
            counted, kept = await both(opened[0])
            assert counted == kept > 0
            rows = await opened[0].fetchval("SELECT count(*) FROM total_bytes")
            assert rows < 50, "some more than were at it at once"
            await opened[0].execute("DELETE FROM blob")
            assert await both(opened[0]) == (0, 0)

    asyncio.run(drill())


def test_who_counts_waits_for_nobody(databases: Databases) -> None:
    own = databases.new()

    async def drill() -> None:
        async with connections(own.dsn, 4) as (look, *others):
            for number, one in enumerate(others):  # each stays open, with its row in hand
                await one.execute("SET lock_timeout = '5s'")
                await one.execute("BEGIN")
                await one.execute(INSERT, f"open-{number}-", 10, 1)
            assert await both(look) == (0, 0)
            for one in others[1:]:
                await one.execute("COMMIT")
            assert await both(look) == (20, 20)
            await others[0].execute("ROLLBACK")
            assert await both(look) == (20, 20)

    asyncio.run(drill())


def test_what_was_there_before_is_counted_while_others_write(databases: Databases) -> None:
    """Also what a transaction made that began before the upgrade and ended in it, and what comes between the two migrations."""
    own = databases.new()

    async def drill() -> None:
        engine = create_async_engine(own.url)
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
            await connection.run_sync(lambda one: command.upgrade(configuration(one), "0036"))
        async with connections(own.dsn, 2) as (early, look):
            await look.execute(INSERT, "before-", 1000, 5)
            await early.execute("BEGIN")
            await early.execute(INSERT, "early-", 100, 3)

            async def migrated() -> None:
                async with engine.begin() as connection:
                    await connection.run_sync(lambda one: command.upgrade(configuration(one), "0037"))

            upgrade = asyncio.create_task(migrated())
            waits = f"SELECT count(*) FROM pg_locks WHERE relation = 'blob'::regclass AND NOT granted AND {HERE}"
            await seen(own.dsn, waits, "the migration to wait for who writes already")
            await early.execute("COMMIT")
            await upgrade
            await look.execute(INSERT, "between-", 10, 2)
            await look.execute("DELETE FROM blob WHERE id IN ('before-1', 'early-1')")
            database = Database(own.url)
            await database.upgrade()
            await database.close()
            counted, kept = await both(look)
            assert counted == kept == 4 * 1000 + 2 * 100 + 2 * 10
        await engine.dispose()

    asyncio.run(drill())


Drill = Callable[[Bench, Hub, int], Awaitable[None]]


@pytest.fixture
def bounded(postgres: OwnDatabase, tmp_path: Path) -> Callable[[Drill, int], None]:
    """Runs a drill on two replicas, whose bound leaves so many bytes; the drill is told the bound."""

    def carry_out(drill: Drill, room: int) -> None:
        async def used() -> int:
            async with connections(postgres.dsn, 1) as (one,):
                announced = await one.fetchval(
                    "SELECT coalesce(sum(coalesce(bytes, come_bytes)), 0)::bigint FROM upload WHERE completed_at IS NULL"
                )
                return int(await one.fetchval(KEPT) + announced)

        async def beside(bench: Bench) -> None:
            other = await open_hub(Settings(tmp_path, data_max_bytes=most), postgres.url, postgres.dsn)
            try:
                await drill(bench, other, most)
            finally:
                await other.database.close()

        most = asyncio.run(used()) + room
        on_bench(postgres, tmp_path, beside, data_max_bytes=most)

    return carry_out


@pytest.mark.parametrize("small", [0, 10, 16 << 20])
def test_what_fits_comes_in_and_not_a_byte_more(
    postgres: OwnDatabase, bounded: Callable[[Drill, int], None], monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    """One after the other, beside each other as long as there is room for all that could come, and from the one to the other."""
    monkeypatch.setattr(reserving, "SMALL_BYTES", small)
    size, more = 10, 30

    async def drill(bench: Bench, other: Hub, most: int) -> None:
        target, _ = await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False)

        hubs = [(bench.hub, other)[number % 2] for number in range(fit + 20)]
        asked = (begin_upload(hub, bench.user, model, target, size=size) for hub in hubs)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in answers if isinstance(one, BaseException)]
        assert len(answers) - len(refused) == fit
        assert all(isinstance(one, StorageFull) and one.details["used_bytes"] == most for one in refused), refused
        with pytest.raises(StorageFull, match=f"keeps {most} of at most {most} bytes"):
            await check_room(other, 0)

    fit = (
        int(asyncio.run(answer(postgres.dsn, "SHOW max_connections"))) + more
    )  # of small ones, so many come beside each other at first
    bounded(drill, fit * size)


def test_small_ones_do_not_wait_for_each_other_but_large_ones_for_them(
    postgres: OwnDatabase, bounded: Callable[[Drill, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserving, "SMALL_BYTES", 10)

    async def drill(bench: Bench, other: Hub, most: int) -> None:
        async def target() -> str:
            made = await create_model(bench.hub, bench.user, name=secrets.token_hex(4), kind="onnx", is_directory=False)
            return made[0]

        small, large = await target(), await target()
        async with bench.hub.database.begin() as connection:
            await reserving.reserve(bench.hub, connection, 10)  # and has not ended
            await begin_upload(other, bench.user, model, small, size=10)
            waiting = asyncio.create_task(begin_upload(other, bench.user, model, large, size=5000))
            held = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {reserving.QUOTA_LOCK} AND NOT granted AND {HERE}"
            await seen(postgres.dsn, held, "the large one to wait: it has to see what the one before asks for")
        await waiting

    bounded(drill, 10_000)
