"""A worker that fills the disk is told from others that do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dynolab.measure import room

MIB = 1 << 20


@pytest.mark.parametrize("unnamed", [False, True])
@pytest.mark.parametrize(
    ("left", "mine", "told"), [(30, 70, False), (25, 75, True), (5, 60, True), (5, 3, False), (0, 80, True)]
)
def test_it_is_the_worker_that_fills_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, mine: int, told: bool, unnamed: bool
) -> None:
    """``left`` and ``mine``: hundredths of what was free at first."""
    free = [100 * MIB // 10, left * MIB // 10]
    monkeypatch.setattr(room, "free_bytes", lambda folder: free.pop(0))
    watch = room.Watch([tmp_path])
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(b"x" * (mine * MIB // 10))
        file.flush()
        os.fsync(file.fileno())
        if unnamed:
            path.unlink()
        error = watch.exceeded(os.getpid())
    assert (error is not None) is told
    if error is not None:
        assert f"it wrote {mine * MIB / 10 / 1e6:.0f} MB, and {left * MIB / 10 / 1e6:.0f} MB are left" in error.message


def test_a_calm_disk_is_no_trouble(tmp_path: Path) -> None:
    assert room.free_bytes(tmp_path) > 0
    assert room.Watch([tmp_path]).exceeded(os.getpid()) is None
