"""The difference of two profiles: ranges that do not meet are a change, narrow ones that meet are none, and else it cannot be told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec import codec
from dynolab.spec.answers import Answer
from dynolab.spec.compare import Comparison, StageComparison, compare, compare_stage, time_range
from dynolab.spec.compare_layers import compare_layers, layers_side_by_side
from dynolab.spec.compare_memory import MemoryComparison, Passes, end_answer
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.likeness import differing, unlike
from dynolab.spec.measurements import ComputeUnit, Layer, Range, RuntimeRow, StageName, Witnesses
from dynolab.spec.models import ModelFacts, ModelFormat
from dynolab.spec.profiles import (
    LayerTable,
    MemoryRun,
    MemorySummary,
    Plan,
    Profile,
    Request,
    RuntimeFacts,
    Spread,
    Stage,
    Tensor,
    TimingRun,
    Trust,
    Verdict,
)
from dynolab.spec.stats import summarise
from dynolab.spec.tensors import TensorSpec
from dynolab.testing.sample import sample_profile

CLEAN = Verdict(Trust.CLEAN)
Times = Sequence[Sequence[int]]
A = [[1000, 1010, 1020], [1005, 1012, 1019], [1002, 1011, 1025]]


def stage(name: StageName, times: Times, *, dropped: Times = (), verdict: Verdict = CLEAN) -> Stage:
    """A stage with one timing run per process: first tries that were dropped, then the chosen ones."""
    runs = [
        TimingRun(index, 1 if index < len(dropped) else 2, index >= len(dropped), tuple(values), (), None, Witnesses(1),
                  CLEAN)
        for index, values in enumerate([*dropped, *times])
    ]  # fmt: skip
    summary = summarise(times) if times else None
    reason = None if times else "nothing to measure"
    return Stage(name, reason, summary, reason, tuple(runs), None, "no memory pass", verdict)


def layers(*times: tuple[str, int], reason: str | None = None) -> LayerTable:
    made = tuple(Layer(name, "Conv", ComputeUnit.CPU, time_ns) for name, time_ns in times)
    return LayerTable(made, reason, sum(time_ns for _, time_ns in times), 0.1, 20, 1)


def profile(
    inference: Times,
    *,
    dropped: Times = (),
    first_load: Times = (),
    verdict: Verdict = CLEAN,
    table: LayerTable | None = None,
) -> Profile:
    return Profile(
        schema_version=1,
        dynolab_version="0.1",
        created_at="2026-01-01T00:00:00Z",
        request=Request("m.onnx", "onnxruntime", "", {}, {}, {}, 3, 1, None, None, ()),
        plan=Plan({}, {}, 20, 100, 600.0),
        device=DeviceFacts("board", "linux", "6.1", "6.1", "x86_64", None, 2, None, 4096),
        environment={},
        model=ModelFacts("m", ModelFormat.ONNX, "ab" * 32, 10),
        runtime=RuntimeFacts("onnxruntime", {"onnxruntime": "1.30"}, RuntimeRow(None, "", ""), {"threads": "2"}, ()),
        inputs=(),
        outputs=(),
        compile=stage(StageName.COMPILE, ()),
        first_load=stage(StageName.FIRST_LOAD, first_load),
        warm_load=stage(StageName.WARM_LOAD, ()),
        inference=stage(StageName.INFERENCE, inference, dropped=dropped, verdict=verdict),
        layers=table or layers(reason="not recorded"),
        runtime_import=None,
        first_inference_ns=None,
        process_total_peak=None,
        process_total_reason=None,
        harness_floor_ns=None,
        wall_ns=1,
        work_ns=1,
        notices=(),
        log="",
    )


def scaled(times: Times, factor: float) -> list[list[int]]:
    return [[round(value * factor) for value in process] for process in times]


def inference_of(comparison: Comparison) -> StageComparison:
    return next(one for one in comparison.stages if one.name is StageName.INFERENCE)


def ranged(lower: int, upper: int, *, trust: Trust | None = None, reasons: tuple[str, ...] = ()) -> Profile:
    """A profile whose inference lies in a range; its verdict follows from the width unless it is given."""
    narrow = upper - lower <= 0.03 * upper
    verdict = Verdict(
        trust or (Trust.CLEAN if narrow else Trust.NOISY), reasons or (() if narrow else ("a busy neighbour",))
    )
    base = profile([[upper, upper + 20]] * 3, verdict=verdict)
    time = base.inference.time
    assert time is not None
    time = replace(time, lower_ns=lower, verdict=verdict)
    return replace(base, schema_version=2, inference=replace(base.inference, time=time))


def both(a: Profile, b: Profile, floor: float | None = None) -> StageComparison:
    return inference_of(compare(a, b, floor))


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "answer", "word"),
    [
        ((980, 1000), (1080, 1100), Answer.CHANGED, "slower, by 8.0 % to 12.2 %"),
        ((1080, 1100), (980, 1000), Answer.CHANGED, "faster, by 7.4 % to 10.9 %"),
        ((980, 1000), (990, 1010), Answer.UNCHANGED, "a change beyond 3.1 % is excluded"),
        ((980, 1000), (1005, 1030), Answer.UNCHANGED, "is unchanged"),  # they do not meet, by less than the floor
        ((980, 1000), (900, 1000), Answer.CANNOT_TELL, "b's range is wide (a busy neighbour)"),
        ((700, 1000), (700, 1000), Answer.CANNOT_TELL, "a's range is wide (a busy neighbour) and b's range is wide"),
        ((700, 1000), (1500, 3000), Answer.CHANGED, "slower, by 50.0 % to 328.6 %"),
        ((0, 1000), (1500, 1540), Answer.CHANGED, "slower, by 50.0 % or more"),
    ],
)  # fmt: skip
def test_ranges_decide(before: tuple[int, int], after: tuple[int, int], answer: Answer, word: str) -> None:
    found = both(ranged(*before), ranged(*after))
    assert (found.answer, word in found.sentence) == (answer, True), found.sentence


@pytest.mark.parametrize("sides", [("narrow", "narrow"), ("wide", "narrow"), ("narrow", "wide"), ("wide", "wide")])
def test_noise_forbids_unchanged_and_allows_a_change_that_is_larger(sides: tuple[str, str]) -> None:
    """Of noisy pairs, those scaled by 1.1 were called unchanged and those scaled by 3 were not called changed."""

    def scaled_range(kind: str, factor: float) -> Profile:
        lower, upper = (975_000, 1_000_000) if kind == "narrow" else (750_000, 1_000_000)
        return ranged(int(lower * factor), int(upper * factor))

    answers = [both(scaled_range(sides[0], 1), scaled_range(sides[1], factor)).answer for factor in (1, 1.1, 3)]
    noisy = "wide" in sides
    first = Answer.CANNOT_TELL if noisy else Answer.UNCHANGED
    second = Answer.CANNOT_TELL if noisy and sides != ("wide", "narrow") else Answer.CHANGED
    assert answers == [first, second, Answer.CHANGED]


def test_a_range_alone_decides_and_not_the_verdict_that_a_stage_has_besides() -> None:
    """A first load that is not proven cold is noisy, and its time's range may be narrow."""
    doubt = Verdict(Trust.NOISY, ("it is not known whether the first load was cold",))
    a, b = ranged(980, 1000), ranged(1180, 1200)
    b = replace(b, inference=replace(b.inference, verdict=doubt))
    assert both(a, b).answer is Answer.CHANGED


