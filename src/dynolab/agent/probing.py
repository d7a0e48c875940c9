"""When the board is probed before it asks for a job, and what the hub makes of that."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.agent.seconds import seconds
from dynolab.agent.turns import turn_if_free
from dynolab.measure.probe import EVENT
from dynolab.sandbox.base import own_environment
from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, DeviceOffer, ProbeAnswer, ProbeReport
from dynolab.spec.board_health import Probe
from dynolab.spec.runtime_support import is_simulated
from dynolab.spec.toolchain_support import TOOLCHAINS_ONLY

EVERY, EVERY_S = "DYNOLAB_AGENT_PROBE_EVERY_S", 600.0
"""How old the last probe may be when a job is asked for; 0: the board is never probed."""
POSTPONED_S = 15.0
"""While another agent of this machine measures: a probe would disturb it."""
WITHIN_S = 60.0
"""A probe takes half a second; a board on which it takes longer than this is in trouble."""
log = logging.getLogger(__name__)


class Probing:
    """The probes of one device. A device that measures nothing is never probed."""

    def __init__(
        self,
        door: HubDoor,
        device: DeviceOffer,
        *,
        take: Callable[[], Probe] | None = None,
        is_here: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``is_here``: what is probed is this machine, which others may be measuring."""
        self._is_here = is_here
        self._door, self._device, self._take, self._now = door, device, take or take_here, now
        self._every_s = seconds(EVERY, EVERY_S)
        self._measures = TOOLCHAINS_ONLY not in device.attributes and not is_simulated(device.attributes)
        self._due_at = now()
        self._untold: tuple[Probe, float] | None = None
        self.answer = ProbeAnswer("good")
        """What the hub said of the last one."""

    def left_s(self) -> float:
        """Until the next one is due; infinite where none is."""
        return max(0.0, self._due_at - self._now()) if self._measures and self._every_s else float("inf")

    def due_now(self) -> None:
        """An attempt ended badly: what was seen before tells nothing of the board now."""
        self._due_at = self._now()

    def keep(self) -> None:
        """Probe the board and tell the hub, if that is due.

        Raises what the hub refuses with, :data:`~dynolab.agent.http.Unreachable`, and :class:`~dynolab.errors.DeviceUnfit`.
        """
        if self.left_s() > 0:
            return
        found = self._fresh()
        if found is None:
            self._due_at = self._now() + POSTPONED_S
            return
        try:
            answer = self._door.report_probe(ProbeReport(AGENT_PROTOCOL, self._device, found))
        except errors.SpecInvalid as error:  # the device is none the worse for a hub that does not take it
            log.warning("the hub does not take the health probe: %s", error)
            answer = self.answer
        self._untold = None
        self._due_at = self._now() + (self._every_s if answer.again_in_s is None else answer.again_in_s)
        if answer.state != self.answer.state:
            log.log(
                logging.INFO if answer.state == "good" else logging.WARNING,
                "this device's health is %s%s",
                answer.state,
                f": {answer.why}" if answer.why else "",
            )
        self.answer = answer

    def _fresh(self) -> Probe | None:
        """A probe to tell: a new one, or the last as long as no hub was there to be told; None: another agent measures here."""
        if self._untold is not None and self._now() - self._untold[1] < self._every_s:
            return self._untold[0]
        with turn_if_free() if self._is_here else nullcontext(True) as free:
            if not free:
                return None
            self._untold = self._take(), self._now()
        return self._untold[0]


def take_here() -> Probe:
    """A probe of this machine, in a process of its own. Raises :class:`~dynolab.errors.DeviceUnfit`."""
    command = [sys.executable, "-m", "dynolab.measure.probe"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=WITHIN_S, check=True, env=own_environment()
        )
    except subprocess.TimeoutExpired as error:
        raise errors.DeviceUnfit(f"the health probe did not end within {WITHIN_S:g} s") from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise errors.unfit(error) or errors.DeviceUnfit(f"the health probe failed: {error}") from error
    for line in done.stdout.splitlines():
        if line.startswith("{") and (document := json.loads(line)).get("event") == EVENT:
            return codec.decode(Probe, document["probe"], "the probe")
    raise errors.DeviceUnfit(f"the health probe told nothing: {done.stderr[-500:]}")
