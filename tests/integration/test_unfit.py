"""Drills: a device in trouble. Its processes are killed, or its disk is full; jobs are tried again, and the board says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("ai_edge_litert")

from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.testing import known_runtimes
from dynolab.testing.commands import command
from dynolab.testing.running_hub import RunningHub, running_hub

from .test_kills import (
    DONE,
    KWS,
    SHORT_LEASE,
    User,
    agent,
    announced,
    closed,  # noqa: F401 - a fixture, for what these tests open too
    processes,
    until,
    user_of,
)

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux"),
    pytest.mark.slow,
]
SHORT = "--repeats 1 --max_profiler_iterations 20"
WORKSPACE = Path("/mnt")
"""Where the agent's own file system is mounted, in a namespace of its own."""
DISK_BYTES, LEAST_BYTES = 64 << 20, 8 << 20


def running(below: int, module: str) -> int | None:
    """A process below another that runs a module of ours."""
    for pid in sorted(processes(below)):
        with suppress(OSError):
            if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
    return None


def attempts(hub: RunningHub, job: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    found = httpx.get(f"{hub.url}/api/hub/v1/jobs/{job}", headers=headers, timeout=30).json()
    return list(found["attempts"])


def kws(user: User) -> str:
    return user.model(KWS.read_bytes(), pb.MODEL_TYPE_TFLITE)


@pytest.mark.parametrize("module", ["dynolab.agent.attempt", "dynolab.measure.executor", "dynolab.measure.worker"])
def test_a_job_whose_process_is_killed_is_tried_again_and_ends_well(module: str, tmp_path: Path) -> None:
    with (
        running_hub(tmp_path / "hub", "--no-agent", environment=SHORT_LEASE) as hub,
        agent(hub, tmp_path / "a", "killed") as process,
    ):
        user = user_of(hub)
        announced(user, "killed")
        job = user.submit(kws(user), "killed", SHORT)
        found: list[int] = []
        until(lambda: bool(found.append(pid) or True) if (pid := running(process.pid, module)) else False, module)
        os.kill(found[0], signal.SIGKILL)
        until(lambda: user.state(job) == DONE, "the job", within_s=60)
        first, second = attempts(hub, job)
        assert (first["state"], second["state"]) == ("failed", "done")
        assert first["failure"]["code"] == "DeviceLost", first
        assert "SIGKILL" in first["failure"]["message"]
        assert process.poll() is None


@contextmanager
def agent_on_a_small_disk(hub: RunningHub, state: Path, name: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A real agent whose workspaces lie on a small file system of its own; and the way to that from here."""
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub.url]
    command += ["--token-file", str(hub.data / "agent.token"), "--name", name]
    mounted = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs {WORKSPACE} && exec "$@"'
    environment = {**os.environ, "DYNOLAB_STATE": str(known_runtimes.give(state)), "DYNOLAB_WORKSPACE": str(WORKSPACE)}
    environment |= {"DYNOLAB_AGENT_FREE_BYTES": str(LEAST_BYTES)}
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", mounted, "sh", *command], env=environment)
    try:
        yield process, Path(f"/proc/{process.pid}/root{WORKSPACE}")
    finally:
        process.terminate()
        process.wait(20)


def fill(disk: Path) -> Path:
    """Leave no room on a disk; the file that takes it."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * 65536):
            pass
    return filler


def can_mount() -> bool:
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a file system (root)")
@pytest.mark.parametrize("when", ["before the job", "amid the job"])
def test_a_board_whose_disk_is_full_says_so_takes_no_job_and_recovers(when: str, tmp_path: Path) -> None:
    with (
        running_hub(tmp_path / "hub", "--no-agent", environment=SHORT_LEASE) as hub,
        agent_on_a_small_disk(hub, tmp_path / "a", "full") as (process, disk),
    ):
        user = user_of(hub)
        announced(user, "full")
        if when == "before the job":
            filler = fill(disk)
            until(lambda: any("disk" in one for one in unfit(hub)), "its word", within_s=40)
            job = user.submit(kws(user), "full", SHORT)
        else:
            job = user.submit(kws(user), "full", SHORT)
            until(lambda: running(process.pid, "dynolab.measure.worker") is not None, "the worker")
            filler = fill(disk)
            until(lambda: bool(unfit(hub)), "its word", within_s=60)
        stays_so(lambda: user.state(job) != DONE and len(attempts(hub, job)) <= 1, seconds=7)
        shown = devices(hub)
        assert "unfit" in shown
        assert "disk" in shown
        filler.unlink()
        until(lambda: user.state(job) == DONE, "the job", within_s=60)
        assert unfit(hub) == []
        told = [one["failure"]["code"] for one in attempts(hub, job) if one["failure"]]
        assert told in ([], ["DeviceUnfit"]), told


def stays_so(condition: Callable[[], bool], seconds: float) -> None:
    with suppress(AssertionError):
        until(lambda: not condition(), "a change", within_s=seconds)
        pytest.fail("it changed")


def unfit(hub: RunningHub) -> list[str]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    found = httpx.get(f"{hub.url}/api/hub/v1/devices", headers=headers, timeout=30).json()["devices"]
    return [why for one in found for why in one["unfit"]]


def devices(hub: RunningHub) -> str:
    """What the command shows."""
    done = command("devices", environment={"DYNOLAB_CLIENT_INI": str(hub.ini), "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    return done.stdout