def test_the_ratio_has_the_ends_that_both_ranges_allow_and_medians_have_none() -> None:
    found = both(ranged(900, 1000), ranged(1980, 2000))
    assert found.minimum is not None
    assert (found.minimum.value, found.minimum.lower, found.minimum.upper) == (2.0, 1.98, 2000 / 900)
    assert (found.minimum.a_ns, found.minimum.b_ns) == (1000, 2000)
    assert found.median is not None
    assert (found.median.lower, found.median.upper) == (None, None)
    open_ended = both(ranged(0, 1000), ranged(980, 1000)).minimum
    assert open_ended is not None
    assert open_ended.upper is None


def test_swapping_the_sides_swaps_the_direction() -> None:
    a, b = ranged(980, 1000), ranged(1280, 1300)
    assert (both(a, b).direction, both(b, a).direction, both(a, a).direction) == (1, -1, 0)


def test_tries_that_were_not_chosen_do_not_count() -> None:
    assert both(profile(A), profile(A, dropped=scaled(A, 0.5))) == both(profile(A), profile(A))


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("factor", [1, 1.5])
def test_an_invalid_number_decides_nothing(side: str, factor: float) -> None:
    def made(name: str, times: float) -> Profile:
        trust, reasons = (Trust.INVALID, ("swap was used",)) if name == side else (None, ())
        return ranged(int(980 * times), int(1000 * times), trust=trust, reasons=reasons)

    a, b = made("a", 1), made("b", factor)
    assert both(a, b).answer is Answer.CANNOT_TELL
    assert f"{side} is invalid (swap was used)" in both(a, b).sentence


