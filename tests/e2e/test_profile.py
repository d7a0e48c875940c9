"""A whole profile through the command line and through Python: the document holds what it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dynolab
from dynolab.spec import codec
from dynolab.spec.profiles import Profile, Trust

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
ONNX = EXAMPLES / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
OPTIONS = "--max_profiler_iterations 20"


@pytest.fixture(scope="module")
def profile() -> Profile:
    pytest.importorskip("onnxruntime")
    return dynolab.profile(ONNX, options=OPTIONS, input_shapes={"x": (1, 3, 48, 192)}, repeats=2)


def test_all_four_stages_are_measured(profile: Profile) -> None:
    for stage in profile.stages:
        assert stage.time is not None
        assert stage.time.minimum_ns > 0
        assert stage.memory is not None
        assert 0 <= stage.memory.increase.lower <= stage.memory.increase.upper <= stage.memory.peak.upper
        assert stage.verdict.trust in Trust
        assert stage.verdict.trust is Trust.CLEAN or stage.verdict.reasons


def test_raw_values_are_kept_apart_from_warm_up(profile: Profile) -> None:
    chosen = [run for run in profile.inference.timing_runs if run.chosen]
    assert sum(len(run.values_ns) for run in chosen) == 20
    assert profile.inference.time is not None
    assert profile.inference.time.minimum_ns == min(min(run.values_ns) for run in chosen)
    assert all(run.warmup_ns and run.first_ns for run in chosen)
    assert profile.inference.time.p99_ns is None
    assert "500" in str(profile.inference.time.p99_reason)


def test_the_first_load_shows_whether_it_was_cold(profile: Profile) -> None:
    cold = profile.first_load.cold
    assert cold is not None
    assert cold.total_bytes >= ONNX.stat().st_size
    if cold.file_system in ("ext4", "xfs", "btrfs"):
        assert cold.proven
        assert cold.resident_before_bytes == 0
        assert cold.blocks_read_bytes
    assert profile.first_load.explanation


def test_layers_come_from_one_iteration(profile: Profile) -> None:
    assert profile.layers.reason is None
    assert profile.layers.total_ns == sum(layer.time_ns for layer in profile.layers.layers)
    assert any(layer.type == "Conv" for layer in profile.layers.layers)
    assert {layer.compute_unit.value for layer in profile.layers.layers} == {"CPU"}


def test_the_document_holds_the_surroundings(profile: Profile) -> None:
    assert profile.model.parameters == 133777
    assert profile.runtime.versions["onnxruntime"]
    assert profile.runtime.effective["providers"] == "CPUExecutionProvider"
    assert profile.harness_floor_ns is not None
    assert profile.harness_floor_ns < 50_000
    assert profile.process_total_peak is not None
    assert profile.inference.memory is not None
    assert profile.process_total_peak.upper >= profile.inference.memory.peak.upper
    assert profile.runtime_import is not None
    assert profile.runtime_import.memory is not None
    assert profile.runtime_import.memory.upper > 1_000_000
    assert not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("run-*"))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dynolab.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_writes_every_file_and_decides(null_model: Callable[..., Path], tmp_path: Path) -> None:
    model = null_model(busy_ns=100_000, anonymous_bytes=8 << 20)
    out = tmp_path / "out"
    answer = run("profile", model, "-o", out, "--repeats", "1", "--require", "estimated_inference_time <= 1 s")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "requirements: 1 met"
    assert {path.name for path in out.iterdir()} == {
        "profile.json", "report.html", "layers.csv", "trace.json", "nodedata.json", "aihub.json",
    }  # fmt: skip
    assert str(out / "report.html") in answer.stdout
    summary = json.loads((out / "aihub.json").read_text())["execution_summary"]
    assert 100 <= summary["estimated_inference_time"] < 1_000_000
    assert summary["compile_time"] is None
    assert summary["all_compile_times"] == []
    low, high = summary["first_load_memory_increase_range"]
    assert low + 512 * 1024 >= 8 << 20
    assert low <= high
    again = run("report", out / "profile.json", "--format", "html")
    assert again.stdout.rstrip() == (out / "report.html").read_text().rstrip()


def test_an_unmet_requirement_ends_with_1(null_model: Callable[..., Path]) -> None:
    model = null_model(busy_ns=3_000_000, anonymous_bytes=32 << 20)
    answer = run("profile", model, "--repeats", "1", "--require", "process_total_peak <= 1 MB")
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1] == "requirements: 1 not met"


def test_a_requirement_inside_the_range_cannot_be_told(null_model: Callable[..., Path], tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"w" * (64 << 20))
    model = null_model(anonymous_bytes=16 << 20, file=weights.name, file_bytes=64 << 20)
    answer = run("profile", model, "--repeats", "1", "--require", "warm_load_memory_increase_range <= 40 MB")
    assert answer.returncode == 1, answer.stderr
    last = "requirements: 1 cannot tell (running it again will not change that)"
    assert answer.stdout.splitlines()[-1] == last
    assert "warm_load_memory_increase_range.upper" in answer.stdout


def test_two_runtimes_stand_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    arguments = ("--options", OPTIONS, "--repeats", "1", "--input-shape", "x=1,3,48,192", "--keep-artifact")
    answer = run("profile", ONNX, "-r", "onnxruntime", "-r", "openvino", "-o", tmp_path, *arguments)
    assert answer.returncode == 0, answer.stderr
    assert "onnxruntime" in answer.stdout
    assert "openvino" in answer.stdout
    assert (tmp_path / "onnxruntime" / "profile.json").exists()
    assert (tmp_path / "openvino" / "profile.json").exists()
    for runtime, kept in (("onnxruntime", "*.onnx"), ("openvino", "*.blob")):
        folder = tmp_path / runtime / "artifact"
        sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob(kept)}
        profile = json.loads((tmp_path / runtime / "profile.json").read_text())
        assert sizes == {file["path"]: file["bytes"] for file in profile["compile"]["files_written"]}
    assert (tmp_path / "report.html").exists()


def test_a_time_that_the_device_has_beaten_before_reaches_down_to_that(
    null_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path / "state"))
    model = null_model(busy_ns=150_000)
    few = {"repeats": 1, "options": "--max_profiler_iterations 300"}
    first = dynolab.profile(model, **few)
    assert not any("this device ran" in reason for reason in first.inference.verdict.reasons)
    (record,) = (tmp_path / "state" / "devices").glob("*.json")
    document = json.loads(record.read_text())
    (known,) = (name for name in document["history"] if name.startswith("inference_ns:"))
    ((day, value),) = document["history"][known]
    assert first.inference.time is not None
    assert value == first.inference.time.minimum_ns
    document["history"][known] = [[day, value / 50]]
    record.write_text(json.dumps(document))
    again = dynolab.profile(model, **few)
    assert again.inference.time is not None
    assert again.inference.time.lower_ns is not None
    assert again.inference.time.lower_ns <= int(value / 50)  # less, if it had to wait for a CPU all along
    assert again.inference.verdict.trust is Trust.NOISY


@pytest.fixture
def quarter_of_a_cpu() -> Iterator[Path]:
    """A control group with a quota of a quarter of a CPU; skipped where none can be made."""
    for top, name, value in (
        ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "25000"),
        ("/sys/fs/cgroup", "cpu.max", "25000 100000"),
    ):
        group = Path(top, f"dynolab-test-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(value)
            yield group
            return
        except OSError:
            continue
        finally:
            group.rmdir()
    pytest.skip("no control group with a CPU quota can be made here")


def test_what_a_quota_stopped_all_along_is_no_figure_of_the_model(quarter_of_a_cpu: Path, tmp_path: Path) -> None:
    """70 ms at a time are more than such a CPU has: nothing ends without being stopped."""
    model = tmp_path / "busy.null"
    model.write_text(json.dumps({"busy_ns": 70_000_000}), encoding="utf-8")
    inside = f'echo $$ > {quarter_of_a_cpu}/cgroup.procs; exec "$@"'
    command = [
        "sh",
        "-c",
        inside,
        "sh",
        str(Path(sys.executable).with_name("dynolab")),
        "profile",
        str(model),
        "--repeats",
        "1",
    ]
    given = {**os.environ, "DYNOLAB_OFFER_NULL": "1"}
    answer = subprocess.run(
        [*command, "--options", "--max_profiler_iterations 10", "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env=given,
    )
    assert answer.returncode == 0, answer.stderr
    profile = codec.decode(Profile, json.loads((tmp_path / "out" / "profile.json").read_text(encoding="utf-8")))
    assert profile.inference.verdict.trust is Trust.INVALID
    assert "a CPU quota stopped the process in" in " ".join(profile.inference.verdict.reasons)
