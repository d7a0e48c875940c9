"""A device behind sshd: what gets in the way, what is said of it, and that a bad line changes no figure."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dynolab.connections import _sessions
from dynolab.connections.base import EXECUTOR, Connection, ModelFiles, Session, connect
from dynolab.errors import DeviceLost, Error, Forbidden, PluginMissing, SpecInvalid, TransferFailed
from dynolab.jobs.base import Context
from dynolab.jobs.profile import plugin as profile_job
from dynolab.measure import order_bounds
from dynolab.measure.device import Device
from dynolab.measure.orders import Place
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.profiles import Profile
from dynolab.testing.connection_contract import command_lines
from dynolab.testing.models import onnx_net
from dynolab.testing.waiting import until

from ..devices.fixtures import present
from ..devices.sshd import Sshd, free_port, sshd
from ..devices.tcp_proxy import TcpProxy, tcp_proxy


@pytest.fixture(scope="module")
def board() -> Iterator[Sshd]:
    """One board for all that leaves it as it was."""
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture
def line(board: Sshd) -> Iterator[TcpProxy]:
    """The line to it, which can be made a bad one."""
    with tcp_proxy(board.port) as found:
        board.trust_at(found.port)
        yield found


def at(board: Sshd, port: int) -> str:
    return f"ssh://{board.user}@127.0.0.1:{port}"


def model(folder: Path, **content: Any) -> Path:
    path = folder / "m.null"
    path.write_text(json.dumps({"busy_ns": 200_000, **content}))
    return path


def profiled(
    connection: Connection, path: Path, told: Callable[[Mapping[str, Any]], None] = lambda _: None, repeats: int = 1
) -> Profile:
    spec = ProfileSpec(path, options="--max_profiler_iterations 50", repeats=repeats)
    return profile_job.run(profile_job.validate(spec, here=False), Context(connection, told))


@contextmanager
def opened(board: Sshd, port: int | None = None, **settings: str) -> Iterator[Connection]:
    with board.as_home(**settings), closing(connect(at(board, port or board.port))) as connection:
        yield connection


def refusal(board: Sshd, port: int | None = None, **settings: str) -> Error:
    with pytest.raises(Error) as caught, opened(board, port, **settings):
        pass
    return caught.value


# ---- getting in ------------------------------------------------------------------------------------------------------


def test_a_host_key_that_nobody_knows_is_not_taken(board: Sshd) -> None:
    kept = board.known_hosts.read_text()
    board.known_hosts.write_text("")
    error = refusal(board)
    board.known_hosts.write_text(kept)
    assert isinstance(error, Forbidden)
    assert "is not known here" in error.message
    assert f"ssh -p {board.port}" in str(error.hint)


def test_another_host_key_than_before_is_told_as_one(ssh_device: Sshd) -> None:
    ssh_device.change_host_key()
    error = refusal(ssh_device)
    assert isinstance(error, Forbidden)
    assert "another host key than before" in error.message
    assert f"ssh-keygen -R '[127.0.0.1]:{ssh_device.port}'" in str(error.hint)


def test_another_host_key_is_told_as_one_behind_an_alias_too(ssh_device: Sshd) -> None:
    ssh_device.change_host_key()
    with pytest.raises(Forbidden, match="another host key than before"), ssh_device.as_home():
        connect("ssh://board")


def test_a_key_that_the_device_does_not_know(board: Sshd, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    error = refusal(board, IdentityFile=str(other))
    assert isinstance(error, Forbidden)
    assert "does not let us in" in error.message
    assert "ssh-copy-id" in str(error.hint)


def test_nobody_answers(board: Sshd) -> None:
    error = refusal(board, free_port())
    assert isinstance(error, DeviceLost)
    assert "cannot be reached" in error.message


@pytest.mark.parametrize(
    "address", ["ssh://", "ssh://pi:secret@board", "ssh://board/folder", "ssh://board:0x", "telnet://x"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        connect(address)
    assert "secret" not in caught.value.message + str(caught.value.hint)


def test_an_alias_and_a_jump_host_of_the_users_own_settings(board: Sshd) -> None:
    with board.as_home():
        config = board.client / ".ssh" / "config"
        config.write_text(config.read_text() + f"\nHost behind\n    HostName 127.0.0.1\n    Port {board.port}\n    ProxyJump board\n"
                          f"    User {board.user}\n    IdentityFile {board.key}\n    UserKnownHostsFile {board.known_hosts}\n")  # fmt: skip
        with closing(connect("ssh://behind")) as connection, connection.session(["null"], print) as session:
            assert session.workspace.startswith(str(board.cache))


# ---- what is there ---------------------------------------------------------------------------------------------------


BARE = "sh chmod mkdir printf cat ls df rm mv cut sha256sum stat tail tar gzip touch uname"
"""The programs of a board with little on it."""


def _bare(device: Sshd, python: str | None, *, machine: str | None = None) -> None:
    """The device's programs are links to this machine's, but for Python, and what it says of its processor."""
    programs = device.home / "bin"
    programs.mkdir()
    for name in BARE.split():
        (programs / name).symlink_to(Path("/usr/bin") / name if Path("/usr/bin", name).exists() else Path("/bin", name))
    written = {"python3": python, "uname": machine and f"echo {machine}"}
    for name, script in written.items():
        if script is not None:
            (programs / name).unlink(missing_ok=True)
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
    (device.home / ".bashrc").write_text(f"PATH={programs}\n")


@pytest.mark.parametrize(
    ("python", "said"),
    [
        (None, "has no Python"),
        pytest.param('echo "/usr/bin/python3 3 9"', r"the newest Python of .* is 3\.9", marks=pytest.mark.slow),
    ],
)
def test_a_device_without_a_python_that_does_gets_one_of_its_own(
    new_ssh_device: Sshd, tmp_path: Path, python: str | None, said: str
) -> None:
    _bare(new_ssh_device, python)
    events: list[Mapping[str, Any]] = []
    with opened(new_ssh_device) as connection:
        profile = profiled(connection, model(tmp_path), events.append)
    assert profile.inference.time is not None
    assert profile.environment["libc"] == "glibc 2.41"
    assert str(new_ssh_device.cache / "envs") in profile.environment["python"]
    assert any(re.search(said, str(one.get("text"))) for one in events)


def test_an_architecture_that_no_python_is_made_for(new_ssh_device: Sshd, tmp_path: Path) -> None:
    _bare(new_ssh_device, None, machine="riscv64")
    with (
        opened(new_ssh_device) as connection,
        pytest.raises(PluginMissing, match="there is one for aarch64, x86_64") as caught,
    ):
        profiled(connection, model(tmp_path))
    assert "has no Python" in caught.value.message
    assert "apt install python3" in str(caught.value.hint)
    assert not (new_ssh_device.cache / "envs").exists()


def test_an_account_without_rights_does(ssh_account: Sshd, tmp_path: Path) -> None:
    with opened(ssh_account) as connection:
        profile = profiled(connection, model(tmp_path))
    assert profile.first_load.time is not None
    assert profile.first_load.cold is not None
    assert profile.first_load.cold.proven, "its own files can be put out of the page cache"


def test_too_little_space(new_ssh_device: Sshd, tmp_path: Path) -> None:
    programs = new_ssh_device.home / "bin"
    programs.mkdir()
    (programs / "df").write_text(
        "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted on\necho /dev/mmc 100 60 40 60% /\n"
    )
    (programs / "df").chmod(0o755)
    (new_ssh_device.home / ".bashrc").write_text(f"PATH={programs}:$PATH\n")
    with opened(new_ssh_device) as connection, pytest.raises(TransferFailed, match="0 MB free") as caught:
        profiled(connection, model(tmp_path))
    assert "DYNOLAB_DEVICE_ROOT" in str(caught.value.hint)
    assert list((new_ssh_device.cache / "wheels").iterdir()) == []


def test_room_is_made_for_what_comes_and_nothing_in_use_is_touched(
    ssh_device: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound that one model alone passes: the older ones go, but for the one that a session has open, and its environment."""
    monkeypatch.setenv("DYNOLAB_DEVICE_CACHE_BYTES", "1000000")
    (tmp_path / "weights").write_bytes(b"\1" * 2_000_000)

    def pushed(session: Session, digest: str) -> Path:
        (path,) = session.push_model(ModelFiles(tmp_path, ("weights",), digest * 64), session.workspace)
        return Path(path)

    def long_ago() -> None:
        for one in (*ssh_device.cache.glob("models/*/.complete"), *ssh_device.cache.glob("envs/*/complete")):
            os.utime(one, (time.time() - 86_400,) * 2)

    with opened(ssh_device) as connection, connection.session(["null"], print) as session:
        device = Device(session, lambda event: None)
        used, other = pushed(session, "a"), pushed(session, "b")
        device.prepare(Place("", (str(used),)))
        long_ago()
        third = pushed(session, "c")
        assert [one.exists() for one in (used, other, third)] == [True, False, True]
        assert device.look("null").unavailable is None, "its environment is there"
        device.close()
    long_ago()
    with opened(ssh_device) as connection, connection.session(["null"], print) as session:
        fourth = pushed(session, "d")
        assert [one.exists() for one in (used, third, fourth)] == [False, False, True]


