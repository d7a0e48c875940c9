"""``dynolab compare A B`` with models: who is slower and who takes more is found, and what fails names its side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dynolab.spec import codec
from dynolab.spec.answers import Answer
from dynolab.spec.duets import Duet
from dynolab.spec.measurements import StageName
from dynolab.testing.commands import command
from dynolab.testing.waiting import until


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str


def dynolab(*arguments: str | Path) -> Told:
    done = command(*arguments)
    return Told(done.returncode, done.stdout, done.stderr)


def write(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def left() -> list[int]:
    """Processes of a measurement that are still there."""
    mine, found = os.environ["DYNOLAB_WORKSPACE"].encode(), []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if mine in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def nothing_left() -> bool:
    return not left() and not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("run-*"))


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Duet:
    """B takes half as long again as A, and 30 MB more; waiting takes no CPU, so that it is so on a busy machine as well."""
    folder = tmp_path_factory.mktemp("models")
    a = write(folder / "a.null", sleep_s=0.004, at="inference", anonymous_bytes=20 << 20)
    b = write(folder / "b.null", sleep_s=0.006, at="inference", anonymous_bytes=50 << 20)
    told = dynolab("compare", a, b, "--json", "--budget", "120")
    assert told.code == 1, told.err
    assert "pair 5: +" in told.err
    return codec.decode(Duet, json.loads(told.out))


def test_the_slower_model_is_found(slower: Duet) -> None:
    found = slower.stage(StageName.INFERENCE)
    assert found.answer is Answer.CHANGED
    assert found.ratio is not None
    assert found.ratio.lower <= found.ratio.value <= found.ratio.upper
    assert 1.3 < found.ratio.value < 1.7
    assert slower.headline.startswith("B is ")
    assert " % slower (" in slower.headline
    assert slower.decided_after_s is not None
    assert f"decided after {slower.decided_after_s:.0f} s" in slower.headline


def test_windows_are_kept_in_the_order_of_their_turns(slower: Duet) -> None:
    assert len(slower.pairs) >= 5
    assert [pair.first for pair in slower.pairs[:4]] == ["a", "b", "a", "b"]
    for pair in slower.pairs:
        sides = "".join(window.side for window in pair.windows)
        other = "b" if pair.first == "a" else "a"
        assert (pair.first + other + other + pair.first).startswith(sides[:4])
        assert all(window.warmup_ns > 0 and min(window.values_ns) > 3_000_000 for window in pair.windows)


def test_what_takes_more_memory_is_found(slower: Duet) -> None:
    found = {one.name: one for one in slower.memory}
    for name in ("warm_load_increase", "process_total_peak"):
        told = Answer.CANNOT_TELL if found[name].reason else Answer.CHANGED  # others may want memory just now
        assert found[name].answer is told
        assert found[name].b.lower - found[name].a.lower == pytest.approx(30 << 20, rel=0.05)
    assert found["inference_peak"].answer is not Answer.CHANGED
    ratio = found["warm_load_increase"].lower
    assert ratio is not None
    assert ratio.value == pytest.approx(2.5, rel=0.05)


def test_stages_that_were_not_asked_for_say_so(slower: Duet) -> None:
    assert "--stage first_load" in str(slower.stage(StageName.FIRST_LOAD).reason)
    assert slower.stage(StageName.WARM_LOAD).a_ns


def test_inputs_are_bound_once(slower: Duet) -> None:
    assert slower.a.inputs == slower.b.inputs
    assert slower.differences == ()


def test_shapes_that_differ_are_told_first(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.null", shape=[4]), write(tmp_path / "b.null", shape=[8])
    told = dynolab("compare", a, b, "--no-memory", "--budget", "5")
    assert told.code in (0, 1), told.err
    assert told.out.startswith("!! not like for like: inputs: A x float32 [4], B x float32 [8]"), told.out


@pytest.mark.parametrize(("side", "place"), [("A", "load"), ("B", "inference")])
def test_a_worker_that_dies_names_its_side(tmp_path: Path, side: str, place: str) -> None:
    good, bad = write(tmp_path / "good.null"), write(tmp_path / "bad.null", crash=int(signal.SIGSEGV), at=place)
    told = dynolab("compare", *((bad, good) if side == "A" else (good, bad)))
    assert told.code == 2
    assert f"error: {side}: the runtime null crashed" in told.err
    assert "about to crash" in told.err
    assert "Traceback" not in told.err
    until(nothing_left, "the end of all")


def test_a_worker_that_dies_in_its_turn_names_its_side(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    model = write(tmp_path / "m.null", busy_ns=1_000_000)
    process = start(model, model, "--options-b", "--max_profiler_iterations 7", "--budget", "600")
    os.kill(until(lambda: workers("b"), "a worker of B")[-1], signal.SIGABRT)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "error: B: the runtime null crashed in turns: its process died by SIGABRT" in text
    assert "Traceback" not in text
    until(nothing_left, "the end of all")


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ({"sleep_s": 60}, ("--timeout", "8"), "the time limit was reached"),
        ({"anonymous_bytes": 400 << 20}, ("--memory-limit", "200MB"), "memory limit of 200 MB was reached"),
    ],
    ids=["deadline", "memory"],
)
def test_limits_name_the_side(tmp_path: Path, content: dict[str, Any], options: tuple[str, str], words: str) -> None:
    told = dynolab("compare", write(tmp_path / "good.null"), write(tmp_path / "bad.null", **content), *options)
    assert told.code == 2
    assert "error: B: " in told.err
    assert words in told.err
    until(nothing_left, "the end of all")


# ---- interruptions ---------------------------------------------------------------------------------------------------


def heed_signals() -> None:
    """As on a terminal."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a comparison; what a failed test leaves of it is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dynolab.cli.main", "compare", *map(str, arguments)]
        heeding = {"start_new_session": True, "preexec_fn": heed_signals}
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **heeding))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
    for one in left():
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def workers(side: str) -> list[int]:
    """Workers of a side that wait for their turns or take them."""
    found = []
    for path in Path(os.environ["DYNOLAB_WORKSPACE"]).glob(f"run-*/{side}/runs/*/request.json"):
        if json.loads(path.read_text())["kind"] == "turns":
            found += [one for one in left() if is_worker(one, path.parent)]
    return found


def is_worker(pid: int, folder: Path) -> bool:
    """Whether this is the worker itself, and not who keeps it."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").endswith(b"worker\0" + os.fsencode(folder))
    return False


def test_a_stopped_comparison_leaves_nothing(tmp_path: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    model = write(tmp_path / "m.null", busy_ns=1_000_000)
    process = start(model, model, "--budget", "600")
    until(lambda: workers("a") and workers("b"), "workers of both")
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "nothing was kept" in text
    assert "Traceback" not in text
    until(nothing_left, "the end of all")


def test_a_killed_executor_takes_stopped_workers_along(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    model = write(tmp_path / "m.null", busy_ns=1_000_000)
    process = start(model, model, "--budget", "600")
    until(lambda: workers("a") and workers("b"), "workers of both")
    (executor,) = [one for one in left() if b"dynolab.measure.executor" in Path(f"/proc/{one}/cmdline").read_bytes()]
    os.kill(executor, signal.SIGKILL)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the executor was ended from outside (SIGKILL)" in text
    until(nothing_left, "the end of all")
