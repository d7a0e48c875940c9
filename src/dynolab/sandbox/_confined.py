"""A confined process as its caller sees it."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO

from dynolab.errors import DeviceUnstable
from dynolab.sandbox._tree import kill_descendants

START_WITHIN_S = 30.0
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: process, user, group


class Confined:
    """A process in a sandbox. ``pid`` is its own, as this side sees it; ``returncode`` as :mod:`subprocess` has it."""

    def __init__(self, keeper: subprocess.Popen[bytes], news: socket.socket, means: str) -> None:
        self._keeper, self._news, self._means = keeper, news, means
        self._inner = 0
        self.pid = 0
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = keeper.stdin
        self.stdout: IO[bytes] | None = keeper.stdout
        self.stderr: IO[bytes] | None = keeper.stderr
        try:
            self._await_start()
        except BaseException:
            self.kill()
            raise

    def _await_start(self) -> None:
        end = time.monotonic() + START_WITHIN_S
        while not self.pid:
            if not self._ready(max(0.0, end - time.monotonic())):
                raise DeviceUnstable(f"the sandbox {self._means} was not set up within {START_WITHIN_S:.0f} s")
            self._hear()
            if self.returncode is not None and not self.pid:
                raise DeviceUnstable(
                    f"the sandbox {self._means} could not be set up: its process ended with code {self.returncode}",
                    hint="dynolab doctor tells which sandboxes work here",
                )

    def fileno(self) -> int:
        """A descriptor that can be read from when the process has ended: for ``select`` and its kin."""
        return self._news.fileno()

    def poll(self) -> int | None:
        """The exit status (a signal's number below 0), or None while it runs."""
        while self.returncode is None and self._ready(0.0):
            self._hear()
        return self.returncode

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The same, once it has ended or the time is over; nothing spins meanwhile."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while self.returncode is None:
            if not self._ready(None if end is None else max(0.0, end - time.monotonic())):
                return None
            self._hear()
        return self.returncode

    def kill(self) -> None:
        """End it and everything it started, and wait until that is so. Harmless where it ended by itself."""
        if self._keeper.poll() is None:
            if self._inner and self._inner != self._keeper.pid:
                self._kill_inner()
            else:
                kill_descendants(self._keeper.pid)
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid or self._keeper.pid, signal.SIGKILL)  # where there is no /proc
                self._keeper.kill()
        self._keeper.wait()
        if self.returncode is None:
            self.poll()
        if self.returncode is None:
            self.returncode = -signal.SIGKILL
        self._news.close()

    def _kill_inner(self) -> None:
        """The end of a process namespace's first process is the end of all others in it; it is waited for."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self._inner)
            try:
                os.kill(self._inner, signal.SIGKILL)
                poller = select.poll()
                poller.register(descriptor, select.POLLIN)
                poller.poll(START_WITHIN_S * 1000)
            finally:
                os.close(descriptor)
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(1.0)
        self._keeper.kill()

    def _ready(self, timeout_s: float | None) -> bool:
        if self._news.fileno() < 0:
            return False
        poller = select.poll()
        poller.register(self._news, select.POLLIN)
        return bool(poller.poll(None if timeout_s is None else timeout_s * 1000))

    def _hear(self) -> None:
        """Take one message of the sandbox's first process, or its end."""
        try:
            content, extras, _, _ = self._news.recvmsg(4000, socket.CMSG_SPACE(_CREDENTIALS.size))
        except OSError:  # another thread has ended it meanwhile, and closed this
            content, extras = b"", []
        for line in content.decode("utf-8", "replace").splitlines():
            self._take(line[:1], line[1:], _sender(extras))
        if not content:
            code = self._keeper.wait()
            self.returncode = code if code < 0 else -signal.SIGKILL if self.pid else code

    def _take(self, kind: str, text: str, sender: int) -> None:
        if kind == "I":
            self._inner = sender or int(text)
        elif kind == "W":
            self.pid = sender or int(text)
        elif kind == "E":
            self.returncode = os.waitstatus_to_exitcode(int(text))
        else:
            raise DeviceUnstable(
                f"the sandbox {self._means} could not be set up: {text}",
                hint="dynolab doctor tells which sandboxes work here",
            )


def _sender(extras: list[tuple[int, int, bytes]]) -> int:
    """The sender's process id in our own numbering, by the kernel; 0 where it does not say."""
    for level, kind, content in extras:
        if level == socket.SOL_SOCKET and kind == getattr(socket, "SCM_CREDENTIALS", -1):
            return int(_CREDENTIALS.unpack(content[: _CREDENTIALS.size])[0])
    return 0


def news_channel() -> tuple[socket.socket, socket.socket]:
    """Our end of a channel for news, and the other's; lines come whole, and tell who sent them where the kernel does."""
    kind = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM  # macOS has only the latter
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    if hasattr(socket, "SO_PASSCRED"):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return ours, theirs
