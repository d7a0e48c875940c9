"""What a campaign's runs add up to: the words of a verdict fit its outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynolab.measure import figures
from dynolab.measure.orders import Before
from dynolab.measure.protocol import InputPlan, Inspection
from dynolab.measure.verdict import DISTURBANCE, MINIMUM_STANDS
from dynolab.spec.measurements import Witnesses
from dynolab.spec.models import Description
from dynolab.spec.profiles import TimingRun, Trust, Verdict
from dynolab.spec.tensors import TensorSpec
from dynolab.testing.sample import sample_profile

CLEAN = Verdict(Trust.CLEAN)
NOISY = Verdict(Trust.NOISY, ("others used 0.97 of 2 cores (allowed 0.10)",), {DISTURBANCE: 9.0})


def test_a_slower_run_than_before_is_told_with_the_time_to_beat() -> None:
    stage = sample_profile().inference
    assert stage.time is not None
    stage = replace(stage, time=replace(stage.time, minimum_ns=12_975_000), verdict=CLEAN)
    found = figures._against_record(stage, Before(4_550_000)).verdict
    assert found.trust is Trust.NOISY
    assert found.reasons[0].startswith("this is 185.2 % slower than the 4.55 ms seen before of the same model")
    dated = figures._against_record(stage, Before(4_550_000, "2026-03-14")).verdict.reasons[0]
    assert dated.startswith("this is 185.2 % slower than the 4.55 ms seen on 2026-03-14 of the same model")
    assert "(allowed 3 %)" in found.reasons[0]


def test_a_minimum_that_the_record_beats_does_not_stand() -> None:
    stage = sample_profile().inference
    note = f"1 of 3 processes was disturbed: {MINIMUM_STANDS}"
    stage = replace(stage, verdict=Verdict(Trust.CLEAN, (note, *NOISY.reasons)))
    found = figures._against_record(stage, Before(1_000)).verdict
    assert found.trust is Trust.NOISY
    assert not any("stands" in reason for reason in found.reasons)
    assert figures._against_record(stage, None) == stage


def test_a_record_is_beaten_by_more_than_what_is_allowed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "RECORD_WITHIN", 0.5)
    stage = sample_profile().inference
    assert stage.time is not None
    at, over = (replace(stage, verdict=CLEAN, time=replace(stage.time, minimum_ns=ns)) for ns in (1500, 1501))
    same = figures._against_record(at, Before(1000)).verdict
    assert (same.trust, same.reasons, same.readings) == (Trust.CLEAN, (), {"over_record": 0.5})
    slower = figures._against_record(over, Before(1000)).verdict
    assert (slower.trust, slower.readings["over_record"]) == (Trust.NOISY, pytest.approx(0.501))
    faster = figures._against_record(at, Before(3000)).verdict
    assert (faster.trust, faster.readings) == (Trust.CLEAN, {"over_record": -0.5})
    bad = replace(over, verdict=Verdict(Trust.INVALID, ("why",), {"x": 1.0}))
    found = figures._against_record(bad, Before(1000)).verdict
    assert (found.trust, found.reasons[1:], found.readings["x"]) == (Trust.INVALID, ("why",), 1.0)
    assert figures._against_record(at, Before(0)).verdict.readings == {"over_record": 1499.0}, "nothing takes no time"
    untimed = replace(stage, time=None)
    assert figures._against_record(untimed, Before(1000)) is untimed


def runs(*judged: tuple[int, Verdict]) -> list[TimingRun]:
    return [
        TimingRun(number, 1, True, (minimum, minimum), (), minimum, Witnesses(1), verdict)
        for number, (minimum, verdict) in enumerate(judged)
    ]


def test_the_reason_of_a_lonely_minimum_is_in_percent() -> None:
    found = figures._time_verdict(runs((1000, CLEAN), (1107, CLEAN), (1200, CLEAN)))
    assert found.reasons == ("no other process came nearer to the minimum than 10.7 % (allowed 2 %)",)


def test_an_empty_input_is_said_loudly() -> None:
    plan = InputPlan(TensorSpec("past", "float32", (1, 0, 4)), 0.0, 1.0)
    found = figures._empty(Inspection(Description((), ()), (plan,), (), (), compiles=False))
    assert [(notice.level, "'past'" in notice.text, "[1, 0, 4]" in notice.text) for notice in found] == [
        ("loud", True, True)
    ]
