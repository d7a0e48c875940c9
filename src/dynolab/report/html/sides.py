"""Several profiles side by side, worked out for a page: the first is the base that the others are held against. No markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dynolab.report.base import Say, crop, plainly, stage_title
from dynolab.report.html.charts import range_bar, time_bar
from dynolab.report.html.figures import LONGEST_NAME, Figure, doubt, figure
from dynolab.report.html.layers import CHUNK
from dynolab.report.html.tables import Badge
from dynolab.spec.answers import Answer
from dynolab.spec.compare import Comparison, Ratio, StageComparison, compare
from dynolab.spec.compare_layers import LAYER_NOTE, LayerSides, layer_ratio, layers_side_by_side
from dynolab.spec.facts import fact
from dynolab.spec.likeness import differing
from dynolab.spec.measurements import Layer, Range, StageName
from dynolab.spec.profiles import LayerTable, MemorySummary, Profile, Stage
from dynolab.spec.show import show_range_change, show_stepped, show_time

LETTERS = "ABCDEF"
"""What the profiles are called on the page; there are at most so many."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a time changed from the base: a word (``faster``, ``slower``, ``unchanged``, ``cannot-tell``), a sign, a share."""

    word: str
    share: str
    sentence: str
    """The answer with what it rests on: intervals, and the floor that they are held against."""
    cause: str = ""
    """Why it cannot be told, where that can be said in short: ``wide``."""

    @property
    def sign(self) -> str:
        return {"faster": "▼", "slower": "▲", "unchanged": "=", "cannot-tell": "?"}[self.word]


@dataclass(frozen=True, slots=True)
class TimeSide:
    """A stage's time in one profile; ``change`` is None for the base, ``doubt`` the verdict where it is not clean."""

    letter: str
    figure: Figure
    bar: Markup | None
    doubt: Badge | None
    change: Change | None


@dataclass(frozen=True, slots=True)
class MemorySide:
    """A range of memory in one profile. ``change`` is what either end differs by, ``meaning`` the answer.

    The answer is ``changed``, ``unchanged`` or ``cannot-tell``. Both are None for the base, and where a side was not measured.
    """

    letter: str
    title: str
    figure: Figure
    bar: Markup | None
    doubt: Badge | None
    change: str | None
    meaning: str | None


@dataclass(frozen=True, slots=True)
class StageSides:
    """One stage of all profiles; bars of one kind share a scale."""

    word: str
    title: str
    anchor: str
    times: list[TimeSide]
    memory: list[list[MemorySide]]
    """A list per range: peak, then increase."""


@dataclass(frozen=True, slots=True)
class LayerCell:
    """A layer's time in one profile, and what it takes more than in the base (both signs spelled out); None: not there."""

    time: str | None
    difference: str | None


@dataclass(frozen=True, slots=True)
class LayerSidesRow:
    """A row of the table of layers: ``base_ns`` and ``differences_ns`` are what it is sorted by."""

    number: int
    name: str
    type: str
    unit: str
    moved: bool
    """Whether it ran on another unit than in the base."""
    cells: list[LayerCell]
    base_ns: int
    differences_ns: list[int]


@dataclass(frozen=True, slots=True)
class LayerCount:
    """How the layers of a profile meet those of the base; ``reason`` says why a profile has none."""

    letter: str
    matched: int
    added: int
    gone: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class LayersSides:
    """The layers of all profiles, the largest difference first, in chunks: those that were asked for of so many."""

    chunks: list[list[LayerSidesRow]]
    of_chunks: int
    counts: list[LayerCount]
    count: int
    letters: str
    note: str
    disturbed: str
    """The letters of profiles whose layer pass was disturbed: layers are then in the order of their times, and no difference is told."""


@dataclass(frozen=True, slots=True)
class Sides:
    """All that a page of comparison shows."""

    letters: str
    differing: list[tuple[str, list[str]]]
    stages: list[StageSides]
    layers: LayersSides
    basis: str
    comparisons: list[Comparison]


