"""A phone behind adb when things go wrong: unknown, refused, too full, unplugged in the middle of a push and of a run."""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dynolab.connections import _sessions
from dynolab.connections.base import connect
from dynolab.errors import DeviceLost, DeviceUnfit, Forbidden, NotFound, SpecInvalid
from dynolab.jobs.base import Context
from dynolab.jobs.profile import plugin as profile_job
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import StageName
from dynolab.spec.profiles import Profile
from dynolab.testing.commands import command

from ..devices.fixtures import present
from ..devices.phone import Phone
from ..devices.phone import phone as new_phone
from ..devices.phone_root import SHELL_ID
from ..devices.sshd import free_port

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"


@pytest.fixture(scope="module")
def android() -> Iterator[Phone]:
    """One for all tests that leave it as it was: what it was brought stays there."""
    with present("adbd", new_phone()) as found, found.as_server():
        yield found


def _profile(address: str, model: Path, events: list[Mapping[str, Any]], options: str) -> Profile:
    spec = profile_job.validate(ProfileSpec(model, options=options, repeats=1), here=False)
    with closing(connect(address)) as connection:
        return profile_job.run(spec, Context(connection, events.append))


@pytest.mark.slow
def test_model_is_profiled_in_all_stages_with_its_layers_and_nothing_runs_on(android: Phone) -> None:
    events: list[Mapping[str, Any]] = []
    model = EXAMPLES / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
    profile = _profile(android.address, model, events, "--max_profiler_iterations 20")
    stages = {stage.name: stage for stage in profile.stages}
    assert set(stages) == set(StageName)
    for name, stage in stages.items():
        assert stage.time is not None, name
        assert stage.memory is not None, name
    assert len(profile.layers.layers) > 100
    assert profile.environment["libc"] == "glibc 2.41", "its own, where the phone has none"
    assert android.processes() == []
    assert list((android.data / "dynolab" / "workspaces").iterdir()) == []


def test_what_is_brought_is_for_the_user_alone_and_what_the_phone_says_is_recorded(
    android: Phone, tmp_path: Path
) -> None:
    (tmp_path / "m.null").write_text("{}", encoding="utf-8")
    profile = _profile(android.address, tmp_path / "m.null", [], "--max_profiler_iterations 5")
    assert profile.environment["battery"] == "81 %, charging (USB), 28.7 °C"
    assert profile.environment["thermal_status"] == "none; CPU 44.1 °C, skin 31.4 °C"
    assert (profile.device.os, profile.device.os_version) == ("Android", "14")
    for path in (android.data / "dynolab").rglob("*"):
        assert path.lstat().st_uid == SHELL_ID
        assert path.is_symlink() or path.stat().st_mode & 0o022 == 0, path


def test_unknown_serial_number_is_told_with_those_that_are_there(android: Phone) -> None:
    with pytest.raises(NotFound, match=android.serial):
        connect("adb://R5CX0000001")


