"""What the end of a worker means: by which evidence somebody is blamed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dynolab import errors
from dynolab.measure import deaths
from dynolab.measure.executor import memory_limit, oom, process, worker_deaths
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes, Measure, RunKind, RunRequest
from dynolab.spec.models import ModelFormat

OUR_TRACEBACK = subprocess.run(
    [sys.executable, "-c", "from dynolab.spec import codec; codec.decode(int, object(), 'x')"],
    capture_output=True,
    text=True,
    check=False,
).stderr
THEIR_TRACEBACK = (
    'Traceback (most recent call last):\n  File "/opt/net/custom.py", line 3, in load\n    1 / 0\nZeroDivisionError\n'
)


def request(memory_limit_bytes: int | None = None) -> RunRequest:
    return RunRequest(
        protocol=PROTOCOL_VERSION,
        kind=RunKind.FIRST_LOAD,
        measure=Measure.TIME,
        runtime="null",
        model="model.null",
        format=ModelFormat.NULL,
        artifact_dir="artifact",
        cache_dir="cache",
        options_text="",
        seed=1,
        wishes=InputWishes(),
        memory_limit_bytes=memory_limit_bytes,
    )


class Seen(memory_limit.MemoryLimit):
    """A limit with which the kernel's counters went up."""

    def killed_for_memory(self) -> str | None:
        return "oom_kill in memory.events"


@pytest.mark.parametrize(
    ("code", "text", "within", "expected", "said"),
    [
        (-9, "", memory_limit.MemoryLimit(), errors.DeviceLost, "ended from outside (SIGKILL)"),
        (137, "", memory_limit.MemoryLimit(), errors.DeviceLost, "ended from outside (SIGKILL)"),
        (-15, "", memory_limit.MemoryLimit(), errors.DeviceLost, "ended from outside (SIGTERM)"),
        (-9, "", Seen(), errors.OutOfMemory, "oom_kill in memory.events"),
        (137, "", Seen(), errors.OutOfMemory, "oom_kill in memory.events"),
        (-11, "", Seen(), errors.WorkerCrashed, "SIGSEGV"),
        (139, "", memory_limit.MemoryLimit(), errors.WorkerCrashed, "SIGSEGV"),
        (1, THEIR_TRACEBACK, memory_limit.MemoryLimit(), errors.WorkerCrashed, "ended with code 1"),
        (1, "", memory_limit.MemoryLimit(), errors.WorkerCrashed, "ended with code 1"),
        (0, "", memory_limit.MemoryLimit(), errors.WorkerCrashed, "ended with code 0"),
        (1, OUR_TRACEBACK, memory_limit.MemoryLimit(), errors.Bug, "ended with code 1"),
        (74, "", memory_limit.MemoryLimit(), errors.DeviceUnfit, "no room"),
    ],
)
def test_blame_follows_the_evidence(
    code: int, text: str, within: memory_limit.MemoryLimit, expected: type[errors.Error], said: str
) -> None:
    error = worker_deaths.of_worker(code, request(), text, within)
    assert type(error) is expected
    assert said in error.message
    assert error.retriable is (expected in (errors.DeviceLost, errors.DeviceUnfit))


def test_a_limit_is_blamed_for_a_failed_allocation_and_not_for_a_kill_from_outside() -> None:
    assert (
        type(worker_deaths.of_worker(-6, request(10**8), "std::bad_alloc", memory_limit.MemoryLimit()))
        is errors.OutOfMemory
    )
    assert type(worker_deaths.of_worker(-9, request(10**8), "", memory_limit.MemoryLimit())) is errors.DeviceLost


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/box\n", "sys/fs/cgroup/box/memory.events"),
        ("4:memory:/box\n0::/\n", "sys/fs/cgroup/memory/box/memory.oom_control"),
        ("4:memory:/unseen\n", "sys/fs/cgroup/memory/memory.oom_control"),
        ("", "proc/vmstat"),
    ],
)
def test_the_kernels_counters_are_read_where_they_are(groups: str, file: str, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 7\noom_kill 3\n")
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("low 0\noom_kill 3\n")
    before = oom.kills(tmp_path)
    assert before == {str(path): 3}
    assert oom.more_than(before) is None
    path.write_text("low 0\noom_kill 4\n")
    assert oom.more_than(before) == f"oom_kill in {path}"


def test_nothing_is_claimed_where_nothing_can_be_read(tmp_path: Path) -> None:
    assert oom.kills(tmp_path) == {}
    assert oom.more_than({}) is None
    assert deaths.signal_of(1) is None
    assert deaths.signal_of(-9) is signal.SIGKILL


@pytest.mark.parametrize("full", [True, False])
def test_that_a_device_is_unfit_is_seen_from_outside_and_not_taken_from_a_worker_at_a_bound_of_its_own(
    full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may not open that many files; a full disk is told by whoever looks at it, and whatever the worker says."""
    seen = errors.DeviceUnfit("the device is unfit: its disk is full") if full else None
    monkeypatch.setattr("dynolab.measure.room.trouble", lambda folder: seen)
    said = errors.DeviceUnfit("the device is unfit: no more files can be opened")
    own = errors.LoadFailed("the file cannot be written")
    assert [type(process._blamed(one, tmp_path)) for one in (said, own)] == (
        [errors.DeviceUnfit] * 2 if full else [errors.WorkerCrashed, errors.LoadFailed]
    )
