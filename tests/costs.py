"""What each module of the tests costs: CPU time of all processes that it started and that ended, and time.

    PYTEST_ADDOPTS="-p tests.costs" script/test

Lines are added to ``out/test-costs.txt`` as modules end, by every process of the run: ``sort -rn`` has the dearest first.
Chromium counts where the folder with its tests ends, and without the processes that draw pages, which it does not wait for.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynolab.testing import fork_server

OUT = Path(__file__).parents[1] / "out" / "test-costs.txt"


@dataclass
class Costs:
    """Of the module that runs now."""

    tests: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0


_now = Costs()


def cpu_s() -> float:
    """CPU time of this process, of its children that have ended, and of hubs that were forked for it and have, in seconds."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used) + fork_server.used_s


def pytest_configure(config: pytest.Config) -> None:
    """Where the tests run, pytests that they start themselves are not counted one by one."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", default=None):
        os.environ.pop("PYTEST_ADDOPTS", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A module's own fixtures end with its last test, and count for it."""
    global _now
    cpu, wall = cpu_s(), time.monotonic()
    result = yield
    _now.tests += 1
    _now.cpu_s += cpu_s() - cpu
    _now.wall_s += time.monotonic() - wall
    if nextitem is None or nextitem.path != item.path:
        OUT.parent.mkdir(exist_ok=True)
        name = item.path.relative_to(Path(__file__).parent)
        with OUT.open("a", encoding="utf-8") as file:
            file.write(f"{_now.cpu_s:8.1f} s CPU {_now.wall_s:8.1f} s {_now.tests:5d} tests  {name}\n")
        _now = Costs()
    return result
