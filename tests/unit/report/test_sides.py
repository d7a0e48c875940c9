"""What pages show of several profiles: side by side, and over time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dynolab.report.html.sides import layer_sides, sides
from dynolab.report.html.trend import Mark, trend_chart
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Profile
from dynolab.testing.sample import (
    disturbed_table,
    hostile_profile,
    layer_table,
    noisy_profile,
    sample_profile,
    unmeasured_profile,
)

START = datetime(2026, 3, 14, tzinfo=UTC)


def marks(*values: int | None, trust: str = "clean", change: str = "") -> list[Mark]:
    return [
        Mark(
            START + timedelta(days=day),
            None if value is None else Range(value, value),
            None,
            trust,
            f"job {day}",
            f"/jobs/j{day}/",
            change,
            "+1 %" if change else "",
        )
        for day, value in enumerate(values)
    ]


def test_the_base_has_no_change_and_every_other_profile_has_one() -> None:
    found = sides([sample_profile(), noisy_profile(), unmeasured_profile()])
    assert found.letters == "ABC"
    for stage in found.stages:
        assert [side.letter for side in stage.times] == ["A", "B", "C"]
        assert [side.change is None for side in stage.times] == [True, False, False]
    words = [side.change.word for side in found.stages[3].times if side.change]
    assert words == ["cannot-tell", "cannot-tell"]
    assert [side.doubt and side.doubt.word for side in found.stages[3].times] == [None, "noisy", None]


def test_a_difference_of_memory_is_told_by_the_spread_over_passes() -> None:
    base = sample_profile()
    held = base.inference.memory
    assert held is not None
    close = replace(held, peak=Range(held.peak.lower, held.peak.upper + 1000))
    far = replace(held, spread=replace(held.spread, peak_upper=Range(10**9, 10**9)), peak=Range(10, 10**9))
    apart = replace(held, spread=replace(held.spread, peak_upper=Range(1, 1)), peak=close.peak)
    wide = replace(held, peak=Range(held.peak.lower, held.peak.upper + held.resolution_bytes))
    others = (close, apart, wide, far)
    profiles = [base, *(replace(base, inference=replace(base.inference, memory=one)) for one in others)]
    peaks = sides(profiles).stages[3].memory[0]
    told = [None, "unchanged", "changed", "unchanged", "changed"]
    assert [side.meaning for side in peaks] == told
    assert peaks[1].change == "+0 B, +1.00 kB"


def test_only_the_wanted_bodies_of_the_layers_are_made() -> None:
    profiles = [sample_profile(layers=layer_table(950)), sample_profile(layers=layer_table(950, seed=3))]
    whole = layer_sides(profiles)
    first, rest = (layer_sides(profiles, part) for part in (slice(2), slice(2, None)))
    assert (whole.of_chunks, whole.count) == (len(whole.chunks), first.count)
    assert first.chunks + rest.chunks == whole.chunks
    largest = [max(row.differences_ns) for chunk in whole.chunks for row in chunk]
    assert all(one >= other for one, other in pairwise(largest))


@pytest.mark.parametrize("other", [hostile_profile(), unmeasured_profile(), sample_profile(layers=layer_table(1))])
def test_what_is_missing_or_hostile_can_stand_on_either_side(other: Profile) -> None:
    for pair in ([sample_profile(), other], [other, sample_profile()], [other, other]):
        found = sides(pair)
        assert len(found.layers.counts) == 2
        assert all("<script" not in str(side.bar) for stage in found.stages for side in stage.times)


def test_a_verdict_has_a_form_of_its_own_and_a_change_its_sign() -> None:
    forms = set()
    for trust in ("clean", "noisy", "invalid"):
        chart = trend_chart(marks(100, trust=trust), kind="time_ns", label="scale")
        assert chart is not None
        forms.add(chart.picture.partition(' d="')[2].partition('"')[0])
    assert len(forms) == 3
    drawn = trend_chart(marks(100, 110, change="slower"), kind="time_ns", label="scale")
    assert drawn is not None
    assert drawn.picture.count("▲ +1 %") == 2


def test_a_scale_begins_at_zero_unless_that_hides_the_change() -> None:
    near = trend_chart(marks(1000, 1010, 990), kind="time_ns", label="scale")
    far = trend_chart(marks(1000, 10), kind="bytes", label="scale")
    assert near is not None
    assert far is not None
    assert near.start is not None
    assert 900 < near.start < 990
    assert far.start is None


def test_gaps_are_left_out_and_nothing_at_all_is_no_picture() -> None:
    assert trend_chart(marks(None, None), kind="bytes", label="scale") is None
    chart = trend_chart(marks(5, None, 6), kind="bytes", label="scale")
    assert chart is not None
    assert chart.picture.count("<path") == 2
    assert trend_chart(marks(0), kind="bytes", label="scale") is not None


def test_names_in_a_picture_are_text() -> None:
    (mark,) = marks(5)
    chart = trend_chart([replace(mark, title='"><script>')], kind="bytes", label="scale")
    assert chart is not None
    assert "<script>" not in chart.picture


def test_a_disturbed_layer_pass_blames_nobody() -> None:
    """The times stand there in their order; no difference is told, in neither direction."""
    for pair in ((layer_table(9), disturbed_table()), (disturbed_table(), layer_table(9, seed=3))):
        found = layer_sides([sample_profile(layers=table) for table in pair])
        assert len(found.disturbed) == 1
        rows = [row for chunk in found.chunks for row in chunk]
        assert all(cell.difference is None for row in rows for cell in row.cells)
        longest = [
            max(layer.time_ns for layer in row if layer) for row in zip(*(table.layers for table in pair), strict=True)
        ]
        assert found.chunks[0][0].number == longest.index(max(longest)) + 1


def test_a_large_change_of_a_layer_is_a_factor_and_one_of_few_steps_has_neither() -> None:
    base = layer_table(3)
    times = (20_000, 15_000, 1_000), (12_120_000, 16_500, 606_000)
    one, other = (
        replace(
            base,
            resolution_ns=1000,
            layers=tuple(replace(layer, time_ns=ns) for layer, ns in zip(base.layers, row, strict=True)),
        )
        for row in times
    )
    found = layer_sides([sample_profile(layers=table) for table in (one, other)])
    told = {row.number: row.cells[1].difference for chunk in found.chunks for row in chunk}
    assert told == {1: "+12.1 ms (× 606.0)", 2: "+1.50 µs (+10 %)", 3: "+605 µs"}