def test_a_shell_profile_that_speaks(board: Sshd, tmp_path: Path) -> None:
    board.write_profile()
    try:
        with opened(board) as connection:
            assert profiled(connection, model(tmp_path)).inference.time is not None
    finally:
        board.write_profile("")


# ---- the line --------------------------------------------------------------------------------------------------------


def test_a_cable_that_is_pulled_in_the_middle_of_a_run_ends_nothing(board: Sshd, tmp_path: Path) -> None:
    told: list[str] = []
    cut: list[int] = []

    def follow(event: Mapping[str, Any]) -> None:
        if event["event"] == "note":
            told.append(event["text"])
        if event["event"] == "stage" and event["stage"] == "inference" and not cut:
            cut.extend(board.cut())

    with opened(board) as connection:
        profile = profiled(connection, model(tmp_path), follow)
    assert cut
    assert profile.inference.time is not None
    assert [one for one in told if "broke" in one]
    assert [one for one in told if "is back" in one]
    until(lambda: not board.processes(), "quiet board")


def test_a_bad_line_changes_no_figure(board: Sshd, line: TcpProxy, tmp_path: Path) -> None:
    """200 ms more each way, stalls of 2 s, and resets: the ranges meet those of the good line."""
    path = model(tmp_path)
    with opened(board) as connection:
        good = profiled(connection, path)
    line.delay_s = 0.1
    over = threading.Event()

    def disturb() -> None:
        for _ in range(3):
            if not over.wait(4):
                line.stall(2.0)
            if not over.wait(4):
                line.reset()

    threading.Thread(target=disturb, daemon=True).start()
    try:
        with opened(board, line.port) as connection:
            bad = profiled(connection, path)
    finally:
        over.set()
    assert line.resets >= 1
    a, b = good.inference.time, bad.inference.time
    assert a is not None
    assert b is not None
    assert a.lower_ns <= b.minimum_ns * 1.05
    assert b.lower_ns <= a.minimum_ns * 1.05


