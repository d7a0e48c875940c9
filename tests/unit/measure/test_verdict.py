"""Verdicts on recorded witnesses; more disturbance never gives a better one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.errors import Bug
from dynolab.measure import verdict
from dynolab.measure.verdict import (
    DISTURBANCE,
    best_try,
    better,
    combine,
    consistent,
    judge_cold,
    judge_memory,
    judge_stage,
    judge_timing,
)
from dynolab.measure.verdict_rules import percent
from dynolab.spec.measurements import Witnesses
from dynolab.spec.profiles import ColdProof, TimingRun, Trust, Verdict

BEST = {
    "reference_kernel.integer_ns": 107_000.0,
    "reference_kernel.integer_worst_ns": 108_000.0,
    "reference_kernel.copy_ns": 342_000.0,
}
CALM = Witnesses(
    wall_ns=250_000_000,
    grown={
        "run_queue.delay_ns": 500_000.0,
        "run_queue.on_cpu_ns": 248_000_000.0,
        "context_switches.involuntary": 3.0,
        "context_switches.voluntary": 12.0,
        "steal.stolen_ns": 0.0,
        "neighbours.others_cpu_ns": 8_000_000.0,
        "neighbours.at_ns": 270_000_000.0,
        "pressure.cpu_some_us": 400.0,
        "pressure.memory_some_us": 0.0,
        "pressure.io_some_us": 0.0,
        "faults.major": 0.0,
        "faults.read_bytes": 0.0,
        "faults.block_input_bytes": 0.0,
        "swap.pages_in": 0.0,
        "swap.pages_out": 0.0,
        "thermal.throttle_events": 0.0,
    },
    before={
        "neighbours.tick_ns": 1e7,
        "neighbours.cores": 2.0,
        "neighbours.runnable_others": 0.0,
        "clock.max_hz": 3.4e9,
        "thermal.max_celsius": 60.0,
        "thermal.cooling_state": 0.0,
        "swap.own_bytes": 0.0,
        **BEST,
    },
    after={
        "neighbours.tick_ns": 1e7,
        "neighbours.cores": 2.0,
        "neighbours.runnable_others": 0.0,
        "clock.max_hz": 3.4e9,
        "thermal.max_celsius": 64.0,
        "thermal.cooling_state": 0.0,
        "swap.own_bytes": 0.0,
        **BEST,
    },
)


def changed(base: Witnesses = CALM, *, wall_ns: int | None = None, before: bool = True, **values: float) -> Witnesses:
    """``base`` with other values: names with ``__`` for the dot; gauges on both sides unless ``before`` is False."""
    grown, left, right = dict(base.grown), dict(base.before), dict(base.after)
    for name, value in values.items():
        key = name.replace("__", ".")
        if key in right:
            right[key] = value
            if before:
                left[key] = value
        else:
            grown[key] = value
    return replace(base, wall_ns=wall_ns or base.wall_ns, grown=grown, before=left, after=right)


def reason(witnesses: Witnesses, **context: object) -> str:
    found = judge_timing(witnesses, **{"best": BEST, **context})  # type: ignore[arg-type] # mixed keywords
    assert found.trust is Trust.NOISY
    return "; ".join(found.reasons)


def test_a_calm_pass_is_clean_and_every_rule_had_its_reading() -> None:
    found = judge_timing(CALM, best=BEST, warm=True)
    assert found.trust is Trust.CLEAN
    assert found.reasons == ()
    assert {name for name, value in found.readings.items() if value is None} == {
        "cpu_stall_share",
        "firmware_throttled",
        "quota_share",
    }


def test_a_process_that_a_quota_stopped_all_along_shows_the_quota() -> None:
    some = changed(cpu_quota__periods=70.0, cpu_quota__throttled_periods=7.0)
    assert reason(some) == "a CPU quota stopped the process in 7 of 70 periods (allowed 5 %)"
    most = judge_timing(changed(cpu_quota__periods=70.0, cpu_quota__throttled_periods=65.0), best=BEST)
    assert most.trust is Trust.INVALID
    assert most.reasons == ("a CPU quota stopped the process in 65 of 70 periods (allowed 5 %)",)
    assert (
        judge_timing(changed(cpu_quota__periods=70.0, cpu_quota__throttled_periods=3.0), best=BEST).trust is Trust.CLEAN
    )


def test_a_busy_process_on_the_other_core_is_seen_by_its_cpu_time() -> None:
    found = reason(changed(neighbours__others_cpu_ns=270e6))
    assert found == "others used 0.93 of 2 cores (allowed 0.10)"


def test_what_is_over_its_allowance_never_reads_the_same() -> None:
    ticks = 2 * 1e7
    found = reason(changed(neighbours__others_cpu_ns=0.1004 * 270e6 + ticks))
    assert found == "others used 0.1004 of 2 cores (allowed 0.1000)"
    assert "preempted 100.2 times a second (allowed 100.0)" in reason(
        changed(context_switches__involuntary=30.05, neighbours__others_cpu_ns=80e6),
    )
    assert percent(0.05001, 0.05) == ("5.001 %", "5 %")
    assert percent(0.107, 0.05) == ("10.7 %", "5 %")


def test_one_core_of_sixty_four_may_be_busy() -> None:
    many = changed(neighbours__others_cpu_ns=270e6, neighbours__cores=64)
    assert judge_timing(many, best=BEST).trust is Trust.CLEAN


def test_ticks_are_not_believed_in_a_window_of_a_few_milliseconds() -> None:
    brief = changed(wall_ns=5_000_000, neighbours__at_ns=18e6, neighbours__others_cpu_ns=10e6, run_queue__delay_ns=0.0)
    assert judge_timing(brief, best=BEST).trust is Trust.CLEAN


def test_in_such_a_window_who_runs_at_both_edges_tells() -> None:
    brief = changed(wall_ns=5_000_000, neighbours__at_ns=18e6, neighbours__others_cpu_ns=10e6, run_queue__delay_ns=0.0)
    assert "both just before and just after" in reason(changed(brief, neighbours__runnable_others=1))
    one_edge = changed(brief, before=False, neighbours__runnable_others=1)
    assert judge_timing(one_edge, best=BEST).trust is Trust.CLEAN


def test_waiting_for_a_cpu_that_others_had_is_noise() -> None:
    found = reason(changed(run_queue__delay_ns=50e6, neighbours__others_cpu_ns=25e6))
    assert found == "threads waited for a CPU for 50.0 ms, 20.0 % of the pass (allowed 5 %)"


def test_threads_that_wait_for_each_other_on_an_idle_machine_are_not_noise() -> None:
    crowded = changed(run_queue__delay_ns=400e6, neighbours__others_cpu_ns=0.0, context_switches__involuntary=200)
    found = judge_timing(replace(crowded, wall_ns=2_000_000_000), best=BEST)
    assert found.trust is Trust.CLEAN


def test_without_the_neighbours_all_waiting_counts() -> None:
    alone = changed(run_queue__delay_ns=50e6)
    alone.grown.pop("neighbours.others_cpu_ns")
    assert "threads waited" in reason(alone)


def test_preemptions_count_when_others_are_at_work() -> None:
    assert "preempted 180 times a second (allowed 100)" in reason(
        changed(context_switches__involuntary=50, neighbours__others_cpu_ns=80e6),
    )


def test_pressure_stands_in_where_nothing_better_is_there() -> None:
    poor = changed(pressure__cpu_some_us=100_000)
    assert judge_timing(poor, best=BEST).trust is Trust.CLEAN
    poor.grown.pop("run_queue.delay_ns")
    poor.grown.pop("neighbours.others_cpu_ns")
    assert reason(poor) == "tasks waited for a CPU for 40.0 % of the pass (allowed 5 %)"


def test_steal() -> None:
    assert "hypervisor took 16.0 % of the pass for others (allowed 5 %)" in reason(changed(steal__stolen_ns=50e6))
    assert judge_timing(changed(steal__stolen_ns=10e6), best=BEST).trust is Trust.CLEAN  # one tick


def test_a_slow_integer_kernel_at_either_edge_is_a_hidden_competitor() -> None:
    slow = changed(before=False, reference_kernel__integer_ns=180_000)
    assert "the integer kernel took 1.68 x its best time on this device, before or after the pass" in reason(slow)
    assert judge_timing(changed(reference_kernel__integer_ns=112_000), best=BEST).trust is Trust.CLEAN


def test_another_cpu_that_is_slow_at_one_edge_matters_to_a_parallel_pass_only() -> None:
    one_edge = changed(before=False, reference_kernel__integer_worst_ns=180_000)
    assert judge_timing(one_edge, best=BEST).trust is Trust.CLEAN
    assert "the integer kernel took 1.67 x" in reason(changed(one_edge, run_queue__on_cpu_ns=490e6))
    assert "before and after the pass" in reason(changed(reference_kernel__integer_worst_ns=180_000))


def test_of_two_noisy_tries_the_one_with_a_calm_edge_is_chosen() -> None:
    one_edge = judge_timing(changed(before=False, reference_kernel__integer_ns=180_000), best=BEST)
    both_edges = judge_timing(changed(reference_kernel__integer_ns=180_000), best=BEST)
    assert one_edge.trust is both_edges.trust is Trust.NOISY
    assert best_try([both_edges, one_edge]) == 1


def test_a_slow_copy() -> None:
    assert "the memory copy took 1.75 x" in reason(changed(reference_kernel__copy_ns=600_000))
    assert judge_timing(changed(before=False, reference_kernel__copy_ns=600_000), best=BEST).trust is Trust.CLEAN


def test_without_a_best_the_kernels_are_not_judged() -> None:
    found = judge_timing(changed(reference_kernel__integer_worst_ns=180_000))
    assert found.trust is Trust.CLEAN
    assert found.readings["integer_slowdown"] is None


def test_a_clock_that_falls_by_a_fifth() -> None:
    assert "fell from 3.40 to 2.72 GHz, by 20.0 %" in reason(changed(before=False, clock__max_hz=2.72e9))
    assert judge_timing(changed(before=False, clock__max_hz=3.3e9), best=BEST).trust is Trust.CLEAN


def test_throttling_by_the_cpu_the_kernel_or_the_firmware() -> None:
    assert "throttle events of the CPU in the pass: 7" in reason(changed(thermal__throttle_events=7))
    hot = changed(thermal__cooling_state=2, thermal__max_celsius=97)
    assert "the kernel held the device's clock back at 97 °C" in reason(hot)
    pi = replace(
        CALM,
        before={**CALM.before, "thermal.firmware_throttled": 1.0},
        after={**CALM.after, "thermal.firmware_throttled": 1.0},
    )
    assert "the firmware held" in reason(pi)


def test_swap_is_noise_for_time_and_memory() -> None:
    swapped = changed(before=False, swap__own_bytes=3e6)
    assert "3.0 MB of the worker's memory were in swap" in reason(swapped)
    assert judge_memory(swapped).trust is Trust.NOISY
    assert judge_memory(changed(swap__pages_out=5000)).trust is Trust.NOISY


def test_memory_does_not_care_who_computes() -> None:
    busy = changed(neighbours__others_cpu_ns=500e6, run_queue__delay_ns=200e6, reference_kernel__integer_worst_ns=2e5)
    assert judge_memory(busy).trust is Trust.CLEAN
    assert "waited for memory for 2.0 %" in judge_memory(changed(pressure__memory_some_us=5000)).reasons[0]


def test_reading_from_the_disk_is_noise_only_where_all_should_be_in_memory() -> None:
    read = changed(faults__read_bytes=8e6)
    assert judge_timing(read, best=BEST).trust is Trust.CLEAN
    assert "8.0 MB came from the disk" in reason(read, warm=True)


def test_nothing_known_is_not_called_clean() -> None:
    blind = Witnesses(wall_ns=1_000_000)
    assert "nothing on this system tells" in judge_timing(blind).reasons[0]
    assert judge_memory(blind).trust is Trust.CLEAN


def test_a_window_without_length_is_invalid() -> None:
    assert judge_timing(Witnesses(wall_ns=0)).trust is Trust.INVALID
    assert judge_memory(Witnesses(wall_ns=-5)).trust is Trust.INVALID


@pytest.mark.parametrize(
    ("proven", "resident", "trust"),
    [(True, 0, Trust.CLEAN), (False, 5_000_000, Trust.INVALID), (False, None, Trust.NOISY), (False, 0, Trust.NOISY)],
)
def test_cold(proven: bool, resident: int | None, trust: Trust) -> None:
    found = judge_cold(ColdProof(proven, "tmpfs keeps its pages", resident, 10_000_000, None, None, "tmpfs"))
    assert found.trust is trust
    assert trust is Trust.CLEAN or "tmpfs keeps its pages" in found.reasons[0]


def test_combining_keeps_the_worst_and_all_reasons() -> None:
    clean = Verdict(Trust.CLEAN, (), {"a": 1.0})
    noisy = Verdict(Trust.NOISY, ("hog",), {"a": 2.0})
    invalid = Verdict(Trust.INVALID, ("warm", "hog"), {"a": 3.0})
    assert combine([clean, noisy, invalid]) == Verdict(Trust.INVALID, ("warm", "hog"), {"a": 3.0})
    loud, quiet = (
        replace(noisy, reasons=("0.9 of 2 cores",), readings={DISTURBANCE: 9.0}),
        replace(noisy, reasons=("0.2 of 2 cores",)),
    )
    assert combine([quiet, loud]).reasons == ("0.9 of 2 cores",)
    assert combine([clean]) == clean
    with pytest.raises(Bug, match="no verdicts"):
        combine([])


def run(judged: Verdict) -> TimingRun:
    return TimingRun(0, 1, True, (1,), (), None, CALM, judged)


def test_a_stage_is_clean_when_one_of_its_processes_is() -> None:
    clean = Verdict(Trust.CLEAN, (), {DISTURBANCE: 0.1})
    noisy = Verdict(Trust.NOISY, ("others used 0.97 of 2 cores",), {DISTURBANCE: 9.0})
    found = judge_stage([run(noisy), run(clean), run(noisy)])
    assert found.trust is Trust.CLEAN
    assert found.reasons[0].startswith("2 of 3 processes were disturbed")
    assert found.reasons[1:] == noisy.reasons
    assert judge_stage([run(clean)]) == clean
    assert judge_stage([run(noisy), run(noisy)]).trust is Trust.NOISY


def test_only_a_clean_stage_says_that_its_minimum_stands() -> None:
    noisy = Verdict(Trust.NOISY, ("others used 0.97 of 2 cores",), {DISTURBANCE: 9.0})
    clean = judge_stage([run(noisy), run(Verdict(Trust.CLEAN)), run(Verdict(Trust.CLEAN))])
    assert "1 of 3 processes was disturbed: the minimum stands" in clean.reasons[0]
    assert consistent(clean) == clean
    assert consistent(replace(clean, trust=Trust.NOISY)).reasons == noisy.reasons


def test_the_worse_of_one_edge_and_of_both_stands_once() -> None:
    kernel = "the integer kernel took {} x its best time on this device, before {} after the pass (allowed 1.05 x)"
    passes = [Verdict(Trust.NOISY, (kernel.format(*said),)) for said in (("1.69", "and"), ("1.66", "or"))]
    assert combine(passes).reasons == (kernel.format("1.69", "and"),)


def test_better_keeps_the_shortest_times_and_nothing_else() -> None:
    found = better({"reference_kernel.integer_ns": 100.0}, CALM)
    assert found == {**BEST, "reference_kernel.integer_ns": 100.0}
    assert better(found, CALM) == found
    assert better({}, Witnesses(1)) == {}


COUNTERS = sorted(CALM.grown.keys() - {"neighbours.at_ns"})
GAUGES = sorted(CALM.after.keys() - {"neighbours.tick_ns", "neighbours.cores", "clock.max_hz"})


@st.composite
def scenes(draw: st.DrawFn) -> Witnesses:
    """Witnesses of anything from a calm to a hopeless pass, with some of them missing."""
    factor = st.floats(0, 30, allow_nan=False)
    wall_ns = draw(st.integers(1_000_000, 3_000_000_000))
    grown = {key: draw(factor) * max(CALM.grown[key], 1.0) for key in COUNTERS if draw(st.booleans())}
    grown["neighbours.at_ns"] = wall_ns + 2e7
    before = {key: CALM.before[key] * draw(st.floats(1, 3)) for key in GAUGES if draw(st.booleans())}
    after = {key: value * draw(st.floats(1, 3)) for key, value in before.items()}
    fixed = {"neighbours.tick_ns": 1e7, "neighbours.cores": 2.0, "clock.max_hz": 3e9}
    return Witnesses(wall_ns, grown, before | fixed, after | fixed)


RANK = {Trust.CLEAN: 0, Trust.NOISY: 1, Trust.INVALID: 2}


@settings(deadline=None)
@given(
    base=scenes(),
    key=st.sampled_from([*COUNTERS, *GAUGES, "clock.max_hz"]),
    more=st.floats(0, 1e10),
    both=st.booleans(),
    warm=st.booleans(),
)
def test_adding_disturbance_never_improves_a_verdict(
    base: Witnesses, key: str, more: float, both: bool, warm: bool
) -> None:
    grown, before, after = dict(base.grown), dict(base.before), dict(base.after)
    if key == "clock.max_hz":
        after[key] = max(1.0, after[key] - more)
    elif key in grown:
        grown[key] += more
    elif key in after:
        after[key] += more
        before[key] += more if both else 0.0
    worse = Witnesses(base.wall_ns, grown, before, after)
    for judge in (
        lambda seen: judge_timing(seen, best=BEST, warm=warm),
        judge_memory,
    ):
        calm, disturbed = judge(base), judge(worse)
        assert RANK[disturbed.trust] >= RANK[calm.trust]
        assert (disturbed.readings[DISTURBANCE] or 0) >= (calm.readings[DISTURBANCE] or 0)
        assert set(calm.readings) == set(disturbed.readings)


verdicts = st.builds(
    Verdict,
    trust=st.sampled_from(list(Trust)),
    reasons=st.just(("why",)),
    readings=st.fixed_dictionaries({DISTURBANCE: st.floats(0, 100)}),
)


@settings(deadline=None)
@given(st.lists(verdicts, min_size=1, max_size=5))
def test_the_best_try_is_the_calmest_and_the_first_of_equals(tries: list[Verdict]) -> None:
    chosen = best_try(tries)
    key = [(RANK[judged.trust], judged.readings[DISTURBANCE]) for judged in tries]
    assert key[chosen] == min(key)
    assert key.index(min(key)) == chosen
    assert combine(tries).trust is max((judged.trust for judged in tries), key=RANK.__getitem__)


def test_no_tries_are_a_bug() -> None:
    with pytest.raises(Bug, match="no tries"):
        verdict.best_try([])