@pytest.mark.parametrize(("a", "b", "words"), [(A, [], "b has no time (nothing to measure)"), ([], A, "a has no time"),
                                               ([[0, 5], [0, 6], [0, 7]], A, "0 ns")])  # fmt: skip
def test_what_stands_in_the_way_is_said(a: Times, b: Times, words: str) -> None:
    found = both(profile(a), profile(b))
    assert found.answer is Answer.CANNOT_TELL
    assert words in found.sentence


def test_each_stage_has_an_answer_of_its_own() -> None:
    a = profile(A, first_load=[[10_000], [10_100], [10_050]])
    b = profile(A, first_load=[[15_000], [15_100], [15_050]])
    found = {one.name: one.answer for one in compare(a, b, None).stages}
    assert found == {
        StageName.COMPILE: Answer.CANNOT_TELL,
        StageName.FIRST_LOAD: Answer.CHANGED,
        StageName.WARM_LOAD: Answer.CANNOT_TELL,
        StageName.INFERENCE: Answer.UNCHANGED,
    }


def test_a_profile_without_ranges_gets_what_its_processes_allow() -> None:
    noisy = Verdict(Trust.NOISY, ("a busy neighbour",))
    assert time_range(profile([]).inference) is None
    assert time_range(profile([[1000], [1005], [1100]]).inference) == Range(980, 1000)
    assert time_range(profile([[1000], [1050]]).inference) == Range(909, 1000)
    assert time_range(profile([[1000, 1010]]).inference) == Range(0, 1000)
    assert time_range(profile(A, verdict=noisy).inference) == Range(0, 1000)
    assert both(profile(A), profile(scaled(A, 1.2))).answer is Answer.CHANGED
    assert "one process alone" in both(profile([[1000]]), profile([[1000]])).sentence
    assert "a busy neighbour" in both(profile(A), profile(A, verdict=noisy)).sentence


# ---- floors ----------------------------------------------------------------------------------------------------------


def test_a_difference_below_the_floor_is_none() -> None:
    a, b = ranged(980, 1000), ranged(1080, 1100)
    assert both(a, b, 0.05).answer is Answer.CHANGED
    found = both(a, b, 0.1)
    assert (found.answer, found.floor) == (Answer.UNCHANGED, 0.1)
    assert "A/A floor 10.0 %" in found.sentence


def test_where_the_floor_comes_from_is_said() -> None:
    assert "differences below 2.0 % count as none" in compare(profile(A), profile(A), None).basis
    found = compare(profile(A), profile(A), {"inference": 0.5})
    assert inference_of(found).floor == 0.5
    assert "for compile, first load, warm load" in found.basis
    assert "No A/A floor" not in compare(profile(A), profile(A), 0.0).basis


@pytest.mark.parametrize("floor", [-0.1, float("nan"), float("inf"), {"inferrence": 0.1}, {"inference": -1.0}])
def test_a_senseless_floor_is_refused(floor: float | dict[str, float]) -> None:
    with pytest.raises(SpecInvalid, match="A/A floor"):
        compare(profile(A), profile(A), floor)


def test_sentences_name_the_stage_once_and_the_sides_as_asked() -> None:
    found = compare(ranged(980, 1000), ranged(1480, 1500), 0.01, names=("main", "branch"))
    assert inference_of(found).sentence == (
        "Inference is slower, by 48.0 % to 53.1 %: 0.98 - 1.00 µs in main, 1.48 - 1.50 µs in branch; A/A floor 1.0 %."
    )
    assert found.stages[0].sentence.startswith("Compile: main has no time")
    assert "main: not recorded." in found.layers.note


