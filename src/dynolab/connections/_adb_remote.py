"""A device behind adbd: a phone, or a board with Android. Standard library only; the shell protocol is adb's second version.

A packet is a byte for its kind, four for its length, and its content (adb's shell_protocol.h).
"""

from __future__ import annotations

import os
import shlex
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from dynolab.connections import _adb_server as server
from dynolab.connections._python_install import bring_python
from dynolab.connections._remote import SILENT_S, Remote
from dynolab.connections.base import Tell
from dynolab.errors import DeviceLost, Forbidden, NotFound, PluginMissing, TooLarge, TransferFailed

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
HEAD = struct.Struct("<BI")
BLOCK_BYTES = 64 << 10
SHELL = "/system/bin/sh"
ROOT = "/data/local/tmp/dynolab"
"""Below the one folder where adb's user may write and start programs."""
WROTE_LAST_S = 120.0
"""For a device to write what it was sent: its buffers are large, and its storage may be slow."""
NO_FILE, NOT_REGULAR = 97, 98
"""Exit statuses of our own script that no command of a phone has."""


class AdbRemote(Remote):
    """A device by its serial number. Each command is a stream of its own, so there is nothing to connect anew."""

    def __init__(self, address: str, *, serial: str, root: str | None) -> None:
        self.address, self.serial = address, serial
        self.root = root or ROOT
        if "shell_v2" not in self._features():
            raise PluginMissing(f"the adbd of {address} is too old: it tells no exit status", hint="Android 7 or newer")
        self.ask("true")

    def _features(self) -> frozenset[str]:
        """Raises :class:`NotFound` for a device that the server does not know, also after it was asked to connect to it."""
        try:
            return server.features(self.serial)
        except (NotFound, DeviceLost):
            server.connect_again(self.serial)
            return server.features(self.serial)

    # -- commands -------------------------------------------------------------------------------------------------

    def ask(self, script: str, *, timeout_s: float = 60.0) -> str:
        out = bytearray()
        code, failed = self._ran(script, out.extend, timeout_s)
        if code:
            last = failed.splitlines()[-1] if failed else f"a command ended with code {code}"
            raise TransferFailed(f"on {self.address}: {last}", details={"log": failed})
        return out.decode(errors="replace").rstrip("\n")

    def _ran(self, script: str, on_out: Callable[[bytes], object], timeout_s: float) -> tuple[int, str]:
        """Exit status and standard error of a script; its output goes to ``on_out``, whatever bytes it is."""
        until, failed = time.monotonic() + timeout_s, bytearray()
        with self._shell(script) as made:
            try:
                made.sendall(HEAD.pack(CLOSE_STDIN, 0))
                for kind, content in _packets(made, until):
                    if kind == STDOUT:
                        on_out(content)
                    elif kind == STDERR:
                        failed += content
                    elif kind == EXIT:
                        return content[0], failed.decode(errors="replace").strip()
            except TimeoutError as error:
                raise TransferFailed(
                    f"on {self.address}: a command did not end within {timeout_s:.0f} s: {script[:200]}"
                ) from error
            except OSError as error:
                raise self.lost(error) from error
        raise self.lost(ConnectionError("a command was cut off"))

    def start(self, command: Sequence[str]) -> AdbStream:
        return AdbStream(self, self._shell("exec " + shlex.join(command) + " 2>/dev/null"))

    def _shell(self, script: str) -> socket.socket:
        """A stream to a shell; adbd starts it with a umask of nothing."""
        try:
            return server.open_service(self.serial, f"shell,v2,raw:umask 077; {script}")
        except (NotFound, DeviceLost) as error:
            server.connect_again(self.serial)
            raise DeviceLost(f"{self.address} is gone: {error.message}", hint=error.hint) from error

    def lost(self, error: BaseException) -> DeviceLost:
        """The error of a line that broke."""
        return DeviceLost(f"{self.address} went away: {str(error) or type(error).__name__}")

    def interpreter(self, tell: Tell) -> str:
        """One of our own: Android has none, and its C library is not the one that the runtimes' wheels are for."""
        return bring_python(self, self.ask("uname -m"), tell, shell=SHELL)

    # -- files ----------------------------------------------------------------------------------------------------

    def push(self, source: Path, target: str) -> None:
        """Through a shell's standard input: adb's own way of copying begins each file anew."""
        size, quoted = source.stat().st_size, shlex.quote(target)
        folder = shlex.quote(str(PurePosixPath(target).parent))
        told = self.ask(f"mkdir -p {folder} && df -Pk {folder} | tail -n 1; stat -c %s {quoted} 2>/dev/null || echo 0")
        try:
            free, done = int(told.splitlines()[0].split()[3]) * 1024, int(told.splitlines()[1])
        except (ValueError, IndexError) as error:
            raise TransferFailed(f"{self.address} answers {told[:200]!r} to df and stat") from error
        if done > size:
            self.ask(f"rm -f {quoted}")
            done = 0
        if size - done > free:
            raise TransferFailed(
                f"{source.name} needs {size - done} bytes on {self.address}, and {free} are free in {folder}",
                hint="make room there",
            )
        self._send(source, target, done)

    def _send(self, source: Path, target: str, done: int) -> None:
        """The rest of a file, added to what is there."""
        with self._shell(f"exec cat >> {shlex.quote(target)}") as made, source.open("rb") as file:
            file.seek(done)
            try:
                while block := file.read(BLOCK_BYTES):
                    made.sendall(HEAD.pack(STDIN, len(block)) + block)
                made.sendall(HEAD.pack(CLOSE_STDIN, 0))
                code, failed = _ended(made, time.monotonic() + WROTE_LAST_S)
            except OSError as error:
                raise self.lost(error) from error
        if code:
            raise TransferFailed(f"{source.name} cannot be sent to {self.address}:{target}: {failed}")

    def pull(self, source: str, target: Path, *, most_bytes: int) -> None:
        quoted = shlex.quote(source)
        script = (
            f"[ -L {quoted} ] && exit {NOT_REGULAR}; [ -e {quoted} ] || exit {NO_FILE}; [ -f {quoted} ] || exit {NOT_REGULAR}; "
            f"exec head -c {most_bytes + 1} {quoted}"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                code, failed = self._ran(script, file.write, most_bytes / 1e6 + WROTE_LAST_S)
                size = file.tell()
            if code == NOT_REGULAR:
                raise Forbidden(f"{source[:200]!r} on {self.address} is a link or no regular file: it is not opened")
            if code:
                reason = failed or "there is none" if code == NO_FILE else failed
                raise TransferFailed(f"{source} cannot be brought from {self.address}: {reason}")
            if size > most_bytes:
                raise TooLarge(f"{source[:200]!r} holds more than {most_bytes} bytes, the most that is taken")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


class AdbStream:
    """A command that runs there."""

    def __init__(self, remote: AdbRemote, made: socket.socket) -> None:
        self._remote, self._made = remote, made
        self._out = bytearray()
        self._ended = False
        self._writing = threading.Lock()

    def send(self, line: str) -> None:
        content = line.encode() + b"\n"
        try:
            with self._writing:
                for at in range(0, len(content), BLOCK_BYTES):
                    block = content[at : at + BLOCK_BYTES]
                    self._made.sendall(HEAD.pack(STDIN, len(block)) + block)
        except OSError as error:
            raise self._remote.lost(error) from error

    def receive(self) -> str | None:
        try:
            while b"\n" not in self._out and not self._ended:
                self._take()
        except OSError as error:  # a timeout too
            raise self._remote.lost(error) from error
        if not self._out:
            return None
        line, _, rest = self._out.partition(b"\n")
        self._out = rest
        return line.decode(errors="replace")

    def _take(self) -> None:
        kind, content = next(_packets(self._made, time.monotonic() + SILENT_S))
        if kind == STDOUT:
            self._out += content
        self._ended = kind == EXIT

    def close(self) -> None:
        with suppress(OSError):
            self._made.shutdown(socket.SHUT_RDWR)  # whoever waits for a line hears of it
        self._made.close()


def _packets(made: socket.socket, until: float) -> Iterator[tuple[int, bytes]]:
    """Kind and content of what comes. Raises :class:`TimeoutError`, :class:`ConnectionError`."""
    while True:
        made.settimeout(max(0.01, until - time.monotonic()))
        kind, length = HEAD.unpack(server.read(made, HEAD.size))
        yield kind, server.read(made, length)


def _ended(made: socket.socket, until: float) -> tuple[int, str]:
    """Exit status and standard error of a command whose output nobody needs."""
    failed = bytearray()
    for kind, content in _packets(made, until):
        if kind == STDERR:
            failed += content
        elif kind == EXIT:
            return content[0], failed.decode(errors="replace").strip()
    raise ConnectionError("the line was closed")
