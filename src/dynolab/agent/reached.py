"""Devices that this machine reaches by an address: what they offer a hub, and how they are.

``python -m dynolab.agent.reached VERB ...`` does each in a process of its own, because it imports what the agent need not carry;
it prints one JSON object, ``{"error": ...}`` where it failed.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from dynolab import errors
from dynolab.measure import lifeline
from dynolab.sandbox.base import own_environment
from dynolab.spec import codec
from dynolab.spec.agents import DeviceOffer
from dynolab.spec.board_health import Probe

if TYPE_CHECKING:
    from dynolab.doctor.reached import Found
    from dynolab.measure.device import Device

T = TypeVar("T")
PROBE_WITHIN_S = 120.0
LOOK_WAIT_S, FREE_WAIT_S = 86_400.0, 3600.0
"""For a board that somebody has: before an agent looks at it, and until it is free again."""
SSH_ENVIRONMENT = (
    "SSH_AUTH_SOCK",
    "DYNOLAB_DEVICE_ROOT",
    "DYNOLAB_DEVICE_PYTHON",
    "ANDROID_ADB_SERVER_PORT",
    "ADB_SERVER_SOCKET",
)
"""What connections need of the agent's environment."""
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


def look(address: str, runtimes: Sequence[str], tell: Tell, *, wait_s: float | None = None) -> Found:
    """The device at an address.

    Raises what :func:`dynolab.connections.base.connect` and :func:`dynolab.doctor.reached.look` do;
    :class:`~dynolab.errors.DeviceBusy` when somebody still measures there after ``wait_s`` (None: a moment).
    """
    from dynolab.connections.base import connect
    from dynolab.doctor import reached
    from dynolab.jobs.base import Asking

    claim = Asking("a look at what the device is", wait_s=wait_s).claim("", here=False)
    with closing(connect(address)) as connection:
        return reached.look(connection, runtimes, claim, tell)


def offer_of(found: Found, name: str | None = None) -> DeviceOffer:
    """What a device that was found offers to a hub. Raises :class:`~dynolab.errors.PluginMissing` where it can run nothing."""
    from dynolab.agent import offer
    from dynolab.runtimes.base import runtime_named

    if not found.versions:
        reasons = "; ".join(f"{name}: {why}" for name, why in found.unavailable.items())
        raise errors.PluginMissing(f"no runtime can be used on the device: {reasons}")
    survey = found.survey
    serves = offer.Serves({one: runtime_named(one) for one in found.versions}, survey.sandbox)
    made = offer.offer_of(survey.device, serves, identity=survey.identity, name=name)
    return replace(made, frameworks={key: value for one in found.versions.values() for key, value in one.items()})


def probe(address: str) -> Probe:
    """A device's health probe, taken on that device."""

    def take(device: Device) -> Probe:
        return device.probe()

    return _holding(address, "a health probe", 0.0, take)


def wait(address: str) -> None:
    """Return when nobody measures on a device any more. Raises :class:`~dynolab.errors.DeviceBusy` after an hour."""
    _holding(address, "an agent that waited for the device", FREE_WAIT_S, lambda device: None)


def _holding(address: str, what: str, wait_s: float, act: Callable[[Device], T]) -> T:
    """What comes of an act on a device that is held for it. Raises :class:`~dynolab.errors.DeviceBusy`."""
    from dynolab.connections.base import connect
    from dynolab.jobs.base import Asking
    from dynolab.measure.device import Device

    with closing(connect(address)) as connection, connection.session([], lambda text: None, wait_s) as session:
        device = Device(session, lambda event: None)
        device.hold(Asking(what, wait_s=wait_s).claim("", here=False), address)
        found = act(device)
        device.close()
    return found


# -- in processes of their own ----------------------------------------------------------------------------------------


def ask_offer(address: str, runtimes: Sequence[str], name: str | None) -> DeviceOffer:
    """The offer of a device; what is brought there is logged. Raises as :func:`look` and :func:`offer_of` do."""
    told = _asked(["offer", address, ",".join(runtimes), name or ""], None)
    return codec.decode(DeviceOffer, told, "the device's offer")


def ask_probe(address: str) -> Probe:
    """A device's probe.

    Raises :class:`~dynolab.errors.DeviceUnfit` for a device that cannot be reached, :class:`~dynolab.errors.DeviceBusy` for one
    on which somebody measures.
    """
    try:
        return codec.decode(Probe, _asked(["probe", address], PROBE_WITHIN_S), "the probe")
    except errors.DeviceBusy:
        raise
    except (errors.DeviceError, errors.Forbidden, errors.PluginMissing) as error:
        raise errors.DeviceUnfit(f"the device cannot be probed: {error.message}") from error


def _asked(arguments: Sequence[str], within_s: float | None) -> Any:
    command = [sys.executable, "-m", "dynolab.agent.reached", *arguments]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=within_s,
            env=own_environment(*SSH_ENVIRONMENT),
        )
    except subprocess.TimeoutExpired as error:
        raise errors.DeviceLost(f"{arguments[1]} did not answer within {within_s:g} s") from error
    except subprocess.CalledProcessError as error:
        raise errors.Bug(f"{arguments[0]} of {arguments[1]} ended with code {error.returncode}") from error
    told = json.loads(done.stdout)
    if "error" in told:
        raise errors.from_dict(told["error"])
    return told


def _told(verb: str, address: str, *more: str) -> object:
    """What is printed."""
    try:
        if verb == "probe":
            return codec.encode(probe(address))
        if verb == "wait":
            lifeline.hold(int(more[0]))
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the board is let go
            wait(address)
            return {}
        runtimes, name = more
        found = look(address, runtimes.split(","), lambda text: log.info("%s", text), wait_s=LOOK_WAIT_S)
        return codec.encode(offer_of(found, name or None))
    except errors.Error as error:
        return {"error": error.to_dict()}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="agent: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    sys.stdout.write(json.dumps(_told(*sys.argv[1:])) + "\n")
