"""Bad input through the command line: a clear error, exit code 2, nothing left behind."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynolab.measure.protocol import VALUES_FILE
from dynolab.testing import known_runtimes
from dynolab.testing.commands import command
from dynolab.testing.waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
ONNX = EXAMPLES / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
TFLITE = EXAMPLES / "mlperf_tiny_kws_int8.tflite"
Start = Callable[..., "subprocess.Popen[str]"]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def dynolab(*arguments: str | Path, cwd: Path | None = None) -> Answer:
    done = command(*arguments, cwd=cwd)
    return Answer(done.returncode, done.stdout, done.stderr)


def processes(module: str = "") -> list[int]:
    """Processes of a measurement, all or those that run one module."""
    mine, found = os.environ["DYNOLAB_WORKSPACE"].encode(), []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = path.read_bytes()
            if mine in command and module.encode() in command:
                found.append(int(path.parent.name))
    return found


def nothing_left() -> bool:
    """No workspace, and no process of a measurement."""
    return not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("run-*")) and not processes()


def refused(answer: Answer, *words: str) -> None:
    assert answer.code == 2, answer
    for word in words:
        assert word in answer.err, answer.err
    assert "Traceback" not in answer.err
    assert nothing_left()


def test_a_missing_file(tmp_path: Path) -> None:
    refused(dynolab("profile", tmp_path / "gone.onnx"), "no model at", "gone.onnx")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"")
    refused(dynolab("profile", tmp_path / "x.onnx"), "x.onnx is empty")


@pytest.mark.parametrize("source", [ONNX, TFLITE])
def test_a_truncated_file(tmp_path: Path, source: Path) -> None:
    path = tmp_path / f"cut{source.suffix}"
    path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    refused(dynolab("profile", path), path.name)


def test_a_wrong_ending(tmp_path: Path) -> None:
    shutil.copy(TFLITE, tmp_path / "x.onnx")
    refused(dynolab("profile", tmp_path / "x.onnx"), "holds tflite", "rename it to x.tflite")
    shutil.copy(TFLITE, tmp_path / "x.bin")
    refused(dynolab("profile", tmp_path / "x.bin"), "named like qnn_context_binary, but holds tflite", "rename it")
    shutil.copy(TFLITE, tmp_path / "x.weights")
    refused(dynolab("profile", tmp_path / "x.weights"), "no ending that dynolab knows", "looks like tflite")


@pytest.mark.parametrize("ending", ["onnx", "tflite", "xml", "pt", "pt2"])
def test_another_format_inside(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_text("this is a letter to my aunt, and no model at all")
    refused(dynolab("profile", path), path.name)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "owned"),)

    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    plain.write_bytes(pickle.dumps(Evil()))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("packed/data.pkl", pickle.dumps(Evil()))
    refused(dynolab("profile", plain), "plain.pt", "pickle")
    refused(dynolab("profile", packed), "pickled checkpoint", "torch.jit.save")
    assert not (tmp_path / "owned").exists()


def test_an_operator_that_the_runtime_lacks(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from dynolab.testing.models import onnx_nodes

    node = onnx.helper.make_node("Teleport", ["x"], ["y"], domain="nowhere")
    path = onnx_nodes(tmp_path / "custom.onnx", [node], {"x": (1, (1, 4))}, ["y"])
    refused(dynolab("profile", path), "Teleport")


def test_external_data(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from dynolab.testing.models import onnx_net

    folder = tmp_path / "model"
    folder.mkdir()
    path = onnx_net(folder / "net.onnx", external="net.data")
    (folder / "net.data").rename(tmp_path / "net.data")
    refused(dynolab("profile", path), "net.data", "not there")
    (folder / "net.data").symlink_to(tmp_path / "net.data")
    refused(dynolab("profile", path), "outside its folder")


@pytest.mark.parametrize("location", ["../net.dat", "/etc/passwd"])
def test_external_data_outside(tmp_path: Path, location: str) -> None:
    pytest.importorskip("onnx")
    from dynolab.testing.models import onnx_net

    name = "x" * len(location)
    path = onnx_net(tmp_path / "net.onnx", external=name)
    path.write_bytes(path.read_bytes().replace(name.encode(), location.encode()))
    refused(dynolab("profile", path), location, "outside its folder")


def test_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("model.onnx", "w") as entry:
        for _ in range(300):
            entry.write(bytes(1 << 20))
    refused(dynolab("profile", path), "zip bomb")


@pytest.mark.parametrize("name", ["../evil.onnx", "/tmp/evil.onnx", "a/../../evil.onnx", "C:/evil.onnx"])
def test_a_zip_that_leads_outside(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, ONNX.read_bytes())
    refused(dynolab("profile", path), "leads outside")


def test_a_zip_with_a_link(tmp_path: Path) -> None:
    path = tmp_path / "link.zip"
    entry = zipfile.ZipInfo("model.onnx")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    refused(dynolab("profile", path), "link")


def test_inputs_that_do_not_fit(null_model: Callable[..., Path], tmp_path: Path) -> None:
    import numpy as np

    model = null_model(shape=[1, 3, None, None])
    refused(dynolab("profile", model, "--input-shape", "x=1,4,8,8"), "does not fit input 'x'", "[1, 3, ?, ?]")
    refused(dynolab("profile", model, "--input-shape", "z=1"), "no input named 'z'", "its inputs are: x")
    refused(dynolab("profile", model, "--input-shape", "x=1,a"), "whole numbers")
    refused(dynolab("profile", model, "--input-range", "x=5,1"), "above the high end")
    refused(dynolab("profile", model, "--input-file", f"x={tmp_path / 'gone.npy'}"), "gone.npy")
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 8, 8), np.int32))
    refused(dynolab("profile", model, "--input-file", f"x={tmp_path / 'x.npy'}"), "int32", "float32")
    refused(dynolab("profile", model, "--input-file", "x=/etc/passwd"), "/etc/passwd is no .npy file")
    refused(dynolab("profile", model, "--input-range", "x=0,inf"), "must be finite")
    refused(dynolab("profile", model, "--input-shape", "x=1,3,-1,8"), "the size -1 must be 0 or more")
    refused(dynolab("profile", model, "--input-shape", "x=1,3,99999999,99999999"), "GB of memory", "--input-shape x")


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.onnx")
    for path in (tmp_path / "x.onnx", "/dev/zero"):
        refused(dynolab("profile", path), f"{path} is no regular file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"threads": "x"}, 'threads is "x"'),
        ({"anonymous_bytes": 10**15}, "no memory left"),
    ],
)  # the others: tests/unit/runtimes/test_null.py
def test_a_null_model_of_wrong_values(null_model: Callable[..., Path], content: dict[str, object], words: str) -> None:
    refused(dynolab("profile", null_model(**content)), words)


def test_output_that_cannot_be_written_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setenv("DYNOLAB_STATE", str(known_runtimes.give(tmp_path)))
    command = [sys.executable, "-m", "dynolab.cli.main", "runtimes", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "report this" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_options_and_runtimes(null_model: Callable[..., Path]) -> None:
    model = null_model()
    refused(dynolab("profile", model, "--options", "--max_profiler_iteration 5"), "max_profiler_iterations")
    refused(dynolab("profile", model, "--options", "--compute_unit tpu"), "tpu")
    refused(dynolab("profile", model, "-r", "nul"), "did you mean null")
    refused(dynolab("profile", ONNX, "-r", "null"), "does not run onnx", "onnxruntime")
    refused(dynolab("profile", model, "--require", "inference_tme <= 3 ms"), "inference_tme")
    refused(dynolab("profile", model, "--memory-limit", "lots"), "'lots' is not a size")
    refused(dynolab("profile", model, "--require", "inference_time < -1 ms"), "never below 0")
    refused(dynolab("profile", model, "--repeats", "0"), "at least 1")
    refused(dynolab("profile", model, "--seed", "-5"), "--seed -5: 0 or more")
    refused(dynolab("profile", model, "-r", "null", "-r", "null"), "-r null is given twice")
    refused(dynolab("profile", model, "--format", "pdf"), "no report named 'pdf'")
    refused(dynolab("profil", model), "did you mean profile")


def test_an_output_folder_that_cannot_be(null_model: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(dynolab("profile", null_model(), "-o", tmp_path / "file" / "out"), "is a file, not a folder")
    if os.geteuid() == 0:
        return  # root may write anywhere
    (tmp_path / "shut").mkdir(mode=0o500)
    refused(dynolab("profile", null_model(), "-o", tmp_path / "shut" / "out"), "cannot be written to")


@pytest.mark.parametrize("place", ["load", "inference"])
def test_a_native_crash_is_survived(null_model: Callable[..., Path], place: str) -> None:
    answer = dynolab("profile", null_model(crash=int(signal.SIGSEGV), at=place))
    refused(answer, "SIGSEGV", "about to crash")


def test_the_time_limit(null_model: Callable[..., Path]) -> None:
    refused(dynolab("profile", null_model(sleep_s=60), "--timeout", "1"), "time limit was reached", "--timeout")


def test_the_memory_limit(null_model: Callable[..., Path]) -> None:
    answer = dynolab("profile", null_model(anonymous_bytes=400 << 20), "--memory-limit", "200MB")
    refused(answer, "memory limit of 200 MB was reached")


def test_the_memory_limit_without_control_groups(
    null_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_NO_CGROUP", "1")
    answer = dynolab("profile", null_model(anonymous_bytes=400 << 20), "--memory-limit", "200MB")
    refused(answer, "memory limit of 200 MB was reached")


def heed_signals() -> None:
    """As on a terminal: the tests themselves may run under nohup or in the background, where these are ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a profile; what a failed test leaves of it is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dynolab.cli.main", "profile", *map(str, arguments)]
        heeding = {"start_new_session": True, "preexec_fn": heed_signals}
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **heeding))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
    for left in processes():
        with suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)