# ---- memory ----------------------------------------------------------------------------------------------------------


def with_peaks(*ends: tuple[int, int], trust: Trust = Trust.CLEAN) -> Profile:
    """A profile whose inference had such peaks, pass by pass."""
    lowers, uppers = sorted(low for low, _ in ends), sorted(high for _, high in ends)
    spread = Spread(Range(lowers[0], lowers[-1]), Range(uppers[0], uppers[-1]), Range(0, 0), Range(0, 0))
    middle = Range(lowers[len(ends) // 2], uppers[len(ends) // 2])
    verdict = Verdict(trust, () if trust is Trust.CLEAN else ("swap was used",))
    summary = MemorySummary(middle, Range(0, 0), spread, 4096, "smaps", (one_pass(),) * len(ends), verdict)
    base = profile(A)
    return replace(base, inference=replace(base.inference, memory=summary, memory_reason=None))


def one_pass() -> MemoryRun:
    """A pass of which only that it was there counts."""
    memory = sample_profile().inference.memory
    assert memory is not None
    return memory.runs[0]


def peak_of(a: Profile, b: Profile) -> MemoryComparison:
    return inference_of(compare(a, b, None)).memory[0]


MB = 10**6


def test_memory_is_changed_where_passes_lie_further_apart_than_those_of_one_side() -> None:
    a = with_peaks((40 * MB, 50 * MB), (40 * MB, 50 * MB), (40 * MB, 50 * MB))
    more = with_peaks(*[(40 * MB, 55 * MB)] * 3)
    found = peak_of(a, more)
    assert (found.figure, found.answer, found.direction) == ("peak", Answer.CHANGED, 1)
    assert found.sentence == "Inference memory peak is larger: 40.0 - 50.0 MB in a, 40.0 - 55.0 MB in b."
    assert found.upper is not None
    assert (found.upper.value, found.upper.lower, found.upper.upper) == pytest.approx((1.1, 1.1, 1.1))
    assert peak_of(more, a).direction == -1
    assert peak_of(a, a).answer is Answer.UNCHANGED


def test_passes_that_scatter_leave_memory_open() -> None:
    a = with_peaks((40 * MB, 50 * MB), (40 * MB, 58 * MB), (40 * MB, 66 * MB))
    found = peak_of(a, with_peaks(*[(40 * MB, 70 * MB)] * 3))
    assert found.answer is Answer.CANNOT_TELL
    assert "passes of the same side differ by as much" in found.sentence


def test_a_disturbed_memory_pass_decides_nothing() -> None:
    found = peak_of(with_peaks(*[(1, 50 * MB)] * 3), with_peaks(*[(1, 80 * MB)] * 3, trust=Trust.NOISY))
    assert found.answer is Answer.CANNOT_TELL
    assert "b is disturbed (swap was used)" in found.sentence


def test_missing_memory_has_its_reason() -> None:
    missing = inference_of(compare(with_peaks((1, 2)), profile(A), 0.01))
    assert missing.memory == ()
    assert missing.memory_reason == "b has no memory figures (no memory pass)"


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        (Passes(100, 100, 3), Passes(100, 101, 3), Answer.UNCHANGED),
        (Passes(1000, 1000, 3), Passes(1010, 1010, 3), Answer.UNCHANGED),  # below the floor
        (Passes(1000, 1000, 1), Passes(1040, 1040, 1), Answer.CANNOT_TELL),  # one pass tells no spread
        (Passes(1000, 1000, 1), Passes(1200, 1200, 1), Answer.CHANGED),
        (Passes(900, 1000, 3), Passes(1050, 1150, 3), Answer.CANNOT_TELL),
        (Passes(900, 1000, 5), Passes(1050, 1150, 5), Answer.CHANGED),
        (Passes(0, 0, 3), Passes(0, 0, 3), Answer.UNCHANGED),
        (Passes(0, 0, 3), Passes(500, 500, 3), Answer.CHANGED),
    ],
)  # fmt: skip
def test_an_end_of_memory_is_held_against_the_other_sides(a: Passes, b: Passes, answer: Answer) -> None:
    assert end_answer(a, b, 0.02, 10) is answer
    assert end_answer(b, a, 0.02, 10) is answer


