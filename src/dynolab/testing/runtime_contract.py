"""What every runtime keeps: ``class TestMine(RuntimeContract)`` with ``runtime``, ``format`` and a ``model`` fixture."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from dynolab import formats
from dynolab.measure import inputs
from dynolab.measure.protocol import REQUEST_FILE, InputWishes, Inspection, Measure, RunKind, RunResult, write
from dynolab.runtimes.base import runtime_named
from dynolab.spec.measurements import ComputeUnit, StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness
from dynolab.testing.runtime_probe import PROBED_FILE, RUNS, Probed

_ASK = """
import json, sys
import dynolab.runtimes.base
import numpy
before = {name.partition(".")[0] for name in sys.modules}
from dynolab import plugins
plugin = plugins.load("dynolab.runtimes", sys.argv[1])
plugin.unavailable(), plugin.versions()
after = {name.partition(".")[0] for name in sys.modules}
own = type(plugin).__module__.partition(".")[0]
print(json.dumps(sorted(after - before - {own, "dynolab", *sys.stdlib_module_names})))
"""


_READ = """
import json, sys, sysconfig
from pathlib import Path
import dynolab
from dynolab import formats
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


_LOADED: dict[type[RuntimeContract], tuple[RunResult, RunResult]] = {}
"""A first load, and an inference after it."""
_PROBED: dict[type[RuntimeContract], Probed] = {}