def a_worker_has_started() -> bool:
    return any(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("run-*/runs/001/request.json"))


def a_worker_is_in_the_loop() -> bool:
    """Durations come to the file one by one; 0 stands where there is none yet."""
    files = Path(os.environ["DYNOLAB_WORKSPACE"]).glob(f"run-*/runs/*/{VALUES_FILE}")
    return any(any(path.read_bytes()[:8]) for path in files)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_stopped_command_leaves_nothing(
    start: Start,
    null_model: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = start(null_model(sleep_s=600), "-o", tmp_path / "o")
    until(a_worker_has_started, "a worker")
    assert not list(temporary.iterdir()), "a killed command would leave it there for good"
    process.send_signal(number)
    process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "nothing was kept" in text
    assert "Traceback" not in text
    assert not (tmp_path / "o").exists()
    assert not list(temporary.iterdir())
    until(nothing_left, "the end of all")


def test_a_killed_command_leaves_no_process_and_the_next_one_sweeps(
    start: Start, null_model: Callable[..., Path]
) -> None:
    process = start(null_model(sleep_s=600))
    until(a_worker_has_started, "a worker")
    process.kill()
    process.wait()
    dynolab("profile", null_model(crash=int(signal.SIGABRT)))
    until(nothing_left, "the end of all")


@pytest.mark.parametrize(
    ("runtime", "number"),
    [("null", signal.SIGTERM), ("null", signal.SIGKILL), ("onnxruntime", signal.SIGKILL)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_killed_executor_takes_its_worker_along(
    start: Start, null_model: Callable[..., Path], tmp_path: Path, runtime: str, number: signal.Signals
) -> None:
    model = null_model(busy_ns=1_000_000)
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime")
        model = ONNX
    asked = ("-r", runtime, "--repeats", "1", "--options", "--max_profiler_iterations 1000000")
    process = start(model, *asked, "-o", tmp_path / "o")
    until(a_worker_is_in_the_loop, "a worker's first inference")
    (executor,), workers = processes("dynolab.measure.executor"), processes("dynolab.measure.worker")
    assert workers, "a worker, and whoever keeps it in its sandbox"
    os.kill(executor, number)
    until(lambda: not set(workers) & set(processes()), "the workers' end")
    _, text = process.communicate(timeout=60)
    assert process.returncode == 2, text
    assert f"the executor was ended from outside ({number.name})" in text
    assert "Traceback" not in text
    assert not (tmp_path / "o").exists()
    until(nothing_left, "the end of all")


def test_a_profile_that_is_none(tmp_path: Path) -> None:
    refused(dynolab("report", tmp_path / "gone.json"), "gone.json")
    (tmp_path / "p.json").write_text(json.dumps({"schema_version": 99}))
    refused(dynolab("report", tmp_path / "p.json"), "99")
    (tmp_path / "p.json").write_text("{")
    refused(dynolab("report", tmp_path / "p.json"), "JSON")
