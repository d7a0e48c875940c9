"""Sessions on a device at the other end of a line: an executor that outlives the line, under a lease, and is taken up again."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dynolab.connections import _left_sessions as left_sessions
from dynolab.connections import _provision as provision
from dynolab.connections._remote import Remote, Stream
from dynolab.connections.base import WAIT_S, Connection, ModelFiles, Session, Tell
from dynolab.errors import DeviceError, DeviceLost, DeviceUnstable, Forbidden

T = TypeVar("T")
KEEPER = "dynolab.measure.executor.keeper"
LEASE_S = 300.0
"""How long an executor waits for a line that broke; then it ends and leaves nothing."""
AGAIN_WITHIN_S = 240.0
"""How long this side tries to take it up again: shorter than the lease."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
BEAT_S = 5.0
END_WITHIN_S = 15.0
PULL_MOST_BYTES = 16 << 30
_GONE = (0, "gone")


class RemoteSession(Session):
    """An executor behind its keeper. Lines are counted, so that none is lost or taken twice when a line broke."""

    def __init__(self, remote: Remote, python: str, tell: Tell) -> None:
        self._remote, self._python, self._tell = remote, python, tell
        self._had = 0
        self._last = ""
        self._end: tuple[int, str] | None = None
        self._over = threading.Event()
        self._writing = threading.Lock()
        self.workspace, self._stream = again(self._opened, AGAIN_WITHIN_S, remote.address)
        threading.Thread(target=self._beat, daemon=True).start()

    # -- the line -------------------------------------------------------------------------------------------------

    def send(self, line: str) -> None:
        self._last = line
        with suppress(DeviceLost):  # found out when it is listened to, and sent again then
            self._say(line)

    def receive(self, within_s: float) -> str | None:
        until = time.monotonic() + within_s
        while self._end is None:
            if time.monotonic() > until:  # looked at with each beat of the keeper
                raise TimeoutError
            try:
                line = self._stream.receive()
                if line is None:
                    raise DeviceLost(f"{self._remote.address} closed the line")
            except DeviceLost as error:
                self._take_up_again(error)
                if self._end is _GONE:
                    raise DeviceLost(
                        f"{self._remote.address} has ended what ran there: it was restarted, or nobody asked for too long",
                        hint="run it again",
                    ) from error
                continue
            if line.startswith("~beat"):
                continue
            self._had += 1
            if line.startswith("~ended"):
                _, code, text = line.split(" ", 2)
                self._end = int(code), str(json.loads(text))
                break
            return line
        return None

    def ended(self) -> tuple[int, str]:
        return self._end or (0, "")

    def _opened(self) -> tuple[str, Stream]:
        command = [self._python, "-P", "-m", KEEPER, "open", f"{self._remote.root}/workspaces", str(LEASE_S)]
        stream, line = self._first_line(command)
        if not line.startswith("~opened "):
            stream.close()
            why = line.removeprefix("~failed ") or "it says nothing"
            raise DeviceUnstable(f"{self._remote.address} does not start an executor: {why}")
        return line.removeprefix("~opened "), stream

    def _first_line(self, command: Sequence[str]) -> tuple[Stream, str]:
        """A keeper's stream and the first line of its own: before it may come noise of a shell's start-up files."""
        stream = self._remote.start(command)
        try:
            while (line := stream.receive()) is not None:
                if line.startswith(("~opened ", "~attached", "~gone", "~failed")):
                    return stream, line
        except BaseException:
            stream.close()
            raise
        return stream, ""

    def attaching(self, had: int) -> list[str]:
        """The command that takes the session up again, after this many lines."""
        return [self._python, "-P", "-m", KEEPER, "attach", self.workspace, str(had)]

    def _say(self, line: str) -> None:
        with self._writing:
            self._stream.send(line)

    def _beat(self) -> None:
        """Tell the keeper that somebody is there, and what needs to be kept no more."""
        while not self._over.wait(BEAT_S):
            with suppress(DeviceError):
                self._say(f"~beat {self._had}")

    def _take_up_again(self, error: DeviceLost) -> None:
        """Attach anew, and send the last order again: an executor passes over one that it had."""
        self._tell(f"the line to {self._remote.address} broke ({error.message}); what runs there goes on, trying again")

        def attach() -> None:
            stream, line = self._first_line(self.attaching(self._had))
            if line != "~attached":
                stream.close()
                if not line:
                    raise DeviceLost(f"{self._remote.address} closed the line")
                self._end = _GONE
                return
            with self._writing:
                self._stream.close()
                self._stream = stream
                if self._last:
                    stream.send(self._last)

        again(attach, AGAIN_WITHIN_S, self._remote.address)
        self._tell(f"the line to {self._remote.address} is back")

    def close(self) -> bool:
        """Have the keeper end everything, and tell whether it did; where the line is broken, the next session or its lease does."""
        self._over.set()
        try:
            if self._end is None or not self._ended_quietly():
                again(self._ask_for_the_end, END_WITHIN_S, self._remote.address)
        except DeviceError:
            return False
        finally:
            self._stream.close()
        return True

    def _ended_quietly(self) -> bool:
        """Whether the keeper heard on the line that we have that all is over."""
        try:
            self._say("~end")
            while self._stream.receive() is not None:
                pass
        except DeviceError:
            return False
        return True

    def _ask_for_the_end(self) -> None:
        if self._ended_quietly():
            return
        self._stream.close()
        self._stream, line = self._first_line(self.attaching(self._had))
        if line and line != "~attached":
            return
        if not self._ended_quietly():
            raise DeviceLost(f"{self._remote.address} closed the line")

    # -- files ----------------------------------------------------------------------------------------------------

    def push(self, source: Path, target: str) -> None:
        again(lambda: self._remote.push(source, target), AGAIN_WITHIN_S, self._remote.address)

    def push_model(self, model: ModelFiles, place: str) -> tuple[str, ...]:
        del place  # kept on the device, for the next job as well
        return again(
            lambda: provision.place_model(self._remote, self._python, model, self._tell),
            AGAIN_WITHIN_S,
            self._remote.address,
        )

    def pull(self, source: str, target: Path) -> None:
        path = PurePosixPath(source)
        if not path.is_relative_to(self.workspace) or ".." in path.parts:
            raise Forbidden(f"{source[:200]!r} lies outside {self.workspace}")
        again(
            lambda: self._remote.pull(source, target, most_bytes=PULL_MOST_BYTES), AGAIN_WITHIN_S, self._remote.address
        )


