"""Keeps an executor going on a device while nobody is connected: ``python -m dynolab.measure.executor.keeper``.

``open ROOT LEASE_S`` makes a workspace below ROOT, starts an executor in it, lets go of the terminal, and attaches; ``attach
WORKSPACE NUMBER`` attaches again, and asks for the executor's lines from that number on. Attached, lines from standard input go to
the executor and its lines come back; those that begin with ``~`` are for the keeper:

``~beat NUMBER``  somebody is there, and has had so many lines; the keeper says ``~beat`` from time to time too
``~end``          kill what runs, remove the workspace
``~opened PATH``  the workspace: the first line of ``open``
``~attached``     the first line of ``attach``: what came before it is noise of a shell's start-up files
``~failed TEXT``  it could not be opened
``~ended CODE TEXT``  the executor ended: its exit status, and the end of what it wrote to standard error, as JSON
``~gone``         the workspace that was asked for is not there (any more)

Who hears nothing for LEASE_S ends everything. Standard library only, but for a helper of ours.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dynolab.sandbox._tree import kill_descendants

BEAT_S = 5.0
PATIENCE_S = 5.0
"""For an executor that was told to end."""
LOG_KEPT = 20_000
LOCK, LOG = "lock", "executor.log"
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans come to us, so that none escapes


class Keeper:
    """The daemon: one executor, one client at a time."""

    def __init__(self, workspace: Path, lease_s: float) -> None:
        self._workspace, self._lease_s = workspace, lease_s
        self._lines: deque[bytes] = deque()
        """Those that nobody said to have had; the first has the number ``_first``."""
        self._first = 0
        self._part = b""
        self._heard_s = self._said_s = time.monotonic()
        self._client: socket.socket | None = None
        self._attached = False
        """Whether the client has said which lines it has had: until then none is for it."""
        self._asked = b""
        self._to_client = bytearray()
        self._to_executor = bytearray()
        self._over = False

    def serve(self, listener: socket.socket) -> None:
        """Until the end: somebody asked for it, or the lease is over."""
        with (self._workspace / LOG).open("w+b") as log:
            self._executor = subprocess.Popen(
                [sys.executable, "-P", "-m", "dynolab.measure.executor", str(self._workspace)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            try:
                self._loop(listener)
            finally:
                _end(self._executor)

    def _loop(self, listener: socket.socket) -> None:
        out, into = self._executor.stdout, self._executor.stdin
        assert out is not None
        assert into is not None
        os.set_blocking(into.fileno(), False)
        alive = True
        while not self._over and time.monotonic() - self._heard_s < self._lease_s:
            reads: list[Any] = [listener, *([out] if alive else []), *([self._client] if self._client else [])]
            writes: list[Any] = [
                *([into] if self._to_executor else []),
                *([self._client] if self._client and self._to_client else []),
            ]
            ready, free, _ = select.select(reads, writes, [], BEAT_S)
            if out in ready and not self._take(os.read(out.fileno(), 1 << 16)):
                alive = False
                self._say_ended()
            if into in free:
                self._feed(into.fileno())
            if self._client in ready:
                self._listen()
            if self._client is not None and self._client in free:
                self._flush()
            if listener in ready:
                self._let_in(listener)
            if self._client is not None and time.monotonic() - self._said_s >= BEAT_S:
                self._said_s = time.monotonic()
                self._to_client += b"~beat\n"

    def _take(self, part: bytes) -> bool:
        """More of the executor's output; False: there is no more."""
        *lines, self._part = (self._part + part).split(b"\n")
        for line in lines:
            self._keep(line)
        return bool(part)

    def _keep(self, line: bytes) -> None:
        self._lines.append(line)
        if self._attached:
            self._to_client += line + b"\n"

    def _say_ended(self) -> None:
        code = self._executor.wait()
        text = (self._workspace / LOG).read_bytes()[-LOG_KEPT:].decode("utf-8", "replace")
        self._keep(f"~ended {code} {json.dumps(text)}".encode())

    def _feed(self, file: int) -> None:
        try:
            done = os.write(file, self._to_executor)
        except BlockingIOError:
            return
        except OSError:  # it ended, which its output tells
            done = len(self._to_executor)
        del self._to_executor[:done]

    def _let_in(self, listener: socket.socket) -> None:
        """The newest client counts: of an older one, the line broke."""
        self._drop()
        client, _ = listener.accept()
        if _user_of(client) != os.getuid():  # an abstract socket has no mode
            client.close()
            return
        self._client = client
        self._client.setblocking(False)
        self._heard_s = time.monotonic()

    def _listen(self) -> None:
        assert self._client is not None
        try:
            part = self._client.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._drop()
            return
        self._heard_s = time.monotonic()
        *lines, self._asked = (self._asked + part).split(b"\n")
        for line in lines:
            self._heed(line)

    def _heed(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        if word == b"~end":
            self._over = True
        elif word == b"~attach":
            self._forget(int(rest))
            self._attached = True
            self._to_client += b"".join(one + b"\n" for one in self._lines)
        elif word == b"~beat":
            self._forget(int(rest))
        else:
            self._to_executor += line + b"\n"

    def _forget(self, had: int) -> None:
        """Drop the lines that the client has had."""
        while self._first < had and self._lines:
            self._lines.popleft()
            self._first += 1

    def _flush(self) -> None:
        assert self._client is not None
        try:
            done = self._client.send(self._to_client)
        except BlockingIOError:
            return
        except OSError:
            self._drop()
            return
        del self._to_client[:done]

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client, self._attached, self._asked = None, False, b""
        self._to_client.clear()


def _end(executor: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then kill it and all it started."""
    if executor.poll() is None:
        executor.terminate()
        with suppress(subprocess.TimeoutExpired):
            executor.wait(PATIENCE_S)
    kill_descendants(os.getpid())
    until = time.monotonic() + PATIENCE_S
    while _are_left() and time.monotonic() < until:
        time.sleep(0.01)  # a wait without a bound would hang on a process that the kernel cannot end yet


def _are_left() -> bool:
    """Whether processes of ours, orphans that came to us among them, have not ended yet."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


# -- workspaces ---------------------------------------------------------------------------------------------------------


def _made(root: Path) -> tuple[Path, int]:
    """A new workspace, and its lock, which is held for as long as its keeper lives; those of dead ones are removed."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    turn = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for left in _left_behind(root):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(turn)
    return folder, lock


def _left_behind(root: Path) -> Iterator[Path]:
    for folder in root.glob("run-*"):
        try:
            lock = os.open(folder / LOCK, os.O_RDWR)
        except OSError:
            yield folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def open_workspace(root: Path, lease_s: float) -> None:
    """Start a keeper with a workspace of its own, and attach to it."""
    folder, lock = _made(root)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(_address(folder))
    listener.listen(4)
    if os.fork():
        listener.close()
        os.close(lock)
        attach(folder, 0, f"~opened {folder}")
        return
    _detach()
    if os.fork():
        os._exit(0)
    keeper = Keeper(folder, lease_s)  # named, so that its client hears of the end only when the workspace is gone
    try:
        os.chdir("/")
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        keeper.serve(listener)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _address(workspace: Path) -> bytes:
    """An abstract socket's: on Android, ``shell`` may not make one in a folder (SELinux), and a folder's path may be too long for one."""
    return b"\0dynolab-" + hashlib.sha256(os.fsencode(workspace)).hexdigest().encode()


def _user_of(client: socket.socket) -> int:
    """The user on the other end (unix(7): SO_PEERCRED gives pid, uid and gid)."""
    return int(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])


def _detach() -> None:
    """Let go of the terminal, and of the files that lead to who connected."""
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in (0, 1, 2):
        os.dup2(nothing, file)


# -- who is attached ----------------------------------------------------------------------------------------------------


def attach(workspace: Path, had: int, greeting: str = "~attached") -> None:
    """Pass lines on, both ways, until either end closes. Every line after the greeting counts."""
    link = socket.socket(socket.AF_UNIX)
    try:
        (workspace / LOCK).stat()
        link.connect(_address(workspace))
    except OSError:
        _say("~gone")
        return
    _say(greeting)
    link.sendall(f"~attach {had}\n".encode())
    ends: list[Any] = [0, link]
    while True:
        ready, _, _ = select.select(ends, [], [])
        if link in ready:
            part = link.recv(1 << 16)
            if not part:
                return
            _write(part)
        if 0 in ready:
            part = os.read(0, 1 << 16)
            if not part:
                return
            link.sendall(part)


def _say(text: str) -> None:
    """A line of its own, whatever stands before it."""
    _write(f"\n{text}\n".encode())


def _write(part: bytes) -> None:
    while part:
        part = part[os.write(1, part) :]


def main(arguments: list[str]) -> int:
    """The command; see the module."""
    with suppress(BrokenPipeError, ConnectionResetError):
        try:
            if arguments[0] == "open":
                open_workspace(Path(arguments[1]), float(arguments[2]))
            else:
                attach(Path(arguments[1]), int(arguments[2]))
        except OSError as error:
            _say(f"~failed {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
