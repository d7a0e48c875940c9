"""Processes of a drill that are killed and started again: hubs, groups of light agents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from dynolab.testing.running_hub import RunningHub, running_hub

ROOT = Path(__file__).parents[2]


class HubProcess:
    """One hub, at one port, whenever it runs."""

    def __init__(self, data: Path, *arguments: str, environment: Mapping[str, str], before: Sequence[str] = ()) -> None:
        self.data, self.environment = data, environment
        self._arguments, self._port = arguments, 0
        self._stack = ExitStack()
        self._hub: RunningHub | None = None
        self.lines: list[str] = []
        """All that was printed by those that ended."""

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        running = running_hub(self.data, "--no-agent", *self._arguments, port=self._port, environment=self.environment)
        self._hub = self._stack.enter_context(running)
        self._port = int(self.url.rpartition(":")[2])

    @property
    def running(self) -> RunningHub:
        assert self._hub is not None
        return self._hub

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def pid(self) -> int:
        return self.running.process.pid

    def kill(self) -> None:
        """As a machine that loses its power does."""
        self.running.process.kill()
        self.running.process.wait()
        self.end()

    def end(self) -> None:
        """End it in good order, if it runs."""
        self._stack.close()
        if self._hub is not None:
            self.lines += self._hub.lines
            self._hub.lines.clear()

    @property
    def printed(self) -> str:
        return "".join([*self.lines, *(self._hub.lines if self._hub is not None else [])])


class LightAgents:
    """A process of light agents."""

    def __init__(
        self, hub: str, token: Path, name: str, log: Path, *, count: int = 6, first: int = 1, before: Sequence[str] = ()
    ) -> None:
        command = [*before, sys.executable, "-m", "tests.chaos.light_agents", "--hub", hub, "--token-file", str(token)]
        self._command = [*command, "--name", name, "--count", str(count), "--first", str(first)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def below(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def signal_all(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
