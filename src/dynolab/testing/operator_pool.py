"""Runs :mod:`dynolab.testing.operators` in processes that may die: a crash is the verdict of one case."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Queue
from threading import Timer

from dynolab.testing.operator_cases import read
from dynolab.testing.operators import BARE, DOOR, Verdict

_TIME_LIMIT_S = 300
LOG = "log.txt"
_MOST_CASES = 200
"""Of one process: what libraries keep of each case adds up."""


class _Process:
    """A process that judges one case after another; a new one takes the place of one that died."""

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, "-m", "dynolab.testing.operators", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._log = Path()
        self._left = 0

    def judge(self, folder: Path) -> Verdict:
        if self._process is None:
            self._start(folder / LOG)
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        timer = Timer(_TIME_LIMIT_S, process.kill)
        timer.start()
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        timer.cancel()
        self._left -= 1
        verdict = Verdict(**json.loads(line)) if line else self._end_of(folder, process.wait())
        if not line or not self._left:
            self.close()
        return verdict

    def _start(self, log: Path) -> None:
        self._log, self._left = log, _MOST_CASES
        with log.open("w", encoding="utf-8") as file:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
            )

    def _end_of(self, folder: Path, code: int) -> Verdict:
        """The verdict on a case whose process died in it."""
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = next((line for line in reversed(said) if line.strip()), "it said nothing")
        door = folder / DOOR
        where = door.read_text(encoding="utf-8") if door.exists() else "bare"
        return Verdict(
            read(folder).name, "crash" if code < 0 else "fault", where, f"signal {-code}" if code < 0 else last
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
        self._process = None


def _judge(share: Sequence[Path], runtime: str, found: Queue[Verdict | None]) -> None:
    """Put the verdict on each case into ``found``, and None at the end."""
    ours, bare = _Process(runtime), _Process(runtime, BARE)
    try:
        for folder in share:
            verdict = ours.judge(folder)
            if verdict.outcome != "right":
                verdict = replace(verdict, bare=bare.judge(folder).bare or "died")
            found.put(verdict)
    finally:
        found.put(None)
        ours.close()
        bare.close()


def verdicts(folders: Sequence[Path], runtime: str, jobs: int = 2) -> Iterator[Verdict]:
    """The verdict on each case as it comes, from ``jobs`` processes at a time."""
    found: Queue[Verdict | None] = Queue()
    with ThreadPoolExecutor(jobs) as pool:
        judging = [pool.submit(_judge, folders[i::jobs], runtime, found) for i in range(jobs)]
        for _ in judging:
            yield from iter(found.get, None)
        for one in judging:
            one.result()
