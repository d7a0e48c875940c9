"""The device as the policy sees it: the executor's verbs as methods, over a line of text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from dynolab import errors
from dynolab.measure import deaths
from dynolab.measure.order_bounds import SHORT_S, bound_s
from dynolab.measure.orders import (
    LINE_MAX_BYTES,
    At,
    Cool,
    Cooled,
    Idle,
    Look,
    Place,
    Prepared,
    Ran,
    Reference,
    ReferenceTimes,
    Run,
    Survey,
    TookTurns,
    Turns,
    Verb,
    document_of,
    line_of,
)
from dynolab.measure.protocol import PROTOCOL_VERSION
from dynolab.spec import codec
from dynolab.spec.board_health import Probe
from dynolab.spec.energy import EnergyRead
from dynolab.spec.findings import Examined
from dynolab.spec.holding import Claim, Held, busy, length

T = TypeVar("T")
Tell = Callable[[Mapping[str, Any]], None]


class Line(Protocol):
    """Lines to an executor and back, as :class:`dynolab.connections.base.Session` has them."""

    def send(self, line: str) -> None:
        """Give it one line."""

    def receive(self, within_s: float) -> str | None:
        """Its next line; None: it ended. Raises :class:`TimeoutError` when none came in time."""

    def ended(self) -> tuple[int, str]:
        """Exit status, and the end of standard error."""


class Device:
    """One executor. Each method is one order: it returns the answer, and raises the error that is given in its place."""

    def __init__(self, line: Line, tell: Tell) -> None:
        self._line, self.tell = line, tell
        self._number = 0
        self.now_ns = 0
        """The device's monotonic clock as its last answer told it: time that the line takes is no time of the device."""

    def look(self, runtime: str, *, loads: bool = False) -> Survey:
        """What the device is now; ``loads``: whether the runtime's library really does, too. Raises :class:`~dynolab.errors.DeviceUnstable` for an executor of another protocol."""
        found = self._order(Verb.LOOK, Look(runtime, loads), Survey)
        if found.protocol != PROTOCOL_VERSION:
            raise errors.DeviceUnstable(
                f"the device's executor speaks protocol {found.protocol}, this side {PROTOCOL_VERSION}",
                hint="install the same version of dynolab on both sides",
            )
        return found

    def hold(self, claim: Claim, address: str) -> Held:
        """Have the board until the executor ends, and who else is there; said again, who was there meanwhile.

        ``address``: what the device is called in messages. Raises :class:`~dynolab.errors.DeviceBusy` with who has it.
        """
        found = self._order(Verb.HOLD, claim, Held)
        if not found.granted:
            raise busy(address, found.others)
        return found

    def cool(self, celsius: float, within_s: float) -> Cooled:
        """Wait until the device is no hotter than this, at most for so long."""
        return self._order(Verb.COOL, Cool(celsius, within_s), Cooled)

    def prepare(self, place: Place) -> Prepared:
        """Have the folders of a place."""
        return self._order(Verb.PREPARE, place, Prepared)

    def reference(self, threads: Sequence[int], looks: int) -> dict[int, int]:
        """The reference kernel's shortest time in ns, by number of threads."""
        wanted = tuple(threads)
        found = self._order(Verb.REFERENCE, Reference(wanted, looks), ReferenceTimes)
        return dict(zip(wanted, found.times_ns, strict=True))

    def idle(self, seconds: float) -> EnergyRead:
        """What the sensors of energy tell for so long, while nothing runs."""
        return self._order(Verb.IDLE, Idle(seconds), EnergyRead)

    def run(self, run: Run) -> Ran:
        """One worker process; the model's error is in its result."""
        return self._order(Verb.RUN, run, Ran)

    def turns(self, turns: Turns) -> TookTurns:
        """Two worker processes that take turns."""
        return self._order(Verb.TURNS, turns, TookTurns)

    def probe(self) -> Probe:
        """How the device is."""
        return self._order(Verb.PROBE, None, Probe)

    def examine(self) -> Examined:
        """What would disturb measurements on it."""
        return self._order(Verb.EXAMINE, None, Examined)

    def compile_python(self, runtime: str) -> None:
        """Have Python keep what it compiles of the runtime's library."""
        self._answer(Verb.COMPILE_PYTHON, Look(runtime))

    def set_aside(self, place: str) -> None:
        """Keep the place's artifact for later."""
        self._answer(Verb.SET_ASIDE, At(place))

    def put_back(self, place: str) -> None:
        """Have the artifact again."""
        self._answer(Verb.PUT_BACK, At(place))

    def close(self) -> None:
        """The last order: wait until nothing of the campaign runs there any more."""
        self._line.send(line_of({"order": self._number + 1, "verb": Verb.CLOSE}))
        until = time.monotonic() + SHORT_S
        with suppress(TimeoutError):  # whoever ends the session ends it then
            while self._line.receive(until - time.monotonic()) is not None:
                pass

    def _order(self, verb: Verb, document: object, kind: type[T]) -> T:
        answer = self._answer(verb, document)
        try:
            return codec.decode(kind, answer, f"the answer to {verb}")
        except errors.SpecInvalid as error:
            raise errors.DeviceUnstable(
                f"the device's executor does not speak as this side does: {error.message}",
                hint="install the same version of dynolab on both sides",
            ) from error

    def _answer(self, verb: Verb, document: object) -> Any:
        self._number += 1
        bound = bound_s(document)
        until = time.monotonic() + bound
        self._line.send(line_of({"order": self._number, "verb": verb, "with": codec.encode(document)}))
        while True:
            try:
                told = self._next(until)
            except TimeoutError as error:
                raise errors.DeviceLost(
                    f"the device did not answer the order {verb} within {length(bound)}, though its line is there",
                    hint="its executor hangs, and is ended; run it again. --timeout gives a run less time",
                ) from error
            if "event" in told:
                self.tell(told)
            elif told.get("answer") == self._number:
                self.now_ns = int(told["at_ns"])
                if "error" in told:
                    raise errors.from_dict(told["error"])
                return told["value"]

    def _next(self, until: float) -> dict[str, Any]:
        """The next document; what else comes is noise, and passed over. ``until``: a monotonic time. Raises :class:`TimeoutError`."""
        while (line := self._line.receive(until - time.monotonic())) is not None:
            if len(line) > LINE_MAX_BYTES:
                raise errors.TooLarge(f"the device answers with {len(line)} bytes, the most is {LINE_MAX_BYTES}")
            if (told := document_of(line)) is not None:
                return told
        code, log = self._line.ended()
        raise deaths.from_outside(code, "the executor", log=log) or errors.Bug(
            f"the executor ended with code {code}", details={"log": log}
        )