def test_a_model_is_sent_once_and_goes_on_where_it_broke_off(board: Sshd, line: TcpProxy, tmp_path: Path) -> None:
    size = 30_000_000
    (tmp_path / "weights").write_bytes(os.urandom(size))
    files = ModelFiles(tmp_path, ("weights",), f"{random.getrandbits(256):064x}")
    with opened(board, line.port) as connection, connection.session(["null"], print) as session:
        before = line.passed
        line.reset_after([size // 3, size // 3])
        (first,) = session.push_model(files, session.workspace)
        sent = line.passed - before
        assert line.resets == 2
        assert size < sent < 1.4 * size, "what had come was kept"
        before = line.passed
        assert session.push_model(files, session.workspace) == (first,)
        assert line.passed - before < 100_000
    assert Path(first).read_bytes() == (tmp_path / "weights").read_bytes()


def test_a_lease_ends_what_nobody_asks_for(board: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The asking side is killed; its executor waits for it, and then leaves nothing."""
    code = (
        "import sys, time; from dynolab.connections import _sessions; _sessions.LEASE_S = 3.0\n"
        "from dynolab.connections.base import connect\n"
        "with connect(sys.argv[1]).session(['null'], print) as session: print(session.workspace, flush=True); time.sleep(600)"
    )
    with board.as_home():
        asking = subprocess.Popen([sys.executable, "-c", code, board.address], stdout=subprocess.PIPE, text=True)
        assert asking.stdout is not None
        workspace = ""
        while not workspace.startswith(str(board.cache)):
            line = asking.stdout.readline()
            assert line, "it ended"
            workspace = line.strip()
        until(lambda: command_lines(f"dynolab.measure.executor {workspace}"), "executor")
        asking.send_signal(signal.SIGKILL)
        asking.wait()
        asking.stdout.close()
    until(lambda: not command_lines(workspace) and not Path(workspace).exists(), "end of the executor")


def test_an_executor_that_hangs_behind_a_good_line_is_found_out_and_ended(
    ssh_device: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper goes on beating: only what was asked for says how long an answer may take."""
    monkeypatch.setattr(order_bounds, "RUN_S", 4.0)
    monkeypatch.setattr(order_bounds, "SLACK_S", 0.0)

    def follow(event: Mapping[str, Any]) -> None:
        if event["event"] == "stage" and event["stage"] == "first_load":
            (executor,) = running(ssh_device, EXECUTOR)
            os.kill(executor, signal.SIGSTOP)

    spec = ProfileSpec(model(tmp_path), options="--max_profiler_iterations 50 --max_profiler_time 1", repeats=1)
    with opened(ssh_device) as connection, pytest.raises(DeviceLost, match="did not answer the order run") as caught:
        profile_job.run(profile_job.validate(spec, here=False), Context(connection, follow))
    assert "hangs" in str(caught.value.hint)
    until(lambda: not ssh_device.processes(), "end of all that hung")
    assert not list((ssh_device.cache / "workspaces").glob("run-*"))


def running(board: Sshd, module: str) -> list[int]:
    """The board's processes that run a module of ours."""
    found = []
    for pid in board.processes():
        with suppress(OSError):
            if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def test_a_board_that_does_not_come_back_is_lost(
    ssh_device: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sessions, "AGAIN_WITHIN_S", 2.0)
    monkeypatch.setattr(_sessions, "END_WITHIN_S", 1.0)

    def follow(event: Mapping[str, Any]) -> None:
        if event["event"] == "stage" and event["stage"] == "inference":
            ssh_device.close()

    with (
        opened(ssh_device) as connection,
        pytest.raises(DeviceLost, match="did not come back within 2 s") as caught,
    ):
        profiled(connection, model(tmp_path), follow)
    assert "ends by itself" in str(caught.value.hint)


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_needs_no_hub(new_ssh_device: Sshd, tmp_path: Path) -> None:
    net = onnx_net(tmp_path / "net.onnx")
    with new_ssh_device.as_home():
        command = [
            sys.executable,
            "-m",
            "dynolab.cli.main",
            "profile",
            str(net),
            "--device",
            new_ssh_device.address,
            "--repeats",
            "1",
            "--options",
            "--max_profiler_iterations 1",
        ]
        done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runtime"]["name"] == "onnxruntime"
    assert "pushing onnxruntime" in done.stderr
    assert not new_ssh_device.processes()


def test_two_commands_bring_the_same_to_a_new_device(new_ssh_device: Sshd, tmp_path: Path) -> None:
    """Both find nothing there; one brings it, the other waits for it."""
    command = [
        sys.executable,
        "-m",
        "dynolab.cli.main",
        "profile",
        str(model(tmp_path)),
        "--repeats",
        "1",
        "--wait",
        "5m",
        "--device",
    ]
    with new_ssh_device.as_home():
        both = [
            subprocess.Popen(
                [*command, new_ssh_device.address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for _ in range(2)
        ]
        said = [one.communicate()[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum(text.count("pushing dynolab") for text in said) == 1, said
