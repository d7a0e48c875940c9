"""A real hub in a process of its own, for tests: started on a free port, waited for, and ended with all that it started."""

from __future__ import annotations

import configparser
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dynolab.agent.http import HubDoor
from dynolab.testing import fork_server, known_runtimes, postgres_template
from dynolab.testing.fork_server import Forked

READY_WITHIN_S = 60.0
END_WITHIN_S = 30.0


@dataclass
class RunningHub:
    """One running hub: its address, its data folder, and everything that it printed."""

    process: subprocess.Popen[str] | Forked
    data: Path
    environment: Mapping[str, str]
    """What it was started with; commands that change it from beside need the same."""
    url: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def ini(self) -> Path:
        """The official client's configuration for this hub."""
        return self.data / "client.ini"

    @property
    def token(self) -> str:
        """The API token of the first user."""
        parser = configparser.ConfigParser()
        parser.read(self.ini, encoding="utf-8")
        return parser["api"]["api_token"]

    @property
    def agent_token(self) -> str:
        """The token of this machine's agent."""
        return (self.data / "agent.token").read_text(encoding="utf-8").strip()

    def leave(self, attempt: str, what: str, content: bytes) -> None:
        """Send a file that an attempt of this machine's agent's token leaves."""
        with tempfile.NamedTemporaryFile() as file, closing(HubDoor(self.url, self.agent_token)) as door:
            file.write(content)
            file.flush()
            door.store(attempt, what, Path(file.name))

    def command(self, *words: str) -> str:
        """What a command of ``dynolab hub`` says that is given beside the running hub. Raises RuntimeError with that and its exit code if it fails."""
        process = _started(["hub", "--data", str(self.data), *words], self.environment)
        assert process.stdout is not None
        with process.stdout as output:
            said = output.read()
        if (code := process.wait(END_WITHIN_S)) != 0:
            raise RuntimeError(f"dynolab hub {' '.join(words)} ended with {code}, after it said: {said}")
        return said.strip()

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal, wait for the end, and tell the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(END_WITHIN_S)


@contextmanager
def running_hub(
    data: Path, *arguments: str, port: int = 0, environment: Mapping[str, str] | None = None
) -> Iterator[RunningHub]:
    """A hub with its data in a folder; its output is printed when the block fails."""
    words = ["hub", "--data", str(data), "--port", str(port), *arguments]
    whole = {**os.environ, **(environment or {})}
    postgres_template.give(data, whole)
    if "--no-agent" not in arguments and whole.get("DYNOLAB_STATE"):
        known_runtimes.give(Path(whole["DYNOLAB_STATE"]))
    process = _started(words, whole)
    hub = RunningHub(process, data, whole)
    ready = threading.Event()
    reading = threading.Thread(target=_read, args=(hub, ready), daemon=True)
    reading.start()
    try:
        if not ready.wait(READY_WITHIN_S):
            raise RuntimeError(f"the hub was not ready within {READY_WITHIN_S:.0f} s")
        if not hub.url:
            raise RuntimeError(f"the hub ended with {process.wait(END_WITHIN_S)} before it was ready")
        yield hub
    except BaseException:
        sys.stderr.write("".join(hub.lines))
        raise
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reading.join(5)
        if process.stdout is not None:
            process.stdout.close()


def _started(words: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str] | Forked:
    """A process that runs ``dynolab`` with these words; what it says can be read."""
    return fork_server.fork(words, environment) or subprocess.Popen(
        [sys.executable, "-m", "dynolab.cli.main", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _read(hub: RunningHub, ready: threading.Event) -> None:
    for line in hub.process.stdout or ():
        hub.lines.append(line)
        found = re.search(r"hub ready at (https?://[^\s\"]+)", line)  # in logs of JSON too
        if found:
            hub.url = found[1]
            ready.set()
    ready.set()
