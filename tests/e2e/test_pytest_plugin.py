"""dynolab in pytest, as a package's own test suite uses it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

PLUGIN = "dynolab.testing.pytest_plugin"
LOADED = [] if PLUGIN in {one.value for one in entry_points(group="pytest11")} else ["-p", PLUGIN]
"""An environment that was installed before there was an entry point has to be told."""
SUITE = """
import dynolab

KNOWN = {"repeats": 1, "options": "--max_profiler_iterations 60"}

def test_fast_enough():
    found = dynolab.profile("m.null", **KNOWN)
    found.assert_time("< 10 s").assert_memory("< 4 GB").assert_time("< 60 s", stage="first_load")

def test_too_slow():
    dynolab.profile("m.null", **KNOWN).assert_time("< 1 us")

def test_beside_the_baseline(dynolab_gate):
    dynolab_gate("m.null", max_slower="100%", max_memory="100%", **KNOWN)
"""


def suite(folder: Path, *arguments: str, model: dict[str, object] | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "m.null").write_text(json.dumps({"shape": [4], "busy_ns": 200_000, **(model or {})}))
    (folder / "test_models.py").write_text(SUITE)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", *LOADED, "-p", "no:randomly", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"dynolab": PLUGIN}


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    code = f"import {PLUGIN}, sys; print([m for m in ('numpy', 'rich', 'dynolab.jobs', 'dynolab.client') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_limits_are_asserted_and_a_baseline_is_kept_beside_the_test(tmp_path: Path) -> None:
    first = suite(tmp_path)
    assert first.returncode == 1, first.stdout
    assert "AssertionError: not met: " in first.stdout
    assert "there is no baseline" in first.stdout
    assert "pytest --dynolab-update measures it" in first.stdout
    assert "2 failed, 1 passed" in first.stdout

    updated = suite(tmp_path, "--dynolab-update", "-k", "baseline")
    assert updated.returncode == 0, updated.stdout
    (kept,) = (tmp_path / "dynolab_baselines").iterdir()
    assert kept.name == "test_models-test_beside_the_baseline-m.null.json"

    slower = suite(tmp_path, "-k", "baseline", model={"busy_ns": 40_000_000})
    assert slower.returncode == 1
    assert "beyond: Inference time is at least" in slower.stdout
    assert kept.exists()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ('dynolab_gate("m.null")', "a gate without a limit lets everything pass"),
        ('dynolab_gate("m.null", max_slower="0.1")', "max_slower 0.1: a percentage without its sign"),
        ('dynolab_gate("m.null", max_slower="5%", stages=["infer"])', "there is no stage 'infer'"),
    ],
)
def test_what_a_gate_cannot_be_asked_fails_by_name(call: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(f"def test_it(dynolab_gate):\n    {call}\n")
    found = suite(tmp_path, "test_bad.py")
    assert found.returncode == 1
    assert words in found.stdout
