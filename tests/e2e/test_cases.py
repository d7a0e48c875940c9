"""Small inputs that once failed, where they are at hand: each ends in figures or in a refusal with a way out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynolab import errors
from dynolab.formats import EXTENSIONS
from dynolab.jobs._sources import open_source
from dynolab.measure.protocol import Measure, RunKind
from dynolab.plugins import load, names
from dynolab.runtimes.base import Runtime
from dynolab.testing.harness import Harness

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
SCRIPTS = sorted(path.name for path in CASES.glob("*.py"))
LIBRARIES = {"sklearn_models.py": "skl2onnx", "torch_models.py": "torch", "tflite_shapes.py": "ai_edge_litert"}
KINDS = (
    (RunKind.INSPECT, Measure.NOTHING),
    (RunKind.COMPILE, Measure.TIME),
    (RunKind.FIRST_LOAD, Measure.TIME),
    (RunKind.INFERENCE, Measure.TIME),
    (RunKind.LAYERS, Measure.TIME),
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not SCRIPTS, reason=f"{CASES} is not there")]


def ran(model: Path, runtime: Runtime, folder: Path) -> str:
    """``figures``, or the refusal; a test fails for anything else."""
    try:
        with open_source(model) as source:
            kind = source.format
    except errors.UserError as error:
        return refused(error)
    made = Harness(folder, model, kind, runtime.name)
    for run, measure in KINDS:
        if run is RunKind.COMPILE and made.inspection is not None and not made.inspection.compiles:
            continue
        outcome = made.run(run, measure)
        if outcome.result.error is not None:
            return refused(errors.from_dict(outcome.result.error))
        made.inspection = outcome.result.inspection or made.inspection
        made.effective = made.effective | outcome.result.effective
    return "figures"


def refused(error: errors.Error) -> str:
    assert error.exit_code == 2, (error.code, error.message, error.details)
    assert not isinstance(error, errors.WorkerCrashed | errors.Bug), (error.message, error.details)
    assert error.hint or isinstance(error, errors.ModelNotSupported | errors.LoadFailed), error.message
    return f"{error.code}: {error.message}"


def runs(folder: Path) -> Iterator[tuple[Path, Runtime]]:
    for model in sorted(path for path in folder.iterdir() if path.suffix in EXTENSIONS):
        for name in names("dynolab.runtimes"):
            runtime = load("dynolab.runtimes", name)
            assert isinstance(runtime, Runtime)
            if EXTENSIONS[model.suffix] in runtime.formats and runtime.unavailable() is None:
                yield model, runtime


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_case_ends_in_figures_or_with_a_way_out(script: str, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES.get(script, "onnx"))
    made = tmp_path / "models"
    made.mkdir()
    subprocess.run([sys.executable, CASES / script, made], check=True, capture_output=True)
    failed = []
    for number, (model, runtime) in enumerate(runs(made)):
        alone = tmp_path / f"{number}"
        alone.mkdir()
        for file in made.glob(f"{model.stem}.*"):
            (alone / file.name).write_bytes(file.read_bytes())
        try:
            end = ran(alone / model.name, runtime, alone / "harness")
        except AssertionError as error:
            end = f"FAILED {str(error)[:1500]}"
            failed.append(f"{model.name} on {runtime.name}: {end}")
        print(f"{script}\t{model.name}\t{runtime.name}\t{end[:160]}")
    assert not failed, "\n".join(failed)
