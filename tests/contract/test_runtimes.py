"""The runtime contract over every plug-in and format that is found; nothing is listed by hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from dynolab import plugins
from dynolab.measure.protocol import RunKind
from dynolab.runtimes.base import runtime_named
from dynolab.sandbox import base as sandboxes
from dynolab.spec.models import ModelFormat
from dynolab.testing import models
from dynolab.testing.harness import Harness
from dynolab.testing.runtime_contract import RuntimeContract

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()
"""Runtimes that must be there: a missing one fails instead of being skipped."""


@cache
def make_model(kind: ModelFormat, made: Path) -> Path:
    folder = made / kind
    folder.mkdir()
    if kind == ModelFormat.TFLITE:
        return Path(shutil.copy(EXAMPLES / "mlperf_tiny_kws_int8.tflite", folder / "net.tflite"))
    name, maker = models.MAKERS[kind]
    return maker(folder / name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each model is made once, in a folder of its own; nobody writes to it after that."""
    return tmp_path_factory.mktemp("models")


def ready_model(name: str, kind: ModelFormat, made: Path) -> Path:
    """A small model of the format; skips the test when the runtime, or what makes the model, is not there."""
    reason = runtime_named(name).unavailable()
    if reason is not None and name not in REQUIRED:
        pytest.skip(reason)
    assert reason is None
    try:
        return make_model(kind, made)
    except ModuleNotFoundError as error:
        pytest.skip(f"no small {kind} model can be made: {error}")


def suite(name: str, kind: ModelFormat) -> type[RuntimeContract]:
    """The contract's tests for one runtime and format."""

    @pytest.fixture
    def model(self: RuntimeContract, made: Path) -> Path:
        return ready_model(name, kind, made)

    title = f"Test_{name}_{kind}"
    return type(title, (RuntimeContract,), {"runtime": name, "format": kind, "model": model, "__module__": __name__})


for _name in plugins.names("dynolab.runtimes"):
    for _kind in runtime_named(_name).formats:
        _suite = suite(_name, _kind)
        globals()[_suite.__name__] = _suite


@pytest.mark.parametrize("sandbox", ["namespaces", "landlock"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[pytest.mark.slow] if name == "torch" else [])  # compiles for half a minute
        for name in plugins.names("dynolab.runtimes")
        for kind in runtime_named(name).formats
    ],
)
def test_weaker_sandboxes_show_what_a_runtime_needs(name: str, kind: ModelFormat, sandbox: str, made: Path) -> None:
    """The contract itself runs in the strongest one."""
    if sandboxes.problem(sandbox) is not None:
        pytest.skip(f"{sandbox} does not work here: {sandboxes.problem(sandbox)}")
    means = next(means for means in sandboxes.all_by_strength() if means.name == sandbox)
    model = ready_model(name, kind, made)
    with tempfile.TemporaryDirectory(
        prefix="dynolab-test-"
    ) as folder:  # g++ asks whether it may write: pytest's are closed
        harness = Harness(Path(folder) / "harness", model, kind, name, sandbox=means)
        harness.inspect()
        if harness.inspection is not None and harness.inspection.compiles:
            harness.good(RunKind.COMPILE)
        harness.good(RunKind.FIRST_LOAD)


def test_every_runtime_is_covered() -> None:
    found = {name for name in globals() if name.startswith("Test_")}
    assert {name.split("_")[1] for name in found} == set(plugins.names("dynolab.runtimes"))
