"""When a board is probed, what its agent does about the hub's answer, and how long it waits for a hot one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx")

from dynolab import errors
from dynolab.agent import loop, probing
from dynolab.agent.cooling import WITHIN_S, Cooling
from dynolab.agent.health import Health
from dynolab.agent.loop import Agent, Attempt
from dynolab.agent.probing import EVERY_S, POSTPONED_S, Probing, take_here
from dynolab.agent.turns import turn
from dynolab.spec.agents import (
    AGENT_PROTOCOL,
    COOL_FILE,
    NOTES_FILE,
    Assignment,
    ClaimRequest,
    DeviceOffer,
    FileLink,
    Outcome,
    ProbeAnswer,
    ProbeReport,
)
from dynolab.spec.board_health import FIGURES, Probe
from dynolab.spec.models import ModelFormat
from dynolab.spec.toolchain_support import TOOLCHAINS_ONLY

OFFER = DeviceOffer("d1", "net", "1.0")
SHOWN = Probe(dict.fromkeys(FIGURES, 100), 4, "kernel 1")
GIVEN = Assignment(AGENT_PROTOCOL, "a1", 1, "j1", "profile", "", 15.0, FileLink("m.onnx", 1), ModelFormat.ONNX)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Door:
    """A hub with answers to give, in their order; the last one again and again."""

    def __init__(self, *answers: ProbeAnswer) -> None:
        self.answers = list(answers) or [ProbeAnswer("good")]
        self.reports: list[ProbeReport] = []
        self.asked: list[ClaimRequest] = []
        self.finished: list[Outcome] = []
        self.jobs = 0
        self.then: Callable[[], None] = lambda: None

    def report_probe(self, report: ProbeReport) -> ProbeAnswer:
        self.reports.append(report)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def claim(self, request: ClaimRequest) -> Assignment | None:
        self.asked.append(request)
        self.then()
        if request.unfit or len(self.finished) >= self.jobs:
            return None
        return GIVEN

    def finish(self, attempt: str, outcome: Outcome) -> None:
        self.finished.append(outcome)

    def give_up(self) -> None:
        """Nothing is tried again here anyway."""


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(tmp_path / "work"))
    monkeypatch.setenv("DYNOLAB_AGENT_FREE_BYTES", "1")


def probing_of(door: Door, clock: Clock, offer: DeviceOffer = OFFER) -> Probing:
    return Probing(door, offer, take=lambda: SHOWN, now=clock)  # type: ignore[arg-type]  # what of a door it needs


# ---- when a board is probed ------------------------------------------------------------------------------------------


def test_a_board_is_probed_at_the_start_then_when_the_last_one_is_old_and_after_trouble() -> None:
    door, clock = Door(), Clock()
    probes = probing_of(door, clock)
    probes.keep()
    assert door.reports == [ProbeReport(AGENT_PROTOCOL, OFFER, SHOWN)]
    clock.now_s += EVERY_S - 1
    probes.keep()
    assert len(door.reports) == 1
    assert probes.left_s() == pytest.approx(1)
    clock.now_s += 1.1
    probes.keep()
    assert len(door.reports) == 2
    probes.due_now()
    probes.keep()
    assert len(door.reports) == 3


def test_the_hub_says_when_to_look_again() -> None:
    door, clock = Door(ProbeAnswer("quarantined", "slow", again_in_s=60.0), ProbeAnswer("good")), Clock()
    probes = probing_of(door, clock)
    probes.keep()
    assert (probes.answer.state, probes.left_s()) == ("quarantined", 60.0)
    clock.now_s += 60
    probes.keep()
    assert (probes.answer.state, probes.left_s()) == ("good", EVERY_S)


def test_while_no_hub_is_there_the_board_is_not_probed_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    door, clock, taken = Door(), Clock(), list[float]()

    def take() -> Probe:
        taken.append(clock.now_s)
        return SHOWN

    def away(report: ProbeReport) -> ProbeAnswer:
        raise errors.DeviceLost("there is no hub")

    probes = Probing(door, OFFER, take=take, now=clock)  # type: ignore[arg-type]  # what of a door it needs
    with monkeypatch.context() as patch:
        patch.setattr(door, "report_probe", away)
        for _ in range(20):
            clock.now_s += 1
            with pytest.raises(errors.DeviceLost):
                probes.keep()
    assert len(taken) == 1
    probes.keep()
    assert (len(taken), len(door.reports)) == (1, 1), "it is told once a hub is there"
    probes.due_now()
    probes.keep()
    assert len(taken) == 2


def test_a_probe_that_the_hub_does_not_take_is_no_reason_to_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(report: ProbeReport) -> ProbeAnswer:
        raise errors.SpecInvalid("the field 'celsius' is 2e+06")

    door, clock = Door(), Clock()
    monkeypatch.setattr(door, "report_probe", refuse)
    probes = probing_of(door, clock)
    probes.keep()
    assert probes.left_s() == EVERY_S
    assert "does not take the health probe: the field 'celsius'" in caplog.text


@pytest.mark.parametrize("attribute", [TOOLCHAINS_ONLY, "simulated:hexagon-v73"])
def test_what_measures_nothing_is_never_probed(attribute: str) -> None:
    door = Door()
    probes = probing_of(door, Clock(), DeviceOffer("d1", "net", "1.0", (attribute,)))
    probes.keep()
    assert door.reports == []
    assert probes.left_s() == float("inf")


def test_probes_can_be_turned_off_and_a_setting_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_AGENT_PROBE_EVERY_S", "0")
    door = Door()
    probing_of(door, Clock()).keep()
    assert door.reports == []
    for wrong in ("often", "-1", "inf"):
        monkeypatch.setenv("DYNOLAB_AGENT_PROBE_EVERY_S", wrong)
        with pytest.raises(errors.SpecInvalid, match=f"'{wrong}' is no number of seconds"):
            probing_of(door, Clock())


def test_no_probe_disturbs_what_another_agent_of_the_machine_measures() -> None:
    door, clock = Door(), Clock()
    probes = probing_of(door, clock)
    with turn(compiles=False, waits=lambda: None):
        probes.keep()
    assert door.reports == []
    assert probes.left_s() == POSTPONED_S
    clock.now_s += POSTPONED_S
    probes.keep()
    assert len(door.reports) == 1
    elsewhere = Probing(door, OFFER, take=lambda: SHOWN, is_here=False, now=clock)  # type: ignore[arg-type]  # what of a door it needs
    with turn(compiles=False, waits=lambda: None):
        elsewhere.keep()
    assert len(door.reports) == 2, "a device that is reached by an address is another machine"


# ---- the probe itself ------------------------------------------------------------------------------------------------


def test_a_real_probe_times_all_its_figures_and_needs_the_standard_library_alone() -> None:
    shown = take_here()
    assert set(shown.figures) == set(FIGURES)
    assert all(value > 0 for value in shown.figures.values())
    assert shown.figures["fastest_core_ns"] <= shown.figures["slowest_core_ns"]
    assert shown.cores >= 1
    assert "zlib" in shown.identity
    code = "import sys, dynolab.measure.probe; print('numpy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "False\n"


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs /proc")
def test_a_probe_beside_others_work_says_how_much_they_used() -> None:
    code = "print(flush=True)\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for one in busy:
            assert one.stdout is not None
            one.stdout.readline()
        share = take_here().others_share
    finally:
        for one in busy:
            one.kill()
            one.communicate()
    assert share is not None
    assert share > 0.05


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print('no probe')", "told nothing"),
        ("import sys; sys.exit(3)", "failed"),
        ("import time; time.sleep(60)", "did not end within 1 s"),
    ],
)
def test_a_probe_that_fails_says_that_the_board_is_unfit(
    code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run
    monkeypatch.setattr(probing, "WITHIN_S", 1.0)
    monkeypatch.setattr(probing.subprocess, "run", lambda _, **how: run([sys.executable, "-c", code], **how))
    with pytest.raises(errors.DeviceUnfit, match=words):
        take_here()


# ---- temperature -----------------------------------------------------------------------------------------------------


class Zone:
    def __init__(self, celsius: float | None) -> None:
        self.celsius = celsius

    def __call__(self) -> float | None:
        return self.celsius


def test_a_hot_board_waits_until_it_is_cool() -> None:
    zone, clock = Zone(70.0), Clock()
    cooling = Cooling(read=zone, now=clock)
    assert cooling.unfit(55.0) == "it cools down: 70.0 °C, and up to 55.0 °C is usual before a job"
    clock.now_s += 5
    zone.celsius = 55.0
    assert cooling.unfit(55.0) == ""
    assert cooling.begin(55.0) == ""


def test_a_board_that_stays_hot_goes_on_after_a_while_and_says_so() -> None:
    zone, clock = Zone(70.0), Clock()
    cooling = Cooling(read=zone, now=clock)
    for _ in range(2):  # each job may wait anew
        assert cooling.unfit(55.0)
        clock.now_s += WITHIN_S - 1
        assert cooling.unfit(55.0)
        clock.now_s += 1
        assert cooling.unfit(55.0) == ""
        said = cooling.begin(55.0)
        assert said == "the device was at 70.0 °C when this began, and up to 55.0 °C is usual: it had 60 s to cool down"


@pytest.mark.parametrize(("told", "limit"), [(None, 55.0), (70.0, None), (None, None)])
def test_where_nothing_is_told_or_known_nothing_is_waited_for(told: float | None, limit: float | None) -> None:
    cooling = Cooling(read=Zone(told), now=Clock())
    assert cooling.unfit(limit) == ""
    assert cooling.begin(limit) == ""


def test_no_time_to_cool_down_is_a_setting_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_AGENT_COOL_WITHIN_S", "0")
    cooling = Cooling(read=Zone(70.0), now=Clock())
    assert cooling.unfit(55.0) == ""
    assert "it had 0 s to cool down" in cooling.begin(55.0)


# ---- the agent -------------------------------------------------------------------------------------------------------


@contextmanager
def served(door: Door, monkeypatch: pytest.MonkeyPatch, **parts: Any) -> Iterator[Agent]:
    monkeypatch.setattr(loop, "UNFIT_EVERY_S", 0.01)
    agent = Agent(door, OFFER)  # type: ignore[arg-type]  # what of a door it needs
    for name, part in parts.items():
        setattr(agent, f"_{name}", part)
    enough = threading.Event()
    door.then = lambda: enough.set() if len(door.asked) >= 6 or len(door.finished) >= 2 else None
    serving = threading.Thread(target=agent.serve)
    serving.start()
    assert enough.wait(20)
    agent._stopped.set()
    serving.join()
    yield agent


def test_a_board_that_is_reached_is_told_how_hot_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the board itself can tell how hot it is: it is asked when the job begins."""
    monkeypatch.setenv("DYNOLAB_AGENT_COOL_WITHIN_S", "45")
    folders = list[str]()
    door = Door(ProbeAnswer("good", cool_celsius=55.0))
    door.jobs = 1

    def carry_out(self: Attempt) -> Outcome:
        folders.append((self._folder / COOL_FILE).read_text(encoding="utf-8"))
        return Outcome()

    monkeypatch.setattr(Attempt, "carry_out", carry_out)
    with served(door, monkeypatch, address="ssh://board", probing=Probing(door, OFFER, take=lambda: SHOWN)):  # type: ignore[arg-type]  # as above
        pass
    assert json.loads(folders[0]) == {"cool_celsius": 55.0, "cool_within_s": 45.0}