def sides(profiles: Sequence[Profile], chunks: slice = slice(None), say: Say = plainly) -> Sides:
    """Two profiles or more, at most as many as there are :data:`LETTERS`, against the first of them.

    ``chunks`` are the bodies of the layers' table that are wanted.
    """
    letters = LETTERS[: len(profiles)]
    found = comparisons(profiles)
    return Sides(
        letters=letters,
        differing=[(label, [crop(value, 160) for value in values]) for label, values in differing(profiles)],
        stages=[_stage(profiles, name, [one.stages[at] for one in found], say) for at, name in enumerate(StageName)],
        layers=layer_sides(profiles, chunks),
        basis=found[0].basis,
        comparisons=found,
    )


def comparisons(profiles: Sequence[Profile]) -> list[Comparison]:
    """Each other profile against the first; sentences call them by their letters."""
    base, *others = profiles
    return [compare(base, one, None, names=("A", letter)) for letter, one in zip(LETTERS[1:], others, strict=False)]


def change(found: StageComparison) -> Change:
    """A stage's answer as it is shown."""
    words = {1: "slower", -1: "faster"}
    plain = {Answer.UNCHANGED: "unchanged", Answer.CANNOT_TELL: "cannot-tell", Answer.CHANGED: "cannot-tell"}
    word = words.get(found.direction, plain[found.answer])
    return Change(word, _share(found.minimum), found.sentence, found.cause)