def test_the_whole_process_is_compared_as_well() -> None:
    a = sample_profile()
    assert a.process_total_peak is not None
    more = replace(a, process_total_peak=Range(400 * MB, 500 * MB), process_total=None)
    found = compare(a, more, None).process_total
    assert found is not None
    assert (found.answer, found.direction) == (Answer.CHANGED, 1)
    assert found.sentence.startswith("Peak of the process is larger: ")
    assert compare(a, replace(a, process_total_peak=None), None).process_total is None


# ---- layers and the rest ---------------------------------------------------------------------------------------------


def test_what_makes_two_profiles_unlike_is_told_first() -> None:
    a = ranged(980, 1000)
    assert unlike(a, a) == ()
    old = replace(a, schema_version=1, device=replace(a.device, name="phone"))
    half = replace(
        old,
        model=replace(a.model, format=ModelFormat.TFLITE),
        runtime=replace(a.runtime, effective={"precision": "bf16"}),
    )
    assert [one.kind for one in unlike(a, half)] == ["schema", "format", "device"]
    told = replace(a, runtime=replace(a.runtime, effective={"precision": "f32"}))
    assert [one.kind for one in unlike(told, half)] == ["schema", "format", "device", "precision"]
    assert compare(a, old, None, names=("main", "branch")).unlike == (
        "Not like for like: the schema is 2 in main, and 1 in branch.",
        "Not like for like: the device is board in main, and phone in branch.",
    )


def test_layers_are_matched_by_name_in_order() -> None:
    found = compare_layers(layers(("conv", 10), ("add", 40), ("conv", 30), ("old", 1), ("tiny", 0)),
                           layers(("conv", 20), ("tiny", 3), ("conv", 15), ("add", 40), ("conv", 1)))  # fmt: skip
    assert [(one.name, one.a_ns, one.b_ns, one.ratio) for one in found.layers] == [
        ("conv", 10, 20, 2),
        ("add", 40, 40, 1),
        ("conv", 30, 15, 0.5),
        ("tiny", 0, 3, None),
    ]
    assert (found.only_a, found.only_b) == (("old",), ("conv",))
    assert "by their medians, without a verdict" in found.note


def test_names_that_a_runtime_made_up_are_matched_by_kind_and_order() -> None:
    """As ONNX Runtime numbered the layers that it added in two compilations of one model (1.32)."""

    def table(*named: tuple[str, str, int]) -> LayerTable:
        made = tuple(Layer(name, kind, ComputeUnit.CPU, ns) for name, kind, ns in named)
        return LayerTable(made, None, 1, 0.0, 20, 1)

    one = table(
        ("ReorderOutput_token_214", "ReorderOutput", 1000), ("conv", "Conv", 50), ("ReorderOutput", "ReorderOutput", 10)
    )
    other = table(
        ("ReorderOutput", "ReorderOutput", 1100), ("conv", "Conv", 50), ("ReorderOutput_token_214", "ReorderOutput", 10)
    )
    found = compare_layers(one, other)
    assert [(layer.name, layer.ratio) for layer in found.layers] == [
        ("ReorderOutput_token_214", 1.1),
        ("conv", 1),
        ("ReorderOutput", 1),
    ]
    assert (found.only_a, found.only_b) == ((), ())
    assert [row.name for row in layers_side_by_side([one, other])] == [
        "ReorderOutput_token_214",
        "conv",
        "ReorderOutput",
    ]


def test_a_time_of_few_steps_has_no_ratio() -> None:
    """A reorder of 1 us by a clock of 1 us, beside 1.7 ms, is not 1741 times as fast."""
    one, other = layers(("reorder", 1_000), ("conv", 10_000)), layers(("reorder", 1_741_000), ("conv", 12_000))
    coarse = [replace(table, resolution_ns=1000) for table in (one, other)]
    assert [layer.ratio for layer in compare_layers(*coarse).layers] == [None, 1.2]
    assert [layer.ratio for layer in compare_layers(*reversed(coarse)).layers] == [None, pytest.approx(1 / 1.2)]


