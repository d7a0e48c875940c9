"""Verdicts: on the width of a range, and on the conditions of a definition; breaking one further never gives a better one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.errors import Bug
from dynolab.measure.time_range import TimeRange
from dynolab.measure.verdict import combine, judge_cold, judge_conditions, judge_device, judge_memory, judge_time
from dynolab.measure.verdict_rules import percent
from dynolab.spec.measurements import Witnesses
from dynolab.spec.profiles import NARROW, RANKS, ColdProof, Trust, Verdict

CALM = Witnesses(
    wall_ns=250_000_000,
    grown={
        "pressure.memory_some_us": 0.0,
        "faults.read_bytes": 0.0,
        "faults.block_input_bytes": 0.0,
        "swap.pages_in": 0.0,
        "swap.pages_out": 0.0,
        "cpu_quota.throttled_periods": 0.0,
    },
    before={"thermal.max_celsius": 60.0, "thermal.cooling_state": 0.0, "swap.own_bytes": 0.0},
    after={"thermal.max_celsius": 64.0, "thermal.cooling_state": 0.0, "swap.own_bytes": 0.0},
)


def changed(*, before: bool = True, **values: float) -> Witnesses:
    """A calm pass with other values: names with ``__`` for the dot; gauges on both sides unless ``before`` is False."""
    grown, left, right = dict(CALM.grown), dict(CALM.before), dict(CALM.after)
    for name, value in values.items():
        key = name.replace("__", ".")
        if key in right or "thermal" in key:
            right[key] = value
            left[key] = value if before else 0.0
        else:
            grown[key] = value
    return replace(CALM, grown=grown, before=left, after=right)


def test_a_pass_that_kept_all_conditions_is_clean() -> None:
    found = judge_conditions(CALM, warm=True)
    assert (found.trust, found.reasons) == (Trust.CLEAN, ())
    assert {name for name, value in found.readings.items() if value is None} == {
        "firmware_throttled",
        "gpu_held_back",
        "quota_share",
    }


def test_who_computes_beside_it_breaks_no_condition() -> None:
    busy = changed(neighbours__others_cpu_ns=500e6, run_queue__delay_ns=200e6, steal__stolen_ns=1e8)
    assert judge_conditions(busy, warm=True).trust is Trust.CLEAN


def test_a_process_that_a_quota_stopped_all_along_shows_the_quota() -> None:
    some, most = (changed(cpu_quota__periods=70.0, cpu_quota__throttled_periods=count) for count in (30.0, 65.0))
    assert judge_conditions(some).trust is Trust.CLEAN
    found = judge_conditions(most)
    assert found.trust is Trust.INVALID
    assert found.reasons == ("a CPU quota stopped the process in 65 of 70 periods (allowed 50 %)",)


def test_throttling_throughout_by_the_kernel_or_the_firmware() -> None:
    hot = changed(thermal__cooling_state=2, thermal__max_celsius=97)
    assert judge_conditions(hot).reasons == ("the kernel held the device's clock back at 97 °C (state 2, allowed 0)",)
    assert judge_conditions(changed(before=False, thermal__cooling_state=2)).trust is Trust.CLEAN, "not throughout"
    assert "the firmware held" in judge_conditions(changed(thermal__firmware_throttled=1)).reasons[0]


def test_a_gpu_that_its_driver_slows_down_counts_where_it_computes() -> None:
    def seen(heat: tuple[float, float], busy: float) -> Verdict:
        before, after = ({"nvidia.heat": one} for one in heat)
        edges = {"before": {**CALM.before, **before}, "after": {**CALM.after, **after, "nvidia.busy_share": busy}}
        return judge_conditions(replace(CALM, **edges))

    hot = seen((1.0, 2.0), 0.9)
    assert (hot.trust, hot.reasons) == (
        Trust.INVALID,
        ("the driver held the GPU's clock back for heat (1 GPUs, allowed 0)",),
    )
    assert seen((1.0, 1.0), 0.1).trust is Trust.CLEAN, "somebody else's GPU"
    assert seen((0.0, 1.0), 0.9).trust is Trust.CLEAN, "it was not slow throughout"


def test_no_time_of_an_emulated_device_is_clean() -> None:
    told = judge_device({"emulation": "emulated: a machine of QEMU that shows no KVM"})
    assert told.trust is Trust.NOISY
    assert told.reasons == (
        "the device is emulated: a machine of QEMU that shows no KVM; its times are no real device's",
    )
    assert judge_device({"emulation": "none seen"}).trust is Trust.CLEAN
    assert judge_device({}).trust is Trust.CLEAN, "a version before did not look"


def test_memory_in_swap_makes_a_time_invalid_and_memory_noisy() -> None:
    swapped = changed(before=False, swap__own_bytes=3e6)
    assert judge_conditions(swapped).reasons == ("3.0 MB of the worker's memory were in swap (allowed 0)",)
    assert judge_conditions(swapped).trust is Trust.INVALID
    assert judge_memory(swapped).trust is Trust.NOISY
    assert judge_memory(changed(swap__pages_out=5000)).trust is Trust.NOISY


def test_memory_does_not_care_who_computes() -> None:
    assert judge_memory(changed(run_queue__delay_ns=200e6)).trust is Trust.CLEAN
    assert "waited for memory for 2.0 %" in judge_memory(changed(pressure__memory_some_us=5000)).reasons[0]


def test_a_warm_load_that_read_from_the_disk_was_not_warm() -> None:
    read = changed(faults__read_bytes=8e6)
    assert judge_conditions(read).trust is Trust.CLEAN
    assert judge_conditions(read, warm=True).reasons == ("8.0 MB came from the disk (allowed 1.0 MB)",)


def test_a_window_without_length_is_invalid() -> None:
    assert judge_conditions(Witnesses(wall_ns=0)).trust is Trust.INVALID
    assert judge_memory(Witnesses(wall_ns=-5)).trust is Trust.INVALID


def test_what_is_over_its_allowance_never_reads_the_same() -> None:
    assert percent(0.05001, 0.05) == ("5.001 %", "5 %")
    assert percent(0.107, 0.05) == ("10.7 %", "5 %")


@pytest.mark.parametrize(
    ("proven", "resident", "trust"),
    [(True, 0, Trust.CLEAN), (False, 5_000_000, Trust.INVALID), (False, None, Trust.NOISY), (False, 0, Trust.NOISY)],
)
def test_cold(proven: bool, resident: int | None, trust: Trust) -> None:
    found = judge_cold(ColdProof(proven, "tmpfs keeps its pages", resident, 10_000_000, None, None, "tmpfs"))
    assert found.trust is trust
    assert trust is Trust.CLEAN or "tmpfs keeps its pages" in found.reasons[0]


WIDE = TimeRange(
    2_400_000, 3_200_000, calm_windows=10, windows=20, slowdown=1.0, delay_share=0.0, calm_processes=2, gap=0.01
)


@pytest.mark.parametrize(
    ("found", "record_on", "reason"),
    [
        (replace(WIDE, gap=0.15), None, "the two fastest processes differ by 15.0 %, and a third may by as much again"),
        (replace(WIDE, calm_windows=0, delay_share=0.4), None, "waited for a CPU, 40.0 % of the time"),
        (replace(WIDE, calm_windows=0, slowdown=1.6), None, "the CPU ran at 62.5 % of its best speed"),
        (replace(WIDE, calm_windows=0, slowdown=1.6, delay_share=0.1), None, "62.5 % of its best speed"),
        (replace(WIDE, gap=None), None, "one process alone was undisturbed"),
        (replace(WIDE, slowdown=1.04), None, "the CPU ran at 96.2 % of its best speed"),
        (WIDE, "2026-03-14", "this device ran the same model in 2.40 ms on 2026-03-14"),
    ],
)
def test_a_wide_range_has_one_reason(found: TimeRange, record_on: str | None, reason: str) -> None:
    judged = judge_time(found, record_on=record_on)
    assert judged.trust is Trust.NOISY
    assert len(judged.reasons) == 1
    assert reason in judged.reasons[0]
    assert judged.readings["range_width"] == 0.25


def test_a_narrow_range_is_clean_whatever_went_on_beside_it() -> None:
    loud = replace(WIDE, lower_ns=2_944_000, calm_windows=1, delay_share=0.6)
    assert loud.width == NARROW
    assert judge_time(loud).trust is Trust.CLEAN
    assert judge_time(replace(loud, lower_ns=2_943_000)).trust is Trust.NOISY


def test_combining_keeps_the_worst_and_all_reasons() -> None:
    clean = Verdict(Trust.CLEAN, (), {"a": 1.0})
    noisy = Verdict(Trust.NOISY, ("hog",), {"a": 2.0})
    invalid = Verdict(Trust.INVALID, ("warm", "hog"), {"a": 3.0})
    assert combine([clean, noisy, invalid]) == Verdict(Trust.INVALID, ("warm", "hog"), {"a": 3.0})
    assert combine([clean]) == clean
    with pytest.raises(Bug, match="no verdicts"):
        combine([])


KEYS = [*CALM.grown, *CALM.before, "cpu_quota.periods", "thermal.firmware_throttled"]


@settings(deadline=None)
@given(
    values=st.dictionaries(st.sampled_from(KEYS), st.floats(0, 1e10)),
    key=st.sampled_from(sorted(set(KEYS) - {"cpu_quota.periods"})),
    more=st.floats(0, 1e10),
    warm=st.booleans(),
)
def test_more_disturbance_never_improves_a_verdict(values: dict[str, float], key: str, more: float, warm: bool) -> None:
    def judged(found: dict[str, float]) -> list[Verdict]:
        gauges = {name: value for name, value in found.items() if name.startswith(("thermal", "swap.own"))}
        seen = Witnesses(250_000_000, {**found}, gauges, gauges)
        return [judge_conditions(seen, warm=warm), judge_memory(seen)]

    known = {key: 0.0, **values}
    for calm, worse in zip(judged(known), judged({**known, key: known[key] + more}), strict=True):
        assert RANKS[worse.trust] >= RANKS[calm.trust]
        assert set(calm.readings) == set(worse.readings)
