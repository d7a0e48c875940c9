"""The policy of a duet: two workers take turns until it is decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from dynolab import errors
from dynolab.measure import duet_ratio, profiling
from dynolab.measure.campaign import Describe, Runner
from dynolab.measure.campaign_messages import Campaign
from dynolab.measure.device import Device
from dynolab.measure.duet_memory import DuetMemory, reserve_ns
from dynolab.measure.duet_messages import SIDES, DuetCampaign, DuetMeasured
from dynolab.measure.orders import Files, Run, Survey, Turns
from dynolab.measure.protocol import PROTOCOL_VERSION, InputPlan, Measure, RunKind
from dynolab.measure.timed_loop import WINDOW_NS
from dynolab.spec.duets import DuetPair, Ratio
from dynolab.spec.measurements import StageName

COUPLES_MIN, COUPLES_MOST = 4, 40
"""Windows of each side in one pair of processes."""
PAIR_NS = 1_500_000_000
"""Time for the windows of one pair, beyond the fewest: processes differ by more than their windows, so more pairs tell more."""


WARM_UP_NS = 500_000_000
"""Of either side at most: what is still cold then is so on both, and each window has a warm-up of its own."""


class DuetRunner:
    """The two sides of a duet, and what was found so far."""

    def __init__(
        self, device: Device, survey: Survey, campaign: DuetCampaign, describe: Sequence[Describe | None]
    ) -> None:
        self.campaign, self.device = campaign, device
        self.started_ns = device.now_ns
        self.sides = {
            side: Runner(device, survey, one, by)
            for side, one, by in zip(SIDES, (campaign.a, campaign.b), describe, strict=True)
        }
        self.pairs: list[DuetPair] = []
        self.once: dict[StageName, list[tuple[int, int]]] = {}
        self.decided_after_ns: int | None = None
        self._round_ns = 0

    @property
    def elapsed_ns(self) -> int:
        """Since the start."""
        return self.device.now_ns - self.started_ns

    def carry_out(self) -> None:
        """Everything; an error of a model names its side."""
        self._inspect()
        while not self._is_over():
            self._round(len(self.pairs))
            self._tell()
        if self.campaign.terms.memory:
            self._memory()

    def _memory(self) -> None:
        passes = DuetMemory(self.sides, self.named, self.campaign.terms.stages)
        passes.carry_out(self.campaign.terms.floor, lambda: self.elapsed_ns > self.campaign.terms.budget_s * 1e9)

    # -- inputs -------------------------------------------------------------------------------------------------

    def _inspect(self) -> None:
        """Both models; the inputs of ``a`` are those of ``b`` as well, as far as it has inputs of these names."""
        with self.named("a") as a:
            profiling.inspect(a)
        with self.named("b") as b:
            given = b.campaign
            b.campaign = bound_to(given, a.inspection.inputs)
            try:
                profiling.inspect(b)
            except errors.SpecInvalid:
                if b.campaign == given:
                    raise
                b.campaign = given  # its inputs are others: it chooses its own, which is told as a difference
                profiling.inspect(b)

    @contextmanager
    def named(self, side: str) -> Iterator[Runner]:
        """The side's runner; an error that comes up inside names the side."""
        try:
            yield self.sides[side]
        except errors.Error as error:
            error.message = f"{side.upper()}: {error.message}"
            raise

    # -- rounds -------------------------------------------------------------------------------------------------

    def _round(self, number: int) -> None:
        """Fresh processes of both sides: compilations, cold loads, then the two that take turns; the order alternates."""
        begun_ns = self.device.now_ns
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        self._compile(order)
        if StageName.FIRST_LOAD in self.campaign.terms.stages:
            times = {side: self._timed(side, StageName.FIRST_LOAD) for side in order}
            self._note_once(StageName.FIRST_LOAD, times)
        self._pair(order)
        self._round_ns = self.device.now_ns - begun_ns

    def _compile(self, order: Sequence[str]) -> None:
        """In the first round whoever compiles; then again, where both do and that is asked for."""
        compiling = [side for side in order if self.sides[side].inspection.compiles]
        if self.pairs and (len(compiling) < 2 or StageName.COMPILE not in self.campaign.terms.stages):
            return
        times = {side: self._timed(side, StageName.COMPILE) for side in compiling}
        if len(times) == 2:
            self._note_once(StageName.COMPILE, times)

    def _timed(self, side: str, stage: StageName) -> int:
        """The time of a compilation or a cold load in a fresh process, in ns."""
        self._say(event="stage", stage=stage, text=f"time of {side.upper()}", process=len(self.pairs) + 1, attempt=1)
        with self.named(side) as runner:
            files = Files.EMPTY if stage is StageName.COMPILE else Files.COLD
            result = runner.spawn(runner.request(RunKind(stage), Measure.TIME), files).result
        return result.stages[stage].values_ns[0]

    def _note_once(self, stage: StageName, times: dict[str, int]) -> None:
        self.once.setdefault(stage, []).append((times["a"], times["b"]))

    def _pair(self, order: Sequence[str]) -> None:
        """Two workers that take turns: A B B A A B ..."""
        self._say(event="stage", stage="inference", text="taking turns", process=len(self.pairs) + 1, attempt=1)
        runs = tuple(self._turns_of(self.sides[side]) for side in order)
        took = self.device.turns(Turns(runs, WINDOW_NS, COUPLES_MIN, COUPLES_MOST, PAIR_NS))
        if took.failed is not None and took.error is not None:
            with self.named(took.failed):
                raise errors.from_dict(took.error)
        loads = {}
        for run in runs:
            with self.named(run.place) as runner:
                ran = runner.finished(took.ran[run.place], run.request)
                loads[run.place] = ran.result.stages[StageName.WARM_LOAD].values_ns[0]
        self._note_once(StageName.WARM_LOAD, loads)
        self.pairs.append(DuetPair(order[0], took.windows))

    @staticmethod
    def _turns_of(runner: Runner) -> Run:
        """One side's run."""
        return runner.order(runner.request(RunKind.TURNS, Measure.TIME, time_limit_ns=WARM_UP_NS), Files.WARM)

    def _say(self, **event: Any) -> None:
        """An event of progress."""
        self.device.tell(event)

    # -- the end ------------------------------------------------------------------------------------------------

    def ratio(self, stage: StageName) -> Ratio | None:
        """A stage's ratio so far."""
        if stage is StageName.INFERENCE:
            return duet_ratio.ratio(duet_ratio.of_pairs(self.pairs), self.campaign.seed)
        return duet_ratio.ratio(duet_ratio.of_times(self.once.get(stage, [])), self.campaign.seed)

    def _is_over(self) -> bool:
        """Whether all that was asked for is decided, or the budget leaves no room for another round.

        Time is kept for the memory passes once there are pairs enough for an interval.
        """
        given, kept_ns = self.campaign.terms, 0
        if len(self.pairs) >= duet_ratio.PAIRS_MIN:
            found = [self.ratio(stage) for stage in given.stages if self._occurs(stage)]
            if all(duet_ratio.is_decided(one, given.floor, given.limit) for one in found):
                self.decided_after_ns = self.elapsed_ns
                return True
            kept_ns = reserve_ns(self._round_ns - PAIR_NS, given.stages) if given.memory else 0
        return bool(self.pairs) and self.elapsed_ns + self._round_ns + kept_ns > given.budget_s * 1e9

    def _occurs(self, stage: StageName) -> bool:
        """Whether there is anything to decide: not where a side has nothing to compile."""
        return stage is StageName.INFERENCE or bool(self.once.get(stage))

    def _tell(self) -> None:
        found = self.ratio(self.campaign.terms.stages[0])
        self._say(
            event="duet",
            stage=self.campaign.terms.stages[0],
            pair=len(self.pairs),
            least=duet_ratio.PAIRS_MIN,
            ratio=None if found is None else [found.value, found.lower, found.upper],
            elapsed_s=self.elapsed_ns / 1e9,
            budget_s=self.campaign.terms.budget_s,
        )

    def measured(self, error: errors.Error | None) -> DuetMeasured:
        """Everything that was found."""
        a, b = (self.sides[side].finish() for side in SIDES)
        return DuetMeasured(
            protocol=PROTOCOL_VERSION,
            error=None if error is None else error.to_dict(),
            a=a,
            b=b,
            pairs=tuple(self.pairs),
            once={stage.value: tuple(times) for stage, times in self.once.items()},
            decided_after_ns=self.decided_after_ns,
            wall_ns=self.elapsed_ns,
        )


def bound_to(campaign: Campaign, inputs: Sequence[InputPlan]) -> Campaign:
    """The campaign, its inputs bound to the sizes and ranges that the other side's were given or found."""
    wishes = campaign.wishes
    given = {**wishes.files, **wishes.shapes}
    shapes = {item.spec.name: item.spec.sizes for item in inputs if item.spec.name not in given}
    ranges = {
        item.spec.name: (item.low, item.high)
        for item in inputs
        if item.file is None and item.spec.name not in wishes.ranges
    }
    return replace(
        campaign, wishes=replace(wishes, shapes={**wishes.shapes, **shapes}, ranges={**wishes.ranges, **ranges})
    )


def carry_out(
    device: Device, survey: Survey, campaign: DuetCampaign, describe: Sequence[Describe | None] = (None, None)
) -> DuetMeasured:
    """Everything that was found; an error of a model or the user ends the duet and is part of it.

    Raises the errors that are the device's: it has nothing more to tell then.
    """
    runner = DuetRunner(device, survey, campaign, describe)
    try:
        runner.carry_out()
    except errors.DeviceError:
        raise
    except errors.Error as error:
        return runner.measured(error)
    return runner.measured(None)
