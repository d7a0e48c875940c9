"""Control groups: what a killed executor left is removed by the next one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dynolab.measure.executor import memory_limit
from dynolab.spec.measurements import MemoryEdge


def test_groups_of_dead_executors_are_swept_and_those_of_living_ones_stay() -> None:
    made = memory_limit.make(256 << 20)
    if not isinstance(made, memory_limit.CgroupLimit):
        pytest.skip("no control group is delegated to us here")
    mine = made.folder
    dead = subprocess.run(
        [
            sys.executable,
            "-c",
            "from dynolab.measure.executor import memory_limit; print(memory_limit.make(256 << 20).folder)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    folder = Path(dead)
    assert folder.is_dir()
    try:
        memory_limit.make(256 << 20)  # mine exists already, so nothing new is made; but what is dead goes
        assert not folder.is_dir()
        assert mine.is_dir()
    finally:
        made.close()
    assert not mine.exists()


def edge(resident: int, swap: int) -> MemoryEdge:
    return MemoryEdge(0, resident, resident, 0, 0, swap, 0, resident)


def test_where_no_group_is_to_be_had_the_size_is_looked_at_up_to_the_last_byte() -> None:
    watched = memory_limit.WatchedLimit(100)
    assert watched.watches
    assert watched.exceeded(edge(60, 40)) is None
    over = watched.exceeded(edge(61, 40))
    assert over is not None
    assert over.code == "OutOfMemory"
    free = memory_limit.MemoryLimit()
    assert not free.watches
    assert (free.exceeded(edge(1 << 50, 0)), free.verdict()) == (None, None)
