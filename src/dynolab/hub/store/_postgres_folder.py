"""PostgreSQL's data folder: who holds it, whose it is, and what lies beside it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dynolab import errors

PORT = 5432
"""A part of the socket's name; no port is open."""
SOCKET_FOLDER_BYTES = 107 - len(f"/.s.PGSQL.{PORT}")
"""sun_path has 108 bytes, and the last one is zero (unix(7))."""
LOG_BYTES = 10 << 20
LOG_TAIL_BYTES = 4_000
REFUSE_S = 1.0
"""A server may not know yet that its hub was killed; after this long it is in use."""
LOCK_S = 30.0
"""How long a server that is stopping, the last processes of a killed one or another hub's start are waited for."""
IN_USE = "stop the hub that uses the folder, or give this one another"
CHILD = Path(__file__).with_name("_postgres_child.py")


def is_made(folder: Path) -> bool:
    """Whether a database is there; False for a missing or empty folder. Raises :class:`Conflict` for anything else."""
    if (folder / "PG_VERSION").is_file() and (folder / "global" / "pg_control").is_file():
        return True
    if folder.exists() and (any(folder.iterdir()) or folder.is_mount()):
        raise errors.Conflict(
            f"{folder} is neither a whole PostgreSQL database nor empty, or a file system's root: it is left as it is",
            hint="name another folder, or move this one's content away",
        )
    return False


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """A descriptor that holds the lock beside the folder, for one hub and for the server that inherits it.

    The kernel frees it when the last process that has it open ends: a pid that was reused cannot be taken for a server,
    and a server in another container is seen. Raises :class:`Conflict`, naming the pid.
    """
    descriptor = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        start = time.monotonic()
        while not _taken(descriptor):
            waited_s = time.monotonic() - start
            if waited_s > REFUSE_S and _status(folder) != "stopping":
                _refuse_running(folder)
            if waited_s > LOCK_S:
                holder = os.pread(descriptor, 20, 0).decode()
                raise errors.Conflict(f"{folder} is held by another hub, pid {holder}", hint=IN_USE)
            time.sleep(0.02)
        _refuse_running(folder)  # a server whose starter knows nothing of the lock
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _refuse_running(folder: Path) -> None:
    """Raise if the process recorded is a server on this folder: servers work in their data folder, strangers do not."""
    pid = recorded_pid(folder)
    with suppress(OSError):
        if pid and Path(f"/proc/{pid}/cwd").samefile(folder):
            raise errors.Conflict(f"a PostgreSQL server runs on {folder} already: pid {pid}", hint=IN_USE)


def forget_broken_record(folder: Path) -> None:
    """Remove a ``postmaster.pid`` that a crash left without its content, with which PostgreSQL refuses to start."""
    if recorded_pid(folder) is None:
        (folder / "postmaster.pid").unlink(missing_ok=True)


def recorded_pid(folder: Path) -> int | None:
    """The server's process as the folder says, which may have ended long ago."""
    with suppress(ValueError):
        return abs(int(_record(folder)[0]))
    return None


def server(folder: Path) -> tuple[str, int] | None:
    """The socket's folder and port of the server that runs on ``folder`` and accepts connections; None: there is none."""
    record, pid = _record(folder), recorded_pid(folder)
    with suppress(OSError):
        if pid and is_ready(folder, pid) and Path(f"/proc/{pid}/cwd").samefile(folder):
            return record[4].strip(), int(record[3])
    return None


def _status(folder: Path) -> str:
    """What the server says in the eighth line of ``postmaster.pid``: starting, ready, stopping or nothing yet."""
    return "".join(_record(folder)[7:8]).strip()


