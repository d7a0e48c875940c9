"""Drills: the database is away for a while. Requests wait or are told to come again, agents go on, nothing is lost."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import text

pytest.importorskip("pgqueuer")

from dynolab.errors import Unavailable
from dynolab.hub.store import connecting, database
from dynolab.hub.store.postgres import Postgres, running
from dynolab.hub.store.prepared import driver
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from .test_kills import (
    DONE,
    SHORT_LEASE,
    Load,
    Slots,
    announced,
    closed,  # noqa: F401 - a fixture, for what these tests open too
    postmaster,
    slots,
    stalled,
    user_of,
)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
AWAY_S = 20.0
AT_ONCE_S = 4.0
"""Who asks for the hub's health gives up after this long; the hub means to answer within one second."""


def health(hub: RunningHub) -> int:
    return httpx.get(f"{hub.url}/healthz", timeout=AT_ONCE_S).status_code


def test_the_hub_says_at_once_that_its_database_does_not_answer(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--no-agent") as hub:
        assert health(hub) == 200
        with stalled(postmaster(hub)):
            assert [health(hub) for _ in range(3)] == [503] * 3
        until(lambda: health(hub) == 200, "the database")


@pytest.mark.slow
def test_a_database_that_stalls_for_20_s_loses_nothing(tmp_path: Path) -> None:
    with (
        running_hub(tmp_path / "hub", "--no-agent", environment=SHORT_LEASE) as hub,
        slots(hub.url, hub, "stall", tmp_path, 8, work_s=1) as made,
    ):
        announced(user_of(hub), "stall")
        load = Load(hub, "stall")
        until(lambda: len(made.finished) > 4, "some jobs")
        with stalled(postmaster(hub)):
            all_is_said_to_be_away(hub)
        all_goes_on(hub, load, made)


@pytest.mark.slow
def test_a_database_server_that_is_stopped_for_20_s_loses_nothing(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path / "postgres")
    environment = {**SHORT_LEASE, "DYNOLAB_DATABASE_URL": server.dsn}
    try:
        with (
            running_hub(tmp_path / "hub", "--no-agent", environment=environment) as hub,
            slots(hub.url, hub, "stop", tmp_path, 8, work_s=1) as made,
        ):
            announced(user_of(hub), "stop")
            load = Load(hub, "stop")
            until(lambda: len(made.finished) > 4, "some jobs")
            server.stop()
            all_is_said_to_be_away(hub)
            answer = httpx.get(f"{hub.url}/api/hub/v1/jobs", headers={"Authorization": "Bearer dl_other"}, timeout=28)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["code"] == "Unavailable"
            server = Postgres.start(tmp_path / "postgres")
            all_goes_on(hub, load, made)
            assert load.statuses[503] > 0
    finally:
        server.stop()


def all_is_said_to_be_away(hub: RunningHub) -> None:
    end = time.monotonic() + AWAY_S
    while time.monotonic() < end:
        assert health(hub) == 503
        time.sleep(0.5)


def all_goes_on(hub: RunningHub, load: Load, made: Slots) -> None:
    finished = len(made.finished)
    until(lambda: len(made.finished) > finished + 8, "jobs once it is back")
    load.end()
    until(lambda: len(set(made.finished)) >= len(load.acknowledged), "the acknowledged jobs", within_s=120)
    user = user_of(hub)
    assert {user.state(job) for job in load.acknowledged} == {DONE}
    assert max(Counter(made.finished).values()) == 1
    assert set(load.statuses) <= {200, 201, 503}, load.statuses
    assert load.without_retry_after == 0
    assert health(hub) == 200
    assert "Traceback" not in "".join(hub.lines)


def test_a_hub_that_froze_amid_a_transaction_keeps_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connecting.SESSION, "idle_in_transaction_session_timeout", "500ms")  # not its 15 s
    server = Postgres.start(tmp_path / "postgres")

    async def drill() -> None:
        frozen, other = database.Database(server.url), database.Database(server.url)
        locking = text("SELECT pg_advisory_xact_lock(1)")

        async def freeze() -> None:
            async with frozen.begin() as connection:
                await connection.execute(locking)
                async with other.begin() as waiting:
                    await asyncio.wait_for(waiting.execute(locking), 20)
                await connection.execute(text("SELECT 1"))

        with pytest.raises(Unavailable):
            await freeze()
        await frozen.ready()
        for one in (frozen, other):
            await one.close()

    try:
        asyncio.run(drill())
    finally:
        server.stop()


def test_a_statement_that_takes_too_long_is_ended_and_may_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connecting.SESSION, "statement_timeout", "200ms")  # not its 25 s
    server = Postgres.start(tmp_path / "postgres")

    async def drill() -> None:
        opened = database.Database(server.url)
        await opened.upgrade()
        with pytest.raises(Unavailable):
            async with opened.begin() as connection:
                await connection.execute(text("SELECT pg_sleep(20)"))
        await opened.ready()
        await opened.close()

    try:
        asyncio.run(drill())
    finally:
        server.stop()


@pytest.mark.parametrize("by_driver", [False, True])
def test_connections_are_replaced_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_driver: bool
) -> None:
    """The database's processes grow with what they have seen; connections that only the driver used stay open between two uses."""

    async def process_twice() -> tuple[int, int]:
        opened = database.Database(server.url)
        try:
            return await process(opened), await process(opened)
        finally:
            await opened.close()

    async def process(opened: database.Database) -> int:
        asked = "SELECT pg_backend_pid()"
        async with opened.single() as connection:
            found = driver(connection).fetchval(asked) if by_driver else connection.scalar(text(asked))
            return int(await found)

    server = Postgres.start(tmp_path / "postgres")
    try:
        first, second = asyncio.run(process_twice())
        assert first == second
        monkeypatch.setattr(database, "CONNECTION_LIFE_S", 0.0)
        first, second = asyncio.run(process_twice())
        assert first != second
    finally:
        server.stop()


def test_a_database_that_takes_no_writes_is_away_until_it_does(tmp_path: Path) -> None:
    """As a standby that was not promoted yet, to which a proxy leads already: SQLSTATE 25006 (Appendix A of PostgreSQL's manual)."""
    with running_hub(tmp_path, "--no-agent", environment=SHORT_LEASE) as hub:
        user = user_of(hub)
        user.model()
        dsn = connecting.plain(str(running(hub.data / "postgres")))

        def made() -> httpx.Response:
            headers = {"Authorization": f"Bearer {hub.token}"}
            asked = {"name": "net", "kind": "onnx"}
            return httpx.post(f"{hub.url}/api/hub/v1/models", headers=headers, json=asked, timeout=30)

        asyncio.run(said(dsn, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"))
        until(lambda: made().status_code != 201, "the end of writes")
        answer = made()
        assert answer.status_code == 503, answer.text
        assert "retry-after" in answer.headers
        back = "SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only"
        asyncio.run(said(dsn, *back, "SELECT pg_reload_conf()"))
        until(lambda: made().status_code == 201, "writes")
    assert "Traceback" not in "".join(hub.lines)


async def said(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for one in statements:
        await connection.execute(one)
    await connection.close()
