"""Rules of a campaign that need no process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.measure import plan, witnesses
from dynolab.measure.executor.place import tried
from dynolab.measure.protocol import CANDIDATE_FILE
from dynolab.sandbox.base import strongest
from dynolab.spec.options import parse
from dynolab.testing.direct_device import direct_device
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
    # Plug-ins are imported in this process too, which keeps their bytecode where it always does.
    witnesses.all_names()
    strongest()
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(cache))
    monkeypatch.setattr(sys, "pycache_prefix", str(cache))
    harness = null_harness()
    before = harness.inspect().uncompiled
    if harness.sandbox.protects:
        assert not list(cache.iterdir()), "a worker wrote beside the libraries"
    direct_device(tmp_path).compile_python("null")
    assert list(cache.rglob("numpy/__init__*.pyc"))
    assert harness.inspect().uncompiled < before / 4


@pytest.mark.parametrize(("text", "candidate"), [("3", 3), ("three", None), (None, None)])
def test_a_worker_that_does_not_say_what_it_tried(tmp_path: Path, text: str | None, candidate: int | None) -> None:
    if text is not None:
        (tmp_path / CANDIDATE_FILE).write_text(text)
    assert tried(tmp_path) == candidate
