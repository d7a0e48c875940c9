"""Verdicts: how narrow the range of a number is, and whether the conditions of its definition held.

``clean``: the range is narrow. ``noisy``: it is wider, and one reason says why. ``invalid``: a condition was broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynolab.errors import Bug
from dynolab.measure.emulation import is_emulated
from dynolab.measure.time_range import TimeRange
from dynolab.measure.verdict_rules import CONDITIONS, MEMORY_RULES, Pass, Rule
from dynolab.spec.measurements import Witnesses
from dynolab.spec.profiles import EMULATED, NARROW, RANKS, ColdProof, Trust, Verdict
from dynolab.spec.show import show_share, show_time


def judge_conditions(witnesses: Witnesses, *, warm: bool = False) -> Verdict:
    """Whether a timing pass kept the conditions of its definition: clean, or invalid.

    ``warm`` is for a load that should find everything in memory; in others, reading from the disk is their own work.
    """
    return _verdict(Pass(witnesses, warm), CONDITIONS, Trust.INVALID)


def judge_memory(witnesses: Witnesses) -> Verdict:
    """The verdict on a memory pass: who else runs does not matter here, but who else needs memory does."""
    return _verdict(Pass(witnesses), MEMORY_RULES, Trust.NOISY)


def judge_cold(cold: ColdProof) -> Verdict:
    """The verdict on a first load: clean when it is proven cold, invalid when pages were in memory, else noisy."""
    readings: dict[str, float | None] = {
        "resident_before_bytes": cold.resident_before_bytes,
        "blocks_read_bytes": cold.blocks_read_bytes,
        "major_faults": cold.major_faults,
    }
    if cold.proven:
        return Verdict(Trust.CLEAN, (), readings)
    if cold.resident_before_bytes:
        share = f"{cold.resident_before_bytes / 1e6:.1f} of {cold.total_bytes / 1e6:.1f} MB were in memory before it"
        return Verdict(Trust.INVALID, (f"the first load was not cold: {share} ({cold.reason})",), readings)
    return Verdict(Trust.NOISY, (f"it is not known whether the first load was cold: {cold.reason}",), readings)


def judge_device(environment: Mapping[str, str]) -> Verdict:
    """The verdict on times of a device as it is set: never clean on an emulated one, whose times are the emulator's."""
    if not is_emulated(environment):
        return Verdict(Trust.CLEAN)
    reason = f"the device is {environment['emulation']}; its times are no real device's"
    return Verdict(Trust.NOISY, (reason,), {EMULATED: 1.0})


def judge_time(found: TimeRange, *, record_on: str | None = None) -> Verdict:
    """The verdict on a time: clean when its range is narrow, else noisy with the one reason that counts most.

    ``record_on``: the day of the device's record of the same model, where that is the range's lower end.
    """
    readings = {
        "range_width": found.width,
        "calm_windows": float(found.calm_windows),
        "windows": float(found.windows),
        "slowdown": found.slowdown,
        "delay_share": found.delay_share,
        "process_gap": found.gap,
    }
    if found.width <= NARROW:
        return Verdict(Trust.CLEAN, (), readings)
    return Verdict(Trust.NOISY, (_why_wide(found, record_on),), readings)


def _why_wide(found: TimeRange, record_on: str | None) -> str:
    if record_on is not None:
        return f"this device ran the same model in {show_time(found.lower_ns)} on {record_on}"
    lost = 1 - 1 / found.slowdown
    if not found.calm_windows and found.delay_share > lost:
        return f"its threads waited for a CPU, {show_share(found.delay_share)} of the time"
    if found.calm_windows and found.gap is None:
        return "one process alone was undisturbed, and processes differ"
    if not found.calm_windows or lost > (found.gap or 0.0):
        return f"the CPU ran at {show_share(1 - lost)} of its best speed, as with a busy neighbour or a lower clock"
    return f"the two fastest processes differ by {show_share(found.gap or 0.0)}, and a third may by as much again"


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for several parts that all enter the figure: the worst wins.

    Reasons of all are kept, the worst's first, each once. The readings are those of the worst. Raises :class:`Bug` when
    there are none.
    """
    if not verdicts:
        raise Bug("no verdicts to combine: a stage without a pass is unmeasured, not judged")
    ordered = sorted(verdicts, key=lambda verdict: -RANKS[verdict.trust])
    reasons = dict.fromkeys(reason for verdict in ordered for reason in verdict.reasons)
    return Verdict(ordered[0].trust, tuple(reasons), ordered[0].readings)


def _verdict(seen: Pass, rules: Mapping[str, Rule], over: Trust) -> Verdict:
    """All rules applied; ``over`` is the verdict when one of them is above what is allowed."""
    if seen.witnesses.wall_ns <= 0:
        return Verdict(Trust.INVALID, (f"the pass took {seen.witnesses.wall_ns} ns by the monotonic clock",))
    signs = {name: list(rule(seen)) for name, rule in rules.items()}
    readings: dict[str, float | None] = {name: found[0].value if found else None for name, found in signs.items()}
    reasons = tuple(sign.reason for found in signs.values() for sign in found if sign.over)
    return Verdict(over if reasons else Trust.CLEAN, reasons, readings)
