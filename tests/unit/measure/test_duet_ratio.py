"""What a duet decides by, on windows that are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import log
from pathlib import Path
from random import Random

import pytest

from dynolab.measure import duet_figures, duet_ratio
from dynolab.spec.answers import Answer
from dynolab.spec.duets import DuetPair, DuetTerms, DuetWindow, Ratio

WINDOWS = 12


def pair(random: Random, factor: float, noise: float, spell: Callable[[int], float] = lambda _: 1.0) -> DuetPair:
    """A B B A A B ..., each window of some iterations; ``spell`` is what both sides suffer at that moment."""
    windows = []
    for at in range(WINDOWS):
        for side in "ab" if at % 2 == 0 else "ba":
            base = 1e6 * (factor if side == "b" else 1.0) * spell(at) * random.uniform(1, 1 + noise)
            values = tuple(int(base * random.uniform(1, 1.3)) for _ in range(10))
            windows.append(DuetWindow(side, 5_000_000, (*values, int(base))))
    return DuetPair("a", tuple(windows))


def pairs(count: int, factor: float, noise: float, *, seed: int = 1) -> list[DuetPair]:
    random = Random(seed)
    return [pair(random, factor, noise) for _ in range(count)]


def found(given: list[DuetPair]) -> Ratio:
    ratio = duet_ratio.ratio(duet_ratio.of_pairs(given), seed=1)
    assert ratio is not None
    return ratio


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.2, 3.0])
def test_the_interval_holds_the_ratio_and_narrows_with_pairs(factor: float) -> None:
    few, many = found(pairs(5, factor, 0.1)), found(pairs(30, factor, 0.1))
    for ratio in (few, many):
        assert ratio.lower <= factor <= ratio.upper
        assert ratio.lower <= ratio.value <= ratio.upper
    assert many.upper / many.lower < few.upper / few.lower


def test_four_pairs_are_too_few() -> None:
    assert duet_ratio.ratio(duet_ratio.of_pairs(pairs(4, 2.0, 0.0)), seed=1) is None
    assert duet_ratio.answer(None, 0.02) is Answer.CANNOT_TELL
    assert not duet_ratio.is_decided(None, 0.02, 0.1)


def test_a_spell_that_lasts_longer_than_a_window_hits_both() -> None:
    """Half of each pair ran at half the speed: neighbours do not know it, minima of sides would not either, medians would."""
    random = Random(3)
    slow = [pair(random, 1.1, 0.02, lambda at: 2.0 if at < WINDOWS // 2 else 1.0) for _ in range(5)]
    ratio = found(slow)
    assert abs(ratio.value - 1.1) < 0.02
    assert ratio.upper / ratio.lower < 1.05


def test_the_first_iteration_of_a_window_does_not_count() -> None:
    windows = [DuetWindow(side, 1 if side == "a" else 10**9, (1000, 1000)) for side in "abba"]
    ratio = found([DuetPair("a", tuple(windows))] * 5)
    assert (ratio.lower, ratio.value, ratio.upper) == (1, 1, 1)


def test_windows_are_taken_with_their_neighbours_whichever_came_first() -> None:
    windows = [DuetWindow(side, 1, (ns,)) for side, ns in (("a", 10), ("b", 20), ("b", 60), ("a", 30), ("a", 7))]
    couples = [(one.values_ns[0], other.values_ns[0]) for one, other in duet_ratio.neighbours(windows)]
    assert couples == [(10, 20), (30, 60)]


def test_the_same_windows_and_seed_give_the_same_interval() -> None:
    given = duet_ratio.of_pairs(pairs(6, 1.1, 0.2))
    assert duet_ratio.ratio(given, seed=5) == duet_ratio.ratio(given, seed=5)


@pytest.mark.parametrize(
    ("lower", "upper", "floor", "answer"),
    [
        (1.03, 1.10, 0.02, Answer.CHANGED),
        (1.01, 1.10, 0.02, Answer.CANNOT_TELL),
        (0.99, 1.01, 0.02, Answer.UNCHANGED),
        (0.99, 1.03, 0.02, Answer.CANNOT_TELL),
        (0.80, 0.97, 0.02, Answer.CHANGED),
        (0.80, 0.985, 0.02, Answer.CANNOT_TELL),
        (1.03, 1.10, 0.05, Answer.CANNOT_TELL),
        (1.03, 1.04, 0.05, Answer.UNCHANGED),
        (1.001, 1.002, 0.0, Answer.CHANGED),
    ],
)
def test_changed_is_what_lies_beyond_the_floor(lower: float, upper: float, floor: float, answer: Answer) -> None:
    assert duet_ratio.answer(Ratio((lower + upper) / 2, lower, upper), floor) is answer


@pytest.mark.parametrize(
    ("lower", "upper", "decided"), [(1.11, 1.3, True), (0.9, 1.10, True), (1.05, 1.15, False), (1.0, 1.101, False)]
)
def test_a_limit_is_decided_on_either_side_of_it(lower: float, upper: float, decided: bool) -> None:
    assert duet_ratio.is_decided(Ratio(1.1, lower, upper), 0.02, 0.10) is decided


def test_no_slower_at_all_is_a_limit() -> None:
    DuetTerms(limit=0.0).check()
    assert duet_ratio.is_decided(Ratio(0.95, 0.9, 0.99), 0.02, 0.0)
    assert not duet_ratio.is_decided(Ratio(1.0, 0.99, 1.01), 0.02, 0.0)


RECORDED = Path(__file__).parents[2] / "data" / "duet_of_the_same.json"
"""Ratios of neighbouring windows of a 1.1 ms model against itself: 45 pairs of processes, beside up to six busy processes on two CPUs."""


def replayed(duets: int, factor: float) -> list[Answer]:
    """The answers of duets drawn from the recorded pairs, either side taken for A; looked at after five, seven and ten pairs."""
    recorded = [[log(one) for one in pair] for pair in json.loads(RECORDED.read_text(encoding="utf-8"))]
    random, answers = Random(11), []
    for number in range(duets):
        drawn = [(random.choice((-1, 1)), pair) for pair in random.sample(recorded, 10)]
        groups = [[sign * one + log(factor) for one in pair] for sign, pair in drawn]
        looks = (duet_ratio.ratio(groups[:count], number, resamples=200) for count in (5, 7, 10))
        found = [duet_ratio.answer(ratio, 0.02) for ratio in looks]
        answers.append(next((one for one in found if one is not Answer.CANNOT_TELL), Answer.CANNOT_TELL))
    return answers


def test_false_alarms_of_recorded_pairs_are_below_one_percent() -> None:
    assert replayed(200, 1.0).count(Answer.CHANGED) <= 2


def test_a_fifth_more_is_found_in_recorded_pairs() -> None:
    assert replayed(100, 1.2).count(Answer.CHANGED) >= 95


def test_the_sentence_tells_direction_and_ends() -> None:
    slower = duet_figures.sentence(Ratio(1.123, 1.109, 1.138), Answer.CHANGED, 0.02)
    faster = duet_figures.sentence(Ratio(0.8, 0.75, 0.9), Answer.CHANGED, 0.02)
    assert slower == "B is 12.3 % slower (10.9 - 13.8 %)"
    assert faster == "B is 20.0 % faster (10.0 - 25.0 %)"
    times = duet_figures.sentence(Ratio(21.12, 9.2, 25.3), Answer.CHANGED, 0.02)
    assert times == "B takes 21.1 times as long (9.20 - 25.3)"
    same = duet_figures.sentence(Ratio(1.0, 0.992, 1.009), Answer.UNCHANGED, 0.02)
    assert same == "B is as fast as A (-0.8 % to +0.9 %, which is within 2 %)"
    unknown = duet_figures.sentence(Ratio(1.0, 0.9, 1.1), Answer.CANNOT_TELL, 0.02)
    assert unknown == "B cannot be told from A (-10.0 % to +10.0 %)"
