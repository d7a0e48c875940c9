"""The worker: what it imports, what it leaves out, and what it does with what the model does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynolab import errors
from dynolab.formats import EXTENSIONS
from dynolab.measure.clock import now_ns
from dynolab.measure.executor import process
from dynolab.measure.protocol import (
    PROTOCOL_VERSION,
    REQUEST_FILE,
    RESULT_FILE,
    InputPlan,
    Measure,
    RunKind,
    RunRequest,
    RunResult,
    read,
    write,
)
from dynolab.measure.worker import Run
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import parse
from dynolab.spec.tensors import TensorSpec
from dynolab.testing.harness import Harness

MakeHarness = Callable[..., Harness]


def test_importing_the_worker_brings_in_the_standard_library_and_numpy_only() -> None:
    code = """
import sys
import dynolab.measure.worker
from dynolab.measure import witnesses
witnesses.snapshot(witnesses.all_names())
print(*sorted({name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = {"numpy", "dynolab", *sys.stdlib_module_names, "__main__", "sitecustomize"}
    found = {name for name in done.stdout.split() if not name.startswith(("_", "__editable__"))}
    assert found - allowed == set()


def test_a_result_is_there_whole_or_not_at_all(null_harness: MakeHarness) -> None:
    harness = null_harness()
    harness.good(RunKind.FIRST_LOAD, Measure.TIME)
    folder = harness.folder / f"run{harness.runs}"
    assert read(RunResult, folder / RESULT_FILE).stages[StageName.FIRST_LOAD].values_ns
    assert not list(folder.glob("*.partial"))


def test_time_and_memory_never_come_from_one_process(null_harness: MakeHarness) -> None:
    harness = null_harness()
    for stage, seen in harness.good(RunKind.INFERENCE, Measure.TIME).stages.items():
        assert seen.edges == (), stage
    for stage, seen in harness.good(RunKind.INFERENCE, Measure.MEMORY).stages.items():
        assert len(seen.edges) == 3, stage
        assert "reference_kernel.copy_ns" not in (seen.witnesses.before if seen.witnesses else {}), stage


def test_an_inference_run_goes_through_a_warm_load_with_a_start_of_its_own(null_harness: MakeHarness) -> None:
    stages = null_harness().good(RunKind.INFERENCE, Measure.MEMORY).stages
    assert list(stages) == [StageName.WARM_LOAD, StageName.INFERENCE]
    assert stages[StageName.WARM_LOAD].edges[-1].at_ns < stages[StageName.INFERENCE].edges[0].at_ns


def test_the_floor_is_what_a_loop_around_nothing_takes(null_harness: MakeHarness) -> None:
    floor_ns = null_harness().inspect().floor_ns
    assert floor_ns is not None
    assert 0 < floor_ns < 1_000_000


def test_a_busy_model_takes_the_time_it_takes(null_harness: MakeHarness) -> None:
    result = null_harness(busy_ns=200_000).good(RunKind.INFERENCE, Measure.TIME, iterations=50)
    assert min(result.stages[StageName.INFERENCE].values_ns) >= 200_000


def test_a_crash_names_signal_and_log(null_harness: MakeHarness, null_model: Callable[..., Path]) -> None:
    harness = null_harness()
    null_model(crash=6, at="load")
    outcome = harness.run(RunKind.FIRST_LOAD, Measure.TIME)
    assert outcome.result.error is not None
    assert outcome.result.error["code"] == "WorkerCrashed"
    assert "SIGABRT" in str(outcome.result.error["message"])
    assert "about to crash" in outcome.log


def test_another_protocol_version_is_refused(null_harness: MakeHarness) -> None:
    outcome = null_harness().run(RunKind.FIRST_LOAD, Measure.TIME, protocol=99)
    assert outcome.result.error is not None
    assert "protocol 99" in str(outcome.result.error["message"])


def test_a_worker_past_its_deadline_is_killed_and_its_result_says_so(
    null_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, run = null_harness(), process.run
    harness.model.write_text('{"sleep_s": 60, "at": "inference"}', encoding="utf-8")  # the inspection is over

    def limited(folder: Path, request: RunRequest, **more: Any) -> process.Outcome:
        return run(folder, request, **{**more, "deadline_ns": now_ns() + 3 * 10**8})

    monkeypatch.setattr(process, "run", limited)
    begun = now_ns()
    error = harness.run(RunKind.INFERENCE).result.error
    assert error is not None
    assert error["code"] == "WorkerTimeout"
    assert now_ns() - begun < 30 * 10**9


def test_the_runtime_is_told_what_the_request_says(tmp_path: Path) -> None:
    inputs = tuple(
        InputPlan(TensorSpec(name, "float32", shape), 0.0, 1.0) for name, shape in (("a", (1, 2)), ("b", (3,)))
    )
    request = RunRequest(
        PROTOCOL_VERSION, RunKind.INSPECT, Measure.NOTHING, "null", str(tmp_path / "net.null"), ModelFormat.NULL,
        str(tmp_path / "made"), str(tmp_path / "kept"), "--compute_unit cpu", 1, inputs,
    )  # fmt: skip
    run = Run(tmp_path, request)
    target = run.target()
    assert (target.model, target.format) == (tmp_path / "net.null", ModelFormat.NULL)
    assert (target.artifact_dir, target.cache_dir) == (tmp_path / "made", tmp_path / "kept")
    assert target.shapes == {"a": (1, 2), "b": (3,)}
    assert target.options == parse("--compute_unit cpu")
    assert run.target(cache_dir=tmp_path).cache_dir == tmp_path
    assert run.target(cache_dir=tmp_path).shapes == target.shapes


@pytest.mark.parametrize(
    ("runtime", "module", "ending"),
    [
        ("onnxruntime", "onnxruntime", ".onnx"), ("openvino", "openvino", ".xml"), ("litert", "ai_edge_litert", ".tflite"), ("torch", "torch", ".pt"),
    ],
)  # fmt: skip
def test_a_library_that_the_device_lacks_is_told_as_such(
    tmp_path: Path, runtime: str, module: str, ending: str
) -> None:
    """It is no bug of ours, and no fault of the model's; what is missing is named."""
    model = tmp_path / f"m{ending}"
    model.write_bytes(b"never read")
    asked = Harness(tmp_path / "h", model, EXTENSIONS[ending], runtime).request(RunKind.INSPECT)
    write(asked, tmp_path / REQUEST_FILE)
    code = f"import sys; sys.modules[{module!r}] = None; from dynolab.measure.worker import main; main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    error = errors.from_dict(read(RunResult, tmp_path / RESULT_FILE).error or {})
    assert isinstance(error, errors.PluginMissing)
    assert module in error.message
    assert error.hint
    assert error.exit_code == 2


def test_a_worker_has_numpy_itself_before_anything_is_measured() -> None:
    code = "import dynolab.measure.worker as w, numpy; from dynolab.runtimes._numpy import np; print(np is numpy)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
