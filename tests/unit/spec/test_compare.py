"""The difference of two profiles: changes are found, noise is not called a change, and doubts are spelled out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import log
from random import Random

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec import codec
from dynolab.spec.compare import (
    Answer,
    Comparison,
    StageComparison,
    aa_floor,
    compare,
    compare_layers,
    compare_stage,
    differing,
    layers_side_by_side,
)
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.measurements import ComputeUnit, Layer, Range, RuntimeRow, StageName, Witnesses
from dynolab.spec.models import ModelFacts, ModelFormat
from dynolab.spec.profiles import (
    LayerTable,
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


def memory(peak: Range, increase: Range) -> MemorySummary:
    nothing = Range(0, 0)
    return MemorySummary(peak, increase, Spread(nothing, nothing, nothing, nothing), 0, "none", ())


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


def judged(a: Times, b: Times, floor: float | None = 0.01) -> StageComparison:
    return inference_of(compare(profile(a), profile(b), floor))


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "word"), [(1.2, "slower"), (0.8, "faster")])
def test_a_clear_difference_is_a_change_with_its_direction_and_ratio(factor: float, word: str) -> None:
    found = judged(A, scaled(A, factor))
    assert found.answer is Answer.CHANGED
    assert word in found.sentence
    assert found.minimum is not None
    assert found.median is not None
    for ratio in (found.minimum, found.median):
        assert ratio.value == pytest.approx(factor, rel=0.002)
        assert ratio.lower is not None
        assert ratio.upper is not None
        assert ratio.lower <= ratio.value <= ratio.upper
        assert ratio.upper - ratio.lower < 0.05


def test_the_same_profile_is_unchanged_and_its_interval_is_not_a_point() -> None:
    found = judged(A, A)
    assert found.answer is Answer.UNCHANGED
    assert "excluded" in found.sentence
    assert found.median is not None
    assert found.median.lower is not None
    assert found.median.upper is not None
    assert found.median.lower < 1 < found.median.upper


def test_a_change_below_the_floor_is_none() -> None:
    assert judged(A, scaled(A, 1.05), floor=0.01).answer is Answer.CHANGED
    assert judged(A, scaled(A, 1.05), floor=0.06).answer is Answer.UNCHANGED


def test_swapping_the_sides_swaps_the_direction() -> None:
    there, back = judged(A, scaled(A, 1.3)), judged(scaled(A, 1.3), A)
    assert there.answer is back.answer is Answer.CHANGED
    assert there.minimum is not None
    assert back.minimum is not None
    assert log(there.minimum.value) == pytest.approx(-log(back.minimum.value))


def test_tries_that_were_not_chosen_do_not_count() -> None:
    a, b = profile(A), profile(A, dropped=scaled(A, 0.5))
    assert inference_of(compare(a, b, 0.01)) == inference_of(compare(a, profile(A), 0.01))


def test_the_answer_is_repeatable() -> None:
    assert compare(profile(A), profile(scaled(A, 1.02)), None) == compare(profile(A), profile(scaled(A, 1.02)), None)


def test_processes_that_disagree_leave_the_question_open() -> None:
    found = judged([[1000], [1100], [1300]], [[1010], [1220], [1350]])
    assert found.answer is Answer.CANNOT_TELL
    assert "could hide" in found.sentence


def test_minimum_and_median_must_agree() -> None:
    found = judged([[1000, 2000, 2000]] * 3, [[1500, 2000, 2000]] * 3)
    assert found.answer is Answer.CANNOT_TELL
    assert "do not agree" in found.sentence


@pytest.mark.parametrize(("a", "b", "words"), [([A[0]], A, "1 and 3"), ([[1], [2]], A, "2 and 3"), (A, [], "b has no time (nothing to measure)"),
                                               ([], A, "a has no time"), ([[0, 5], [0, 6], [0, 7]], A, "0 ns")])  # fmt: skip
def test_what_stands_in_the_way_is_said(a: Times, b: Times, words: str) -> None:
    found = judged(a, b)
    assert found.answer is Answer.CANNOT_TELL
    assert words in found.sentence


def test_one_process_gives_a_ratio_without_an_interval() -> None:
    found = judged([[1000, 1100]], [[2000, 2200]])
    assert found.minimum is not None
    assert (found.minimum.value, found.minimum.lower, found.minimum.upper) == (2, None, None)


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_noisy_stage_does_not_prove_a_change_but_an_invalid_one_tells_nothing(side: str) -> None:
    def answer(trust: Trust, factor: float) -> StageComparison:
        verdict = Verdict(trust, ("swap was used",))
        a = profile(A, verdict=verdict if side == "a" else CLEAN)
        return inference_of(compare(a, profile(scaled(A, factor), verdict=verdict if side == "b" else CLEAN), 0.01))

    for trust, factor in ((Trust.NOISY, 1.5), (Trust.INVALID, 1.5), (Trust.INVALID, 1)):
        assert answer(trust, factor).answer is Answer.CANNOT_TELL
        assert f"{side} is {trust} (swap was used)" in answer(trust, factor).sentence
    assert answer(Trust.NOISY, 1).answer is Answer.UNCHANGED


def test_loads_with_one_value_per_process_are_judged_too() -> None:
    a = profile(A, first_load=[[10_000], [10_100], [10_050]])
    b = profile(A, first_load=[[15_000], [15_100], [15_050]])
    found = {one.name: one.answer for one in compare(a, b, None).stages}
    assert found == {
        StageName.COMPILE: Answer.CANNOT_TELL,
        StageName.FIRST_LOAD: Answer.CHANGED,
        StageName.WARM_LOAD: Answer.CANNOT_TELL,
        StageName.INFERENCE: Answer.UNCHANGED,
    }


# ---- floors ----------------------------------------------------------------------------------------------------------


def test_without_a_floor_the_processes_own_spread_is_it() -> None:
    spread_out = [[1000, 1010, 1020], [1040, 1050, 1060], [1020, 1030, 1040]]
    found = judged(spread_out, scaled(spread_out, 1.05), None)
    assert found.floor == pytest.approx(log(1060 / 1020), rel=0.1)
    assert found.answer is not Answer.CHANGED
    assert judged(spread_out, scaled(spread_out, 1.3), None).answer is Answer.CHANGED
    assert "No A/A floor was given" in compare(profile(A), profile(A), None).basis


@pytest.mark.parametrize("floor", [-3.0, float("nan"), float("inf")])
def test_a_floor_that_cannot_be_says_what_one_is(floor: float) -> None:
    with pytest.raises(SpecInvalid, match="a number from 0 on is needed") as caught:
        compare(profile(A), profile(A), floor)
    assert caught.value.hint == "0.02 is about 2 %"


def test_sentences_name_the_stage_once_and_the_sides_as_asked() -> None:
    noisy = profile(scaled(A, 1.5), verdict=Verdict(Trust.NOISY, ("swap was used",)))
    found = compare(profile(A), noisy, 0.01, names=("main", "branch"))
    inference = inference_of(found)
    assert inference.sentence.startswith(
        "Inference looks changed, but branch is noisy (swap was used) (minimum +50.0 %"
    )
    assert found.stages[0].sentence.startswith("Compile: main has no time")
    assert "main: not recorded." in found.layers.note
    assert inference.minimum is not None
    assert (inference.minimum.a_ns, inference.minimum.b_ns) == (1000, 1500)


def test_a_floor_may_be_given_for_some_stages() -> None:
    found = compare(profile(A), profile(A), {"inference": 0.5})
    assert inference_of(found).floor == 0.5
    assert "for compile, first load, warm load" in found.basis
    assert "No A/A floor" not in compare(profile(A), profile(A), 0.0).basis


@pytest.mark.parametrize("floor", [-0.1, float("nan"), float("inf"), {"inferrence": 0.1}, {"inference": -1.0}])
def test_a_senseless_floor_is_refused(floor: float | dict[str, float]) -> None:
    with pytest.raises(SpecInvalid, match="A/A floor"):
        compare(profile(A), profile(A), floor)


def test_the_aa_floor_is_the_largest_difference_of_any_two_repeats() -> None:
    repeats = [profile(scaled(A, factor), first_load=[[50]]) for factor in (1, 1.05, 0.98)]
    floors = aa_floor(repeats)
    assert floors["inference"] == pytest.approx(log(1.05 / 0.98), rel=0.02)
    assert floors["first_load"] == 0
    assert set(floors) == {"first_load", "inference"}
    assert aa_floor(repeats[::-1]) == floors
    assert inference_of(compare(repeats[2], repeats[1], floors)).answer is not Answer.CHANGED


def test_the_aa_floor_sees_medians_too() -> None:
    floors = aa_floor([profile([[100, 200, 200]]), profile([[100, 300, 300]])])
    assert floors == {"inference": pytest.approx(log(1.5))}


def test_an_aa_floor_of_different_things_is_refused() -> None:
    other = replace(profile(A), device=replace(profile(A).device, name="phone"))
    with pytest.raises(SpecInvalid, match="phone"):
        aa_floor([profile(A), other])
    with pytest.raises(SpecInvalid, match="two profiles"):
        aa_floor([profile(A)])


def test_repeats_of_the_same_thing_are_rarely_called_changed() -> None:
    random = Random(20)

    def measured() -> Times:
        # Each process has a luck of its own (1 %), each iteration a delay (5 % on average), as real loops have.
        lucks = [random.gauss(1, 0.01) for _ in range(3)]
        return [[round(1e6 * luck * (1 + random.expovariate(20))) for _ in range(20)] for luck in lucks]

    wrong = sum(judged(measured(), measured(), None).answer is Answer.CHANGED for _ in range(25))
    assert wrong <= 1
    found = sum(judged(measured(), scaled(measured(), 1.2), None).answer is Answer.CHANGED for _ in range(25))
    assert found >= 20


# ---- memory, layers and the rest -------------------------------------------------------------------------------------


def test_memory_differences_are_per_end() -> None:
    a, b = profile(A), profile(A)
    a = replace(a, inference=replace(a.inference, memory=memory(Range(10, 50), Range(5, 20)), memory_reason=None))
    b = replace(b, inference=replace(b.inference, memory=memory(Range(30, 40), Range(5, 60)), memory_reason=None))
    found = inference_of(compare(a, b, 0.01))
    assert found.memory is not None
    assert (found.memory.peak_lower_bytes, found.memory.peak_upper_bytes) == (20, -10)
    assert (found.memory.increase_lower_bytes, found.memory.increase_upper_bytes) == (0, 40)
    missing = inference_of(compare(a, profile(A), 0.01))
    assert missing.memory is None
    assert missing.memory_reason == "b has no memory figures (no memory pass)"


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
