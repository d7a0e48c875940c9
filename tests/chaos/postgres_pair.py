"""Two PostgreSQL servers on loopback: one that writes, and a standby that follows it and takes over."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from dynolab.hub.store.postgres import binaries
from dynolab.testing.waiting import until

NAME = "dynolab"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 60
shared_buffers = 32MB
wal_level = replica
max_wal_senders = 4
hot_standby = on
timezone = 'UTC'
"""
READY_S = 60.0


def able() -> bool:
    """Whether the programs that are found can make a standby; packages for Python leave some of them out."""
    return all((binaries() / name).is_file() for name in ("pg_basebackup", "pg_ctl", "psql"))


class Pair:
    """The hub's address of both is :attr:`url`; a commit is acknowledged once the standby has it, too, while there is one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._programs = folder, binaries()
        self._ports = _free_port(), _free_port()
        self._user = None if os.getuid() else "postgres"
        folder.mkdir(parents=True)
        for above in (folder, *folder.parents):
            with suppress(PermissionError):
                above.chmod(above.stat().st_mode | 0o011)  # for its user to pass
        if self._user:
            shutil.chown(folder, self._user, self._user)
        self.writes = 0
        """Which of the two."""
        self.took_s: list[float] = []
        """For each time that the standby took over: from the death of the other until it wrote."""
        self._make_first()
        self.add_standby()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"postgresql://{NAME}@{hosts}/{NAME}?target_session_attrs=read-write"

    def fail_over(self) -> None:
        """Kill the one that writes, and have the standby take over."""
        began = time.monotonic()
        self._kill(self.writes)
        self.writes = 1 - self.writes
        self._run("pg_ctl", "promote", "-D", self._place(self.writes), "-w", "-s")
        self._say("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
        self.took_s.append(round(time.monotonic() - began, 3))

    def add_standby(self) -> None:
        """Make the other a standby of the one that writes."""
        other = 1 - self.writes
        self._kill(other)
        shutil.rmtree(self._place(other), ignore_errors=True)
        source = f"host=127.0.0.1 port={self._ports[self.writes]} user={NAME} application_name=standby"
        self._run("pg_basebackup", "-D", self._place(other), "-R", "-X", "stream", "-c", "fast", "-d", source)
        with (self._place(other) / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(f"port = {self._ports[other]}\n")
        self._start(other)
        self._say("ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")

    def stop(self) -> None:
        for which in (0, 1):
            self._kill(which)

    def _make_first(self) -> None:
        self._run("initdb", "-D", self._place(0), "-U", NAME, "--auth=trust", "--encoding=UTF8", "--locale=C")
        with (self._place(0) / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(f"{SETTINGS}port = {self._ports[0]}\n")
        self._start(0)
        self._say(f"CREATE DATABASE {NAME}", database="postgres")

    def _place(self, which: int) -> Path:
        return self._folder / f"server-{which}"

    def _start(self, which: int) -> None:
        log = self._folder / f"server-{which}.log"
        self._run("pg_ctl", "start", "-D", self._place(which), "-l", log, "-w", "-s", "-t", f"{READY_S:.0f}")

    def _kill(self, which: int) -> None:
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = int((self._place(which) / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            until(lambda: is_over(pid), "the server's end", READY_S)
            (self._place(which) / "postmaster.pid").unlink(missing_ok=True)

    def _say(self, *statements: str, database: str = NAME) -> None:
        for one in statements:
            self._run(
                "psql", "-q", "-h", "127.0.0.1", "-p", self._ports[self.writes], "-U", NAME, "-d", database, "-c", one
            )

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        user = {} if self._user is None else {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid}
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self._folder)}
        done = subprocess.run(
            command,
            env=environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # pg_ctl's server would keep a pipe open
            stderr=subprocess.DEVNULL,
            check=False,
            **user,  # type: ignore[arg-type]  # by name
        )
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}"


def is_over(pid: int) -> bool:
    """Whether the process has ended, though nobody may have asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
