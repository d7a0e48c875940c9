"""PostgreSQL as a server that is reached over TCP, with passwords and TLS, and PgBouncer before it: for tests, each the real program."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from dynolab.hub.store.postgres import binaries

USER, PASSWORD, NAME = "dynolab", "open:sesame@/1", "dynolab"
QUOTED = "open%3Asesame%40%2F1"
READY_WITHIN_S = 30.0
NOBODY = "nobody"
"""Neither program runs as root."""


class Missing(Exception):
    """The program is not installed, or cannot do what is asked; the message says how to install it."""


@dataclass
class Server:
    """A running server, and what belongs to it; ``process`` is None once it was stopped by hand."""

    folder: Path
    port: int
    command: Sequence[str]
    process: subprocess.Popen[bytes]

    def address(self, host: str = "127.0.0.1", **words: str) -> str:
        """The address of the tests' database there, with these words of libpq's."""
        asked = f"?{urlencode(words)}" if words else ""
        return f"postgresql://{USER}:{QUOTED}@{host}:{self.port}/{NAME}{asked}"

    def kill(self) -> None:
        """SIGKILL, and the end waited for."""
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """Start it, again if it was killed."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=NOBODY if os.geteuid() == 0 else None,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)},
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text(encoding="utf-8", errors="replace")[-4000:])
            time.sleep(0.02)

    def log(self) -> str:
        """What it has written so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _listens(self) -> bool:
        with socket.socket() as trying:
            trying.settimeout(1)
            return trying.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def postgres(
    *, certificate: bytes | None = None, key: bytes | None = None, port: int | None = None
) -> Iterator[Server]:
    """A PostgreSQL on loopback, with a role and a database; with a certificate it takes TLS connections only.

    Raises :class:`Missing` where its programs know no TLS.
    """
    with _folder("postgres") as folder:
        programs, data = binaries(), folder / "data"
        secret = folder / "password"
        _write(secret, PASSWORD.encode())
        _run(
            programs / "initdb", "-D", data, "-U", USER, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8", "-N"
        )
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "timezone": "UTC"}
        port = port or free_port()
        if certificate is not None and key is not None:
            _write(folder / "server.pem", certificate)
            _write(folder / "server.key", key)
            options |= {
                "ssl": "on",
                "ssl_cert_file": str(folder / "server.pem"),
                "ssl_key_file": str(folder / "server.key"),
            }
            _write(data / "pg_hba.conf", b"hostssl all all 127.0.0.1/32 scram-sha-256\n")
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        single = ["--single", "-D", str(data), "-c", "exit_on_error=true", "postgres"]
        _run(programs / "postgres", *single, text=f"CREATE DATABASE {NAME}\n")
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), *given]
        with _running(Server(folder, port, command, None)) as server:  # type: ignore[arg-type] # started at once
            yield server


@contextmanager
def pgbouncer(database_port: int, *, pool_size: int = 4, port: int | None = None) -> Iterator[Server]:
    """PgBouncer on loopback in transaction mode, before the server of :func:`postgres`. Raises :class:`Missing`."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise Missing("pgbouncer is not installed: apt-get install pgbouncer")
    with _folder("pgbouncer") as folder:
        port = port or free_port()
        quoted = PASSWORD.replace('"', '""')
        _write(folder / "users", f'"{USER}" "{quoted}"\n'.encode())
        _write(
            folder / "pgbouncer.ini",
            f"""\
[databases]
{NAME} = host=127.0.0.1 port={database_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users"}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
server_login_retry = 1
""".encode(),
        )
        with _running(Server(folder, port, [program, str(folder / "pgbouncer.ini")], None)) as server:  # type: ignore[arg-type] # started at once
            yield server


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.process.terminate()
        try:
            server.process.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A folder that the server may use: root's tests have theirs where nobody else comes in."""
    folder = Path(tempfile.mkdtemp(prefix=f"dynolab-{name}-"))
    try:
        if os.geteuid() == 0:
            _own(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own(path: Path) -> None:
    account = pwd.getpwnam(NOBODY)
    os.chown(path, account.pw_uid, account.pw_gid)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    if os.geteuid() == 0:
        _own(path)


def _run(program: Path, *arguments: object, text: str = "") -> None:
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        input=text.encode(),
        capture_output=True,
        user=NOBODY if os.geteuid() == 0 else None,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        cwd="/",
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
