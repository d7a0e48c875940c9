"""The hub's own PostgreSQL: made, started and stopped by the hub, in a folder and over a unix socket of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dynolab import errors, private_files
from dynolab.hub.store import _postgres_folder as folders
from dynolab.hub.store._postgres_programs import binaries, fitting

__all__ = ["Postgres", "binaries", "running", "urls"]

NAME = "dynolab"
"""Of the database, and of its only role."""
READY_S = 300.0
"""Crash recovery reads up to ``max_wal_size`` before connections are accepted."""
STOPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
"""Fast shutdown, immediate shutdown, the end; each with the seconds it is given."""
POLL_S = 0.01

SETTINGS = """
# What dynolab sets: a small footprint. Where to listen is said at each start.
max_connections = 60
shared_buffers = 32MB
max_wal_size = 256MB
jit = off
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
"""


def urls(url: str) -> tuple[str, str]:
    """SQLAlchemy's form of a database's address, and the plain one. Raises :class:`SpecInvalid`."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise errors.SpecInvalid(
            f"DYNOLAB_DATABASE_URL={url!r} is no PostgreSQL address", hint="postgresql://user@host/name"
        )
    return f"postgresql+asyncpg://{rest}", f"postgresql://{rest}"


def running(folder: Path) -> str | None:
    """SQLAlchemy's URL of the server that runs on ``folder``, started by whichever process; None: there is none."""
    record = folders.server(folder)
    return None if record is None else urls(_dsn(*record))[0]


def _dsn(sockets: Path | str, port: int) -> str:
    # The port is named, or PGPORT in the environment would be taken for it.
    return f"postgresql://{NAME}@/{NAME}?host={sockets}&port={port}"


