"""Replicas come and go while others serve: a graceful end, agents of before, and schemas that are brought up to date beside them."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dynolab import errors
from dynolab.agent.http import HubDoor, greet
from dynolab.hub.store import database as databases_module
from dynolab.hub.store.database import MIGRATIONS, Database, configuration, newest
from dynolab.spec.agents import AGENT_PROTOCOL, OLDEST_AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.testing.databases import Databases, OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

WITHIN_S = 30.0
OFFER = DeviceOffer(id="board", name="board", os="1")


@pytest.fixture
def own(databases: Databases) -> OwnDatabase:
    """A database of the test's own."""
    return databases.new()


# ---- a graceful end --------------------------------------------------------------------------------------------------


@pytest.fixture
def leaving(own: OwnDatabase, tmp_path: Path) -> Iterator[RunningHub]:
    """A hub that takes its time to end."""
    environment = {"DYNOLAB_DATABASE_URL": own.dsn, "DYNOLAB_DRAIN_S": "8", "DYNOLAB_GRACE_S": "25"}
    with running_hub(tmp_path / "hub", "--no-agent", environment=environment) as hub:
        yield hub


def test_a_replica_that_is_told_to_end_says_so_and_finishes_what_it_has(leaving: RunningHub) -> None:
    door, claimed = HubDoor(leaving.url, leaving.agent_token), list[Any]()
    headers = {"Authorization": f"Bearer {leaving.token}"}
    with httpx.Client(base_url=leaving.url, headers=headers, timeout=30) as http:
        model = http.post("/api/hub/v1/models", json={"name": "net", "kind": "onnx"}).json()["id"]
        begun = http.post(f"/api/hub/v1/models/{model}/uploads", json={"size": 1000}).json()
        upload = _Half(begun["urls"][0], 1000)
        waiting = threading.Thread(target=lambda: claimed.append(door.claim(ClaimRequest(AGENT_PROTOCOL, OFFER, 60.0))))
        waiting.start()
        until(lambda: http.get("/api/hub/v1/devices").json()["devices"], "the board that waits for a job")
        leaving.process.send_signal(signal.SIGTERM)
        until(lambda: http.get("/healthz").status_code == 503, "the news for balancers")
        assert http.get("/healthz").json() == {"status": "leaving"}
        assert http.get("/livez").status_code == 200
        assert http.get("/api/hub/v1/me").status_code == 200, "who still comes is served"
        waiting.join(WITHIN_S)
        assert claimed == [None], "who waits for a job is sent to another replica, without an error"
        until(lambda: not _listens(leaving.url), "the end of taking new connections")
        assert leaving.process.poll() is None
        assert upload.finish() == 200, "what was under way is finished"
    assert leaving.process.wait(WITHIN_S) == 0
    door.close()


def test_told_twice_it_ends_at_once(leaving: RunningHub) -> None:
    upload = _Half(f"{leaving.url}/files/parts/x", 1000)
    leaving.process.send_signal(signal.SIGTERM)
    until(lambda: httpx.get(f"{leaving.url}/healthz").status_code == 503, "the news for balancers")
    leaving.process.send_signal(signal.SIGTERM)
    assert leaving.process.wait(WITHIN_S) == 0
    upload.close()


