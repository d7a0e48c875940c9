"""The worker: what it imports, what it leaves out, and what it does with what the model does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from dynolab.measure.protocol import RESULT_FILE, Measure, RunKind, RunResult, read
from dynolab.testing.harness import Harness

MakeHarness = Callable[..., Harness]


def test_importing_the_worker_brings_in_the_standard_library_and_numpy_only() -> None:
    code = """
import sys
import dynolab.measure.worker
from dynolab.measure import witnesses
witnesses.snapshot()
print(*sorted({name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = {"numpy", "dynolab", *sys.stdlib_module_names, "__main__", "sitecustomize"}
    found = {name for name in done.stdout.split() if not name.startswith(("_", "__editable__"))}
    assert found - allowed == set()


def test_a_result_is_there_whole_or_not_at_all(null_harness: MakeHarness) -> None:
    harness = null_harness()
    harness.good(RunKind.WARM_LOAD, Measure.TIME)
    folder = harness.folder / f"run{harness.runs}"
    assert read(RunResult, folder / RESULT_FILE).values_ns
    assert not list(folder.glob("*.partial"))


def test_time_and_memory_never_come_from_one_process(null_harness: MakeHarness) -> None:
    harness = null_harness()
    assert harness.good(RunKind.WARM_LOAD, Measure.TIME).edges == ()
    memory = harness.good(RunKind.WARM_LOAD, Measure.MEMORY)
    assert len(memory.edges) == 3
    assert "reference_kernel.copy_ns" not in (memory.witnesses.before if memory.witnesses else {})


def test_a_busy_model_takes_the_time_it_takes(null_harness: MakeHarness) -> None:
    result = null_harness(busy_ns=200_000).good(RunKind.INFERENCE, Measure.TIME, iterations=50)
    assert min(result.values_ns) >= 200_000


def test_a_crash_names_signal_and_log(null_harness: MakeHarness, null_model: Callable[..., Path]) -> None:
    harness = null_harness()
    null_model(crash=6, at="load")
    outcome = harness.run(RunKind.WARM_LOAD, Measure.TIME)
    assert outcome.result.error is not None
    assert outcome.result.error["code"] == "WorkerCrashed"
    assert "SIGABRT" in str(outcome.result.error["message"])
    assert "about to crash" in outcome.log


def test_another_protocol_version_is_refused(null_harness: MakeHarness) -> None:
    outcome = null_harness().run(RunKind.WARM_LOAD, Measure.TIME, protocol=99)
    assert outcome.result.error is not None
    assert "protocol 99" in str(outcome.result.error["message"])