class Postgres:
    """The hub's own PostgreSQL, a direct child of this process, reached over a unix socket only."""

    def __init__(
        self, process: subprocess.Popen[bytes], keeper: threading.Thread, sockets: Path, scratch: bool
    ) -> None:
        self.pid = process.pid
        self.dsn = _dsn(sockets, folders.PORT)
        self.url = urls(self.dsn)[0]
        self._process = process
        self._keeper = keeper
        self._scratch = sockets if scratch else None
        self._stopping = threading.Lock()

    @classmethod
    def start(cls, folder: Path) -> Postgres:
        """The server on ``folder``, ready to accept connections; the folder is made when it is missing or empty.

        Beside the folder lie its log, its lock and, while it is made, the unfinished one. Raises :class:`Conflict` when
        another server runs on the folder or its content does not fit, :class:`Forbidden` when root may not become
        somebody else, and :class:`Error` with the log's end when PostgreSQL does not start.
        """
        folder = folder.resolve()
        try:
            programs, major = fitting(folder)
            private_files.make_folder(folder.parent)
            with folders.locked(folder) as lock, folders.opened_log(folder) as log:
                account = folders.account(folder, programs)
                site = _Site(folder, programs, major, account, lock, log, log_start=os.fstat(log.fileno()).st_size)
                if not folders.is_made(folder):
                    site.make()
                elif folder.stat().st_uid == 0:
                    account.own(folder)
                return cls._start(site)
        except OSError as error:
            raise errors.Error(
                f"PostgreSQL's folder {folder} cannot be used: {error}",
                hint="name another data folder, or mend this one",
            ) from error

    @classmethod
    def _start(cls, site: _Site) -> Postgres:
        sockets, scratch = folders.socket_folder(site.folder, site.account)
        for leftover in sockets.glob(".s.PGSQL.*"):
            leftover.unlink()
        folders.forget_broken_record(site.folder)
        before = folders.stamp(site.folder)
        server = cls(*site.serve(sockets), sockets, scratch)
        try:
            deadline = time.monotonic() + READY_S
            while folders.stamp(site.folder) == before or not folders.is_ready(site.folder, server.pid):
                if (code := server.poll()) is not None:
                    raise site.failure(f"ended with code {code} while starting")
                if time.monotonic() > deadline:
                    raise site.failure(f"accepts no connections after {READY_S:.0f} s")
                time.sleep(POLL_S)
        except BaseException:
            server.stop()
            raise
        return server

    def poll(self) -> int | None:
        """The exit code, once the server has ended."""
        return self._process.poll()

    def stop(self) -> None:
        """End the server, and with it every open transaction; does nothing when it has ended."""
        with self._stopping:
            for number, patience_s in STOPS:
                self._process.send_signal(number)
                self._keeper.join(patience_s)
                if not self._keeper.is_alive():
                    break
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Site:
    """A data folder while its server is made and started."""

    folder: Path
    programs: Path
    major: int
    account: folders.Account
    lock: int
    log: BinaryIO
    log_start: int

    def make(self) -> None:
        """Make the data folder; it gets its name once it is whole and on the disk."""
        new = self.folder.with_name(f"{self.folder.name}.new")
        if new.exists():
            shutil.rmtree(new)  # a start was interrupted
        new.mkdir(mode=0o700)
        self.account.own(new)
        text = ("--encoding=UTF8", "--locale=C", "--data-checksums")
        access = ("--auth-local=trust", "--auth-host=reject", f"--username={NAME}")
        self._run("initdb", "-D", new, *text, *access)
        with (new / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
            if self.major >= 18:
                settings.write("io_method = sync\n")  # otherwise three more processes
            settings.flush()
            os.fsync(settings.fileno())
        create = f"CREATE DATABASE {NAME}\n"
        self._run("postgres", "--single", "-D", new, "-c", "exit_on_error=true", "postgres", text=create)
        new.rename(self.folder)
        _sync(self.folder.parent)

    def _run(self, program: str, *arguments: Path | str, text: str = "") -> None:
        done = subprocess.run(
            self.account.command(self.folder.parent, self.programs / program, *arguments),
            input=text.encode(),
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            pass_fds=[self.lock],
            start_new_session=True,
            check=False,
        )
        if done.returncode != 0:
            raise self.failure(f"could not be set up: {program} ended with code {done.returncode}")

    def serve(self, sockets: Path) -> tuple[subprocess.Popen[bytes], threading.Thread]:
        """The server's process, and a thread that ends when it does.

        All processes of the server inherit the lock, so it is free again when the last of them has ended.
        """
        options = {"unix_socket_directories": sockets, "unix_socket_permissions": "0700", "listen_addresses": ""}
        options |= {"port": folders.PORT, "logging_collector": "off"}
        arguments = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        program = self.programs / "postgres"
        command = self.account.command(self.folder.parent, program, "-D", self.folder, *arguments, death=signal.SIGINT)
        environment = _environment(stale_pid=folders.recorded_pid(self.folder))
        born: Future[subprocess.Popen[bytes]] = Future()

        def keep() -> None:
            # The end that the kernel tells the child of is that of the thread that forked it (prctl(2)).
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=self.log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    pass_fds=[self.lock],
                    start_new_session=True,  # Ctrl-C in the terminal is for the hub, which stops the server last
                )
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                born.set_exception(error)
            else:
                born.set_result(process)
                process.wait()

        keeper = threading.Thread(target=keep, name="postgres", daemon=True)
        keeper.start()
        return born.result(), keeper

    def failure(self, what: str) -> errors.Error:
        """The error of a start that failed, with what the log says about it."""
        path = Path(os.fsdecode(self.log.name))
        tail = folders.tail(path, self.log_start)
        causes = re.findall(r"^.*(?:FATAL|PANIC|error): +(.*)$", tail, re.MULTILINE)
        return errors.Error(
            f"PostgreSQL {self.major} in {self.folder} {what}" + (f": {causes[-1]}" if causes else ""),
            hint=f"see {path}",
            details={"log": tail},
        )


def _environment(stale_pid: int | None = None) -> dict[str, str]:
    """This process's environment without what would change the server.

    PostgreSQL takes any process with the pid in a leftover ``postmaster.pid`` for a server, unless it is its own parent
    or, as pg_ctl says in this variable, its grandparent (CreateLockFile in miscinit.c). It still looks for the memory
    that processes of the former server may share.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    environment["LC_ALL"] = "C"
    if stale_pid is not None:
        environment["PG_GRANDPARENT_PID"] = str(stale_pid)
    return environment


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