class _Half:
    """A PUT whose body has come by half."""

    def __init__(self, url: str, size: int) -> None:
        parts = httpx.URL(url)
        self._size = size
        self._line = socket.create_connection((parts.host, parts.port), WITHIN_S)
        head = (
            f"PUT {parts.raw_path.decode()} HTTP/1.1\r\nHost: {parts.netloc.decode()}\r\nContent-Length: {size}\r\n\r\n"
        )
        self._line.sendall(head.encode() + b"x" * (size // 2))

    def finish(self) -> int:
        """Send the rest; the answer's status."""
        self._line.sendall(b"x" * (self._size - self._size // 2))
        answer = self._line.recv(1000)
        self.close()
        return int(answer.split()[1])

    def close(self) -> None:
        self._line.close()


def _listens(url: str) -> bool:
    parts = httpx.URL(url)
    with socket.socket() as trying:
        return trying.connect_ex((parts.host, int(parts.port or 0))) == 0


# ---- agents of before ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoken", "taken"),
    [
        *((one, True) for one in range(OLDEST_AGENT_PROTOCOL, AGENT_PROTOCOL + 1)),
        (OLDEST_AGENT_PROTOCOL - 1, False),
        (AGENT_PROTOCOL + 1, False),
    ],
)
def test_agents_of_the_protocol_before_are_taken(door: HubDoor, spoken: int, taken: bool) -> None:
    asked = ClaimRequest(spoken, OFFER, 0.0)
    if taken:
        assert door.claim(asked) is None
    else:
        with pytest.raises(errors.Conflict, match=f"protocol {spoken}, this hub speaks {AGENT_PROTOCOL}"):
            door.claim(asked)


def test_the_protocol_before_is_one_of_them() -> None:
    assert OLDEST_AGENT_PROTOCOL < AGENT_PROTOCOL


def test_a_hub_tells_which_agents_it_takes(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynolab.agent import http

    told = httpx.get(f"{hub.url}/api/agent/v1/hub").json()
    assert (told["protocol"], told["oldest"]) == (AGENT_PROTOCOL, OLDEST_AGENT_PROTOCOL)
    for own in (AGENT_PROTOCOL, OLDEST_AGENT_PROTOCOL):
        monkeypatch.setattr(http, "AGENT_PROTOCOL", own)
        greet(hub.url)
    for own in (AGENT_PROTOCOL + 1, OLDEST_AGENT_PROTOCOL - 1):
        monkeypatch.setattr(http, "AGENT_PROTOCOL", own)
        with pytest.raises(errors.Conflict):
            greet(hub.url)


# ---- the schema ------------------------------------------------------------------------------------------------------

FIRST = "0020"
"""The schema of the last version before replicas were updated one after the other."""


async def aged(url: str, version: str = FIRST) -> None:
    """A new database with the schema of before."""
    old = Database(url)
    async with old.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
        await connection.run_sync(lambda one: command.upgrade(configuration(one), version))
        await connection.execute(text("INSERT INTO account (email) VALUES ('ana@example.org')"))
    await old.close()


def test_a_migration_that_waits_for_a_table_holds_nobody_else_up(
    own: OwnDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction has read the table. Others who read it get through while the migration still waits."""
    monkeypatch.setattr(databases_module, "LOCK_WITHIN", "200ms")

    async def together() -> tuple[int, str | None]:
        await aged(own.url)
        holder, reader, new = Database(own.url), Database(own.url), Database(own.url)
        read = 0
        async with holder.begin() as held:
            await held.execute(text("SELECT count(*) FROM upload"))
            upgrading = asyncio.create_task(new.upgrade())
            async with reader.single() as connection:
                while not await connection.scalar(
                    text(
                        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = current_database()"
                    )
                ):
                    assert not upgrading.done(), "it waits for the table"
                    await asyncio.sleep(0.005)
                for _ in range(20):
                    await connection.execute(text("SELECT count(*) FROM upload"))
                    read += 1
            assert not upgrading.done()
        await upgrading
        async with reader.single() as connection:
            version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        for one in (holder, reader, new):
            await one.close()
        return read, version

    assert asyncio.run(together()) == (20, newest())


HALF_MADE = "CREATE UNIQUE INDEX CONCURRENTLY ix_job_account_newest ON account (is_admin)"
"""As when a try is cut off: this one fails half way, because two accounts are alike in that."""


def test_indexes_are_made_while_others_write_and_those_that_were_left_half_made_anew(own: OwnDatabase) -> None:
    """A transaction has written to the table, and the new index waits for its end: others write meanwhile."""

    async def together() -> tuple[int, list[str], str | None]:
        await aged(own.url, "0031")
        holder, writer, new = Database(own.url), Database(own.url), Database(own.url)
        async with writer.single() as connection:
            await connection.execute(text("INSERT INTO account (email) VALUES ('ben@example.org')"))
            with pytest.raises(DBAPIError, match="could not create unique index"):
                await connection.execute(text(HALF_MADE))
        async with holder.begin() as held:
            await held.execute(text("UPDATE job SET name = name"))
            upgrading = asyncio.create_task(new.upgrade())
            async with (
                writer.single() as connection
            ):  # in a transaction, what the server is at would stay as it was first seen
                while not await connection.scalar(text("SELECT count(*) FROM pg_stat_progress_create_index")):
                    assert not upgrading.done(), "it waits for the writer"
                    await asyncio.sleep(0.005)
            async with writer.begin() as connection:
                await connection.execute(text("SET LOCAL lock_timeout = '5s'"))
                written = 0
                for _ in range(20):
                    await connection.execute(text("UPDATE job SET name = name"))
                    written += 1
            assert not upgrading.done()
        await upgrading
        async with writer.single() as connection:
            whole = "SELECT i.relname FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid "
            whole += "WHERE indisvalid AND t.relname = 'job' AND i.relname IN ('ix_job_account_newest', 'ix_job_code_points')"
            made = sorted((await connection.execute(text(whole))).scalars())
            version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        for one in (holder, writer, new):
            await one.close()
        return written, made, version

    assert asyncio.run(together()) == (20, ["ix_job_account_newest", "ix_job_code_points"], newest())


def test_no_later_migration_makes_an_index_of_a_large_table_in_its_transaction() -> None:
    """Save of a table that it makes itself."""
    for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions():
        if one.revision > "0030":
            source = Path(one.module.__file__ or "").read_text(encoding="utf-8")
            new = re.findall(r'create_table\(\s*"(\w+)"', source)
            indexed = re.findall(r'create_index\(\s*"\w+",\s*"(\w+)"', source)
            assert set(indexed) <= set(new), f"{one.revision}: name it in INDEXES"
            assert source.count("create_index(") == len(indexed)


def test_a_table_that_is_never_free_is_told_of(own: OwnDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases_module, "LOCK_WITHIN", "50ms")
    monkeypatch.setattr(databases_module, "UPGRADE_PATIENCE_S", 0.3)

    async def attempt() -> None:
        await aged(own.url)
        holder, new = Database(own.url), Database(own.url)
        try:
            async with holder.begin() as held:
                await held.execute(text("SELECT count(*) FROM upload"))
                await new.upgrade()
        finally:
            await holder.close()
            await new.close()

    with pytest.raises(errors.Unavailable, match="a transaction has kept a table") as told:
        asyncio.run(attempt())
    assert "pg_stat_activity" in str(told.value.hint)


def test_replicas_that_start_at_once_carry_each_migration_out_once(own: OwnDatabase) -> None:
    async def together() -> list[str | None]:
        await aged(own.url)
        replicas = [Database(own.url) for _ in range(4)]
        await asyncio.gather(*(one.upgrade() for one in replicas))
        async with replicas[0].single() as connection:
            found = [await connection.scalar(text("SELECT version_num FROM alembic_version"))]
        for one in replicas:
            await one.close()
        return found

    assert asyncio.run(together()) == [newest()]


def test_the_newest_schema_is_the_one_that_none_follows() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [newest()]


CONTRACTING = re.compile(
    r"DROP TABLE|DROP COLUMN|RENAME|SET NOT NULL|ALTER COLUMN \w+ TYPE|ADD COLUMN (?![^;]*DEFAULT)[^;]*NOT NULL",
    re.IGNORECASE,
)


def _later() -> list[str]:
    found = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    return sorted(one.revision for one in found if one.revision > FIRST)


@pytest.mark.parametrize("revision", _later())
def test_a_migration_takes_nothing_away_that_the_version_before_uses(revision: str, own: OwnDatabase) -> None:
    """Expand, then contract: what goes may go once no replica that uses it is left, one version later; its row then stands here."""

    async def statements() -> list[str]:
        from sqlalchemy import event

        seen = list[str]()
        old = Database(own.url)
        async with old.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
            before = _before(revision)
            await connection.run_sync(lambda one: command.upgrade(configuration(one), before))
            sync = connection.sync_connection
            assert sync is not None
            event.listen(sync, "before_cursor_execute", lambda *told: seen.append(told[2]))
            await connection.run_sync(lambda one: command.upgrade(configuration(one), revision))
        await old.close()
        return seen

    found = asyncio.run(statements())
    assert found
    assert [one for one in found if CONTRACTING.search(one)] == []


def _before(revision: str) -> str:
    found = ScriptDirectory(str(MIGRATIONS)).get_revision(revision)
    assert found is not None
    return str(found.down_revision)
