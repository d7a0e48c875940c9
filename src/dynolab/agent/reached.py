"""Devices that this machine reaches by an address: what they offer a hub, and how they are.

``python -m dynolab.agent.reached VERB ...`` does each in a process of its own, because it imports what the agent need not carry;
it prints one JSON object, ``{"error": ...}`` where it failed.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dynolab import errors
from dynolab.sandbox.base import own_environment
from dynolab.spec import codec
from dynolab.spec.agents import DeviceOffer
from dynolab.spec.board_health import Probe

if TYPE_CHECKING:
    from dynolab.measure.orders import Survey

RUNTIMES = ("onnxruntime", "litert")
"""Brought to a device unless others are named: they take 150 MB there, and run most models of phones and boards."""
PROBE_WITHIN_S = 120.0
SSH_ENVIRONMENT = ("SSH_AUTH_SOCK", "DYNOLAB_DEVICE_ROOT", "ANDROID_ADB_SERVER_PORT", "ADB_SERVER_SOCKET")
"""What connections need of the agent's environment."""
log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A device as it was found: what it is, and for each runtime its versions there, or why it cannot be used."""

    survey: Survey
    versions: Mapping[str, Mapping[str, str]]
    unavailable: Mapping[str, str]


def look(address: str, runtimes: Sequence[str], tell: Tell) -> Found:
    """Reach a device, bring what the runtimes need, and see which of them can be used there.

    Raises what :func:`dynolab.connections.base.connect` does; :class:`~dynolab.errors.NotFound` for a runtime that there is not.
    """
    from dynolab.connections.base import connect
    from dynolab.measure.device import Device
    from dynolab.runtimes.base import runtime_named

    for name in runtimes:
        runtime_named(name)
    with closing(connect(address)) as connection, connection.session(runtimes, tell) as session:
        device = Device(session, lambda event: None)
        surveys = {name: device.look(name, loads=True) for name in runtimes}
        device.close()
    return Found(
        next(iter(surveys.values())),
        {name: one.versions for name, one in surveys.items() if one.unavailable is None},
        {name: one.unavailable for name, one in surveys.items() if one.unavailable is not None},
    )


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
    from dynolab.connections.base import connect
    from dynolab.measure.device import Device

    with closing(connect(address)) as connection, connection.session([], lambda text: None) as session:
        device = Device(session, lambda event: None)
        found = device.probe()
        device.close()
    return found


# -- in processes of their own ----------------------------------------------------------------------------------------


def ask_offer(address: str, runtimes: Sequence[str], name: str | None) -> DeviceOffer:
    """The offer of a device; what is brought there is logged. Raises as :func:`look` and :func:`offer_of` do."""
    told = _asked(["offer", address, ",".join(runtimes), name or ""], None)
    return codec.decode(DeviceOffer, told, "the device's offer")


def ask_probe(address: str) -> Probe:
    """A device's probe. Raises :class:`~dynolab.errors.DeviceUnfit` for a device that cannot be reached."""
    try:
        return codec.decode(Probe, _asked(["probe", address], PROBE_WITHIN_S), "the probe")
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
        runtimes, name = more
        found = look(address, runtimes.split(","), lambda text: log.info("%s", text))
        return codec.encode(offer_of(found, name or None))
    except errors.Error as error:
        return {"error": error.to_dict()}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="agent: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    sys.stdout.write(json.dumps(_told(*sys.argv[1:])) + "\n")