def test_a_disturbed_table_is_held_against_none() -> None:
    calm, disturbed = layers(("conv", 1000)), replace(layers(("conv", 3000)), overhead=9.42)
    for pair in ((calm, disturbed), (disturbed, calm), (disturbed, disturbed)):
        found = compare_layers(*pair)
        assert found.is_disturbed
        assert [layer.ratio for layer in found.layers] == [None]
        assert "disturbed" in found.note
    assert not compare_layers(calm, calm).is_disturbed


def test_missing_layers_are_explained() -> None:
    found = compare(profile(A), profile(A, table=layers(("conv", 1))), 0.01).layers
    assert "a: not recorded" in found.note
    assert found.only_b == ("conv",)


def test_layers_of_several_tables_stand_side_by_side_matched_in_order() -> None:
    tables = [
        layers(("conv", 5), ("conv", 7), ("old", 1)),
        layers(("conv", 6), ("new", 2)),
        layers(("new", 3), ("conv", 5), ("conv", 9)),
    ]
    found = layers_side_by_side(tables)
    told = [(row.number, row.name, [layer and layer.time_ns for layer in row.layers]) for row in found]
    assert told == [
        (1, "conv", [5, 6, 5]),
        (2, "conv", [7, None, 9]),
        (3, "old", [1, None, None]),
        (4, "new", [None, 2, 3]),
    ]
    assert [row.differences_ns for row in found] == [(1, 0), (-7, 2), (-1, -1), (2, 3)]
    assert layers_side_by_side([layers(), layers()]) == []


@pytest.mark.parametrize(("factor", "direction"), [(1.2, 1), (0.8, -1), (1.0, 0)])
def test_a_stage_alone_is_judged_as_in_the_whole_and_tells_its_direction(factor: float, direction: int) -> None:
    a, b = profile(A), profile(scaled(A, factor))
    found = compare_stage(a.inference, b.inference)
    assert found == inference_of(compare(a, b, None))
    assert found.direction == direction


def test_only_what_differs_among_several_is_listed_with_each_ones_value() -> None:
    a = profile(A)
    b = replace(a, runtime=replace(a.runtime, effective={"threads": "4", "device": "GPU"}))
    c = replace(a, device=replace(a.device, name="phone"))
    assert dict(differing([a, b, c])) == {
        "device": (a.device.name, a.device.name, "phone"),
        "threads": ("2", "4", "2"),
        "device in effect": ("none", "GPU", "none"),
    }
    assert differing([a, a]) == []


def test_inputs_of_another_shape_or_from_elsewhere_are_told() -> None:
    a = profile(A)
    fed = Tensor(TensorSpec("x", "float32", (1, 3)), "random uniform [0, 1), seed 1")
    b, c = (replace(a, inputs=(one,)) for one in (fed, replace(fed, source="x.npy")))
    assert differing([b, c]) == [
        ("input x", ("float32 [1, 3], random uniform [0, 1), seed 1", "float32 [1, 3], x.npy"))
    ]
    assert ("input x", ("none", "float32 [1, 3], x.npy")) in differing([replace(a, inputs=()), c])


def test_everything_else_that_differs_is_listed() -> None:
    a = profile(A)
    b = replace(
        a,
        device=replace(a.device, name="phone"),
        runtime=replace(a.runtime, versions={"onnxruntime": "1.31"}, effective={"threads": "4", "arena": "off"}),
        request=replace(a.request, options="--compute_unit cpu"),
    )
    text = "\n".join(compare(a, b, 0.01).differences)
    for words in ("board against phone", "1.30 against 1.31", "threads: 2 against 4", "arena: none against off",
                  "none against --compute_unit cpu"):  # fmt: skip
        assert words in text
    assert compare(a, a, 0.01).differences == ()


def test_a_comparison_can_be_written_down() -> None:
    found = compare(profile(A), profile(scaled(A, 1.2)), None)
    assert codec.decode(Comparison, json.loads(json.dumps(codec.encode(found)))) == found
