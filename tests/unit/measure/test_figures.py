"""What a campaign's runs add up to: the words of a verdict fit its outcome."""

from __future__ import annotations

from dataclasses import replace

from dynolab.measure import environment, figures, verdict
from dynolab.measure.campaign_messages import Before, Measured
from dynolab.measure.protocol import PROTOCOL_VERSION, InputPlan, Inspection
from dynolab.spec import requirements
from dynolab.spec.measurements import ComputeUnit, Layer, LoopWindow, StageName, Witnesses
from dynolab.spec.models import Description
from dynolab.spec.profiles import ColdProof, LayerTable, TimingRun, Trust, Verdict
from dynolab.spec.tensors import TensorSpec


def measured(*loops: tuple[int, ...], cold: tuple[ColdProof, ...] = ()) -> Measured:
    """A campaign that ran the loop, or the first load, in so many processes."""
    judged = [Verdict(Trust.CLEAN)] * len(loops) if not cold else [verdict.judge_cold(proof) for proof in cold]
    stage = StageName.FIRST_LOAD if cold else StageName.INFERENCE
    runs = tuple(
        TimingRun(number, 1, True, values, (), None if cold else 1, Witnesses(1), trust, (LoopWindow(len(values), 1),))
        for number, (values, trust) in enumerate(zip(loops, judged, strict=True), 1)
    )
    none = environment.device_facts()
    return Measured(PROTOCOL_VERSION, None, "", 1, 1, none, {}, {}, timing={stage: runs}, cold=cold)


def test_a_record_of_the_same_model_is_the_lower_end() -> None:
    seen = measured((2_000_000,) * 3, (2_010_000,) * 3)
    stage = figures._stage(seen, StageName.INFERENCE, None, Before(1_500_000, "2026-03-14"))
    assert stage.time is not None
    assert (stage.time.lower_ns, stage.time.minimum_ns) == (1_500_000, 2_000_000)
    assert stage.verdict.trust is Trust.NOISY
    assert stage.verdict.reasons == ("this device ran the same model in 1.50 ms on 2026-03-14",)


def test_a_record_inside_the_range_changes_nothing() -> None:
    seen = measured((2_000_000,) * 3, (2_010_000,) * 3)
    alone = figures._stage(seen, StageName.INFERENCE, None)
    assert figures._stage(seen, StageName.INFERENCE, None, Before(1_990_000, "2026-03-14")) == alone
    assert figures._stage(seen, StageName.INFERENCE, None, Before(3_000_000, "2026-03-14")) == alone
    assert alone.verdict.trust is Trust.CLEAN


def test_a_narrow_range_on_an_emulated_device_is_not_clean() -> None:
    seen = measured((2_000_000,) * 3, (2_010_000,) * 3)
    emulated = replace(seen, environment={"emulation": "emulated: its CPU calls itself QEMU TCG CPU"})
    stage = figures._stage(emulated, StageName.INFERENCE, None)
    assert stage.time is not None
    assert stage.time == replace(figures._stage(seen, StageName.INFERENCE, None).time, verdict=stage.time.verdict)
    assert (stage.verdict.trust, stage.time.verdict) == (Trust.NOISY, stage.verdict)
    assert stage.verdict.reasons[0].startswith("the device is emulated: its CPU")
    assert requirements.why_wide(stage.verdict) == f"The stage is noisy: {stage.verdict.reasons[0]}."


def test_a_load_that_was_not_cold_does_not_count_where_others_were() -> None:
    cold, warm = (ColdProof(not bytes_, "", bytes_, 100, None, None, None) for bytes_ in (0, 50))
    seen = measured((100,), (70,), (101,), cold=(cold, warm, cold))
    stage = figures._stage(seen, StageName.FIRST_LOAD, None)
    assert stage.time is not None
    assert stage.time.minimum_ns == 100
    assert [run.chosen for run in stage.timing_runs] == [True, False, True]
    assert stage.cold == cold
    assert stage.verdict.trust is Trust.CLEAN
    never = figures._stage(measured((100,), (70,), cold=(warm, warm)), StageName.FIRST_LOAD, None)
    assert never.time is not None
    assert (never.time.minimum_ns, never.verdict.trust) == (70, Trust.INVALID)


def test_an_empty_input_is_said_loudly() -> None:
    plan = InputPlan(TensorSpec("past", "float32", (1, 0, 4)), 0.0, 1.0)
    found = figures._empty(Inspection(Description((), ()), (plan,), (), (), compiles=False))
    assert [(notice.level, "'past'" in notice.text, "[1, 0, 4]" in notice.text) for notice in found] == [
        ("loud", True, True)
    ]


def test_layers_that_ran_elsewhere_than_on_the_unit_asked_for_are_said_loudly() -> None:
    cpu, gpu, npu = (ComputeUnit.CPU, ComputeUnit.GPU, ComputeUnit.NPU)
    layers = (Layer("a", "Conv", cpu, 30), Layer("b", "Conv", gpu, 60), Layer("c", "Conv", gpu, 10))
    found = LayerTable(layers, None, 100, 0.0, 10, 1)

    def said(*requested: ComputeUnit, table: LayerTable = found) -> list[str]:
        notices = figures._fallbacks(table, requested)
        assert all(notice.level == "loud" for notice in notices)
        return [" ".join(notice.text.split()[:3]) for notice in notices]

    assert said(gpu, cpu) == said(gpu) == ["1 of 3"]
    assert said(cpu, gpu) == ["2 of 3"]
    assert said(npu, cpu, gpu) == ["3 of 3"]
    assert said() == [], "nothing was asked for"
    assert said(gpu, table=replace(found, layers=layers[1:])) == []
    assert said(npu, table=replace(found, reason="there was no layer pass")) == []
