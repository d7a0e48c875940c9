"""One measurement at a time on a board: who comes second is told who is there, waits if that is wanted, and gets it when it is free."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dynolab import board_holders
from dynolab.connections.base import Connection, connect, this_machine
from dynolab.errors import DeviceBusy
from dynolab.jobs.base import Asking, Context
from dynolab.jobs.profile import plugin as profile_job
from dynolab.measure.executor.board_lock import BoardLock, holders
from dynolab.spec.holding import BESIDE, TEXT_MOST, Claim, HolderKind, length
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.profiles import Profile
from dynolab.testing.waiting import until

from ..devices.fixtures import present
from ..devices.phone import Phone
from ..devices.sshd import Sshd, sshd

HOLD = """
import sys
from contextlib import closing
from dynolab.connections.base import connect, this_machine
from dynolab.jobs.base import Asking
from dynolab.measure.device import Device
address, what = sys.argv[1:3]
with closing(connect(address) if address else this_machine()) as connection, connection.session([], print) as session:
    device = Device(session, print)
    device.hold(Asking(what).claim("", here=not address), "it")
    print("holds", flush=True)
    sys.stdin.read()
"""
"""Somebody who has a board until it is told to end."""


@pytest.fixture(scope="module")
def board() -> Iterator[Sshd]:
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine's locks, of the test's own."""
    monkeypatch.setenv("DYNOLAB_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "locks"


@contextmanager
def holding(address: str, what: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has the board."""
    command = [sys.executable, "-c", HOLD, address, what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            while "holds" not in (line := process.stdout.readline()):
                assert line, "it ended"
            yield process
        finally:
            process.communicate()


def model(folder: Path) -> Path:
    path = folder / "m.null"
    path.write_text(json.dumps({"busy_ns": 200_000}))
    return path


def profiled(
    connection: Connection,
    path: Path,
    asking: Asking = Asking(wait_s=0),  # noqa: B008 - frozen
    told: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> Profile:
    spec = ProfileSpec(path, options="--max_profiler_iterations 1", repeats=1)
    return profile_job.run(profile_job.validate(spec, here=connection.is_here), Context(connection, told, asking))


# ---- boards that are reached -----------------------------------------------------------------------------------------


def test_who_comes_second_is_told_who_has_the_board(board: Sshd, tmp_path: Path) -> None:
    with (
        board.as_home(),
        holding(board.address, "the first's measurement"),
        closing(connect(board.address)) as connection,
        pytest.raises(DeviceBusy, match=r"in use by .+@.+ for \d+ s \(the first's measurement") as caught,
    ):
        profiled(connection, model(tmp_path))
    assert board.address in caught.value.message
    assert "--wait" in str(caught.value.hint)
    assert not board.processes(), "the second left nothing, and the first ended"


def holding_processes(board: Sshd) -> list[int]:
    """Those on the board that have a holder's file open: executors that hold it."""
    found = []
    for pid in board.processes():
        with suppress(OSError):
            files = [one.readlink() for one in Path(f"/proc/{pid}/fd").iterdir()]
            if any(one.name.startswith(board_holders.PREFIX) for one in files):
                found.append(pid)
    return found


def test_nothing_is_brought_while_somebody_measures(new_ssh_device: Sshd, tmp_path: Path) -> None:
    """Unpacking and compiling 100 MB would spoil what the other one measures."""
    (tmp_path / "net.onnx").write_bytes(b"")
    with new_ssh_device.as_home(), holding(new_ssh_device.address, "the first's measurement"):
        before = sorted((new_ssh_device.cache / "wheels").iterdir())
        with closing(connect(new_ssh_device.address)) as connection, pytest.raises(DeviceBusy, match="the first's"):
            connection.session(["onnxruntime"], print, 0.0).__enter__()
        assert sorted((new_ssh_device.cache / "wheels").iterdir()) == before


def test_a_lock_whose_file_somebody_removed_is_made_anew(own_locks: Path) -> None:
    """systemd-logind clears /dev/shm of an account's files when it signs out."""
    lock = BoardLock()
    lock.take(claim(HolderKind.PERSON, "the first"))
    for one in own_locks.iterdir():
        one.unlink()
    assert holders() == ()
    lock.look()
    assert [one.what for one in holders()] == ["the first"]
    lock.release()
    assert list(own_locks.iterdir()) == []


def test_who_waits_gets_the_board_when_its_holder_dies(board: Sshd, tmp_path: Path) -> None:
    told: list[str] = []

    def follow(event: Mapping[str, Any]) -> None:
        if event["event"] == "note" and "waits for the board" in event["text"]:
            told.append(event["text"])
            (holder,) = holding_processes(board)
            os.kill(holder, signal.SIGKILL)

    with board.as_home(), holding(board.address, "the first"), closing(connect(board.address)) as connection:
        profile = profiled(connection, model(tmp_path), Asking(wait_s=120), follow)
    assert profile.inference.time is not None
    (waited,) = told
    assert "at most 2 min: it is in use by" in waited
    assert "(the first" in waited


def test_a_board_whose_holder_was_killed_here_is_free_at_once(board: Sshd, tmp_path: Path) -> None:
    """Its executor waits for it for five minutes, and whoever comes next from the same account knows that it is gone."""
    with board.as_home(), holding(board.address, "the first") as first:
        (executor,) = holding_processes(board)
        first.kill()
        first.wait()
        assert holding_processes(board) == [executor]
        told: list[str] = []
        with closing(connect(board.address)) as connection:
            profile = profiled(connection, model(tmp_path), told=lambda event: told.append(str(event)))
    assert profile.inference.time is not None
    assert [one for one in told if "an earlier command left" in one]
    until(lambda: not board.processes(), "the last of them, which says that all is gone, to go")


def test_the_command_says_who_and_ends_as_a_users_error(board: Sshd, tmp_path: Path) -> None:
    with board.as_home(), holding(board.address, "the first's measurement"):
        done = profile_command(model(tmp_path), "--device", board.address, "--wait", "0")
    assert done.returncode == 2
    assert "the first's measurement" in done.stderr
    assert "Traceback" not in done.stderr


def profile_command(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dynolab.cli.main", "profile", str(path), "--repeats", "1", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_phone_has_one_measurement_at_a_time_too(phone: Phone, tmp_path: Path) -> None:
    with (
        phone.as_server(),
        holding(phone.address, "the first's measurement"),
        closing(connect(phone.address)) as connection,
        pytest.raises(DeviceBusy, match="the first's measurement"),
    ):
        profiled(connection, model(tmp_path))


# ---- this machine ----------------------------------------------------------------------------------------------------


def claim(kind: HolderKind, what: str = "something", **more: Any) -> Claim:
    return Claim(f"{kind}@here", what, kind, **{"beside": BESIDE[kind], **more})


@pytest.mark.parametrize(
    ("first", "second", "granted"),
    [
        (HolderKind.PERSON, HolderKind.PERSON, True),
        (HolderKind.AGENT, HolderKind.PERSON, True),
        (HolderKind.AGENT, HolderKind.AGENT, True),
        (HolderKind.PERSON, HolderKind.AGENT, False),
        (HolderKind.REACHED, HolderKind.PERSON, False),
        (HolderKind.REACHED, HolderKind.AGENT, False),
        (HolderKind.PERSON, HolderKind.REACHED, False),
        (HolderKind.AGENT, HolderKind.REACHED, False),
    ],
)
def test_who_goes_by_whom(own_locks: Path, first: HolderKind, second: HolderKind, granted: bool) -> None:
    one, other = BoardLock(), BoardLock()
    assert one.take(claim(first)).granted
    held = other.take(claim(second))
    assert held.granted is granted
    assert [holder.kind for holder in held.others] == [first]
    one.release()
    assert other.is_held is granted
    assert other.take(claim(HolderKind.REACHED)).granted or granted
    other.release()
    assert holders() == ()
    assert list(own_locks.iterdir()) == []


def test_a_profile_beside_somebody_else_says_so(own_locks: Path, tmp_path: Path) -> None:
    with holding("", "a neighbour's measurement"), closing(this_machine()) as connection:
        profile = profiled(connection, model(tmp_path), Asking())
    (notice,) = [one for one in profile.notices if one.code == "measured-beside"]
    assert notice.level == "warning"
    assert "a neighbour's measurement" in notice.text


def test_somebody_who_comes_and_goes_meanwhile_is_seen(own_locks: Path, tmp_path: Path) -> None:
    brief = BoardLock()

    def follow(event: Mapping[str, Any]) -> None:
        if event["event"] == "stage" and event["stage"] == "first_load":
            brief.take(claim(HolderKind.PERSON, "a brief one"))
        if event["event"] == "stage" and event["stage"] == "inference":
            brief.release()

    with closing(this_machine()) as connection:
        profile = profiled(connection, model(tmp_path), Asking(), follow)
    assert ["a brief one" in one.text for one in profile.notices if one.code == "measured-beside"] == [True]


def test_a_profile_of_a_machine_that_nobody_else_uses_says_nothing(own_locks: Path, tmp_path: Path) -> None:
    with closing(this_machine()) as connection:
        profile = profiled(connection, model(tmp_path), Asking())
    assert [one for one in profile.notices if one.code in ("measured-beside", "holders-unknown")] == []
    assert list(own_locks.iterdir()) == []


def test_whoever_wants_this_machine_alone_waits(own_locks: Path, tmp_path: Path) -> None:
    with holding("", "a neighbour's measurement"):
        done = profile_command(model(tmp_path), "-r", "null", "--wait", "1s")
    assert done.returncode == 2
    assert "waits for the board, at most 1 s" in done.stderr
    assert "this machine is in use by" in done.stderr


def test_what_others_left_in_the_folder_is_taken_for_what_it_is(own_locks: Path) -> None:
    own_locks.mkdir()
    os.mkfifo(own_locks / "held-fifo")
    (own_locks / "held-link").symlink_to("/etc/passwd")
    (own_locks / "held-dead").write_text("of a process that is no more")
    (own_locks / "held-odd").write_bytes(b"\xff\x1b[31m" + b"x" * 10_000)
    with (own_locks / "held-odd").open("rb") as odd:
        fcntl.flock(odd, fcntl.LOCK_EX)
        (found,) = holders()
    assert found.what == "it does not say what for"
    assert not (own_locks / "held-dead").exists()


def test_words_of_a_holder_are_short_and_printable(own_locks: Path) -> None:
    lock = BoardLock()
    lock.take(claim(HolderKind.PERSON, "x\x1b[2J\n" * 300))
    (found,) = holders()
    lock.release()
    assert len(found.what) <= TEXT_MOST
    assert found.what.isprintable()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two accounts")
def test_accounts_of_one_board_see_each_other(own_locks: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    lock = BoardLock()
    lock.take(claim(HolderKind.PERSON, "root's own"))
    code = (
        "import os\n"
        "from dynolab.measure.executor.board_lock import BoardLock, holders\n"
        "from dynolab.spec.holding import Claim, HolderKind\n"
        "os.setgid(54322); os.setuid(54322)\n"
        "lock = BoardLock(); held = lock.take(Claim('pi@board', 'of pi', HolderKind.PERSON, (HolderKind.PERSON,)))\n"
        "print(held.granted, repr(held.trouble), held.who, flush=True); input()"
    )
    command = [sys.executable, "-c", code]
    for folder in (own_locks, *own_locks.parents):
        if folder.stat().st_mode & 0o011 != 0o011:
            folder.chmod(folder.stat().st_mode | 0o011)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().startswith("True '' person@here for 0 s (root's own, as root)")
        lock.look()
        (seen,) = lock.seen.others
        assert (seen.what, seen.account) == ("of pi", "54322")
        other.kill()
    lock.release()
    assert holders() == ()
    assert list(own_locks.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_said_and_does_not_stop_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DYNOLAB_LOCKS", str(tmp_path / "file"))
    with closing(this_machine()) as connection:
        profile = profiled(connection, model(tmp_path), Asking())
    (notice,) = [one for one in profile.notices if one.code == "holders-unknown"]
    assert str(tmp_path / "file") in notice.text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (725, "12 min"),
        (3600, "1 h 0 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert length(seconds) == said
