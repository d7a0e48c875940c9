"""Rules of a campaign that need no process."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.measure import plan, supervisor, timing
from dynolab.measure.protocol import CANDIDATE_FILE
from dynolab.measure.timing import LoopWatch
from dynolab.spec.options import parse
from dynolab.testing.harness import Harness


@pytest.mark.parametrize(("iterations", "expected"), [(100, [34, 33, 33]), (2, [1, 1]), (1, [1])])
def test_iterations_are_shared_by_processes(iterations: int, expected: list[int]) -> None:
    options = parse(f"--max_profiler_iterations {iterations}")
    assert plan.loop_iterations(options, 1) == expected
    assert plan.loop_tries(options, 3).more == 0, "what is given is a limit"


def test_more_processes_are_there_for_who_limits_nothing() -> None:
    assert plan.loop_iterations(parse(""), 3) == [34, 33, 33]
    assert plan.loop_tries(parse(""), 3).more > 0
    assert plan.loop_tries(parse(""), 1).more == plan.load_tries(1).more == 0


def test_a_fast_model_gets_a_long_layer_pass_and_a_slow_one_a_short_one() -> None:
    assert plan.layer_iterations(50_000_000) == plan.LAYER_ITERATIONS
    assert plan.layer_iterations(4_000_000) == 50
    assert plan.layer_iterations(1_000) == plan.LAYER_ITERATIONS_MAX
    assert plan.layer_iterations(60_000_000_000) == 2


def test_bytecode_that_no_worker_can_keep_is_kept_for_them(
    monkeypatch: pytest.MonkeyPatch, null_harness: Callable[..., Harness], tmp_path: Path
) -> None:
    cache = tmp_path / "bytecode"
    cache.mkdir()
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(cache))
    monkeypatch.setattr(sys, "pycache_prefix", str(cache))
    harness = null_harness()
    before = harness.inspect().uncompiled
    if harness.sandbox.protects:
        assert not list(cache.iterdir()), "a worker wrote beside the libraries"
    supervisor.keep_bytecode("null")
    assert list(cache.rglob("numpy/__init__*.pyc"))
    assert harness.inspect().uncompiled < before / 4


@pytest.mark.parametrize(
    ("text", "candidate"), [("3", 3), ("three", plan.CANDIDATE_TRIES), (None, plan.CANDIDATE_TRIES)]
)
def test_a_worker_that_does_not_say_what_it_tried_gets_no_further_try(
    tmp_path: Path, text: str | None, candidate: int
) -> None:
    if text is not None:
        (tmp_path / CANDIDATE_FILE).write_text(text)
    assert supervisor.tried(tmp_path) == candidate


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
    monkeypatch.setattr(timing, "_VALUES_AT_ONCE", 4)
    path, watch = tmp_path / "values.bin", LoopWatch(tmp_path / "values.bin", 100)
    done = [9, 8, 8, 7, 30, 30, 30, 30, 30, 2, 30]
    for count, smallest in ((3, 8), (3, 8), (4, 7), (9, 7), (11, 2)):
        path.write_bytes(array("q", [*done[:count], *[0] * (100 - count)]).tobytes())
        watch.look()
        assert (watch.count, watch.minimum_ns) == (count, smallest)
    path.write_bytes(array("q", [*[1] * 11, 5, *[0] * 88]).tobytes())
    watch.look()
    assert (watch.count, watch.minimum_ns) == (12, 2)
