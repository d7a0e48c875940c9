"""What every runtime keeps: ``class TestMine(RuntimeContract)`` with ``runtime``, ``format`` and a ``model`` fixture."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dynolab.measure import inputs
from dynolab.measure.protocol import REQUEST_FILE, InputWishes, Inspection, Measure, RunKind, RunResult, write
from dynolab.runtimes.base import runtime_named
from dynolab.spec.measurements import ComputeUnit, StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

_ASK = """
import sys
from dynolab import plugins
plugin = plugins.load("dynolab.runtimes", sys.argv[1])
plugin.unavailable(), plugin.versions()
print(*{name.partition(".")[0] for name in sys.modules})
"""


_READ = """
import json, sys, sysconfig
from pathlib import Path
import dynolab
from dynolab.measure import inputs
from dynolab.measure.protocol import RunRequest, read
from dynolab.measure.worker import Run
ours, model = str(Path(dynolab.__file__).parent), sys.argv[2]
run, seen = Run(Path(sys.argv[1]), read(RunRequest, Path(sys.argv[1]) / "request.json")), []
standard = (sysconfig.get_path("stdlib"), "<frozen")

def look(event, arguments):
    if event == "open" and str(arguments[0]) == model:
        frame = sys._getframe(1)
        while frame.f_code.co_filename.startswith(standard) and "site-packages" not in frame.f_code.co_filename:
            frame = frame.f_back
        seen.append(frame.f_code.co_filename)

