"""What every connection keeps: ``class TestMine(ConnectionContract)`` with a fixture ``connection`` that is open, and ``processes``."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dynolab.connections.base import Connection, ModelFiles, Session
from dynolab.errors import DeviceLost, Forbidden, TransferFailed
from dynolab.jobs.base import Context
from dynolab.jobs.profile import plugin as profile_job
from dynolab.measure.device import Device
from dynolab.measure.orders import Place, Run
from dynolab.measure.protocol import PROTOCOL_VERSION, Measure, RunKind, RunRequest
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat

Processes = Callable[[str], list[int]]
"""Processes of the device whose command line holds a text, as numbers of this machine."""


def quiet(event: Mapping[str, Any]) -> None:
    """Nobody wants to know."""


def device_of(session: Session) -> Device:
    """The executor of a session."""
    return Device(session, quiet)


class ConnectionContract:
    """The suite. The device has what the runtime ``null`` needs, or is given it."""

    def test_executor_tells_what_the_device_is(self, connection: Connection) -> None:
        with connection.session(["null"], print) as session:
            found = device_of(session).look("null")
        assert found.protocol == PROTOCOL_VERSION
        assert found.unavailable is None
        assert found.device.cores > 0
        assert len(found.identity) == 16
        assert found.readings

    def test_files_travel_there_and_back(self, connection: Connection, tmp_path: Path) -> None:
        content = os.urandom(3_000_001)
        (tmp_path / "sent").write_bytes(content)
        with connection.session(["null"], print) as session:
            session.push(tmp_path / "sent", f"{session.workspace}/a folder/it's here")
            session.pull(f"{session.workspace}/a folder/it's here", tmp_path / "back" / "file")
        assert (tmp_path / "back" / "file").read_bytes() == content

    def test_nothing_outside_the_workspace_is_brought(self, connection: Connection, tmp_path: Path) -> None:
        with connection.session(["null"], print) as session:
            for path in ("/etc/hostname", f"{session.workspace}/../../x"):
                with pytest.raises(Forbidden):
                    session.pull(path, tmp_path / "x")
            with pytest.raises((TransferFailed, FileNotFoundError)):
                session.pull(f"{session.workspace}/none", tmp_path / "x")
        assert not (tmp_path / "x").exists()

    def test_workspaces_are_fresh_and_gone_at_the_end(
        self, connection: Connection, processes: Processes, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("x")
        seen = []
        for _ in range(2):
            with connection.session(["null"], print) as session:
                device_of(session).look("null")
                seen.append(session.workspace)
                session.push(tmp_path / "file", f"{session.workspace}/file")
                assert processes(session.workspace), "its executor"
        assert seen[0] != seen[1]
        for workspace in seen:
            assert processes(workspace) == []
            with connection.session(["null"], print) as session, pytest.raises((TransferFailed, Forbidden)):
                session.pull(f"{workspace}/file", tmp_path / "again")

    def test_executor_that_is_killed_is_told_by_its_end(self, connection: Connection, processes: Processes) -> None:
        with connection.session(["null"], print) as session:
            device = device_of(session)
            device.look("null")
            for pid in processes(f"dynolab.measure.executor {session.workspace}"):
                os.kill(pid, 9)
            with pytest.raises(DeviceLost, match="SIGKILL"):
                device.look("null")

    def test_leaving_in_the_middle_of_a_run_leaves_nothing(
        self, connection: Connection, processes: Processes, tmp_path: Path
    ) -> None:
        model = tmp_path / "m.null"
        model.write_text(json.dumps({"busy_ns": 10_000_000}))
        with suppress(KeyboardInterrupt), connection.session(["null"], print) as session:
            place, device = session.workspace, device_of(session)
            (at,) = session.push_model(ModelFiles(tmp_path, ("m.null",), "0" * 64), place)
            device.prepare(Place("", (at,)))

            def interrupt(event: Mapping[str, Any]) -> None:
                if event["event"] == "iteration":
                    raise KeyboardInterrupt

            device.tell = interrupt
            device.run(Run("", _endless(place, at), shows_progress=True))
        assert processes(place) == []

    def test_a_profile_has_all_stages(self, connection: Connection, tmp_path: Path) -> None:
        (tmp_path / "m.null").write_text(json.dumps({"busy_ns": 100_000}))
        events: list[Mapping[str, Any]] = []
        spec = profile_job.validate(
            ProfileSpec(tmp_path / "m.null", options="--max_profiler_iterations 20", repeats=1), here=False
        )
        profile = profile_job.run(spec, Context(connection, events.append))
        stages = {stage.name: stage for stage in profile.stages}
        for name in (StageName.FIRST_LOAD, StageName.WARM_LOAD, StageName.INFERENCE):
            assert stages[name].time is not None, name
        assert profile.inference.time is not None
        assert profile.inference.time.minimum_ns >= 100_000
        assert "stage" in {event["event"] for event in events}


def _endless(place: str, model: str) -> RunRequest:
    """An inspected run of the null runtime that does not end within a test's time."""
    return RunRequest(
        protocol=PROTOCOL_VERSION,
        kind=RunKind.INFERENCE,
        measure=Measure.TIME,
        runtime="null",
        model=model,
        format=ModelFormat.NULL,
        artifact_dir=f"{place}/artifact",
        cache_dir=f"{place}/cache",
        options_text="",
        seed=1,
        iterations=1_000_000,
        time_limit_ns=10**12,
        files=(model,),
    )


def command_lines(text: str) -> list[int]:
    """Processes of this machine whose command line, its words joined by blanks, holds a text."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and text in shlex.join(_words(entry)).replace("'", ""):
                found.append(int(entry.name))
    return found


def _words(entry: Path) -> list[str]:
    return (entry / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