@pytest.mark.parametrize("address", ["adb://", "adb://a/b", "adb://a b", "adb://user@host"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SpecInvalid, match="no adb address"):
        connect(address)


def test_without_adb_and_without_a_server_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if (sandbox := shutil.which("bwrap")) is not None:
        (tmp_path / "bwrap").symlink_to(sandbox)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    model = tmp_path / "m.null"
    model.write_text("{}", encoding="utf-8")
    done = command("profile", model, "--device", "adb://R5CX0000001")
    assert done.returncode == 2
    assert "adb is not installed" in done.stderr
    assert "apt-get install adb" in done.stderr


@pytest.mark.parametrize(
    ("reason", "kind", "way_out"),
    [
        # As adb's own transport.cpp words them.
        ("device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", Forbidden, "allow USB debugging"),
        ("no permissions (user in plugdev group; are your udev rules wrong?)", Forbidden, "udev"),
        ("device offline", DeviceLost, "adb devices"),
    ],
)
def test_device_that_does_not_let_us_in_says_why(
    reason: str, kind: type[Exception], way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _refusing(reason) as port:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        with pytest.raises(kind, match=reason.split("\n", maxsplit=1)[0].partition(" (")[0]) as caught:
            connect("adb://R5CX0000001")
    assert way_out in str(getattr(caught.value, "hint", ""))


def test_too_little_room_is_told_in_bytes_and_leaves_nothing(
    android: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_DEVICE_ROOT", android.mount_small("small", 16) + "/dynolab")
    (tmp_path / "m.null").write_text("{}", encoding="utf-8")
    with pytest.raises(DeviceUnfit, match=r"needs \d+ MB on the device, and \d+ MB are free"):
        _profile(android.address, tmp_path / "m.null", [], "")
    found = android.adb("-s", android.serial, "shell", "find /data/local/tmp/small -type f")
    assert found.strip() == ""


def test_push_that_a_pulled_cable_cuts_is_taken_up_where_it_was(android: Phone, tmp_path: Path) -> None:
    content = os.urandom(8_000_000)
    (tmp_path / "sent").write_bytes(content)
    with closing(connect(android.address)) as connection, connection.session(["null"], print) as session:
        before, resets = android.line.passed, android.line.resets
        android.line.reset_after([3_000_000])
        session.push(tmp_path / "sent", f"{session.workspace}/there")
        assert android.line.resets == resets + 1
        assert android.line.passed - before < 1.5 * len(content), "what had arrived is not sent again"
        session.pull(f"{session.workspace}/there", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


def test_run_goes_on_while_the_cable_is_out_and_is_taken_up_again(android: Phone, tmp_path: Path) -> None:
    (tmp_path / "m.null").write_text('{"busy_ns": 2000000}', encoding="utf-8")
    told: list[Mapping[str, Any]] = []
    before = android.line.resets

    class Pulling(list[Mapping[str, Any]]):
        def append(self, event: Mapping[str, Any]) -> None:
            told.append(event)
            if event["event"] == "iteration" and android.line.resets < before + 2:
                android.line.reset()

    profile = _profile(android.address, tmp_path / "m.null", Pulling(), "--max_profiler_iterations 200")
    assert android.line.resets == before + 2
    assert [one["text"] for one in told if one["event"] == "note" and str(one["text"]).endswith("is back")]
    assert profile.inference.time is not None
    assert profile.inference.time.minimum_ns >= 2_000_000
    assert android.processes() == []


def test_phone_that_is_switched_off_ends_the_job_with_its_reason(
    android: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sessions, "AGAIN_WITHIN_S", 3.0)
    monkeypatch.setattr(_sessions, "END_WITHIN_S", 1.0)
    (tmp_path / "m.null").write_text('{"busy_ns": 10000000}', encoding="utf-8")

    class SwitchedOff(list[Mapping[str, Any]]):
        def append(self, event: Mapping[str, Any]) -> None:
            if event["event"] == "iteration":
                android.switch_off()

    with pytest.raises(DeviceLost, match="did not come back within 3 s"):
        _profile(android.address, tmp_path / "m.null", SwitchedOff(), "--max_profiler_iterations 1000")
    android.switch_on()


def test_phone_that_restarts_has_ended_what_ran_there_and_what_it_left_goes_at_the_next_contact(
    android: Phone, tmp_path: Path
) -> None:
    (tmp_path / "m.null").write_text('{"busy_ns": 10000000}', encoding="utf-8")
    workspaces = android.data / "dynolab" / "workspaces"
    left: list[Path] = []

    class Restarted(list[Mapping[str, Any]]):
        def append(self, event: Mapping[str, Any]) -> None:
            if event["event"] == "iteration":
                android.switch_off()
                left.extend(workspaces.iterdir())
                android.switch_on()

    with pytest.raises(DeviceLost, match="it was restarted"):
        _profile(android.address, tmp_path / "m.null", Restarted(), "--max_profiler_iterations 1000")
    assert left
    with closing(connect(android.address)) as connection, connection.session(["null"], print) as session:
        assert [one.name for one in workspaces.iterdir()] == [Path(session.workspace).name]


@contextmanager
def _refusing(reason: str) -> Iterator[int]:
    """The port of something that answers as an adb server does which refuses: for what the real one has no device."""

    class Refusal(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, ValueError):
                one: socket.socket = self.request
                one.recv(int(one.recv(4), 16))
                one.sendall(b"FAIL" + f"{len(reason):04x}{reason}".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusal) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_address[1]
        server.shutdown()
        serving.join()
