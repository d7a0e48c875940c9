"""Libraries that are installed and do not load: tried in a process of their own, on the device that is asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dynolab.runtimes.base import runtime_named, why_not_loaded
from dynolab.testing.direct_device import direct_device

DIES = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
BREAKS = "raise ImportError('libomp.so: cannot open shared object file')\n"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library that stands before the one that is installed; nothing is remembered of either."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path / "state"))
    path = tmp_path / "library" / "onnxruntime" / "__init__.py"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(path.parents[1]), prepend=os.pathsep)
    return path


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (DIES, "it is installed, and loading it ends the process (SIGILL)"),
        (BREAKS, "it is installed, and does not load: ImportError: libomp.so: cannot open shared object file"),
        ("import os; os._exit(3)", "it is installed, and does not load: exit code 3"),
    ],
)
def test_a_device_is_asked_whether_a_library_loads_and_says_why_not(
    library: Path, tmp_path: Path, code: str, why: str
) -> None:
    library.write_text(code)
    device = direct_device(tmp_path)
    assert device.look("onnxruntime", loads=True).unavailable == why
    assert device.look("onnxruntime").unavailable is None, "a job finds out in its worker"


def test_that_it_loads_is_remembered_and_that_it_does_not_is_tried_again(library: Path, tmp_path: Path) -> None:
    runtime, kept = runtime_named("null"), tmp_path / "state" / "loaded-runtimes.json"
    library.write_text(DIES)
    assert why_not_loaded(runtime_named("onnxruntime")) is not None
    assert not kept.exists()
    assert why_not_loaded(runtime) is None
    [key] = json.loads(kept.read_text())
    assert key.startswith("null:")
    library.write_text(BREAKS)
    assert "does not load" in (why_not_loaded(runtime_named("onnxruntime")) or "")


@pytest.mark.parametrize("broken", ["", "{", "{}", "[1, null]"])
def test_what_cannot_be_read_is_nothing_that_is_remembered(library: Path, tmp_path: Path, broken: str) -> None:
    del library
    kept = tmp_path / "state" / "loaded-runtimes.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(broken)
    assert why_not_loaded(runtime_named("null")) is None
    assert len(json.loads(kept.read_text())) == 1


def test_without_a_home_nothing_is_remembered(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del library
    for name in ("DYNOLAB_STATE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert why_not_loaded(runtime_named("null")) is None