run.runtime.import_library()
sys.addaudithook(look)
run.runtime.load(run.target())
print(json.dumps([path for path in seen if path.startswith(ours)]))
"""


_INSPECTED: dict[type[RuntimeContract], tuple[Inspection, dict[str, str]]] = {}
"""By suite: its tests are about one model, which need not be inspected anew for each."""
_COMPILED: dict[type[RuntimeContract], tuple[RunResult, Path]] = {}
"""What compile made, and the folder that it lies in: it may take a minute, and two tests need it."""


class RuntimeContract:
    """Each test goes through the measuring worker, as a profile does."""

    runtime: ClassVar[str]
    format: ClassVar[ModelFormat]
    wishes: ClassVar[InputWishes] = InputWishes()

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        """A small model of the format, the same for each test; to be overridden."""
        raise NotImplementedError  # a fixture without a sensible default: the suite cannot run without a model

    @pytest.fixture
    def harness(self, tmp_path: Path, model: Path) -> Harness:
        """A harness in a new folder, with the model's inspection."""
        harness = Harness(tmp_path / "harness", model, self.format, self.runtime, wishes=self.wishes)
        if type(self) not in _INSPECTED:
            harness.inspect()
            assert harness.inspection is not None
            _INSPECTED[type(self)] = harness.inspection, harness.effective
        harness.inspection, harness.effective = _INSPECTED[type(self)]
        return harness

    def test_the_inspection_binds_everything(self, harness: Harness) -> None:
        found = harness.inspection
        assert found is not None
        assert found.inputs
        assert found.outputs
        assert all(item.spec.bound for item in found.inputs)
        assert all(spec.bound for spec in found.outputs)

    @pytest.fixture
    def compiled(self, harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> RunResult | None:
        """The compilation's result, its artifact in the harness's folder; None where nothing is compiled."""
        if harness.inspection is None or not harness.inspection.compiles:
            return None
        artifact = harness.folder / "artifact"
        if type(self) not in _COMPILED:
            result = harness.good(RunKind.COMPILE, Measure.TIME)
            _COMPILED[type(self)] = result, tmp_path_factory.mktemp("compiled") / "artifact"
            shutil.copytree(artifact, _COMPILED[type(self)][1])
        result, kept = _COMPILED[type(self)]
        shutil.copytree(kept, artifact, dirs_exist_ok=True)
        return result

    def test_the_artifact_is_what_the_row_says(self, harness: Harness, compiled: RunResult | None) -> None:
        """A runtime compiles exactly where its row names an artifact, and the loads go on from there."""
        row = runtime_named(self.runtime).row_of(self.format)
        assert harness.inspection is not None
        assert harness.inspection.compiles == (row.artifact is not None)
        assert (compiled is not None) == (row.artifact is not None)
        if compiled is not None:
            stage = compiled.stages[StageName.COMPILE]
            assert sum(file.bytes for file in stage.files) > 0
            assert len(stage.values_ns) == 1
            assert stage.values_ns[0] > 0

    def test_caches_are_where_the_row_says(self, harness: Harness) -> None:
        """What a first load leaves in the cache folder is there exactly when the row names a cache."""
        row = runtime_named(self.runtime).row_of(self.format)
        first = harness.good(RunKind.FIRST_LOAD, Measure.TIME).stages[StageName.FIRST_LOAD]
        warm = harness.good(RunKind.INFERENCE, Measure.TIME).stages[StageName.WARM_LOAD]
        assert bool(first.files) == (not row.wiped.startswith("nothing"))
        assert {file.path for file in first.files} <= {file.path for file in warm.files}

    @pytest.mark.usefixtures("compiled")
    def test_a_load_reads_nothing_of_the_model_in_python_of_ours(self, harness: Harness) -> None:
        """What a load costs is the model's and the library's; what we look up in a file is looked up before."""
        if "dynolab" in runtime_named(self.runtime).distributions:
            pytest.skip("the runtime's library is ours")
        folder = harness.folder / "asked"
        folder.mkdir()
        write(harness.request(RunKind.FIRST_LOAD), folder / REQUEST_FILE)
        command = [sys.executable, "-c", _READ, str(folder), str(harness.model)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout.splitlines()[-1]) == []

    def test_inference_fills_the_loop(self, harness: Harness) -> None:
        result = harness.good(RunKind.INFERENCE, Measure.TIME, iterations=7)
        inference = result.stages[StageName.INFERENCE]
        assert len(inference.values_ns) == 7
        assert min(inference.values_ns) > 0
        assert inference.first_ns is not None
        assert inference.warmup_ns
        assert any("thread" in key for key in result.effective)

    def test_every_batch_is_inferred_from_its_own_inputs(self, harness: Harness, tmp_path: Path) -> None:
        """A session can be bound again: the same inputs give the same outputs, whatever came between."""
        assert harness.inspection is not None
        batches = []
        for number, seed in enumerate((1, 2, 1)):
            arrays = inputs.make(harness.inspection.inputs, seed)
            files = {name: tmp_path / f"{number}-{i}.npy" for i, name in enumerate(arrays)}
            for name, path in files.items():
                np.save(path, arrays[name])
            batches.append({name: str(path) for name, path in files.items()})
        found = harness.good(RunKind.INFER, batches=tuple(batches)).outputs
        first, _, third = ({name: np.load(path) for name, path in outputs.items()} for outputs in found)
        assert first.keys() == third.keys() == {spec.name for spec in harness.inspection.outputs}
        for name, array in first.items():
            assert np.array_equal(array, third[name], equal_nan=array.dtype.kind == "f")

    def test_the_time_limit_ends_the_loop(self, harness: Harness) -> None:
        result = harness.good(RunKind.INFERENCE, Measure.TIME, iterations=10_000_000, time_limit_ns=20_000_000)
        assert 1 <= len(result.stages[StageName.INFERENCE].values_ns) < 10_000_000

    def test_memory_of_a_load_is_a_range(self, harness: Harness) -> None:
        peak, increase = harness.memory(StageName.WARM_LOAD)
        assert increase.lower <= increase.upper <= peak.upper

    def test_layers_or_a_reason(self, harness: Harness) -> None:
        found = harness.good(RunKind.LAYERS, iterations=3).layer_pass
        assert found is not None
        assert bool(found.layers) != bool(found.reason)
        assert all(layer.name and layer.type and layer.time_ns >= 0 for layer in found.layers)

    def test_a_unit_that_is_not_there_is_an_error(self, tmp_path: Path, model: Path) -> None:
        harness = Harness(tmp_path / "npu", model, self.format, self.runtime, "--compute_unit npu", self.wishes)
        if ComputeUnit.NPU in runtime_named(self.runtime).units and Path("/dev/accel").exists():
            pytest.skip("there may be an NPU here")
        error = harness.run(RunKind.INSPECT).result.error
        assert error is not None
        assert error["code"] == "ModelNotSupported"
        assert "NPU" in str(error["message"])
        assert self.runtime in str(error["message"]), "it is this runtime that lacks the unit"

    @pytest.mark.usefixtures("model")  # which skips where the runtime is not installed
    def test_the_library_comes_in_with_its_import_only(self) -> None:
        """Asking the plug-in imports nothing of the vendor's: that is what the import's figure is measured by."""
        runtime = runtime_named(self.runtime)
        assert runtime.unavailable() is None
        assert runtime.versions()
        answer = subprocess.run([sys.executable, "-c", _ASK, self.runtime], capture_output=True, text=True, check=True)
        owners = metadata.packages_distributions()
        vendors = {name for name in owners if set(owners[name]) & set(runtime.distributions)} - {"dynolab"}
        assert not vendors & set(answer.stdout.split())
