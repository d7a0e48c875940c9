"""The other commands, and models that are folders or zips."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import dynolab
from dynolab import plugins
from dynolab.testing.commands import command as run


def test_runtimes_are_listed_with_versions_or_reasons() -> None:
    rows = json.loads(run("runtimes", "--json").stdout)
    assert [row["name"] for row in rows] == plugins.names("dynolab.runtimes")
    assert all(row["versions"] or row["unavailable"] for row in rows)
    assert "null" in run("runtimes").stdout


def test_the_doctor_names_what_it_found() -> None:
    answer = run("doctor", "--json")
    found = json.loads(answer.stdout)
    assert {finding["state"] for finding in found} <= {"ok", "warning", "problem", "unknown"}
    assert all(finding["found"] for finding in found)
    assert answer.returncode == int(any(finding["state"] == "problem" for finding in found))


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    for name in plugins.names("dynolab.cli"):
        if name != "main":
            assert name in text


def test_compare_tells_slower_from_the_same(null_model: Callable[..., Path], tmp_path: Path) -> None:
    for name, busy_ns in (("a", 200_000), ("slow", 600_000)):
        options = (
            "--repeats",
            "1",
            "--options",
            "--max_profiler_iterations 30",
        )  # the answer itself has tests of its own
        answer = run("profile", null_model(busy_ns=busy_ns), *options, "-o", tmp_path / name)
        assert answer.returncode == 0, answer.stderr

    def compare(name: str) -> tuple[int, dict[str, str]]:
        answer = run("compare", tmp_path / "a" / "profile.json", tmp_path / name / "profile.json", "--json")
        assert answer.returncode in (0, 1), answer.stderr
        return answer.returncode, {stage["name"]: stage["answer"] for stage in json.loads(answer.stdout)["stages"]}

    same, slower = compare("a"), compare("slow")
    assert same[1]["inference"] != "changed"
    assert slower[1]["inference"] in ("changed", "cannot tell"), "noise may hide it, but never turn it round"
    assert slower[1]["compile"] == "cannot tell"


def test_a_model_with_external_data_in_a_zip(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from dynolab.testing.models import onnx_net

    folder = tmp_path / "net"
    folder.mkdir()
    onnx_net(folder / "model.onnx", weight_bytes=1 << 20, external="model.data", batch="N")
    model = tmp_path / "net.zip"
    with zipfile.ZipFile(model, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"net/{path.name}")
    profile = dynolab.profile(model, options="--max_profiler_iterations 1", repeats=1)
    assert {file.path for file in profile.model.files} == {"model.onnx", "model.data"}
    assert profile.inputs[0].spec.shape == (1, 3, 16, 16)
    assert any("N" in notice.text for notice in profile.notices)
    assert profile.model.multiply_accumulates is not None