class RuntimeContract:
    """What every runtime keeps; all of it goes through the measuring worker, as a profile does, or through a probe of it.

    A suite names ``runtime`` and ``format`` and has a fixture ``model``. It can say more, and then more is checked:
    ``open_shapes``, two shapes of the inputs of a model that leaves dimensions open (which ``open_model`` gives), and
    :meth:`reference`, the outputs that the model has to have. Where the runtime is not available all of it is skipped, but for
    those that the variable ``DYNOLAB_REQUIRED_RUNTIMES`` names.
    """

    runtime: ClassVar[str]
    format: ClassVar[ModelFormat]
    wishes: ClassVar[InputWishes] = InputWishes()
    open_shapes: ClassVar[tuple[Mapping[str, tuple[int, ...]], ...]] = ()
    """Two choices of the shapes of every input of ``open_model``, of which the outputs' shapes are to follow."""
    psnr_db: ClassVar[float] = 60.0
    """How near the outputs have to be to those of :meth:`reference`, the largest of which is the peak."""

    def reference(self, model: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Mapping[str, Any] | None:
        """The outputs that the model has to have for these inputs, by name; None: nothing tells them."""
        return None

    @pytest.fixture(autouse=True)
    def available(self) -> None:
        """Skip where the runtime cannot be used, with its reason."""
        reason = runtime_named(self.runtime).unavailable()
        if reason is not None and self.runtime not in os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split():
            pytest.skip(reason)
        assert reason is None

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        """A small model of the format, the same for each test; to be overridden."""
        raise NotImplementedError  # a fixture without a sensible default: the suite cannot run without a model

    @pytest.fixture
    def open_model(self, tmp_path: Path) -> Path | None:
        """A model that leaves dimensions of its inputs open, for ``open_shapes``; None: the runtime takes none."""
        return None

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

    @pytest.fixture
    def loaded(self, harness: Harness) -> tuple[RunResult, RunResult]:
        """The results of a first load and of seven inferences after it, once for all tests."""
        if type(self) not in _LOADED:
            first = harness.good(RunKind.FIRST_LOAD, Measure.TIME)
            _LOADED[type(self)] = first, harness.good(RunKind.INFERENCE, Measure.TIME, iterations=7)
        return _LOADED[type(self)]

    def test_caches_are_where_the_row_says(self, loaded: tuple[RunResult, RunResult]) -> None:
        """What a first load leaves in the cache folder is there exactly when the row names a cache."""
        row = runtime_named(self.runtime).row_of(self.format)
        first, warm = loaded[0].stages[StageName.FIRST_LOAD], loaded[1].stages[StageName.WARM_LOAD]
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

    def test_inference_fills_the_loop(self, loaded: tuple[RunResult, RunResult]) -> None:
        result = loaded[1]
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
        """Asking the plug-in imports nothing but its own modules: that is what the import's figure is measured by."""
        runtime = runtime_named(self.runtime)
        assert runtime.unavailable() is None
        assert runtime.versions()
        answer = subprocess.run([sys.executable, "-c", _ASK, self.runtime], capture_output=True, text=True, check=True)
        imported = json.loads(answer.stdout.splitlines()[-1])
        assert not imported, (
            f"asking for the runtime {self.runtime} imports {imported}: that belongs into import_library"
        )

    def test_its_format_is_declared(self) -> None:
        """Else no file is ever known to be of it."""
        assert self.format in runtime_named(self.runtime).formats
        assert formats.by_name(self.format) is not None, f"no entry point of {formats.GROUP} declares {self.format}"

    @pytest.fixture
    def probed(self, harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> Probed:
        """What was seen of the runtime from inside its process, once for all tests."""
        if "dynolab" in runtime_named(self.runtime).distributions:
            pytest.skip("the runtime computes nothing")
        if type(self) not in _PROBED:
            folder = tmp_path_factory.mktemp("probe")
            write(harness.request(RunKind.INFERENCE), folder / REQUEST_FILE)
            command = [sys.executable, "-P", "-m", "dynolab.testing.runtime_probe", str(folder)]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            _PROBED[type(self)] = Probed(**json.loads((folder / PROBED_FILE).read_text(encoding="utf-8")))
        return _PROBED[type(self)]

    def test_outputs_stay_the_same_run_after_run(self, probed: Probed) -> None:
        """Inputs are bound once: what the library destroys of them, the runner's callable fills in again."""
        assert not probed.changed_later, f"run {RUNS} gives other values of {probed.changed_later} than the first"

    def test_outputs_follow_from_the_inputs(self, probed: Probed) -> None:
        assert not probed.zero, "every output is zero, whatever the inputs are"
        assert not probed.same_for_seeds, "the outputs are the same for other inputs"

    def test_the_runner_infers(self, probed: Probed) -> None:
        """It is the runner's callable that is timed, so nothing may be there before it was called."""
        assert not probed.early, (
            "the outputs of new inputs are there though nothing was run: they come from bind or fetch"
        )

    def test_a_load_infers_nothing(self, probed: Probed) -> None:
        """An app's first inference is measured apart, and the load ends before it."""
        assert not probed.inferred_in_load, f"the load calls what an inference does: {probed.inferred_in_load}"

    def test_the_layer_pass_runs_as_often_as_it_is_told(self, probed: Probed) -> None:
        """Each iteration through the watch, which tells the calm ones, and none left out."""
        if probed.layer_iterations is None:
            pytest.skip("the runtime does not tell the time of single layers")
        assert probed.layer_iterations == 3, "of 3 iterations so many have layers"
        assert probed.layer_runs >= 3, "of 3 iterations so many were run through the watch"

    def test_outputs_are_those_of_the_reference(self, probed: Probed, model: Path) -> None:
        for inputs_of, outputs_of in zip(probed.input_files, probed.output_files, strict=True):
            expected = self.reference(model, {name: np.load(file) for name, file in inputs_of.items()})
            if expected is None:
                pytest.skip("the suite has no reference")
            found = {name: np.load(file) for name, file in outputs_of.items()}
            assert found.keys() == expected.keys()
            for name, array in found.items():
                assert array.shape == np.shape(expected[name]), name
                psnr = psnr_of(np.asarray(expected[name]), array)
                assert psnr >= self.psnr_db, (
                    f"output {name}: {psnr:.1f} dB to the reference, {self.psnr_db:g} are wanted"
                )

    def test_shapes_that_are_asked_for_are_bound(self, tmp_path: Path, open_model: Path | None) -> None:
        if open_model is None or len(self.open_shapes) != 2:
            pytest.skip("the suite has no model with open dimensions")
        seen = []
        for number, shapes in enumerate(self.open_shapes):
            place, wishes = tmp_path / f"open{number}", InputWishes(shapes=dict(shapes))
            harness = Harness(place, open_model, self.format, self.runtime, wishes=wishes)
            harness.inspect()
            found = harness.inspection
            assert found is not None
            assert {item.spec.name: item.spec.shape for item in found.inputs} == dict(shapes)
            seen.append({spec.name: spec.shape for spec in found.outputs})
        assert seen[0] != seen[1], f"the outputs have the same shapes for other inputs: {seen[0]}"


def psnr_of(expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    """How near values are to those expected, in dB; the peak is the largest of those."""
    wide, other = expected.astype(np.float64), found.astype(np.float64)
    error = float(np.mean((wide - other) ** 2))
    peak = float(np.max(np.abs(wide)))
    return float("inf") if error == 0 else 10 * np.log10(max(peak, np.finfo(np.float64).tiny) ** 2 / error)
