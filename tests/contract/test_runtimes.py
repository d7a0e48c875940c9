"""The runtime contract over every plug-in and format that is found; nothing is listed by hand."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from dynolab import plugins
from dynolab.spec.models import ModelFormat
from dynolab.testing import models
from dynolab.testing.runtime_contract import RuntimeContract, runtime_named

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()
"""Runtimes that must be there: a missing one fails instead of being skipped."""


@cache
def make_model(kind: ModelFormat, made: Path) -> Path:
    folder = made / kind.value
    folder.mkdir()
    if kind is ModelFormat.TFLITE:
        return Path(shutil.copy(EXAMPLES / "mlperf_tiny_kws_int8.tflite", folder / "net.tflite"))
    name, maker = models.MAKERS[kind]
    return maker(folder / name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each model is made once, in a folder of its own; nobody writes to it after that."""
    return tmp_path_factory.mktemp("models")


def suite(name: str, kind: ModelFormat) -> type[RuntimeContract]:
    """The contract's tests for one runtime and format."""

    @pytest.fixture
    def model(self: RuntimeContract, made: Path) -> Path:
        reason = runtime_named(name).unavailable()
        if reason is not None and name not in REQUIRED:
            pytest.skip(reason)
        assert reason is None
        try:
            return make_model(kind, made)
        except ModuleNotFoundError as error:
            pytest.skip(f"no small {kind} model can be made: {error}")

    title = f"Test_{name}_{kind.value}"
    return type(title, (RuntimeContract,), {"runtime": name, "format": kind, "model": model, "__module__": __name__})


for _name in plugins.names("dynolab.runtimes"):
    for _kind in runtime_named(_name).formats:
        _suite = suite(_name, _kind)
        globals()[_suite.__name__] = _suite


def test_every_runtime_is_covered() -> None:
    found = {name for name in globals() if name.startswith("Test_")}
    assert {name.split("_")[1] for name in found} == set(plugins.names("dynolab.runtimes"))
