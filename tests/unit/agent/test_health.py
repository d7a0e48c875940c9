"""A board's health: it rests after it failed, ever longer, and looks at its disk before it takes a job."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("httpx")

from dynolab import errors
from dynolab.agent import loop
from dynolab.agent.health import REST_FIRST_S, REST_MOST_S, Health
from dynolab.agent.loop import Agent
from dynolab.measure import room
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, FileLink, Outcome
from dynolab.spec.models import ModelFormat

LOST = errors.DeviceLost("the worker in inference was ended from outside (SIGKILL)")
UNFIT = errors.DeviceUnfit("the device is unfit: its disk is full")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("DYNOLAB_AGENT_FREE_BYTES", "1")
    monkeypatch.setenv("DYNOLAB_AGENT_PROBE_EVERY_S", "0")
    return Clock()


def test_a_board_that_failed_rests_longer_each_time_until_one_job_ends_otherwise(clock: Clock) -> None:
    health = Health(clock)
    assert health.unfit() == ""
    expected = REST_FIRST_S
    for _ in range(10):
        health.ended(UNFIT)
        assert health.unfit() == UNFIT.message
        clock.now_s += expected - 0.1
        assert health.unfit() == UNFIT.message
        clock.now_s += 0.2
        assert health.unfit() == ""
        expected = min(2 * expected, REST_MOST_S)
    health.ended(errors.LoadFailed("the model's own fault"))
    assert health.unfit() == ""
    health.ended(UNFIT)
    clock.now_s += REST_FIRST_S + 0.1
    assert health.unfit() == ""


def test_models_that_kill_their_own_process_do_not_make_a_board_rest_longer(clock: Clock) -> None:
    health = Health(clock)
    for _ in range(10):
        health.ended(LOST)
        assert health.unfit() == LOST.message
        clock.now_s += REST_FIRST_S + 0.1
        assert health.unfit() == ""


def test_a_disk_with_too_little_room_is_told_and_well_again_once_there_is_more(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_AGENT_FREE_BYTES", str(10**18))
    full = Health(clock)
    assert "disk full" in full.unfit()
    assert "1000000000000 MB are needed" in full.unfit()
    monkeypatch.setenv("DYNOLAB_AGENT_FREE_BYTES", "1")
    assert Health(clock).unfit() == ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE])
def test_a_disk_that_takes_nothing_is_told_though_it_says_it_has_room(
    number: int, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        assert errors.TROUBLE[number] in Health(clock).unfit()
        found = room.trouble(tmp_path)
    assert found is not None
    assert errors.TROUBLE[number] in found.message
    assert list(tmp_path.iterdir()) == []


def test_a_place_for_workspaces_that_is_none_is_told(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(tmp_path / "file" / "below"))
    assert "cannot be used" in Health(clock).unfit()


def test_a_setting_that_is_no_number_is_refused(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_AGENT_FREE_BYTES", "lots")
    with pytest.raises(errors.SpecInvalid, match="'lots' is not a number of bytes"):
        Health(clock)


class Door:
    """A hub with one job to give."""

    def __init__(self) -> None:
        self.asked: list[ClaimRequest] = []
        self.finished: list[Outcome] = []
        self.enough = threading.Event()

    def claim(self, request: ClaimRequest) -> Assignment | None:
        self.asked.append(request)
        if len(self.asked) > 2:
            self.enough.set()
        if len(self.asked) != 1:
            return None
        return Assignment(
            protocol=AGENT_PROTOCOL,
            attempt="a1",
            number=1,
            job="j1",
            kind="profile",
            options="",
            lease_s=15.0,
            model=FileLink("m.onnx", 1),
            model_kind=ModelFormat.ONNX,
        )

    def finish(self, attempt: str, outcome: Outcome) -> None:
        self.finished.append(outcome)

    def give_up(self) -> None:
        """Nothing is tried again here anyway."""


def test_an_agent_that_has_no_room_for_a_job_gives_it_back_says_why_and_goes_on(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def refused(prefix: str) -> Iterator[Path]:
        raise errors.TransferFailed("no workspace can be made") from OSError(errno.ENOSPC, "No space left on device")
        yield Path()

    monkeypatch.setattr(loop, "own_folder", refused)
    monkeypatch.setattr(loop, "UNFIT_EVERY_S", 0.01)
    door = Door()
    agent = Agent(door, DeviceOffer("d1", "net", "1.0"))  # type: ignore[arg-type]  # what of a door it needs
    serving = threading.Thread(target=agent.serve)
    serving.start()
    assert door.enough.wait(20)
    agent._stopped.set()
    serving.join()
    [outcome] = door.finished
    assert outcome.error is not None
    assert outcome.error["code"] == "DeviceUnfit"
    assert "its disk is full" in str(outcome.error["message"])
    first, *later = door.asked
    assert first.unfit == ""
    assert all("its disk is full" in one.unfit and one.wait_s == 0 for one in later)


def test_a_change_of_health_is_told_once_and_no_change_not_at_all(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "UNFIT_EVERY_S", 0.01)
    health = iter(["", "", "its disk is full", "its disk is full", "", ""])
    monkeypatch.setattr(Health, "unfit", lambda self: next(health))
    door = Door()
    agent = Agent(door, DeviceOffer("d1", "net", "1.0"))  # type: ignore[arg-type]  # what of a door it needs

    def claim(request: ClaimRequest) -> None:
        door.asked.append(request)
        if len(door.asked) == 6:
            agent._stopped.set()

    monkeypatch.setattr(door, "claim", claim)
    with caplog.at_level("INFO"):
        agent.serve()
    told = [(len(record.args or ()), record.levelname) for record in caplog.records if "fit" in record.message]
    assert told == [(1, "WARNING"), (0, "INFO")]
    assert [one.unfit for one in door.asked] == ["", "", "its disk is full", "its disk is full", "", ""]
