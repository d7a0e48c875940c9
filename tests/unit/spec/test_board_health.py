"""Bands that boards learn of themselves, the way into quarantine and out of it, and drift over days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.spec.board_health import (
    AGAIN_S,
    BAD_MOST,
    BAND_LEAST,
    BAND_PROBES,
    DISTURBED_SHARE,
    DRIFT_LEAST,
    GOOD_LEAST,
    LEARNING_EVERY_S,
    WATCHED_EVERY_S,
    WIDTH_LEAST,
    Health,
    Judgement,
    Probe,
    after,
    again_in_s,
    band,
    cool_celsius,
    drift,
    judge,
)

USUAL = Probe({"slowest_core_ns": 100_000, "fastest_core_ns": 90_000, "memory_ns": 3_000_000}, 4, "kernel 1", 0.0, 40.0)
GOOD, SLOW, DISTURBED, LEARNING = (
    Judgement(verdict, "why")  # type: ignore[arg-type]  # each of its words
    for verdict in ("good", "slow", "disturbed", "learning")
)


def probe(factor: float, **changes: object) -> Probe:
    figures = {name: round(value * factor) for name, value in USUAL.figures.items()}
    return replace(USUAL, figures=figures, **changes)  # type: ignore[arg-type]  # fields of it


def course(health: Health, *judgements: Judgement) -> Health:
    for one in judgements:
        health = after(health, one)
    return health


# ---- bands -----------------------------------------------------------------------------------------------------------


def test_a_band_is_unknown_until_there_are_enough_probes() -> None:
    assert band([100] * (BAND_LEAST - 1)) is None
    known = band([100] * BAND_LEAST)
    assert known is not None
    assert known.middle == pytest.approx(100)
    assert known.upper == pytest.approx(100 * (1 + WIDTH_LEAST)), "one that never varied has the least width"


def test_a_band_is_as_wide_as_the_board_varies_and_heeds_neither_outliers_nor_what_was_long_ago() -> None:
    random = Random(1)
    values = [round(100_000 * random.lognormvariate(0, 0.1)) for _ in range(BAND_PROBES)]
    known = band(values)
    assert known is not None
    assert 1.3 < known.upper / known.middle < 1.6, "3.5 standard deviations of 10 %"
    spoiled = band([*values[:-20], *[10**9] * 20])
    assert spoiled is not None
    assert spoiled.upper < 1.6 * known.upper
    assert band([*values, *[10**9] * 500]) == known


@given(st.lists(st.integers(1, 10**12), min_size=BAND_LEAST, max_size=150))
def test_half_of_what_a_band_was_learned_from_lies_in_it(values: Sequence[int]) -> None:
    known = band(values)
    assert known is not None
    newest = values[:BAND_PROBES]
    assert known.probes == len(newest)
    assert known.upper >= known.middle * (1 + WIDTH_LEAST) * 0.999
    assert sum(value <= known.upper * 1.001 for value in newest) * 2 >= len(newest)


# ---- what a probe says -----------------------------------------------------------------------------------------------


def test_a_probe_is_held_against_the_boards_own_band() -> None:
    history = [USUAL] * BAND_LEAST
    assert judge(USUAL, history[1:]).verdict == "learning"
    assert judge(probe(10), history[1:]).verdict == "learning"
    assert judge(probe(1.09), history).verdict == "good"
    assert judge(probe(0.5), history).verdict == "good", "whatever is faster is well"
    slow = judge(replace(USUAL, figures={**USUAL.figures, "memory_ns": 4_500_000}), history)
    assert slow.verdict == "slow"
    assert slow.why == "copying memory takes 1.50 times as long as usual; up to 1.10 is its own band"


def test_a_probe_beside_others_work_tells_nothing_unless_cores_are_missing() -> None:
    history = [USUAL] * BAND_LEAST
    beside = judge(probe(1.5, others_share=2 * DISTURBED_SHARE), history)
    assert beside.verdict == "disturbed"
    assert "others used 10% of its CPU time" in beside.why
    assert judge(probe(1.5, others_share=None), history).verdict == "slow", "where nothing tells, it counts"
    fewer = judge(probe(1.0, cores=2, others_share=0.5), history)
    assert fewer == Judgement("slow", "2 of 4 cores are there")


# ---- quarantine and back ---------------------------------------------------------------------------------------------


def test_a_board_out_of_its_band_twice_is_quarantined_and_comes_back_over_probation() -> None:
    once = course(Health(), *[SLOW] * (BAD_MOST - 1))
    assert (once.state, once.takes_jobs) == ("good", False)
    assert again_in_s(once, SLOW) == AGAIN_S
    assert course(once, GOOD) == Health()
    assert course(once, DISTURBED).takes_jobs, "it told nothing of the board"
    out = course(once, SLOW)
    assert (out.state, out.takes_jobs, out.why) == ("quarantined", False, "why")
    assert again_in_s(out, SLOW) == WATCHED_EVERY_S
    nearly = course(out, *[GOOD] * (GOOD_LEAST - 1))
    assert nearly.state == "quarantined"
    assert course(nearly, SLOW, *[GOOD] * (GOOD_LEAST - 1)).state == "quarantined", "in a row"
    trial = course(nearly, DISTURBED, GOOD)
    assert (trial.state, trial.takes_jobs) == ("probation", True)
    assert again_in_s(trial, GOOD) == WATCHED_EVERY_S
    assert course(trial, SLOW).state == "quarantined", "one is enough"
    assert course(trial, *[GOOD] * GOOD_LEAST) == Health()
    assert again_in_s(Health(), GOOD) is None
    assert again_in_s(Health(), LEARNING) == LEARNING_EVERY_S


def test_what_was_quarantined_by_hand_stays_so() -> None:
    by_hand = Health("quarantined", "its fan is loud", by="ana@example.org")
    assert course(by_hand, *[GOOD] * 20, *[SLOW] * 3, LEARNING) == by_hand


# ---- temperature -----------------------------------------------------------------------------------------------------


def test_a_board_is_cool_up_to_what_it_usually_is() -> None:
    assert cool_celsius([USUAL] * (BAND_LEAST - 1)) is None
    assert cool_celsius([replace(USUAL, celsius=None)] * 50) is None
    assert cool_celsius([USUAL] * BAND_LEAST) == pytest.approx(45)
    varied = [replace(USUAL, celsius=40.0 + number % 9) for number in range(90)]
    known = cool_celsius(varied)
    assert known is not None
    assert 52 < known < 56


# ---- drift -----------------------------------------------------------------------------------------------------------


def days(figure: str, values: Sequence[float], start: int = 20_000) -> list[tuple[int, dict[str, float]]]:
    return [(start + number, {**USUAL.figures, figure: value}) for number, value in enumerate(values)]


def test_a_slow_change_that_no_single_probe_shows_is_an_alarm() -> None:
    random = Random(3)
    creeping = [100_000 * 1.006**day * random.lognormvariate(0, 0.01) for day in range(14)]
    history: list[Probe] = []
    for value in creeping:
        each = replace(USUAL, figures={**USUAL.figures, "slowest_core_ns": round(value)})
        assert judge(each, history).verdict in ("learning", "good")
        history = [each] * 20 + history
    found = drift(days("slowest_core_ns", creeping))
    assert found is not None
    assert found.figure == "slowest_core_ns"
    assert 0.05 < found.share < 0.11
    assert found.text == f"its slowest core became {found.share:.0%} slower within 13 days"
    other = drift(days("memory_ns", [value / 3 for value in creeping[::-1]]))
    assert other is not None
    assert "copying memory became" in other.text
    assert "faster" in other.text


def test_too_few_days_a_small_change_and_mere_noise_are_no_alarm() -> None:
    assert drift([]) is None
    rising = [100_000 * 1.05**day for day in range(DRIFT_LEAST)]
    assert drift(days("memory_ns", rising)) is not None
    assert drift(days("memory_ns", rising[:-1])) is None
    assert drift(days("memory_ns", [100_000 * 1.001**day for day in range(28)])) is None
    assert drift(days("memory_ns", [100_000.0] * 28)) is None
    random, alarms = Random(5), 0
    for _ in range(300):
        noise = [[value * random.lognormvariate(0, 0.05) for value in USUAL.figures.values()] for _ in range(28)]
        told = [(day, dict(zip(USUAL.figures, each, strict=True))) for day, each in enumerate(noise)]
        alarms += drift(told) is not None
    assert alarms <= 12, "of 300 boards that vary by 5 % from day to day and do not drift"


def test_a_drift_is_looked_for_in_the_last_four_weeks_alone() -> None:
    long_ago = [200_000.0] * 20 + [100_000.0] * 28
    assert drift(days("memory_ns", long_ago)) is None
