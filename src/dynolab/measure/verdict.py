"""Verdicts: whether a number can be trusted, judged from witnesses alone and never from the number itself.

A pass is noisy when one sign (see ``verdict_rules``) is above its allowance, invalid when one breaks a condition. More disturbance never gives a better verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dynolab.errors import Bug
from dynolab.measure.verdict_rules import (
    COPY_KEY,
    CORES_KEY,
    CPU_WITNESSES,
    INTEGER_KEY,
    INTEGER_WORST_KEY,
    MEMORY_RULES,
    TIMING_RULES,
    Pass,
    Rule,
)
from dynolab.spec.measurements import Witnesses
from dynolab.spec.profiles import RANKS, ColdProof, TimingRun, Trust, Verdict

MINIMUM_STANDS = "the minimum stands, median and percentiles may not"
DISTURBANCE = "disturbance"
"""Key in ``Verdict.readings``: the sum over all signs of value / allowance, by which :func:`best_try` chooses."""


def judge_timing(witnesses: Witnesses, *, best: Mapping[str, float] | None = None, warm: bool = False) -> Verdict:
    """The verdict on a timing pass.

    ``best`` holds the shortest reference-kernel times seen on this device, this pass's included, as :func:`better`
    collects them; without them the kernel's times are not judged. ``warm`` is for passes that should find everything in memory: warm load and
    inference; in the others, reading from the disk is the stage's own work.
    """
    if witnesses.wall_ns <= 0:
        return _impossible(witnesses)
    cores = int(witnesses.before.get(CORES_KEY, 1))
    return _verdict(Pass(witnesses, cores, best or {}, warm), TIMING_RULES, needed=CPU_WITNESSES)


def judge_memory(witnesses: Witnesses) -> Verdict:
    """The verdict on a memory pass: who else runs does not matter here, but who else needs memory does."""
    if witnesses.wall_ns <= 0:
        return _impossible(witnesses)
    return _verdict(Pass(witnesses), MEMORY_RULES)


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


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for several passes that all enter the figure: the worst wins.

    Reasons of all are kept, the worst's first; where several differ in figures only, the worst's stands for all. The
    readings are those of the worst. Raises :class:`Bug` when there are none.
    """
    if not verdicts:
        raise Bug("no verdicts to combine: a stage without a pass is unmeasured, not judged")
    worst = max(verdicts, key=_severity)
    return Verdict(worst.trust, _reasons(sorted(verdicts, key=_severity, reverse=True)), worst.readings)


def judge_stage(runs: Sequence[TimingRun]) -> Verdict:
    """The verdict on a stage's time, which is the minimum over ``runs``: one undisturbed process is enough.

    Noise only ever adds, so the minimum over all is at most that of the undisturbed one, whichever process it comes from.
    Medians and percentiles do suffer: the reasons of the others are kept, with a note of how many they are. Raises
    :class:`Bug` when there are no runs.
    """
    verdicts = [run.verdict for run in runs]
    disturbed = [verdict for verdict in verdicts if verdict.trust is not Trust.CLEAN]
    if not verdicts or len(disturbed) == len(verdicts):
        return combine(verdicts)
    calmest = min(verdicts, key=_severity)
    if not disturbed:
        return calmest
    were = "was" if len(disturbed) == 1 else "were"
    note = f"{len(disturbed)} of {len(verdicts)} processes {were} disturbed: {MINIMUM_STANDS}"
    return Verdict(Trust.CLEAN, (note, *_reasons(sorted(disturbed, key=_severity, reverse=True))), calmest.readings)


def consistent(verdict: Verdict) -> Verdict:
    """The same without the note that the minimum stands, where something else took that back."""
    if verdict.trust is Trust.CLEAN:
        return verdict
    return replace(verdict, reasons=tuple(one for one in verdict.reasons if not one.endswith(MINIMUM_STANDS)))


def best_try(tries: Sequence[Verdict]) -> int:
    """The index of the try to report, by its witnesses alone: the better trust, then the lower disturbance score.

    The score is the sum over all signs of (value / allowance): it rises with each of them, and 1 is about what a single
    sign may reach in a clean pass. Equal tries: the first. Raises :class:`Bug` when there are none.
    """
    if not tries:
        raise Bug("no tries to choose from")
    return min(range(len(tries)), key=lambda index: _severity(tries[index]))


def better(best: Mapping[str, float], witnesses: Witnesses) -> dict[str, float]:
    """``best`` with the shortest reference-kernel times of one more pass taken in."""
    improved = dict(best)
    for key in (INTEGER_KEY, INTEGER_WORST_KEY, COPY_KEY):
        seen = [side[key] for side in (witnesses.before, witnesses.after) if key in side]
        known = [improved[key]] if key in improved else []
        if seen:
            improved[key] = min(seen + known)
    return improved


_FIGURES = re.compile(r"[0-9.]+")


def _reasons(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """The reasons of all in order; of those that differ in their figures only, the first."""
    kept: dict[str, str] = {}
    for reason in (reason for verdict in verdicts for reason in verdict.reasons):
        kept.setdefault(_FIGURES.sub("", reason).replace("before or after", "before and after"), reason)
    return tuple(kept.values())


def _impossible(witnesses: Witnesses) -> Verdict:
    return Verdict(Trust.INVALID, (f"the pass took {witnesses.wall_ns} ns by the monotonic clock",))


def _severity(verdict: Verdict) -> tuple[int, float]:
    return RANKS[verdict.trust], verdict.readings.get(DISTURBANCE) or 0.0


def _verdict(seen: Pass, rules: Mapping[str, Rule], needed: Sequence[str] = ()) -> Verdict:
    """All rules applied, each giving one reason at most.

    With ``needed``, at least one of these readings has to be there for a clean verdict.
    """
    signs = {name: sorted(rule(seen), key=lambda sign: -sign.value) for name, rule in rules.items()}
    readings: dict[str, float | None] = {name: found[0].value if found else None for name, found in signs.items()}
    largest = sorted((found[0] for found in signs.values() if found), key=lambda sign: -sign.score)
    reasons = [sign.reason for sign in largest if sign.over]
    if needed and all(readings[name] is None for name in needed):
        reasons.append("nothing on this system tells whether others used the CPU during the pass")
    readings[DISTURBANCE] = sum(sign.score for found in signs.values() for sign in found)
    trust = Trust.INVALID if any(sign.broken for sign in largest) else Trust.NOISY if reasons else Trust.CLEAN
    return Verdict(trust, tuple(reasons), readings)
