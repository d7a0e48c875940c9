"""``dynolab hub check`` as a command: files and objects, disks, clocks, versions, and what only a server of its own can show."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

pytest.importorskip("pgqueuer")

from dynolab.hub.store.postgres import Postgres
from dynolab.testing.clocks import compiler, wall_clock
from dynolab.testing.commands import Done, command
from dynolab.testing.object_stores import Missing, s3
from dynolab.testing.running_hub import RunningHub, running_hub

from .test_jobs import CONTENT, User

DAYS_S = 3 * 86400
DURABLE = "commits-are-durable"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


def checked(
    hub: RunningHub, *arguments: str, rc: int = 0, environment: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """What the command finds, by check."""
    done = run(hub.data, "--json", *arguments, environment={**hub.environment, **(environment or {})})
    assert done.returncode == rc, done.stdout + done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)["checks"]}


def run(data: Path, *arguments: str, environment: Mapping[str, str]) -> Done:
    return command("hub", "check", "--data", data, *arguments, environment=environment)


def wrong(found: dict[str, dict[str, Any]]) -> list[str]:
    """What does not hold; the tests' own servers may be told not to wait for the disk."""
    return sorted(name for name, one in found.items() if one["state"] in ("wrong", "warning") and name != DURABLE)


def aged(path: Path) -> None:
    at = path.stat().st_mtime - DAYS_S
    os.utime(path, (at, at))


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub with a database of its own and one model, that has ended."""
    data = tmp_path_factory.mktemp("lived-in") / "hub"
    with running_hub(data, "--no-agent") as hub:
        user = User(hub)
        user.model()
        user.http.close()
    return hub


@pytest.fixture
def stopped(lived_in: RunningHub, tmp_path: Path) -> RunningHub:
    """A copy of it."""
    shutil.copytree(lived_in.data, tmp_path / "hub", symlinks=True)
    if os.getuid() == 0:
        owner = (lived_in.data / "postgres").stat()
        for path in (tmp_path / "hub" / "postgres", *(tmp_path / "hub" / "postgres").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    return RunningHub(lived_in.process, tmp_path / "hub", lived_in.environment)


def objects(hub: RunningHub) -> list[Path]:
    return sorted(path for path in (hub.data / "blobs" / "uploads").rglob("*") if path.is_file())


def test_a_hub_that_does_not_run_is_checked_and_left_as_it_was(stopped: RunningHub) -> None:
    before = {path: path.read_bytes() for path in (stopped.data / "blobs").rglob("*") if path.is_file()}
    done = run(stopped.data, "--digests", environment=stopped.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " checks hold" in done.stdout.splitlines()[0]
    assert "(0 jobs, 0 attempts, 0 devices, 1 model," in done.stdout.splitlines()[0]
    assert "no hub is connected" in done.stdout
    assert "not looked at: a running hub sees to it" in done.stdout
    assert {path: path.read_bytes() for path in (stopped.data / "blobs").rglob("*") if path.is_file()} == before


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(("spoil", "name"), [(lose, "blob-bytes-are-there"), (cut, "blob-has-its-size")])
def test_a_blob_that_is_not_whole_is_found(stopped: RunningHub, spoil: Callable[[Path], None], name: str) -> None:
    [path] = objects(stopped)
    spoil(path)
    found = checked(stopped, rc=1)
    assert wrong(found) == [name]
    [problem] = found[name]["problems"]
    assert "the model m" in problem["what"]
    assert problem["since"]


def test_a_removal_that_was_cut_short_after_the_objects_is_no_loss(stopped: RunningHub) -> None:
    server = Postgres.start(stopped.data / "postgres")
    try:
        asyncio.run(sql(server.dsn, "INSERT INTO blob (id, bytes, keys) VALUES ('b1', 5, '{attempts/gone}')"))
        assert wrong(checked(stopped)) == []
    finally:
        server.stop()


def test_bytes_that_were_altered_are_found_when_they_are_read(stopped: RunningHub) -> None:
    [path] = objects(stopped)
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert wrong(checked(stopped)) == []
    found = checked(stopped, "--digests", rc=1)
    assert wrong(found) == ["blob-has-its-digest"]
    done = run(stopped.data, "--digests", environment=stopped.environment)
    assert done.stdout.startswith("1 is wrong, ")
    assert "wrong: blob-has-its-digest: not so: what is in the blob store has the SHA-256 digest" in done.stdout
    assert "what to do: " in done.stdout


def test_objects_and_files_that_are_nobodys_are_found_once_they_are_old(stopped: RunningHub) -> None:
    stray, unfinished = objects(stopped)[0].parent / "00007-stray", objects(stopped)[0].parent / "00008-x#1"
    for path in (stray, unfinished):
        path.write_bytes(b"stray")
    assert wrong(checked(stopped)) == []
    for path in (stray, unfinished):
        aged(path)
    found = checked(stopped)  # a warning: nobody knows that a hub was there to remove it
    assert wrong(found) == ["no-writing-was-cut-short", "object-has-an-owner"]
    assert "00007-stray" in found["object-has-an-owner"]["problems"][0]["what"]


def test_a_store_that_is_not_this_hubs_or_not_there_is_told(stopped: RunningHub) -> None:
    (stopped.data / "blobs" / "dynolab-hub").write_text("another")
    assert wrong(checked(stopped, rc=1)) == ["blob-store-answers"]
    shutil.move(stopped.data / "blobs", stopped.data / "elsewhere")
    assert wrong(checked(stopped, rc=1)) == ["blob-store-answers"]
    assert not (stopped.data / "blobs").exists(), "it makes nothing"


def test_an_object_that_an_s3_store_lost_is_found(tmp_path: Path) -> None:
    try:
        with s3() as store, pytest.MonkeyPatch.context() as patch:
            environment = {**store.environment, "DYNOLAB_BLOBS_URL": f"{store.url}/one"}
            with running_hub(tmp_path / "hub", "--no-agent", environment=environment) as hub:
                user = User(hub)
                user.model()
                user.http.close()
                assert wrong(checked(hub, "--digests")) == []
                for name, value in store.environment.items():
                    patch.setenv(name, value)
                import obstore
                from obstore.store import from_url

                opened = from_url(f"{store.url}/one", client_options={"allow_http": True})
                [[meta]] = list(obstore.list(opened, "uploads"))
                obstore.put(opened, meta["path"], b"x" + CONTENT[1:])
                assert wrong(checked(hub, "--digests", rc=1)) == ["blob-has-its-digest"]
                obstore.delete(opened, meta["path"])
                assert wrong(checked(hub, rc=1)) == ["blob-bytes-are-there"]
            assert wrong(checked(hub, rc=1, environment={"AWS_ENDPOINT": "http://127.0.0.1:9"})) == [
                "blob-store-answers"
            ]
    except Missing as error:
        pytest.skip(str(error))


def test_a_check_without_the_stores_keys_says_so_and_finds_nothing_wrong(stopped: RunningHub) -> None:
    here = {
        **{name: None for name in os.environ if name.startswith("AWS_") or name.lower() == "no_proxy"},
        "DYNOLAB_BLOBS_URL": "s3://bucket/hub",
        "HTTP_PROXY": "http://127.0.0.1:9",  # no machine in a cloud gives it credentials of its own
        "http_proxy": "http://127.0.0.1:9",
    }
    done = command("hub", "check", "--data", stopped.data, environment=here)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "there are no credentials for DYNOLAB_BLOBS_URL=s3://bucket/hub" in done.stderr
    assert "AWS_ACCESS_KEY_ID" in done.stderr


def test_there_is_no_hub_and_there_is_one_of_another_version(stopped: RunningHub, tmp_path: Path) -> None:
    nothing = run(tmp_path / "nothing", environment=stopped.environment)
    assert nothing.returncode == 2
    assert "there is no hub's database" in nothing.stderr
    assert not (tmp_path / "nothing").exists()
    server = Postgres.start(stopped.data / "postgres")
    try:
        asyncio.run(sql(server.dsn, "UPDATE alembic_version SET version_num = '0007'"))
        done = run(stopped.data, environment=stopped.environment)
        assert done.returncode == 2
        assert "has the schema 0007" in done.stderr
    finally:
        server.stop()


async def sql(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for one in statements:
        await connection.execute(one)
    await connection.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningHub, Postgres]]:
    """A hub that runs, on a server of its own."""
    folder = tmp_path_factory.mktemp("running")
    server = Postgres.start(folder / "postgres")
    try:
        environment = {"DYNOLAB_DATABASE_URL": server.dsn}
        with running_hub(folder / "hub", "--no-agent", environment=environment) as hub:
            yield hub, server
    finally:
        server.stop()


def test_a_hub_that_runs_is_told_with_its_version(running: tuple[RunningHub, Postgres]) -> None:
    hub, _ = running
    done = run(hub.data, environment=hub.environment)
    assert done.returncode == 0, done.stdout
    assert f":{hub.process.pid}, dynolab " in done.stdout.partition("hubs that are connected:")[2]


def beside(
    server: Postgres, hub: RunningHub, work: Callable[[asyncpg.Connection[Any]], Awaitable[None]], connections: int = 1
) -> list[str]:
    """What is found while connections, of which one has done the work, stay open."""

    async def opened() -> list[asyncpg.Connection[Any]]:
        found = [await asyncpg.connect(server.dsn) for _ in range(connections)]
        await work(found[0])
        return found

    async def close(every: list[asyncpg.Connection[Any]]) -> None:
        for one in every:
            await one.close()

    with asyncio.Runner() as runner:
        every = runner.run(opened())
        try:
            found = run(hub.data, "--json", environment=hub.environment)
        finally:
            runner.run(close(every))
    return wrong({one["name"]: one for one in json.loads(found.stdout)["checks"]})


def test_replicas_of_two_versions_are_told(running: tuple[RunningHub, Postgres]) -> None:
    hub, server = running

    async def older(connection: asyncpg.Connection[Any]) -> None:
        await connection.execute("SET application_name = 'dynolab hub 0.0.1 old:1'")

    assert beside(server, hub, older) == ["one-version"]


def test_a_column_an_index_and_a_table_that_are_missing_are_told(running: tuple[RunningHub, Postgres]) -> None:
    hub, server = running
    asyncio.run(sql(server.dsn, "ALTER TABLE device RENAME drift TO other", "DROP INDEX ix_model_name"))
    try:
        found = checked(hub, rc=1)
        assert sorted(one["what"] for one in found["schema-is-whole"]["problems"]) == [
            "column device.drift",
            "index ix_model_name",
        ]
    finally:
        asyncio.run(
            sql(server.dsn, "ALTER TABLE device RENAME other TO drift", "CREATE INDEX ix_model_name ON model (name)")
        )


def test_connections_that_are_used_up_are_told(running: tuple[RunningHub, Postgres]) -> None:
    hub, server = running

    async def wait(_: asyncpg.Connection[Any]) -> None:
        pass

    assert beside(server, hub, wait, connections=48) == ["connections-are-left"]


def test_a_table_full_of_dead_rows_is_told(running: tuple[RunningHub, Postgres]) -> None:
    hub, server = running

    async def littered(connection: asyncpg.Connection[Any]) -> None:
        await connection.execute("CREATE TABLE litter (n int) WITH (autovacuum_enabled = false)")
        await connection.execute("INSERT INTO litter SELECT generate_series(1, 100001)")
        await connection.execute("DELETE FROM litter")
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT 1")

    try:
        assert beside(server, hub, littered) == ["tables-are-cleaned"]
    finally:
        asyncio.run(sql(server.dsn, "DROP TABLE litter"))


def test_a_replication_slot_that_nobody_reads_is_told(running: tuple[RunningHub, Postgres]) -> None:
    hub, server = running

    async def held_back(connection: asyncpg.Connection[Any]) -> None:
        await connection.execute("ALTER SYSTEM SET wal_init_zero = off")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
        for _ in range(66):  # segments of 16 MiB, which stay sparse
            await connection.execute("SELECT pg_logical_emit_message(false, 'x', 'y'), pg_switch_wal()")

    try:
        assert beside(server, hub, held_back) == ["no-slot-keeps-the-log"]
    finally:
        asyncio.run(sql(server.dsn, "SELECT pg_drop_replication_slot('forgotten')"))


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler, for a clock that can be set")
def test_a_clock_that_is_wrong_is_told(running: tuple[RunningHub, Postgres]) -> None:
    hub, _ = running
    with wall_clock() as clock:
        clock.set(-600)
        line = [sys.executable, "-m", "dynolab.cli.main", "hub", "check", "--data", str(hub.data), "--json"]
        whole = {**hub.environment, **clock.environment}  # which a process heeds when it starts
        done = subprocess.run(line, env=whole, capture_output=True, text=True, check=False)
        found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert wrong(found) == ["clocks-agree"]
    assert "600 s ahead of this machine's" in found["clocks-agree"]["problems"][0]["why"]


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler, for a clock that can be set")
def test_a_transaction_that_stays_open_is_told(tmp_path: Path) -> None:
    with wall_clock() as clock, pytest.MonkeyPatch.context() as patch:
        for name, value in clock.environment.items():
            patch.setenv(name, value)
        server = Postgres.start(tmp_path / "postgres")
        patch.undo()
        try:
            environment = {"DYNOLAB_DATABASE_URL": server.dsn}
            with running_hub(tmp_path / "hub", "--no-agent", environment=environment) as hub:

                async def stay(connection: asyncpg.Connection[Any]) -> None:
                    await connection.execute("BEGIN")
                    await connection.execute("SELECT 1")
                    clock.set(3600)

                assert "no-long-transaction" in beside(server, hub, stay)
        finally:
            server.stop()


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", at], check=False)
    if done.returncode:
        pytest.skip("this kernel, or this user, mounts no tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts file systems")
def test_a_disk_that_is_full_is_told(running: tuple[RunningHub, Postgres], tmp_path: Path) -> None:
    hub, _ = running
    with small_disk(tmp_path / "disk", 300):
        environment = {"DYNOLAB_BLOBS_URL": f"file://{tmp_path}/disk"}
        found = checked(hub, rc=1, environment=environment)
        assert "disk-not-full" not in wrong(found)
        (tmp_path / "disk" / "large").write_bytes(b"x" * (280 << 20))
        found = checked(hub, rc=1, environment=environment)
    [problem] = found["disk-not-full"]["problems"]
    assert problem["what"] == "blobs"
    with small_disk(tmp_path / "disk", 6000):
        (tmp_path / "disk" / "large").write_bytes(b"x" * (1 << 20))
        with (tmp_path / "disk" / "larger").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 5500 << 20)
        found = checked(hub, rc=1, environment=environment)
    assert found["disk-has-room"]["state"] == "warning"
