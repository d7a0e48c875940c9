"""A device behind an OpenSSH server, with asyncssh: the one module that imports it."""

from __future__ import annotations

import asyncio
import shlex
import stat
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import asyncssh

from dynolab.connections._python_install import bring_python
from dynolab.connections._remote import SILENT_S, Remote
from dynolab.connections._ssh_errors import refused
from dynolab.connections.base import Tell
from dynolab.errors import DeviceLost, Error, Forbidden, PluginMissing, SpecInvalid, TooLarge, TransferFailed

T = TypeVar("T")
CONNECT_S = 15.0
KEEPALIVE_S, KEEPALIVES = 5.0, 3
"""A line on which the device answers none of so many questions is broken."""
CHUNK_BYTES = 8 << 20
MARK = "\x1e"
"""Printed before what a script prints: start-up files of a shell may print before it."""
PYTHONS = ("python3.13", "python3.12", "python3.11", "python3")
OLDEST = (3, 11)


class SshRemote(Remote):
    """A device by its ssh address. It connects when it is needed, and again after the line broke."""

    def __init__(
        self,
        address: str,
        *,
        host: str,
        user: str | None,
        port: int | None,
        root: str | None = None,
        python: str | None = None,
    ) -> None:
        """``root`` and ``python``: as the user names them on the device."""
        self.address = address
        self.pythons = PYTHONS if python is None else (python,)
        self._host, self._user, self._port, self._named_root = host, user, port, root
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._ssh: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None
        self.root = ""
        try:
            self.root = self._find_root()
        except BaseException:
            self.close()
            raise

    # -- the connection -------------------------------------------------------------------------------------------

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of something that the loop of this connection does."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def connected(self) -> asyncssh.SSHClientConnection:
        """The connection, made when there is none."""
        if self._ssh is None or self._ssh.is_closed():
            self._sftp = None
            given: dict[str, Any] = {"username": self._user} if self._user else {}
            given |= {"port": self._port} if self._port else {}
            try:
                self._ssh = await asyncssh.connect(
                    self._host,
                    keepalive_interval=KEEPALIVE_S,
                    keepalive_count_max=KEEPALIVES,
                    connect_timeout=CONNECT_S,
                    login_timeout=CONNECT_S,
                    **given,
                )
            except (OSError, asyncssh.Error, TimeoutError) as error:
                raise await refused(error, self.address, self._host, self._user, self._port) from error
        return self._ssh

    async def _files(self) -> asyncssh.SFTPClient:
        connection = await self.connected()
        if self._sftp is None:
            self._sftp = await connection.start_sftp_client()
        return self._sftp

    def lost(self, error: BaseException) -> DeviceLost:
        """The error of a line that broke; the next call connects anew."""
        if self._ssh is not None:
            self._ssh.abort()
        self._ssh = self._sftp = None
        return DeviceLost(f"{self.address} went away: {str(error) or type(error).__name__}")

    def close(self) -> None:
        if self._ssh is not None:
            with suppress(Exception):
                self.wait(self._closed(self._ssh))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_S)
        if not self._thread.is_alive():
            self._loop.close()

    @staticmethod
    async def _closed(connection: asyncssh.SSHClientConnection) -> None:
        connection.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(connection.wait_closed(), 2)

    # -- commands -------------------------------------------------------------------------------------------------

    def ask(self, script: str, *, timeout_s: float = 60.0) -> str:
        return self.wait(self._ask(script, timeout_s))

    async def _ask(self, script: str, timeout_s: float) -> str:
        command = shlex.join(["sh", "-c", f"printf '\\036\\n'; {script}"])
        try:
            connection = await self.connected()
            done = await connection.run(command, timeout=timeout_s, stdin=asyncssh.DEVNULL, errors="replace")
        except asyncssh.TimeoutError as error:
            raise TransferFailed(
                f"on {self.address}: nothing came of a command within {timeout_s:.0f} s: {script[:200]}"
            ) from error
        except (OSError, asyncssh.Error) as error:
            raise self.lost(error) from error
        out, failed = str(done.stdout), str(done.stderr).strip()
        if done.exit_status is None:
            raise self.lost(ConnectionError("a command was cut off"))
        if done.exit_status:
            last = failed.splitlines()[-1] if failed else f"a command ended with code {done.exit_status}"
            raise TransferFailed(f"on {self.address}: {last}", details={"log": failed})
        return out.partition(f"{MARK}\n")[2].rstrip("\n")

    def start(self, command: Sequence[str]) -> SshStream:
        return self.wait(self._start(command))

    async def _start(self, command: Sequence[str]) -> SshStream:
        try:
            connection = await self.connected()
            process: asyncssh.SSHClientProcess[str] = await connection.create_process(
                "exec " + shlex.join(command), errors="replace", stderr=asyncssh.DEVNULL
            )
        except (OSError, asyncssh.Error) as error:
            raise self.lost(error) from error
        return SshStream(self, process)

    def _find_root(self) -> str:
        named = shlex.quote(self._named_root) if self._named_root else '"${XDG_CACHE_HOME:-$HOME/.cache}"/dynolab'
        try:
            return self.ask(f"umask 077; mkdir -p {named} && cd {named} && pwd -P")
        except TransferFailed as error:
            raise TransferFailed(
                f"no folder can be made on {self.address}: {error.message.partition(': ')[2] or error.message}",
                hint="an account that has a home there, or name a folder on the device that it may write to: DYNOLAB_DEVICE_ROOT",
            ) from error

    def interpreter(self, tell: Tell) -> str:
        """The newest that it has; one of our own where it has none, or none that is new enough. Raises :class:`PluginMissing`."""
        code = "import sys; print(sys.executable, *sys.version_info[:2])"
        tries = "; ".join(f"{shlex.quote(name)} -c {shlex.quote(code)} 2>/dev/null" for name in self.pythons)
        found = [line.rsplit(" ", 2) for line in self.ask(f"{tries}; :").splitlines()]
        for path, major, minor in (one for one in found if len(one) == 3):
            if (int(major), int(minor)) >= OLDEST:
                return path
        if self.pythons != PYTHONS:
            raise SpecInvalid(
                f"DYNOLAB_DEVICE_PYTHON names {self.pythons[0]}, which is no Python {'.'.join(map(str, OLDEST))} or newer on {self.address}",
                hint=f"the path of one there, or unset it: then the newest that {self.address} has is used",
            )
        newest = (
            f"the newest Python of {self.address} is {'.'.join(found[0][-2:])}"
            if found
            else f"{self.address} has no Python"
        )
        tell(f"{newest}, and {'.'.join(map(str, OLDEST))} is needed: it gets one of its own")
        try:
            return bring_python(self, self.ask("uname -m"), tell)
        except PluginMissing as error:
            raise PluginMissing(
                f"{newest}, and dynolab needs {'.'.join(map(str, OLDEST))} or newer; one of its own it cannot get: {error.message}",
                hint=f"on Debian and its kin: apt install python3 python3-venv. {error.hint or ''}".rstrip(),
            ) from error

    # -- files ----------------------------------------------------------------------------------------------------

    def push(self, source: Path, target: str) -> None:
        self.wait(self._push(source, target))

    async def _push(self, source: Path, target: str) -> None:
        size, folder = source.stat().st_size, str(PurePosixPath(target).parent)
        try:
            files = await self._files()
            await files.makedirs(folder, exist_ok=True)
            done = await _size_of(files, target)
            if done > size:
                await files.remove(target)
                done = 0
            await _send(files, source, target, done, size)
        except asyncssh.SFTPError as error:
            if isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection):
                raise self.lost(error) from error
            raise TransferFailed(f"{source.name} cannot be sent to {self.address}:{target}: {error}") from error
        except (OSError, asyncssh.Error) as error:
            raise self.lost(error) from error

    def pull(self, source: str, target: Path, *, most_bytes: int) -> None:
        self.wait(self._pull(source, target, most_bytes))

    async def _pull(self, source: str, target: Path, most_bytes: int) -> None:
        try:
            files = await self._files()
            found = await files.lstat(source)
            if not stat.S_ISREG(found.permissions or 0):
                raise Forbidden(f"{source[:200]!r} on {self.address} is a link or no regular file: it is not opened")
            if (found.size or 0) > most_bytes:
                raise TooLarge(f"{source[:200]!r} holds {found.size} bytes, the most is {most_bytes}")
            target.parent.mkdir(parents=True, exist_ok=True)
            await files.get(source, str(target), follow_symlinks=False)
        except asyncssh.SFTPError as error:
            if isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection):
                raise self.lost(error) from error
            raise TransferFailed(f"{source} cannot be brought from {self.address}: {error}") from error
        except (OSError, asyncssh.Error) as error:
            raise self.lost(error) from error


