"""Workers that take turns: each stands still unless it is its turn."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import NoReturn

from dynolab import errors
from dynolab.measure.clock import now_ns
from dynolab.measure.executor.place import PlaceFolder
from dynolab.measure.orders import Ran, Run, TookTurns, Turns
from dynolab.measure.turns import NUMBER, TURN_MOST, WITNESSES
from dynolab.sandbox._tree import descendants
from dynolab.spec.duets import DuetWindow

MOST_NS = 1 << 50
SETTLE_S = 5.0
"""A process that has closed its end is about to end itself; how it did is to be known before it is ended."""


class TurnTaker:
    """A worker of the kind ``turns``, as a context. All it does raises the worker's error when that ends before its time."""

    def __init__(self, place: PlaceFolder, run: Run) -> None:
        self._place, self._run = place, run
        self.expected_ns: int
        """What an iteration takes, from its last turn."""
        self._stack = ExitStack()
        self._tree: Sequence[int] = ()

    def __enter__(self) -> TurnTaker:
        """Started, loaded, warmed up, and stopped."""
        with ExitStack() as stack:
            self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            stack.enter_context(self._ours)
            with theirs:
                self.worker = stack.enter_context(self._place.start(self._run, stdin=theirs.fileno()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def await_ready(self) -> None:
        """Return when it has loaded its model and warmed up; from then on it stands still."""
        (self.expected_ns,) = self._hear(1)
        self._tree = (self.worker.pid, *descendants(self.worker.pid))
        self._signal(signal.SIGSTOP)

    def take(self, side: str, count: int) -> DuetWindow:
        """The window of one turn of ``count`` iterations."""
        self._signal(signal.SIGCONT)
        self._say(count)
        numbers = self._hear(WITNESSES + 1 + min(count, TURN_MOST))
        self._signal(signal.SIGSTOP)
        delay_ns, *kernels_ns = numbers[:WITNESSES]
        warmup_ns, *values_ns = numbers[WITNESSES:]
        if not min(numbers[WITNESSES:]):
            raise _no_duration(0)
        self.expected_ns = sorted(values_ns)[len(values_ns) // 2]
        return DuetWindow(side, warmup_ns, tuple(values_ns), delay_ns, tuple(kernels_ns))

    def finish(self) -> Ran:
        """Its last words: the end of its turns, and what it found."""
        self._signal(signal.SIGCONT)
        self._say(0)
        self.worker.watch()
        self._stack.close()
        return self._place.told(self.worker)

    def _say(self, count: int) -> None:
        with suppress(OSError):  # a process that is gone is found out when it is listened to
            self._ours.sendall(NUMBER.pack(count))

    def _fail(self) -> NoReturn:
        """Raise what the process ended with, or the limit that it reached."""
        self.worker.settle(SETTLE_S)
        self._stack.close()
        ran = self._place.told(self.worker)
        if ran.result.error is not None:
            raise errors.from_dict(ran.result.error)
        raise errors.WorkerCrashed("the worker ended before its turns were over, and said nothing of a failure")

    def _hear(self, count: int) -> tuple[int, ...]:
        """So many numbers of ns; a model's process may have written anything."""
        content = b""
        while len(content) < count * NUMBER.size:
            if not self.worker.watch(news=self._ours.fileno()):
                self._fail()
            part = self._received(count * NUMBER.size - len(content))
            if not part:
                self._fail()
            content += part
        numbers = tuple(memoryview(content).cast("q"))
        wrong = [number for number in numbers if not 0 <= number <= MOST_NS]
        if wrong:
            raise _no_duration(wrong[0])
        return numbers

    def _received(self, size: int) -> bytes:
        try:
            return self._ours.recv(size)
        except OSError:
            return b""

    def _signal(self, number: signal.Signals) -> None:
        """Stop it, or have it go on: the threads of some runtimes spin for a while when their work is done.

        Where that is not allowed, the other side's windows bear it.
        """
        for pid in self._tree:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


@dataclass(slots=True)
class _Pair:
    """What two workers showed so far, and what ended one of them."""

    windows: list[DuetWindow] = field(default_factory=list)
    ran: dict[str, Ran] = field(default_factory=dict)
    failed: str | None = None
    error: errors.Error | None = None

    @contextmanager
    def by(self, place: str) -> Iterator[None]:
        """An error that comes up inside is that place's."""
        try:
            yield
        except errors.Error as error:
            self.failed, self.error = place, error
            raise


def take_turns(order: Turns, places: Mapping[str, PlaceFolder]) -> TookTurns:
    """The windows of two workers, and what each found; a worker's error ends both."""
    pair = _Pair()
    try:
        _carry_out(order, places, pair)
    except errors.Error as error:
        if error is not pair.error:
            raise
    return TookTurns(tuple(pair.windows), pair.ran, pair.failed, None if pair.error is None else pair.error.to_dict())


def _carry_out(order: Turns, places: Mapping[str, PlaceFolder], pair: _Pair) -> None:
    with ExitStack() as stack:
        takers: dict[str, TurnTaker] = {}
        for run in order.runs:
            with pair.by(run.place):
                places[run.place].make(run.files)
                takers[run.place] = stack.enter_context(TurnTaker(places[run.place], run))
                takers[run.place].await_ready()
        _take_windows(order, takers, pair)
        for name, taker in takers.items():
            with pair.by(name):
                pair.ran[name] = taker.finish()


def _take_windows(order: Turns, takers: Mapping[str, TurnTaker], pair: _Pair) -> None:
    end_ns = now_ns() + order.within_ns
    names = tuple(takers)
    for couple in range(order.couples_most):
        if couple >= order.couples_min and now_ns() >= end_ns:
            return
        slower_ns = max(taker.expected_ns for taker in takers.values())
        count = max(1, min(TURN_MOST, round(order.window_ns / slower_ns)))
        for name in names if couple % 2 == 0 else names[::-1]:
            with pair.by(name):
                pair.windows.append(takers[name].take(name, count))


def _no_duration(number: int) -> errors.WorkerCrashed:
    return errors.WorkerCrashed(
        f"what a process of the model said in its turn is no duration: {number} ns",
        hint="the model, or a library that it makes the runtime load, wrote to its standard input",
    )
