"""The duet document of what was measured: answers in words, and what is not like for like. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dynolab.measure import duet_ratio, verdict
from dynolab.measure.duet_messages import DuetMeasured
from dynolab.spec import stats
from dynolab.spec.answers import Answer
from dynolab.spec.duets import DuetSide, Ratio, StageDuet
from dynolab.spec.measurements import StageName
from dynolab.spec.precision import in_effect, of_file
from dynolab.spec.show import TIMES_FROM, show_times


def stages(found: DuetMeasured, floor: float, seed: int) -> tuple[StageDuet, ...]:
    """The answer for each of the four stages."""
    return tuple(_stage(name, found, floor, seed) for name in StageName)


def _stage(name: StageName, found: DuetMeasured, floor: float, seed: int) -> StageDuet:
    if name is StageName.INFERENCE:
        groups = duet_ratio.of_pairs(found.pairs)
        a, b = (duet_ratio.window_times(found.pairs, side) for side in ("a", "b"))
        kept: Sequence[Sequence[int]] = ((), ())
    else:
        times = found.once.get(name, ())
        groups = duet_ratio.of_times(times)
        a, b = [one for one, _ in times], [other for _, other in times]
        kept = (a, b)
    ratio = duet_ratio.ratio(groups, seed)
    answer = duet_ratio.answer(ratio, floor)
    reason = None if ratio is not None else _reason(name, len(groups))
    return StageDuet(
        name=name,
        answer=answer,
        sentence=f"B cannot be told from A: {reason}" if ratio is None else sentence(ratio, answer, floor),
        ratio=ratio,
        reason=reason,
        a_ns=min(a, default=None),
        b_ns=min(b, default=None),
        a_median_ns=stats.median(a) if a else None,
        b_median_ns=stats.median(b) if b else None,
        a_values_ns=tuple(kept[0]),
        b_values_ns=tuple(kept[1]),
    )


def _reason(name: StageName, count: int) -> str:
    if not count and name is StageName.COMPILE:
        return "nothing is compiled on the device, or on one side only"
    if count <= 1 and name in (StageName.COMPILE, StageName.FIRST_LOAD):
        return f"the stage was not asked for (--stage {name})"
    least = duet_ratio.PAIRS_MIN
    return f"an interval needs {least} pairs of processes, and there was time for {count} (raise --budget)"


def sentence(ratio: Ratio, answer: Answer, floor: float) -> str:
    """The answer for a time in a sentence: ``B is 12.3 % slower (10.9 - 13.8 %)``."""
    if answer is Answer.CHANGED and ratio.value >= TIMES_FROM:
        return (
            f"B takes {show_times(ratio.value)} times as long ({show_times(ratio.lower)} - {show_times(ratio.upper)})"
        )
    if answer is Answer.CHANGED:
        slower = ratio.value > 1
        ends = sorted((ratio.lower - 1, ratio.upper - 1) if slower else (1 - ratio.upper, 1 - ratio.lower))
        return f"B is {_percent(abs(ratio.value - 1))} % {'slower' if slower else 'faster'} ({_percent(ends[0])} - {_percent(ends[1])} %)"
    between = f"{_signed(ratio.lower)} to {_signed(ratio.upper)}"
    if answer is Answer.UNCHANGED:
        return f"B is as fast as A ({between}, which is within {_percent(floor, 0)} %)"
    return f"B cannot be told from A ({between})"


def _percent(share: float, places: int = 1) -> str:
    text = f"{100 * share:.{places}f}"
    return text if places else f"{100 * share:g}"


def _signed(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def differences(a: DuetSide, b: DuetSide) -> tuple[str, ...]:
    """What is not like for like besides the model's own weights and layers, in words; what weighs most comes first."""
    rows = [
        ("precision", _precision(a), _precision(b)),
        ("inputs", _tensors(a), _tensors(b)),
        ("runtime", a.runtime, b.runtime),
        ("options", a.options or "none", b.options or "none"),
    ]
    if a.runtime == b.runtime:
        keys = dict.fromkeys((*a.effective, *b.effective))
        told = ("precision", "inference_precision", "cache_dir")
        rows += [
            (f"{key} in effect", a.effective.get(key, "none"), b.effective.get(key, "none"))
            for key in keys
            if key not in told
        ]
    return tuple(f"not like for like: {label}: A {one}, B {other}" for label, one, other in rows if one != other)


def _precision(side: DuetSide) -> str:
    own, claimed = of_file(side.model.precision), in_effect(side.effective)
    return claimed or own or side.model.precision or "unknown"


def _tensors(side: DuetSide) -> str:
    return ", ".join(f"{one.spec.name} {one.spec.dtype} {one.spec.shape_text}" for one in side.inputs) or "none"


def notices(found: DuetMeasured) -> tuple[str, ...]:
    """What was chosen for the models in their inspections, each sentence once; both sides' inputs are the same.

    First, where it is so, that the device is emulated: what takes longer on an emulator need not on a device.
    """
    told = [note for side in (found.a, found.b) if side.inspection for note in side.inspection.notes]
    more = [one.text for side in (found.a, found.b) if side.inspection for one in side.inspection.notices]
    emulated = verdict.judge_device(found.a.environment).reasons
    return tuple(dict.fromkeys((*emulated, *told, *more)))
