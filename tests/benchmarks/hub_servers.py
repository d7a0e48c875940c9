"""What a hub of many replicas stands on, on this machine: a PostgreSQL server on a port of the loopback, S3, and replicas.

Each is started by the benchmark that uses it, and ended with it. The database's folder may be kept between runs.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynolab.hub.store import _postgres_folder as folders
from dynolab.hub.store._postgres_programs import fitting
from dynolab.testing import object_stores
from dynolab.testing.running_hub import RunningHub, running_hub

NAME = "dynolab"
READY_WITHIN_S = 120.0
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "max_wal_size": "2GB",
    "work_mem": "16MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
}
"""What an operator would set for a server of a few GB; the rest is PostgreSQL's own: each commit is on the disk (fsync)."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running PostgreSQL server: its address, and the process that all its others descend from."""

    dsn: str
    process: subprocess.Popen[bytes]


@contextmanager
def database_server(folder: Path, **settings: str) -> Iterator[Server]:
    """A server on ``folder``, which is made when it is missing, at a free port of 127.0.0.1, by password."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    programs, _ = fitting(folder if folder.exists() else None)
    account = folders.account(folder, programs)
    if not (folder / "PG_VERSION").is_file():
        _make(folder, programs, account)
    password, port = folder.with_name(f"{folder.name}.password").read_text().strip(), free_port()
    options = {
        **SETTINGS,
        **settings,
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
    }
    given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command = account.command(folder.parent, programs / "postgres", "-D", folder, *given, death=signal.SIGINT)
    with folder.with_name(f"{folder.name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(folder, process)
        yield Server(f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}", process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _make(folder: Path, programs: Path, account: folders.Account) -> None:
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    secret = folder.with_name(f"{folder.name}.password")
    secret.write_text(secrets.token_urlsafe(16))
    for path in (new, secret):
        path.chmod(0o700 if path is new else 0o600)
        if account.kind == "switch":
            os.chown(path, account.uid, account.gid)
    access = ("--auth-local=reject", "--auth-host=scram-sha-256", f"--username={NAME}", f"--pwfile={secret}")
    options = ("-D", new, "--encoding=UTF8", "--locale=C", "--data-checksums", *access)
    subprocess.run(account.command(folder.parent, programs / "initdb", *options), check=True, stdout=subprocess.DEVNULL)
    single = (programs / "postgres", "--single", "-D", new, "-c", "exit_on_error=true", "postgres")
    made = account.command(folder.parent, *single)
    subprocess.run(made, check=True, input=f"CREATE DATABASE {NAME}\n".encode(), stdout=subprocess.DEVNULL)
    new.rename(folder)


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while not folders.is_ready(folder, folders.recorded_pid(folder) or 0) or process.poll() is not None:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL does not start: see {folder}.log")
        time.sleep(0.05)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def replicas(
    folder: Path, dsn: str, count: int, *, s3: bool = True, environment: Mapping[str, str] | None = None
) -> Iterator[list[RunningHub]]:
    """So many replicas of one hub on this database, with their blobs in an S3 server or, without ``s3``, in one folder."""
    with ExitStack() as stack:
        shared = {"DYNOLAB_DATABASE_URL": dsn, **(environment or {})}
        if s3:
            store = stack.enter_context(object_stores.s3())
            shared |= {"DYNOLAB_BLOBS_URL": f"{store.url}/hub", **store.environment}
        else:
            (folder / "blobs").mkdir(exist_ok=True)
            shared |= {"DYNOLAB_BLOBS_URL": f"file://{folder / 'blobs'}"}
        first = stack.enter_context(running_hub(folder / "replica-0", "--no-agent", environment=shared))
        others = []
        for number in range(1, count):
            data = folder / f"replica-{number}"
            share_tokens(first.data, data)
            others.append(stack.enter_context(running_hub(data, "--no-agent", environment=shared)))
        yield [first, *others]


def share_tokens(first: Path, data: Path) -> None:
    """Have a further replica use the first one's tokens, so that any of them can be asked with either."""
    data.mkdir(mode=0o700, exist_ok=True)
    for name in ("client.ini", "agent.token"):
        shutil.copy(first / name, data / name)
