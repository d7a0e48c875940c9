"""A duet: two models (or options, or runtimes) that took turns on one device, and what their times and memory differ by.

Measuring.md section 6. Times are integers in nanoseconds, memory integers in bytes; ratios are of ``b`` over ``a``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from dynolab.errors import SpecInvalid
from dynolab.spec.answers import Answer
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.facts import STAGE_TITLES
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.models import ModelFacts
from dynolab.spec.profiles import Tensor

SCHEMA_VERSION = 1
KIND = "duet"
DEFAULT_BUDGET_S = 60.0
DEFAULT_FLOOR = 0.02


@dataclass(frozen=True, slots=True)
class DuetTerms:
    """What a duet is to decide, and when it may stop."""

    floor: float = DEFAULT_FLOOR
    """The share of a time up to which two sides count as alike; what the same thing differs by from duet to duet."""
    limit: float | None = None
    """A share such as 0.10: stop when it is known whether ``b`` is slower by more than that, rather than by the floor."""
    budget_s: float = DEFAULT_BUDGET_S
    stages: tuple[StageName, ...] = (StageName.INFERENCE,)
    """The stages that have to be decided before it stops within its budget. Inference and warm loads occur in any case, and
    are told; compilations and cold loads are timed with every pair, and their memory read, only if they stand here."""
    memory: bool = True
    """Whether there are memory passes as well."""

    def check(self) -> None:
        """Raise :class:`~dynolab.errors.SpecInvalid` for a floor, limit or budget that nothing can be decided by."""
        if not (isfinite(self.floor) and 0 <= self.floor < 1):
            raise SpecInvalid(f"a floor of {self.floor:g}: a share from 0 to below 1 is needed", hint="0.02 is 2 %")
        if self.limit is not None and not (isfinite(self.limit) and self.limit >= 0):
            raise SpecInvalid(f"a limit of {self.limit:g}: a share of 0 or more is needed", hint="0.1 is 10 %")
        if not (isfinite(self.budget_s) and self.budget_s > 0):
            raise SpecInvalid(f"a budget of {self.budget_s:g} s leaves no time", hint="the default is 60 s")
        if not self.stages:
            raise SpecInvalid("no stage is to be decided", hint=f"one or more of {', '.join(StageName)}")


@dataclass(frozen=True, slots=True)
class DuetSpec:
    """What a duet is asked for: both sides, and what is to be decided.

    The sides' inputs, seed, time and memory limits are those of ``a``: they are bound once, for both.
    """

    a: ProfileSpec
    b: ProfileSpec
    terms: DuetTerms = DuetTerms()


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of ``b`` over that of ``a``, with its interval (see :attr:`Duet.confidence`)."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class DuetSide:
    """What stood on one side."""

    model: ModelFacts
    runtime: str
    options: str
    versions: dict[str, str]
    effective: dict[str, str]
    """What is in effect (threads, precision, providers, ...), as the runtime tells it."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class DuetWindow:
    """Some 20 ms of one side, while the other stood still."""

    side: str
    """``a`` or ``b``."""
    warmup_ns: int
    """Its first iteration, which is no part of its times."""
    values_ns: tuple[int, ...]
    delay_ns: int = 0
    """What the threads waited for a CPU in it; 0 where this system does not tell."""
    kernels_ns: tuple[int, ...] = ()
    """The reference kernel before and after it."""


@dataclass(frozen=True, slots=True)
class DuetPair:
    """Two fresh processes, and their windows in the order in which they took turns."""

    first: str
    """The side that was loaded first."""
    windows: tuple[DuetWindow, ...]


