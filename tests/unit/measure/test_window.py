"""Room for the loop's durations: a file that others may look into, and all of it in memory before the loop begins."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import pytest

from dynolab.measure.pagecache import residency
from dynolab.measure.warmup import WARMUP_MAX
from dynolab.measure.window import Durations


@pytest.mark.parametrize("count", [1, 512, 513, 100_000])
def test_every_duration_has_its_place_in_the_file(tmp_path: Path, count: int) -> None:
    path = tmp_path / "values"
    with Durations(path, count) as (durations, warmup):
        assert (len(durations), durations.format, durations.itemsize) == (count, "q", 8)
        assert (len(warmup), warmup.format) == (WARMUP_MAX, "q")
        assert path.stat().st_size == 8 * count
        assert not any(durations)
        durations[0], durations[count - 1] = 5, 7 << 40
        warmup[WARMUP_MAX - 1] = 3
        content = path.read_bytes()
    assert struct.unpack("=q", content[-8:]) == (7 << 40,)
    assert content == path.read_bytes()
    with pytest.raises(ValueError, match="released"):
        durations[0]


def test_what_was_there_before_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "values"
    path.write_bytes(b"x" * 100)
    with Durations(path, 2) as (durations, _):
        assert list(durations) == [0, 0]
    assert path.read_bytes() == bytes(16)


def test_all_pages_are_in_memory_before_the_loop(tmp_path: Path) -> None:
    count = 64 * mmap.PAGESIZE // 8
    with Durations(tmp_path / "values", count):
        found = residency([tmp_path / "values"])
    if found.resident_bytes is None:
        pytest.skip(f"it is not known here: {found.reason}")
    assert found.resident_bytes == 8 * count
