"""A gate's decision: within, beyond, cannot tell; a number that is missing never passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.errors import SpecInvalid
from dynolab.spec.compare import compare, time_range
from dynolab.spec.gate import Check, Gate, Interval, Limits, Outcome, check, of_profiles
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import Profile, Trust, Verdict
from dynolab.testing.sample import noisy_profile, sample_profile

BOTH = Limits(slower=0.1, memory=0.1)


@pytest.mark.parametrize(
    ("interval", "outcome", "words"),
    [
        (Interval(1.0, 0.97, 1.04), Outcome.WITHIN, "is at most 4.0 % more, 2 ms beside 1 ms; allowed: 10.0 % more."),
        (Interval(0.8, 0.7, 0.9), Outcome.WITHIN, "is at most 10.0 % less"),
        (Interval(1.1, 1.1, 1.1), Outcome.WITHIN, "at most 10.0 % more"),
        (Interval(1.3, 1.2, 1.4), Outcome.BEYOND, "is at least 20.0 % more"),
        (Interval(1.3, 1.2, None), Outcome.BEYOND, "is at least 20.0 % more"),
        (Interval(1.1, 1.05, 1.2), Outcome.CANNOT_TELL, "is between 5.0 % more and 20.0 % more"),
        (Interval(1.0, 0.9, None), Outcome.CANNOT_TELL, "is between 10.0 % less and any amount more"),
        (None, Outcome.CANNOT_TELL, "was not measured on both sides"),
    ],
)  # fmt: skip
def test_the_interval_decides(interval: Interval | None, outcome: Outcome, words: str) -> None:
    found = check("Time", 0.1, interval, shown=("1 ms", "2 ms"))
    assert (found.outcome, words in found.sentence) == (outcome, True), found.sentence


def test_what_stands_in_the_way_is_said_and_never_passes() -> None:
    found = check("Time", 0.1, Interval(1.0, 1.0, 1.0), obstacle="b is invalid (swap was used)")
    assert (found.outcome, found.sentence) == (Outcome.CANNOT_TELL, "Time: b is invalid (swap was used).")


def outcome_of(*outcomes: Outcome) -> Outcome:
    checks = tuple(Check("x", one, "", 0.1, "", "", None, None, None) for one in outcomes)
    return Gate("m", "b", "", checks).outcome


@given(st.lists(st.sampled_from(Outcome)))
def test_all_are_within_only_if_each_is_and_there_is_one(outcomes: list[Outcome]) -> None:
    found = outcome_of(*outcomes)
    assert (found is Outcome.WITHIN) == (bool(outcomes) and set(outcomes) == {Outcome.WITHIN})
    assert (found is Outcome.BEYOND) == (Outcome.BEYOND in outcomes)


def test_a_gate_without_a_limit_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="lets everything pass") as caught:
        Limits()
    assert "--max-slower 10%" in str(caught.value.hint)


# ---- profiles --------------------------------------------------------------------------------------------------------


def slower(factor: float, *, trust: Trust = Trust.CLEAN) -> Profile:
    base = sample_profile()
    time = base.inference.time
    assert time is not None
    verdict = Verdict(trust, () if trust is Trust.CLEAN else ("swap was used",))
    upper, lower = (int(factor * ns) for ns in (time.minimum_ns, time.lower_ns or 0))
    return replace(
        base, inference=replace(base.inference, time=replace(time, verdict=verdict, minimum_ns=upper, lower_ns=lower))
    )


def held(a: Profile, b: Profile, limits: Limits = BOTH) -> dict[str, Outcome]:
    ranges = [(time_range(one), time_range(other)) for one, other in zip(a.stages, b.stages, strict=True)]
    return {one.figure: one.outcome for one in of_profiles(compare(a, b, None), ranges, limits)}


def fatter(peak: Range | None) -> Profile:
    return replace(sample_profile(), process_total_peak=peak, process_total=None)


def test_profiles_are_held_by_their_ranges() -> None:
    base = sample_profile()
    both = {"Inference time": Outcome.WITHIN, "Peak of the process": Outcome.WITHIN}
    assert held(base, base) == both
    assert held(base, slower(1.2)) == both | {"Inference time": Outcome.BEYOND}
    assert held(base, slower(1.1)) == both | {"Inference time": Outcome.CANNOT_TELL}
    assert held(base, slower(0.5)) == both
    assert held(base, noisy_profile()) == both  # its upper end is the base's: no more than that can it be
    assert held(noisy_profile(), base)["Inference time"] is Outcome.CANNOT_TELL


def test_what_is_missing_or_invalid_never_passes() -> None:
    base = sample_profile()
    assert held(base, slower(0.5, trust=Trust.INVALID))["Inference time"] is Outcome.CANNOT_TELL
    untimed = replace(base, inference=replace(base.inference, time=None))
    for pair in ((base, untimed), (untimed, base), (untimed, untimed)):
        assert held(*pair)["Inference time"] is Outcome.CANNOT_TELL
    for pair in ((base, fatter(None)), (fatter(None), base), (base, fatter(Range(0, 0)))):
        expected = Outcome.WITHIN if pair[1].process_total_peak == Range(0, 0) else Outcome.CANNOT_TELL
        assert held(*pair)["Peak of the process"] is expected


def test_memory_is_that_of_the_whole_process_and_one_pass_tells_less() -> None:
    peak = sample_profile().process_total_peak
    assert peak is not None

    def more(factor: float) -> Outcome:
        return held(fatter(peak), fatter(Range(int(peak.lower * factor), int(peak.upper * factor))))[
            "Peak of the process"
        ]

    assert [more(factor) for factor in (1.0, 1.04, 1.1, 1.2)] == [
        Outcome.WITHIN,
        Outcome.WITHIN,
        Outcome.CANNOT_TELL,
        Outcome.BEYOND,
    ]


def test_the_stages_that_were_asked_for_are_held_and_no_others() -> None:
    limits = Limits(slower=0.1, stages=(StageName.FIRST_LOAD, StageName.WARM_LOAD))
    assert list(held(sample_profile(), slower(3), limits)) == ["First load time", "Warm load time"]
    assert set(held(sample_profile(), slower(3), limits).values()) == {Outcome.WITHIN}
    assert list(held(sample_profile(), slower(3), Limits(memory=0.1))) == ["Peak of the process"]