@dataclass(frozen=True, slots=True)
class StageDuet:
    """The answer for the time of one stage, in a word and in a sentence, and the figures behind it."""

    name: StageName
    answer: Answer
    sentence: str
    ratio: Ratio | None
    """None where a side has no time, or there are too few processes: ``reason`` says which."""
    reason: str | None
    a_ns: int | None
    """The smallest time seen on this side."""
    b_ns: int | None
    a_median_ns: int | None
    b_median_ns: int | None
    a_values_ns: tuple[int, ...] = ()
    """Of compile and loads: one time for each process, in order; those of inference are in the duet's pairs."""
    b_values_ns: tuple[int, ...] = ()

    @property
    def direction(self) -> int:
        """1: slower, -1: faster, 0: not called changed."""
        if self.answer is not Answer.CHANGED or self.ratio is None:
            return 0
        return 1 if self.ratio.value > 1 else -1


@dataclass(frozen=True, slots=True)
class MemoryDuet:
    """The answer for one memory figure: each end of the range on its own, by the spread over the passes."""

    stage: StageName | None
    """None: the whole process, from before the runtime's import."""
    figure: str
    """``peak`` or ``increase``."""
    answer: Answer
    sentence: str
    a: Range
    """The medians of the passes' ends, as in a profile."""
    b: Range
    lower: Ratio | None
    """Of the lower ends, what only swap could take; None where that of ``a`` is 0."""
    upper: Ratio | None
    """Of the upper ends, all that is resident."""
    a_runs: tuple[Range, ...]
    """Each pass's own ends, in order; of those that count."""
    b_runs: tuple[Range, ...]
    reason: str | None = None
    """Why nothing can be told, whatever the figures: a pass was disturbed."""

    @property
    def name(self) -> str:
        """``first_load_peak``, ``process_total_peak``, ..."""
        return f"{self.stage or 'process_total'}_{self.figure}"

    @property
    def direction(self) -> int:
        """1: more, -1: less, 0: not called changed."""
        if self.answer is not Answer.CHANGED:
            return 0
        return 1 if (self.b.lower + self.b.upper) > (self.a.lower + self.a.upper) else -1


@dataclass(frozen=True, slots=True)
class Duet:
    """The whole document: the answers, and all raw values."""

    schema_version: int
    kind: str
    dynolab_version: str
    created_at: str
    a: DuetSide
    b: DuetSide
    device: DeviceFacts
    environment: dict[str, str]
    differences: tuple[str, ...]
    """What is not like for like, in words: to be read first."""
    floor: float
    limit: float | None
    confidence: float
    budget_s: float
    asked: tuple[StageName, ...]
    """The stages that were to be decided."""
    stages: tuple[StageDuet, ...]
    """All four: those that were not asked for, and did not occur on the way, say so."""
    memory: tuple[MemoryDuet, ...]
    memory_reason: str | None
    """Why there are no memory figures, or None."""
    pairs: tuple[DuetPair, ...]
    decided_after_s: float | None
    """When the stages asked for were decided, from the start of the first process; None: they were not."""
    wall_s: float
    seed: int
    log: str = ""
    notices: tuple[str, ...] = field(default=())
    """What a reader must know besides, such as shapes that were chosen."""

    def __str__(self) -> str:
        return self.headline

    def stage(self, name: StageName) -> StageDuet:
        """The answer for one stage."""
        return next(one for one in self.stages if one.name is name)

    @property
    def direction(self) -> int:
        """1: a stage that was to be decided became slower; -1: one became faster, and none slower; 0: neither."""
        found = {self.stage(name).direction for name in self.asked}
        return 1 if 1 in found else min(found, default=0)

    @property
    def headline(self) -> str:
        """The answer in one line: ``B is 12.3 % slower (10.9 - 13.8 %), decided after 21 s``."""
        when = (
            f"after {self.wall_s:.0f} s"
            if self.decided_after_s is None
            else f"decided after {self.decided_after_s:.0f} s"
        )
        told = [
            self.stage(name).sentence
            if name is StageName.INFERENCE
            else f"{STAGE_TITLES[name]}: {self.stage(name).sentence}"
            for name in self.asked
        ]
        return f"{'; '.join(told)}, {when}"