def _record(folder: Path) -> list[str]:
    try:
        return (folder / "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return [""]


def stamp(folder: Path) -> tuple[int, int] | None:
    """What tells one ``postmaster.pid`` from the next, even if both name the same pid."""
    try:
        status = (folder / "postmaster.pid").stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def is_ready(folder: Path, pid: int) -> bool:
    """Whether this process says that it accepts connections, where pg_ctl looks too."""
    return recorded_pid(folder) == pid and _status(folder) == "ready"


@contextmanager
def opened_log(folder: Path) -> Iterator[BinaryIO]:
    """The log beside the folder, to be added to; a long one is put aside first, over the one put aside before."""
    path = folder.with_name(f"{folder.name}.log")
    with suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
    path.touch(mode=0o600)
    with path.open("ab") as log:
        yield log


def tail(log: Path, start: int) -> str:
    """The last lines written since the log had ``start`` bytes."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - LOG_TAIL_BYTES))
        return file.read().decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom PostgreSQL, which refuses root, runs as: ``stay``, ``map`` or ``switch``, as in ``_postgres_child``."""

    kind: str
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.uid}:{self.gid}"

    def command(self, folder: Path, *command: Path | str, death: signal.Signals = signal.SIGKILL) -> list[str]:
        """``command``, to be run as this account in ``folder``; it gets ``death`` when this process ends.

        SIGKILL, because initdb is deaf to SIGINT while it waits for system(3).
        """
        child = (sys.executable, "-I", "-S", CHILD, os.getpid(), death.value, self, folder)
        return [str(part) for part in (*child, *command)]

    def own(self, folder: Path) -> None:
        """Hand the folder and its content over, where the account is really another user's."""
        if self.kind == "switch":
            for path in (*folder.rglob("*"), folder):  # the folder last: its owner says that all is done
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account(folder: Path, programs: Path) -> Account:
    """The first account that reaches both the folder and the programs. Raises :class:`Forbidden`."""
    if (user := os.geteuid()) != 0:
        return Account("stay", user, os.getegid())
    owner = folder.stat() if folder.exists() else None
    if owner is not None and owner.st_uid != 0:
        candidates = [Account("switch", owner.st_uid, owner.st_gid)]
    else:
        nobody = _nobody()
        candidates = [Account(kind, nobody.pw_uid, nobody.pw_gid) for kind in ("map", "switch")]
    refusals = []
    for candidate in candidates:
        opened = candidate.kind == "switch" and _let_pass(folder.parent, candidate.gid)
        command = candidate.command(folder.parent, programs / "postgres", "--version")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return candidate
        if opened:
            folder.parent.chmod(0o700)
        way = "in a user namespace" if candidate.kind == "map" else f"as user {candidate.uid}"
        refusals.append(f"{way}: {done.stderr.strip()}")
    raise errors.Forbidden(
        f"PostgreSQL refuses to run as root, and for {folder} it cannot run as another user ({'; '.join(refusals)})",
        hint="run the hub as an ordinary user, allow user namespaces, or keep data and programs where others may pass",
    )


def _let_pass(folder: Path, gid: int) -> bool:
    """Let that group pass through our closed folder, without seeing what is there; whether that was needed."""
    status = folder.stat()
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != 0o700:
        return False
    os.chown(folder, -1, gid)
    folder.chmod(0o710)
    return True


def _nobody() -> pwd.struct_passwd:
    """initdb wants a user that has a name; this one is nearly everywhere."""
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise errors.Forbidden(
            "PostgreSQL refuses to run as root, and /etc/passwd has no user 'nobody' to run as",
            hint="add that user, or run the hub as an ordinary user",
        ) from error


def socket_folder(folder: Path, account: Account) -> tuple[Path, bool]:
    """Where the socket goes, and whether that is a folder to be removed with the server.

    The data folder itself, which is private; where its path is too long for a socket or has signs that settings and
    addresses use, a private folder with a short name. Its name follows from the path, so a restart finds it again.
    """
    if _addressable(folder):
        return folder, False
    name = f"dynolab-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    runtime = os.environ.get("XDG_RUNTIME_DIR") if account.kind == "stay" else None
    for base in (runtime, tempfile.gettempdir(), "/tmp"):
        if base and _addressable(Path(base, name)) and os.access(base, os.W_OK | os.X_OK):
            path = Path(base, name)
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
            if not _private(path, account):
                path = Path(tempfile.mkdtemp(prefix="dynolab-", dir=base))
            account.own(path)
            return path, True
    raise errors.Error(f"{folder} is too long for a socket, and there is no short temporary folder", hint="set TMPDIR")


def _addressable(folder: Path) -> bool:
    return re.fullmatch(r"[\w./-]+", str(folder), re.ASCII) is not None and len(str(folder)) <= SOCKET_FOLDER_BYTES


def _private(path: Path, account: Account) -> bool:
    """Whether nobody else made, or may use, this folder in a place that is everybody's."""
    status = path.lstat()
    ours = status.st_uid in ((account.uid,) if account.kind == "stay" else (account.uid, os.geteuid()))
    return stat.S_ISDIR(status.st_mode) and ours and not status.st_mode & 0o077
