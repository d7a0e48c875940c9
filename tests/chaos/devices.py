"""Devices of a drill: real agents with folders of their own, each behind a link, and the blows that they take."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..devices.sshd import Sshd
from .links import Link

END_WITHIN_S = 30.0
LOCK = "measures.lock"
"""What agents of a machine share in a folder of workspaces, and what stays there."""


@dataclass(frozen=True)
class Blow:
    """What is done to a device, and how it is made good again after some seconds."""

    kind: str
    strike: Callable[[], None]
    undo: Callable[[], None]
    lasts_s: float


class Device:
    """One agent's process, its state and workspaces, and its link to the hub."""

    _arguments: Sequence[str] = ()
    _environment: Mapping[str, str] = {}

    def __init__(self, folder: Path, link: Link, token: Path, name: str) -> None:
        self.folder, self.link = folder, link
        self._token, self._name = token, name
        self.workspace = folder / "work"
        self.workspace.mkdir(parents=True)
        self._log = (folder / "agent.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def id(self) -> str:
        """What its agent calls it; nothing before it has started once."""
        path = self.folder / "state" / "device-id"
        return path.read_text(encoding="ascii").split()[0] if path.exists() else ""  # its hardware stands below

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start its agent, as it was before."""
        command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", self.link.url]
        command += ["--token-file", str(self._token), "--name", self._name, *self._arguments]
        environment = {**os.environ, "DYNOLAB_STATE": str(self.folder / "state"), "DYNOLAB_OFFER_NULL": "1"}
        environment |= {"DYNOLAB_WORKSPACE": str(self.workspace), "PYTHONDONTWRITEBYTECODE": "1", **self._environment}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def end(self) -> int:
        """End its agent in good order; its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(END_WITHIN_S)
        finally:
            self._log.close()

    def is_up(self) -> bool:
        """Whether its agent runs."""
        return self._process is not None and self._process.poll() is None

    # ---- blows -------------------------------------------------------------------------------------------------------

    def blows(self, draw: random.Random, lease_s: float) -> Blow:
        """One of them, drawn."""
        away_s = draw.uniform(0.3, 2.0) * lease_s
        return draw.choice(
            (
                *self._own_blows(away_s),
                Blow("agent killed", self._kill_agent, self.start, draw.uniform(0.2, 1.5) * lease_s),
                Blow("board lost power", self._kill_all, self.start, draw.uniform(0.2, 1.5) * lease_s),
                Blow("agent stopped", self._stop, self._go_on, away_s),
                Blow("board stopped", self._stop_all, self._go_on_all, away_s),
                Blow("link cut", self.link.cut, self.link.mend, away_s),
                Blow("link stalled", self.link.stall, self.link.mend, away_s),
                Blow("process killed", lambda: self._kill_one(draw.random()), lambda: None, 0.0),
            )
        )

    def _own_blows(self, away_s: float) -> Sequence[Blow]:
        """What befalls devices of this kind alone."""
        return ()

    def _kill_agent(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _kill_all(self) -> None:
        _signal(self.processes(), signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def _stop(self) -> None:
        assert self._process is not None
        _signal([self._process.pid], signal.SIGSTOP)

    def _go_on(self) -> None:
        assert self._process is not None
        _signal([self._process.pid], signal.SIGCONT)

    def _stop_all(self) -> None:
        _signal(self.processes(), signal.SIGSTOP)

    def _go_on_all(self) -> None:
        _signal(self.processes(), signal.SIGCONT)

    def _kill_one(self, share: float) -> None:
        """One of the processes of the job that it runs, if it runs one."""
        assert self._process is not None
        rest = sorted(set(self.processes()) - {self._process.pid})
        if rest:
            _signal([rest[int(share * len(rest))]], signal.SIGKILL)

    # ---- what is there -----------------------------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """All that run for it, the agent included: those that know its folder of workspaces, and their children in sandboxes."""
        mark = f"DYNOLAB_WORKSPACE={self.workspace}\0".encode()
        own = {pid for pid in _pids() if mark in _environ(pid) + b"\0"}
        own |= {self._process.pid} if self._process is not None and self._process.poll() is None else set()
        parents = {pid: _parent(pid) for pid in _pids()}
        while more := {pid for pid, parent in parents.items() if parent in own} - own:
            own |= more
        return sorted(own)

    def left(self) -> list[str]:
        """What stands in its folder of workspaces that no agent leaves there."""
        return sorted(one.name for one in self.workspace.iterdir() if one.name != LOCK)


class SshBoard(Device):
    """A board that an agent reaches by ssh: a real sshd of this machine, with a home of its own, stands for it."""

    def __init__(self, folder: Path, link: Link, token: Path, name: str, board: Sshd) -> None:
        super().__init__(folder, link, token, name)
        self._board = board
        self._arguments = ("--device", board.address, "--runtimes", "null")
        with board.as_home():  # who starts it gives it the user's settings that lead to the board
            self._environment = {"HOME": os.environ["HOME"], "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}

    def _own_blows(self, away_s: float) -> Sequence[Blow]:
        """Its power and its cable, each as often as all the rest: they are what this device is there for."""
        off = Blow("ssh board switched off", self._switch_off, self._board.open, away_s)
        cut = Blow("ssh connections cut", self._cut, lambda: None, 0.0)
        return (off, off, off, cut, cut, cut)

    def _cut(self) -> None:
        self._board.cut()

    def _switch_off(self) -> None:
        self._board.close()
        _signal(self._board.processes(), signal.SIGKILL)

    def left(self) -> list[str]:
        """Also what still runs on the board once nobody measures there."""
        return [*super().left(), *(f"process {pid} on the board" for pid in self._board.processes())]


def _pids() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal())


def _environ(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
