"""Interleaved pairs: two ways of measuring the same thing in turn, and the ratio pair by pair; and hogs to measure beside."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

RESAMPLES = 2000


@dataclass(frozen=True)
class Ratios:
    """Ratios a/b of pairs measured next to each other, with a 95 % bootstrap interval of their median."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        source = random.Random(1)
        medians = sorted(statistics.median(source.choices(self.values, k=len(self.values))) for _ in range(RESAMPLES))
        return medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)]

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.median:.3f} ({low:.3f} - {high:.3f}), {len(self.values)} pairs"


def interleave(a: Callable[[], float], b: Callable[[], float], pairs: int) -> tuple[Ratios, float, float]:
    """Run a and b in turn, the order changing from pair to pair; the ratios and the smallest value of each."""
    firsts, seconds = [], []
    for index in range(pairs):
        order = (a, b) if index % 2 == 0 else (b, a)
        found = {id(run): run() for run in order}
        firsts.append(found[id(a)])
        seconds.append(found[id(b)])
        print(f"  pair {index + 1}: {firsts[-1]:.6g} {seconds[-1]:.6g}", file=sys.stderr, flush=True)
    return Ratios(tuple(x / y for x, y in zip(firsts, seconds, strict=True))), min(firsts), min(seconds)


def bare(code: str, *arguments: str) -> float:
    """The last line that a fresh Python process prints, as a number."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """So many processes that take all the CPU time that they get, for as long as the block runs."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()
