"""This machine as a device."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, ClassVar

import platformdirs

from dynolab import private_files
from dynolab.connections.base import EXECUTOR, HERE, WAIT_S, Connection, ConnectionKind, ModelFiles, Session, Tell
from dynolab.errors import TooLarge, TransferFailed
from dynolab.spec import untrusted

STOP_PATIENCE_S = 5.0
PAUSE_S = 0.005
LOG_KEPT = 20_000
LOCK = "lock"
OWN_NAME = re.compile(r"[a-z0-9]+-[a-z0-9_]{8}")
"""How folders of ours are named: a prefix, and what tempfile.mkdtemp adds."""


class LocalSession(Session):
    """An executor of this machine. It runs in a process group of its own, so that Ctrl-C reaches us alone and we end it in order."""

    def __init__(self, workspace: Path) -> None:
        from dynolab.sandbox import base as sandbox  # not for those that only make a folder

        self.workspace = str(workspace)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the session
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", EXECUTOR, self.workspace, *sandbox.working()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._out = bytearray()

    def send(self, line: str) -> None:
        with suppress(OSError):  # it ended: how shows when it is listened to
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()

    def receive(self, within_s: float) -> str | None:
        until, looked = time.monotonic() + within_s, 0
        while (end := self._out.find(b"\n", looked)) < 0:
            looked = len(self._out)
            if not self._has_more(until - time.monotonic()):
                raise TimeoutError
            part = os.read(self._stdout.fileno(), 1 << 16)
            if not part:
                rest, self._out = self._out, bytearray()
                return rest.decode("utf-8", "replace") if rest else None
            self._out += part
        line, self._out = self._out[:end], self._out[end + 1 :]
        return line.decode("utf-8", "replace")

    def _has_more(self, within_s: float) -> bool:
        poller = select.poll()
        poller.register(self._stdout, select.POLLIN)
        return bool(poller.poll(max(0.0, within_s) * 1000))

    def ended(self) -> tuple[int, str]:
        code = _code(os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT))
        self._errors.seek(0)
        return code, self._errors.read()[-LOG_KEPT:]

    def push(self, source: Path, target: str) -> None:
        """A copy, made by the file system itself where it can (reflink or copy_file_range)."""
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise TransferFailed(f"{source} cannot be copied to {target}: {error.strerror}") from error

    def push_model(self, model: ModelFiles, place: str) -> tuple[str, ...]:
        """Copies, which are evicted from the page cache and written to without harm to the user's own."""
        targets = tuple(f"{place}/model/{path}" for path in model.paths)
        for path, target in zip(model.paths, targets, strict=True):
            self.push(model.folder / path, target)
        return targets

    def pull(self, source: str, target: Path) -> None:
        try:
            _copy(Path(source), target)
        except OSError as error:
            raise TransferFailed(f"{source} cannot be copied to {target}: {error.strerror}") from error

    def close(self) -> None:
        """End it, if it did not end by itself, with all it started."""
        with suppress(OSError):
            self._stdin.close()
        _stop(self._process)
        self._errors.close()


class Local(Connection):
    """This machine."""

    address = "this machine"
    is_here: ClassVar[bool] = True

    @contextmanager
    def session(self, runtimes: Sequence[str], tell: Tell, wait_s: float = WAIT_S) -> Iterator[Session]:
        """In a folder under ``DYNOLAB_WORKSPACE`` or the user's cache folder; those of killed runs are swept."""
        del runtimes, tell, wait_s  # what is installed here is there
        with own_folder("run-") as folder:
            session = LocalSession(folder)
            try:
                yield session
            finally:
                session.close()


class LocalKind(ConnectionKind):
    """The one kind that has no address."""

    name: ClassVar[str] = HERE
    example: ClassVar[str] = ""

    def unavailable(self) -> str | None:
        return None

    def open(self, address: str) -> Connection:
        del address
        return Local()


def _copy(source: Path, target: Path) -> None:
    """A copy of a file in a workspace, if there is room for it: a file of nothing but holes takes none where it lies."""
    with untrusted.open_file(source, inside=workspace_root()) as opened:
        target.parent.mkdir(parents=True, exist_ok=True)
        size, free = os.fstat(opened.fileno()).st_size, shutil.disk_usage(target.parent).free
        if size > free:
            raise TooLarge(
                f"{source.name} holds {size} bytes, and there is room for {free}", hint="see what the model writes"
            )
        with target.open("wb") as out:
            shutil.copyfileobj(opened, out, 1 << 20)


def _code(ended: os.waitid_result | None) -> int:
    """The exit code of a process that has ended, below 0 for a signal."""
    assert ended is not None  # who does not wait gets None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then kill what is left of its group. It is reaped last: from then on its number may be another group's."""
    looks, until = os.WEXITED | os.WNOWAIT | os.WNOHANG, time.monotonic() + STOP_PATIENCE_S
    if os.waitid(os.P_PID, process.pid, looks) is None:
        os.kill(process.pid, signal.SIGTERM)  # Popen's own way reaps it, if it has just ended
        while os.waitid(os.P_PID, process.pid, looks) is None and time.monotonic() < until:
            time.sleep(PAUSE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def workspace_root() -> Path:
    """Where workspaces are made."""
    named = os.environ.get("DYNOLAB_WORKSPACE")
    return Path(named) if named else platformdirs.user_cache_path("dynolab") / "workspaces"


@contextmanager
def own_folder(prefix: str) -> Iterator[Path]:
    """A new folder among the workspaces, removed at the end of the block; those that killed processes left go too.

    Raises :class:`TransferFailed`.
    """
    root = workspace_root()
    try:
        private_files.make_folder(root)
        folder, lock = _made(root, prefix)
    except OSError as error:
        raise TransferFailed(
            f"no workspace can be made in {root}: {error.strerror}", hint="set DYNOLAB_WORKSPACE to a writable folder"
        ) from error
    with lock:
        try:
            yield folder
        finally:
            _remove(folder)


def sweep_folders() -> None:
    """Remove what killed processes left among the workspaces: for those who run for long and need no new folder now."""
    root = workspace_root()
    with suppress(OSError), _turn(root):
        _sweep(root)


@contextmanager
def _turn(root: Path) -> Iterator[None]:
    """One process at a time makes folders or sweeps, or it would sweep what another has not locked yet."""
    turn = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)


def _made(root: Path, prefix: str) -> tuple[Path, IO[str]]:
    """A new folder and its lock."""
    with _turn(root):
        _sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        (folder / LOCK).touch(0o600)
        lock = (folder / LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def _sweep(root: Path) -> None:
    """Remove folders whose owner is gone: it held a lock for as long as it lived."""
    for folder in root.iterdir():
        if not OWN_NAME.fullmatch(folder.name):
            continue
        with suppress(OSError):
            if not (folder / LOCK).exists():
                folder.rmdir()  # killed before it had a lock, or after it had none any more: it is empty, or not ours
                continue
            with (folder / LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last: without it, nobody could tell later that it may go."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                untrusted.remove(path)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()


plugin = LocalKind()
