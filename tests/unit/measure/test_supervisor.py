"""Rules of a campaign that need no process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.errors import ModelNotSupported
from dynolab.measure import plan, supervisor
from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.options import parse
from dynolab.testing.harness import Harness

CPU, GPU, NPU = ComputeUnit.CPU, ComputeUnit.GPU, ComputeUnit.NPU


def layer(unit: ComputeUnit) -> Layer:
    return Layer("conv1", "Conv", unit, 1000)


def test_a_fallback_that_the_request_excludes_is_an_error() -> None:
    with pytest.raises(ModelNotSupported, match=r"1 of 2 layers ran on the CPU.*conv1"):
        supervisor.check_units([layer(GPU), layer(CPU)], (GPU,))


def test_a_fallback_that_the_request_allows_is_none() -> None:
    supervisor.check_units([layer(NPU), layer(CPU)], (NPU, CPU))
    supervisor.check_units([layer(NPU), layer(CPU)], ())


@pytest.mark.parametrize(("iterations", "expected"), [(100, [34, 33, 33]), (2, [1, 1]), (1, [1])])
def test_iterations_are_shared_by_processes(iterations: int, expected: list[int]) -> None:
    options = parse(f"--max_profiler_iterations {iterations}")
    assert plan.timing_processes(options, 1) == expected


def test_a_long_compilation_is_timed_once() -> None:
    assert plan.compile_runs(9_000_000_000, 3) == 3
    assert plan.compile_runs(11_000_000_000, 3) == 1


def test_a_slow_model_gets_a_short_layer_pass() -> None:
    assert plan.layer_iterations(1_000) == plan.LAYER_ITERATIONS
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
