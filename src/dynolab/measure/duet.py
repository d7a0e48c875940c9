"""Runs a duet on the device: ``python -m dynolab.measure.duet FOLDER``. Two workers take turns until it is decided.

Reads ``duet.json`` and leaves ``duet-measured.json``; progress goes to standard output, one JSON object a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from dynolab import errors
from dynolab.measure import duet_ratio, supervisor
from dynolab.measure.campaign import Runner, emit
from dynolab.measure.campaign_messages import Campaign
from dynolab.measure.clock import now_ns
from dynolab.measure.duet_memory import DuetMemory, reserve_ns
from dynolab.measure.duet_messages import DUET_FILE, DUET_MEASURED_FILE, SIDES, DuetCampaign, DuetMeasured
from dynolab.measure.protocol import PROTOCOL_VERSION, InputPlan, Measure, RunKind, read, write
from dynolab.measure.timed_loop import WINDOW_NS
from dynolab.measure.turn_taker import TurnTaker
from dynolab.measure.turns import TURN_MOST
from dynolab.spec.duets import DuetPair, DuetWindow, Ratio
from dynolab.spec.measurements import StageName

COUPLES_MIN, COUPLES_MOST = 4, 40
"""Windows of each side in one pair of processes."""
PAIR_NS = 1_500_000_000
"""Time for the windows of one pair, beyond the fewest: processes differ by more than their windows, so more pairs tell more."""


class DuetRunner:
    """The two sides of a duet, and what was found so far."""

    def __init__(self, folder: Path, campaign: DuetCampaign) -> None:
        self.campaign = campaign
        self.started_ns = now_ns()
        self.sides = {
            side: Runner(folder / side, one) for side, one in zip(SIDES, (campaign.a, campaign.b), strict=True)
        }
        self.pairs: list[DuetPair] = []
        self.once: dict[StageName, list[tuple[int, int]]] = {}
        self.decided_after_ns: int | None = None
        self._round_ns = 0

    @property
    def elapsed_ns(self) -> int:
        """Since the start."""
        return now_ns() - self.started_ns

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
            supervisor.inspect(a)
        with self.named("b") as b:
            given = b.campaign
            b.campaign = bound_to(given, a.inspection.inputs)
            try:
                supervisor.inspect(b)
            except errors.SpecInvalid:
                if b.campaign == given:
                    raise
                b.campaign = given  # its inputs are others: it chooses its own, which is told as a difference
                supervisor.inspect(b)

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
        begun_ns = now_ns()
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        self._compile(order)
        if StageName.FIRST_LOAD in self.campaign.terms.stages:
            times = {side: self._timed(side, StageName.FIRST_LOAD) for side in order}
            self._note_once(StageName.FIRST_LOAD, times)
        self._pair(order)
        self._round_ns = now_ns() - begun_ns

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
        emit(event="stage", stage=stage, text=f"time of {side.upper()}", process=len(self.pairs) + 1, attempt=1)
        with self.named(side) as runner:
            runner.wipe() if stage is StageName.COMPILE else runner.make_cold()
            result = runner.spawn(runner.request(RunKind(stage), Measure.TIME)).result
        return result.stages[stage].values_ns[0]

    def _note_once(self, stage: StageName, times: dict[str, int]) -> None:
        self.once.setdefault(stage, []).append((times["a"], times["b"]))

    def _pair(self, order: Sequence[str]) -> None:
        """Two workers that take turns: A B B A A B ..."""
        emit(event="stage", stage="inference", text="taking turns", process=len(self.pairs) + 1, attempt=1)
        with ExitStack() as stack:
            takers: dict[str, TurnTaker] = {}
            for side in order:
                with self.named(side) as runner:
                    runner.make_warm()
                    takers[side] = stack.enter_context(TurnTaker(runner))
                    takers[side].await_ready()
            windows = self._windows(takers, order)
            loads = {}
            for side in order:
                with self.named(side):
                    loads[side] = takers[side].finish().result.stages[StageName.WARM_LOAD].values_ns[0]
        self._note_once(StageName.WARM_LOAD, loads)
        self.pairs.append(DuetPair(order[0], tuple(windows)))

    def _windows(self, takers: dict[str, TurnTaker], order: Sequence[str]) -> list[DuetWindow]:
        end_ns = now_ns() + PAIR_NS
        windows: list[DuetWindow] = []
        for couple in range(COUPLES_MOST):
            if couple >= COUPLES_MIN and now_ns() >= end_ns:
                break
            slower_ns = max(taker.expected_ns for taker in takers.values())
            count = max(1, min(TURN_MOST, round(WINDOW_NS / slower_ns)))
            for side in order if couple % 2 == 0 else order[::-1]:
                with self.named(side):
                    windows.append(takers[side].take(side, count))
        return windows

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
        emit(
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


def carry_out(folder: Path, campaign: DuetCampaign) -> DuetMeasured:
    """Everything that was found; an error of a model or the user ends the duet and is part of it."""
    runner = DuetRunner(folder, campaign)
    try:
        runner.carry_out()
    except errors.Error as error:
        return runner.measured(error)
    return runner.measured(None)


def duet_in(folder: Path) -> None:
    """Carry out the duet that lies in a folder, and leave there what was measured."""
    write(carry_out(folder, read(DuetCampaign, folder / DUET_FILE)), folder / DUET_MEASURED_FILE)


if __name__ == "__main__":
    sys.exit(supervisor.supervise(sys.argv[1:], duet_in))
