"""The verbs of :mod:`dynolab.measure.orders`, one method each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynolab import errors, eviction
from dynolab.measure import deaths, environment, memory_readings, probe, witnesses
from dynolab.measure.executor import energy_meter
from dynolab.measure.executor.board_lock import LOOK_EVERY_S, BoardLock
from dynolab.measure.executor.place import PlaceFolder
from dynolab.measure.executor.turns import take_turns
from dynolab.measure.identity import identity
from dynolab.measure.orders import (
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
)
from dynolab.measure.protocol import PROTOCOL_VERSION, RunKind
from dynolab.measure.readings import reference_kernel
from dynolab.sandbox import base as sandbox
from dynolab.spec import codec
from dynolab.spec.findings import Examined
from dynolab.spec.holding import Claim, Held, length

_LIBRARY_ONCE = (
    "import sys, importlib.metadata, numpy.random; from dynolab.measure.worker import plugins as p; "
    "p.load('dynolab.runtimes', sys.argv[1]).import_library()"
)


class Executor:
    """What was prepared in a workspace. ``tell`` is given the events of progress."""

    def __init__(self, workspace: Path, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._workspace, self._tell = workspace, tell
        self._places: dict[str, PlaceFolder] = {}
        self._board = BoardLock()
        self._used = eviction.use_own_environment()
        self._verbs: Mapping[Verb, tuple[type[Any], Callable[[Any], object]]] = {
            Verb.LOOK: (Look, self.look),
            Verb.PREPARE: (Place, self.prepare),
            Verb.IDLE: (Idle, lambda wanted: energy_meter.idle(wanted.seconds)),
            Verb.HOLD: (Claim, self.hold),
            Verb.COOL: (Cool, self.cool),
            Verb.REFERENCE: (Reference, self.reference),
            Verb.RUN: (Run, self.run),
            Verb.TURNS: (Turns, self.turns),
            Verb.COMPILE_PYTHON: (Look, self.compile_python),
            Verb.PROBE: (type(None), lambda _: probe.take()),
            Verb.EXAMINE: (type(None), lambda _: self.examine()),
            Verb.SET_ASIDE: (At, lambda at: self._at(at.place).set_aside()),
            Verb.PUT_BACK: (At, lambda at: self._at(at.place).put_back()),
        }

    def carry_out(self, verb: str, document: Any) -> object:
        """The answer of a verb, encoded. Raises :class:`~dynolab.errors.SpecInvalid` for an order that is none."""
        if verb not in self._verbs:
            raise errors.Bug(f"there is no verb {verb[:100]!r}", hint=f"there are: {', '.join(self._verbs)}")
        kind, method = self._verbs[Verb(verb)]
        answer = method(codec.decode(kind, document, f"the order {verb}"))
        return None if answer is None else codec.encode(answer)

    def close(self) -> None:
        """Remove what was set up besides files."""
        for place in self._places.values():
            place.close()
        self._board.release()
        while self._used:
            os.close(self._used.pop())

    def hold(self, claim: Claim) -> Held:
        """The board, as soon as nobody is in the way of the claim, and at the end of its wait in any case."""
        if self._board.is_held:
            self._board.look()
            return self._board.seen
        until, told = time.monotonic() + claim.wait_s, False
        while not (held := self._board.take(claim)).granted and time.monotonic() < until:
            if not told:
                told = True
                text = f"waits for the board, at most {length(claim.wait_s)}: it is in use by {held.who}"
                self._tell({"event": "note", "text": text})
            time.sleep(min(LOOK_EVERY_S, max(0.0, until - time.monotonic())))
        return held

    def cool(self, wanted: Cool) -> Cooled:
        """The temperature, as soon as it is low enough, and at the end of the wait in any case."""
        begun = time.monotonic()
        while (found := probe.celsius()) is not None and found > wanted.celsius:
            waited_s = time.monotonic() - begun
            if waited_s >= wanted.within_s:
                break
            if waited_s < LOOK_EVERY_S:
                text = f"it cools down: {found:.1f} °C, and up to {wanted.celsius:.1f} °C is usual before a job"
                self._tell({"event": "note", "text": text})
            time.sleep(min(LOOK_EVERY_S, wanted.within_s - waited_s))
        return Cooled(found, time.monotonic() - begun)

    def look(self, wanted: Look) -> Survey:
        """What this device is now. The reference kernel is none of it: it is asked for by itself."""
        confines = sandbox.strongest()
        return Survey(
            protocol=PROTOCOL_VERSION,
            device=environment.device_facts(),
            environment=environment.environment() | {"sandbox": sandbox.told(confines)},
            identity=identity(),
            kernel_identity=reference_kernel.identity(),
            cores=os.cpu_count() or 1,
            readings=witnesses.all_names(),
            memory_reason=memory_readings.unavailable(),
            memory_resolution_bytes=memory_readings.resolution_bytes(),
            memory_method=memory_readings.method(),
            clock=datetime.now(UTC).isoformat(timespec="seconds"),
            sandbox=confines.name,
            unavailable=_unavailable(wanted),
            versions=_versions(wanted.runtime),
        )

    def prepare(self, place: Place) -> Prepared:
        """Have a place's folders, and its memory limit; its model stays on the device meanwhile."""
        self._used += eviction.use_models(place.files)
        made = self._places[place.name] = PlaceFolder(self._workspace, place)
        return Prepared(made.memory_limit.method)

    def reference(self, wanted: Reference) -> ReferenceTimes:
        """The reference kernel in this process now: what a model's process tells could spoil the record for all others."""
        team = reference_kernel.KernelTeam()
        try:
            times = [min(team.slowest_ns(threads) for _ in range(wanted.looks)) for threads in wanted.threads]
        finally:
            team.close()
        return ReferenceTimes(tuple(times))

    def run(self, order: Run) -> Ran:
        """One worker process."""

        def progress(count: int, of: int, minimum_ns: int) -> None:
            event = {"event": "iteration", "count": count, "of": of, "minimum_ns": minimum_ns}
            self._tell(event | ({"what": "window"} if order.request.kind is RunKind.SUSTAINED else {}))

        self._board.look()
        return self._at(order.place).run(order, progress)

    def turns(self, order: Turns) -> TookTurns:
        """Two workers that take turns."""
        self._board.look()
        return take_turns(order, {run.place: self._at(run.place) for run in order.runs})

    def examine(self) -> Examined:
        """What the doctor finds, in a process of its own: it knows more than an executor must."""
        command = [sys.executable, "-P", "-m", "dynolab.doctor", str(self._workspace)]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True, check=False)
        if done.returncode:
            killed = deaths.from_outside(done.returncode, "the doctor", log=done.stderr[-4000:])
            raise killed or errors.Bug(f"the doctor ended with code {done.returncode}: {done.stderr[-4000:]}")
        return codec.decode(Examined, json.loads(done.stdout), "what the doctor found")

    def compile_python(self, wanted: Look) -> None:
        """Import a runtime's library once outside the sandbox, without any model, so that Python keeps what it compiles.

        Some installers leave that to the first import, and inside, where nothing of Python may be written, every import would
        be one.
        """
        if sys.dont_write_bytecode:
            return
        command = [sys.executable, "-P", "-c", _LIBRARY_ONCE, wanted.runtime]
        nowhere = subprocess.DEVNULL
        # An agent closes its own files to others, but workers, which are others where the agent is root, read these.
        subprocess.run(command, stdout=nowhere, stderr=nowhere, stdin=nowhere, check=False, umask=0o022)

    def _at(self, name: str) -> PlaceFolder:
        if name not in self._places:
            raise errors.Bug(f"the place {name[:100]!r} was not prepared")
        return self._places[name]


def _versions(runtime: str) -> dict[str, str]:
    """Of the runtime's distributions here."""
    from dynolab.runtimes.base import runtime_named  # as below

    try:
        return runtime_named(runtime).versions()
    except (errors.NotFound, errors.PluginMissing):
        return {}


def _unavailable(wanted: Look) -> str | None:
    """Why the runtime cannot be used here, or None."""
    from dynolab.runtimes.base import runtime_named, why_not_loaded  # with numpy: most orders need neither

    try:
        runtime = runtime_named(wanted.runtime)
        return runtime.unavailable() or (why_not_loaded(runtime) if wanted.loads else None)
    except (errors.NotFound, errors.PluginMissing) as error:
        return error.message
