"""A process that has imported all that hubs need, of which they are forked: importing is most of the work of a hub's start.

It ends with the tests that it serves, however they end, and what it forked ends with it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, NoReturn

from dynolab.sandbox._system_calls import hold

SWITCH = "TEST_FORK_SERVER"
"""Set: hubs of tests are forked; else each is a Python that starts from nothing."""
HEEDED_AT_START = ("PYTHON", "LD_", "MALLOC_", "LC_", "LANG", "TZ")
"""How variables begin that a process heeds when it starts, and not later."""
IMPORTED = ("dynolab.cli.hub", "dynolab.hub.launch", "dynolab.hub.api.application", "dynolab.hub.pages.application")
"""What a hub imports when it is needed; a fork has it."""
MOST_BYTES = 1 << 17
"""Of a message."""
START_WITHIN_S = 60.0
used_s = 0.0
"""CPU time of all forked processes that have ended, and of those that they waited for: until the server ends no child of ours has used it."""
_server: Server | None = None


class Forked:
    """A process of the server's, with what :class:`subprocess.Popen` tells of one's own; it leads a session of its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        self._over = threading.Event()

    def ended(self, code: int) -> None:
        """Take note of its end."""
        self.returncode = code
        self._over.set()

    def poll(self) -> int | None:
        """Its exit code, below 0 for a signal that ended it; None: it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended. Raises :class:`subprocess.TimeoutExpired`."""
        if not self._over.wait(timeout):
            raise subprocess.TimeoutExpired("dynolab hub", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing, if it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Server:
    """The process, and what it tells."""

    def __init__(self) -> None:
        self.began_with = _heeded(os.environ)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._asking = threading.Lock()
        self._new, self._running = SimpleQueue[Forked](), dict[int, Forked]()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def fork(self, arguments: list[str], environment: Mapping[str, str]) -> Forked:
        """A new process that runs ``dynolab`` with these arguments; what it says can be read."""
        reads, writes = os.pipe()
        wanted = {"arguments": arguments, "environment": dict(environment), "folder": str(Path.cwd())}
        try:
            with self._asking:
                socket.send_fds(self._channel, [json.dumps(wanted).encode()], [writes])
                found = self._new.get(timeout=START_WITHIN_S)
        finally:
            os.close(writes)
        found.stdout = os.fdopen(reads, encoding="utf-8")
        return found

    def close(self) -> None:
        """End the server; what it forked and still runs is killed."""
        self._channel.shutdown(socket.SHUT_RDWR)
        self._process.wait()
        self._listening.join()
        self._channel.close()

    def _listen(self) -> None:
        global used_s
        while content := self._channel.recv(MOST_BYTES):
            told: dict[str, Any] = json.loads(content)
            if "code" in told:
                used_s += told["used_s"]
                self._running.pop(told["pid"]).ended(told["code"])
            else:
                self._running[told["pid"]] = found = Forked(told["pid"])
                self._new.put(found)


def fork(arguments: list[str], environment: Mapping[str, str]) -> Forked | None:
    """The process of a hub; None: it is to be started as any other program, since forking is off, or would not heed its environment."""
    global _server
    if not os.environ.get(SWITCH):
        return None
    if _server is None:
        _server = Server()
    if _heeded(environment) != _server.began_with:
        return None
    return _server.fork(arguments, environment)


def close() -> None:
    """End the server, if there is one."""
    global _server, used_s
    if _server is not None:
        _server.close()
        _server, used_s = None, 0.0


def _heeded(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(HEEDED_AT_START)}


# ---- in the server's process -----------------------------------------------------------------------------------------


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """In a fork: what is wanted of it; None in the server, when nobody asks any more."""
    server = os.getpid()
    wakes, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on a terminal it is meant for the tests, which end this
    while True:
        ready: list[int] = select.select([channel.fileno(), wakes], [], [])[0]
        if wakes in ready:
            os.read(wakes, MOST_BYTES)
            _tell_ends(channel)
        if channel.fileno() not in ready:
            continue
        content, [*descriptors], _, _ = socket.recv_fds(channel, MOST_BYTES, 1)
        if not content:
            return None
        if (pid := os.fork()) == 0:
            signal.set_wakeup_fd(-1)
            for one in (wakes, woken):
                os.close(one)
            _become(descriptors[0])
            hold(ctypes.CDLL(None), server, signal.SIGKILL)  # what it started itself ends with it likewise
            found: dict[str, Any] = json.loads(content)
            return found
        os.close(descriptors[0])
        channel.send(json.dumps({"pid": pid}).encode())


def _tell_ends(channel: socket.socket) -> None:
    with suppress(ChildProcessError):
        while (found := os.wait4(-1, os.WNOHANG))[0]:
            pid, status, used = found
            told = {"pid": pid, "code": os.waitstatus_to_exitcode(status), "used_s": used.ru_utime + used.ru_stime}
            channel.send(json.dumps(told).encode())


def _become(output: int) -> None:
    """A process of its own, as one that has just been started."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for one in (1, 2):
        os.dup2(output, one)
    os.close(output)
    faulthandler.enable()  # a crash tells where it happened, even one at the very end


def _main() -> NoReturn:
    from dynolab.cli import main

    for name in IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()
    channel = socket.socket(fileno=int(sys.argv[1]))
    wanted = _serve(channel)
    channel.close()
    if wanted is None:
        sys.exit()
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    sys.argv = ["dynolab", *wanted["arguments"]]
    main.main()
    sys.exit()


if __name__ == "__main__":
    _main()