def test_a_hot_board_says_so_to_the_hub_before_it_takes_the_job_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_AGENT_COOL_WITHIN_S", "60")
    clock, folders = Clock(), list[str]()
    door = Door(ProbeAnswer("probation", "it was slow", 60.0, cool_celsius=55.0))
    door.jobs = 1

    def carry_out(self: Attempt) -> Outcome:
        folders.append((self._folder / NOTES_FILE).read_text(encoding="utf-8"))
        return Outcome()

    monkeypatch.setattr(Attempt, "carry_out", carry_out)
    cooling = Cooling(read=Zone(70.0), now=clock)
    asked = door.claim

    def claim(request: ClaimRequest) -> Assignment | None:
        clock.now_s += 25.0
        return asked(request)

    monkeypatch.setattr(door, "claim", claim)
    probes = Probing(door, OFFER, take=lambda: SHOWN, now=Clock())  # type: ignore[arg-type]  # what of a door it needs
    probes.answer = door.answers[0]
    with served(door, monkeypatch, cooling=cooling, probing=probes):
        pass
    unfit = [one.unfit for one in door.asked]
    assert [bool(one) for one in unfit[:4]] == [True, True, True, False]
    assert unfit[0].startswith("it cools down: 70.0 °C")
    assert len(door.reports) == 1, "no hot board is probed before its time to cool down is over"
    told = json.loads(folders[0])
    assert told["on-probation"] == "the device was on probation: it was slow"
    assert "it had 60 s to cool down" in told["hot-start"]


def test_a_board_whose_attempt_failed_is_probed_before_it_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door()
    door.jobs = 2
    outcomes = iter([Outcome(error=errors.DeviceLost("killed").to_dict()), Outcome()])
    monkeypatch.setattr(Attempt, "carry_out", lambda self: next(outcomes))
    health = Health(now := Clock())
    asked = door.claim

    def claim(request: ClaimRequest) -> Assignment | None:
        now.now_s += 3.0
        return asked(request)

    monkeypatch.setattr(door, "claim", claim)
    with served(door, monkeypatch, health=health, probing=probing_of(door, Clock())):
        pass
    assert [bool(one.error) for one in door.finished] == [True, False]
    assert len(door.reports) == 2


def test_a_board_whose_probe_fails_is_unfit_and_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Probe:
        raise errors.DeviceUnfit("the health probe did not end within 60 s")

    door = Door()
    probes = Probing(door, OFFER, take=broken, now=Clock())  # type: ignore[arg-type]  # what of a door it needs
    with served(door, monkeypatch, probing=probes):
        pass
    assert {one.unfit for one in door.asked} == {"the health probe did not end within 60 s"}
