"""How far a running loop is, from a file that a model's process may have replaced."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from dynolab.measure.executor import loop_watch
from dynolab.measure.executor.loop_watch import LoopWatch


def seen(path: Path, most: int) -> tuple[int, int]:
    watch = LoopWatch(path, most)
    watch.look()
    return watch.count, watch.minimum_ns


def test_a_pipe_or_a_link_in_the_place_of_the_durations_is_not_waited_for(tmp_path: Path) -> None:
    pipe, link, plain = tmp_path / "pipe", tmp_path / "link", tmp_path / "plain"
    os.mkfifo(pipe)
    plain.write_bytes(array("q", [5, 3, 9, 0, 0]).tobytes() + b"x")
    link.symlink_to(plain)
    assert seen(pipe, 10) == seen(link, 10) == seen(tmp_path / "none", 10) == (0, 0)
    assert seen(plain, 10) == (3, 3)
    assert seen(plain, 1) == (1, 5)
    assert seen(plain, 0) == (0, 0)


def test_a_look_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen does not count again, whatever becomes of it, and long loops are read in parts."""
    monkeypatch.setattr(loop_watch, "_VALUES_AT_ONCE", 4)
    path, watch = tmp_path / "values.bin", LoopWatch(tmp_path / "values.bin", 100)
    done = [9, 8, 8, 7, 30, 30, 30, 30, 30, 2, 30]
    for count, smallest in ((3, 8), (3, 8), (4, 7), (9, 7), (11, 2)):
        path.write_bytes(array("q", [*done[:count], *[0] * (100 - count)]).tobytes())
        watch.look()
        assert (watch.count, watch.minimum_ns) == (count, smallest)
    path.write_bytes(array("q", [*[1] * 11, 5, *[0] * 88]).tobytes())
    watch.look()
    assert (watch.count, watch.minimum_ns) == (12, 2)