def _share(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    text = f"{100 * (ratio.value - 1):+.1f} %"
    return "0.0 %" if text in ("+0.0 %", "-0.0 %") else text


# ---- stages ---------------------------------------------------------------------------------------------------------


def _stage(profiles: Sequence[Profile], name: StageName, found: Sequence[StageComparison], say: Say) -> StageSides:
    stages: list[Stage] = [getattr(profile, name.value) for profile in profiles]
    key = "estimated_inference_time" if name is StageName.INFERENCE else f"{name.value}_time"
    return StageSides(
        word=name.value,
        title=stage_title(stages[0]),
        anchor=fact(key).anchor,
        times=list(_times(profiles, stages, key, found)),
        memory=[list(_memory(profiles, stages, part, found, say)) for part in ("peak", "increase")],
    )


def _times(
    profiles: Sequence[Profile], stages: Sequence[Stage], key: str, found: Sequence[StageComparison]
) -> Iterator[TimeSide]:
    ends = [run_minima(stage) for stage in stages]
    longest = max((high for _, high in filter(None, ends)), default=1) or 1
    for at, (profile, stage) in enumerate(zip(profiles, stages, strict=True)):
        letter, shown, extent = LETTERS[at], figure(profile, key), ends[at]
        bar = None
        if stage.time is not None and extent is not None:
            bar = time_bar(stage.time.minimum_ns, extent, longest, label=f"{letter}: {shown.text}")
        told = None if at == 0 else change(found[at - 1])
        yield TimeSide(letter, shown, bar, doubt(profile, fact(key)), told)


def run_minima(stage: Stage) -> tuple[int, int] | None:
    """The smallest and the largest of the chosen processes' minima: how far runs of the same thing lie apart, in ns."""
    minima = [min(run.values_ns) for run in stage.timing_runs if run.chosen and run.values_ns]
    return (min(minima), max(minima)) if minima else None


def _memory(
    profiles: Sequence[Profile], stages: Sequence[Stage], part: str, found: Sequence[StageComparison], say: Say
) -> Iterator[MemorySide]:
    tops = [memory.peak.upper for stage in stages if (memory := stage.memory) is not None]
    tops += [memory.spread.peak_upper.upper for stage in stages if (memory := stage.memory) is not None]
    top = max([*tops, 1])
    for at, (profile, stage) in enumerate(zip(profiles, stages, strict=True)):
        key = f"{stage.name.value}_memory_{part}_range"
        shown, memory = figure(profile, key, part.capitalize()), stage.memory
        bar, told, meaning = None, None, None
        if memory is not None:
            label = f"{LETTERS[at]}: {shown.text}"
            bar = range_bar(_range(memory, part), _ends(memory, part), top, label=label, say=say)
        answers = found[at - 1].memory if at else ()
        for one in (one for one in answers if one.figure == part):
            told, meaning = show_range_change(one.a, one.b), one.answer.value.replace(" ", "-")
        yield MemorySide(LETTERS[at], shown.title, shown, bar, doubt(profile, fact(key)), told, meaning)


def _range(memory: MemorySummary, part: str) -> Range:
    return memory.peak if part == "peak" else memory.increase


def _ends(memory: MemorySummary, part: str) -> tuple[Range, Range]:
    """The spread of the lower and of the upper end over the repeats."""
    spread = memory.spread
    return (spread.peak_lower, spread.peak_upper) if part == "peak" else (spread.increase_lower, spread.increase_upper)


# ---- layers ---------------------------------------------------------------------------------------------------------


def layer_sides(profiles: Sequence[Profile], chunks: slice = slice(None)) -> LayersSides:
    """The layers of all profiles, matched by name; of the table these bodies, of a hundred rows each."""
    found = layers_side_by_side([profile.layers for profile in profiles])
    disturbed = "".join(letter for letter, one in zip(LETTERS, profiles, strict=False) if one.layers.is_disturbed)
    found.sort(key=lambda row: (-(_longest(row) if disturbed else _difference(row)), row.number))
    starts = range(0, len(found), CHUNK)
    return LayersSides(
        chunks=[[_row(profiles, row) for row in found[start : start + CHUNK]] for start in starts[chunks]],
        of_chunks=len(starts),
        counts=[_count(profile, at, found) for at, profile in enumerate(profiles)],
        count=len(found),
        letters=LETTERS[: len(profiles)],
        note=LAYER_NOTE,
        disturbed=disturbed,
    )


def _difference(row: LayerSides) -> int:
    return max(map(abs, row.differences_ns), default=0)


def _longest(row: LayerSides) -> int:
    return max(layer.time_ns for layer in row.layers if layer is not None)


def _count(profile: Profile, at: int, rows: Sequence[LayerSides]) -> LayerCount:
    pairs = [(row.layers[0] is not None, row.layers[at] is not None) for row in rows]
    both, added, gone = (pairs.count(pair) for pair in ((True, True), (False, True), (True, False)))
    reason = None if profile.layers.layers else profile.layers.reason or "not measured"
    return LayerCount(LETTERS[at], both, added, gone, reason)


def _row(profiles: Sequence[Profile], row: LayerSides) -> LayerSidesRow:
    base = row.layers[0]
    here = next(layer for layer in row.layers if layer is not None)
    units = dict.fromkeys(layer.compute_unit.value for layer in row.layers if layer is not None)
    return LayerSidesRow(
        number=row.number,
        name=crop(row.name, LONGEST_NAME),
        type=crop(here.type, 80),
        unit=" → ".join(units),
        moved=len(units) > 1,
        cells=[
            _cell(profile, layer, None if at == 0 or base is None else (base.time_ns, profiles[0].layers))
            for at, (profile, layer) in enumerate(zip(profiles, row.layers, strict=True))
        ],
        base_ns=-1 if base is None else base.time_ns,
        differences_ns=[abs(one) for one in row.differences_ns],
    )


def _cell(profile: Profile, layer: Layer | None, base: tuple[int, LayerTable] | None) -> LayerCell:
    """``base`` is the same layer's time in ns in the profile that the others are held against, and the table that it is from."""
    if layer is None:
        return LayerCell(None, None)
    time = show_stepped(layer.time_ns, profile.layers.resolution_ns)
    if base is None or base[1].is_disturbed or profile.layers.is_disturbed:
        return LayerCell(time, None)
    more, ratio = layer.time_ns - base[0], layer_ratio(base, (layer.time_ns, profile.layers))
    told = "0" if more == 0 else f"{'+' if more > 0 else '−'}{show_time(abs(more))}"
    return LayerCell(time, told if ratio is None or more == 0 else f"{told} ({_changed(ratio)})")


def _changed(ratio: float) -> str:
    """A change in percent; from twice as long on as a factor."""
    return f"× {ratio:,.1f}" if ratio >= _FACTOR_FROM else f"{100 * (ratio - 1):+.0f} %"


_FACTOR_FROM = 2