async def _size_of(files: asyncssh.SFTPClient, target: str) -> int:
    """Bytes that are there already."""
    try:
        return (await files.stat(target)).size or 0
    except asyncssh.SFTPNoSuchFile:
        return 0


async def _send(files: asyncssh.SFTPClient, source: Path, target: str, done: int, size: int) -> None:
    """The rest of a file."""
    async with files.open(target, "r+b" if done else "wb") as out:
        with source.open("rb") as read:
            read.seek(done)
            await out.seek(done)
            while done < size and (block := read.read(CHUNK_BYTES)):
                await out.write(block)
                done += len(block)


class SshStream:
    """A command that runs there. Lines are read ahead of who takes them by the loop of the connection."""

    def __init__(self, remote: SshRemote, process: asyncssh.SSHClientProcess[str]) -> None:
        self._remote, self._process = remote, process

    def send(self, line: str) -> None:
        try:
            self._remote.wait(self._send(line))
        except (OSError, asyncssh.Error) as error:
            raise self._remote.lost(error) from error

    async def _send(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        await self._process.stdin.drain()

    def receive(self) -> str | None:
        try:
            line = self._remote.wait(asyncio.wait_for(self._process.stdout.readline(), SILENT_S))
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise self._remote.lost(error) from error
        return line.removesuffix("\n") if line else None

    def close(self) -> None:
        with suppress(Error, OSError, asyncssh.Error, RuntimeError):
            self._remote.wait(self._close())

    async def _close(self) -> None:
        self._process.close()
