"""Memory of two sides by the spread over their passes."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from dynolab.measure.campaign_messages import Measured
from dynolab.measure.duet_memory_ratio import End, figures
from dynolab.spec.answers import Answer
from dynolab.spec.duets import Ratio
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Trust, Verdict
from dynolab.testing.sample import sample_profile

MB = 10**6
RESOLUTION = 400_000


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        ((100, 100, 101), (110, 110, 111), Answer.CHANGED),
        ((110, 110, 111), (100, 100, 101), Answer.CHANGED),
        ((100, 100, 101), (100, 101, 101), Answer.UNCHANGED),
        ((100, 105, 110), (104, 108, 112), Answer.CANNOT_TELL),
        ((100, 104, 108), (120, 124, 128), Answer.CANNOT_TELL),  # apart by no more than passes of a side may be
        ((100, 102, 104, 106, 108), (120, 122, 124, 126, 128), Answer.CHANGED),  # but not once in 126
        ((100,), (200,), Answer.CHANGED),
        ((0, 0), (0, 0), Answer.UNCHANGED),
        ((0, 0), (3, 3), Answer.CHANGED),
    ],
)
def test_answers(a: tuple[int, ...], b: tuple[int, ...], answer: Answer) -> None:
    end = End(tuple(one * MB for one in a), tuple(one * MB for one in b))
    assert end.answer(0.02, RESOLUTION) is answer


def test_what_the_reading_does_not_resolve_is_no_change() -> None:
    assert End((100_000,) * 3, (400_000,) * 3).answer(0.02, RESOLUTION) is Answer.UNCHANGED


def test_the_ratio_spans_what_the_passes_allow() -> None:
    ratio = End((100, 102, 104), (110, 112, 114)).ratio
    assert ratio is not None
    assert (ratio.lower, ratio.value, ratio.upper) == (110 / 104, 112 / 102, 114 / 100)
    assert End((0, 5), (5, 5)).ratio is None


def test_passes_of_the_same_thing_are_seldom_called_changed() -> None:
    """Three to six passes, until it is told, that vary by 5 %."""
    random, alarms = Random(1), 0
    for _ in range(1000):
        a, b = ([int(100 * MB * (1 + random.uniform(-0.05, 0.05))) for _ in range(6)] for _ in "ab")
        answers = (End(tuple(a[:n]), tuple(b[:n])).answer(0.02, RESOLUTION) for n in range(3, 7))
        alarms += next((one for one in answers if one is not Answer.CANNOT_TELL), None) is Answer.CHANGED
    assert alarms <= 10


def measured(*peaks: int, disturbed: int = 0, wide: int = 0) -> Measured:
    """A side with a memory pass of the inference for each peak in MB, from there ``wide`` MB up; the first ones disturbed."""
    profile = sample_profile()
    assert profile.inference.memory is not None
    run, noisy = profile.inference.memory.runs[0], Verdict(Trust.NOISY, ("tasks waited for memory",))
    clean = Verdict(Trust.CLEAN, ())
    runs = tuple(
        replace(run, peak_raw=Range(one * MB, (one + wide) * MB), verdict=noisy if at < disturbed else clean)
        for at, one in enumerate(peaks)
    )
    memory = {"inference": runs}
    return Measured(1, None, "", 0, 0, profile.device, {}, {}, memory=memory, memory_resolution_bytes=RESOLUTION)


def test_disturbed_passes_are_left_out_where_there_are_others() -> None:
    peak, _ = figures(measured(500, 100, 100, disturbed=1), measured(130, 130, 130), 0.02)
    assert (peak.answer, peak.a, peak.reason) == (Answer.CHANGED, Range(100 * MB, 100 * MB), None)
    assert len(peak.a_runs) == 2


def test_of_two_ends_the_smaller_difference_is_told_first() -> None:
    peak, _ = figures(measured(100, 100, 100, wide=20), measured(130, 130, 130, wide=10), 0.02)
    assert (peak.answer, peak.sentence) == (Answer.CHANGED, "20.0 MB more to 30.0 MB more")


def test_one_undisturbed_pass_is_too_few() -> None:
    peak, _ = figures(measured(100, 100, 100, disturbed=2), measured(130, 130, 130), 0.02)
    assert peak.answer is Answer.CANNOT_TELL
    assert peak.reason == "tasks waited for memory"
    assert "tasks waited for memory" in peak.sentence


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ((100, 0), (150, 0), "50.0 MB more"),
        ((150, 0), (100, 0), "50.0 MB less"),
        ((100, 40), (130, 0), "10.0 MB less to 30.0 MB more"),
    ],
)
def test_a_change_is_told_as_what_b_has_more_or_less_than_a(
    a: tuple[int, int], b: tuple[int, int], sentence: str
) -> None:
    sides = (measured(*[size] * 3, wide=wide) for size, wide in (a, b))
    peak, _ = figures(*sides, 0.02)
    assert (peak.answer, peak.sentence) == (Answer.CHANGED, sentence)


def test_a_pass_that_held_less_than_before_counts_as_none() -> None:
    """What a stage gives back is no ratio's denominator."""
    peak, _ = figures(measured(-5, -5, -5), measured(30, 30, 30), 0.02)
    assert (peak.answer, peak.lower, peak.upper) == (Answer.CHANGED, None, None)
    peak, _ = figures(measured(30, 30, 30), measured(-5, -5, -5), 0.02)
    assert peak.answer is Answer.CHANGED
    assert peak.lower == peak.upper == Ratio(0.0, 0.0, 0.0)