def again(action: Callable[[], T], within_s: float, address: str) -> T:
    """What the action returns, tried again while the line to the device is broken.

    Raises :class:`DeviceLost` when it does not come back in time.
    """
    until, pauses = time.monotonic() + within_s, iter(PAUSES_S)
    while True:
        try:
            return action()
        except DeviceLost as error:
            pause = next(pauses, PAUSES_S[-1])
            if time.monotonic() + pause > until:
                raise DeviceLost(
                    f"{address} went away and did not come back within {within_s:.0f} s: {error.message}",
                    hint=f"what runs there ends by itself within {LEASE_S:.0f} s; run it again when the device is back",
                ) from error
            time.sleep(pause)


class RemoteConnection(Connection):
    """A device that is reached over a line, with all that its sessions need brought there."""

    def __init__(self, remote: Remote) -> None:
        self.address, self._remote = remote.address, remote

    @contextmanager
    def session(self, runtimes: Sequence[str], tell: Tell, wait_s: float = WAIT_S) -> Iterator[Session]:
        remote = self._remote
        for one in left_sessions.find(remote.address):
            one.end(remote, tell)
        python = again(lambda: provision.prepare(remote, runtimes, tell, wait_s), AGAIN_WITHIN_S, remote.address)
        made = RemoteSession(remote, python, tell)
        note = left_sessions.Note(remote.address, made.attaching(0))
        over = False
        try:
            yield made
        finally:
            try:
                over = made.close()
            finally:
                note.close(over=over)

    def close(self) -> None:
        self._remote.close()


def named_python() -> str | None:
    """The path of a Python on devices, as the user names it (``DYNOLAB_DEVICE_PYTHON``); None: the newest that a device has."""
    return os.environ.get("DYNOLAB_DEVICE_PYTHON")


def named_root() -> str | None:
    """The folder on devices where what is brought is kept, as the user names it (``DYNOLAB_DEVICE_ROOT``); None: the usual one."""
    return os.environ.get("DYNOLAB_DEVICE_ROOT")
