"""What a device at the other end of a line is, which runtimes load there, and what would disturb measurements on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dynolab.connections.base import Connection
from dynolab.errors import PluginMissing
from dynolab.measure.device import Device
from dynolab.measure.orders import Survey
from dynolab.runtimes.base import runtime_named
from dynolab.spec.findings import WORST_FIRST, Finding
from dynolab.spec.holding import Claim

NO_RUNTIME = "null"
"""What a device is asked of where no runtime is meant: it needs nothing to be brought."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A device as it was found: what it is, and for each runtime its versions there, or why it cannot be used."""

    survey: Survey
    versions: Mapping[str, Mapping[str, str]]
    unavailable: Mapping[str, str]


@contextmanager
def _held(connection: Connection, runtimes: Sequence[str], claim: Claim, tell: Tell) -> Iterator[Device]:
    """The device's executor, held for the claim. Raises :class:`~dynolab.errors.DeviceBusy`."""
    with connection.session(runtimes, tell) as session:
        device = Device(session, lambda event: tell(str(event.get("text", ""))))
        device.hold(claim, connection.address)
        yield device
        device.close()


def survey_of(connection: Connection, claim: Claim, tell: Tell, runtimes: Sequence[str] = ()) -> Survey:
    """What a device is now; ``runtimes``: those that are to be brought there anyway."""
    with _held(connection, runtimes, claim, tell) as device:
        return device.look(NO_RUNTIME)


def look(connection: Connection, runtimes: Sequence[str], claim: Claim, tell: Tell) -> Found:
    """Bring what the runtimes need, and see which of them can be used there; one that the device cannot have hinders no other.

    It is held for the claim meanwhile. Raises :class:`~dynolab.errors.NotFound` for a runtime that there is not,
    :class:`~dynolab.errors.PluginMissing` where the device cannot even have what all runtimes need,
    :class:`~dynolab.errors.DeviceBusy`, and what a session raises.
    """
    for name in runtimes:
        runtime_named(name)
    try:
        return _looked(connection, runtimes, claim, tell)
    except PluginMissing:
        survey = survey_of(connection, claim, tell)
    found = Found(survey, {}, {})
    for name in runtimes:
        try:
            one = _looked(connection, [name], claim, tell)
        except PluginMissing as error:
            one = Found(survey, {}, {name: error.message + (f" ({error.hint})" if error.hint else "")})
        found = Found(survey, {**found.versions, **one.versions}, {**found.unavailable, **one.unavailable})
    return found


def _looked(connection: Connection, runtimes: Sequence[str], claim: Claim, tell: Tell) -> Found:
    with _held(connection, runtimes, claim, tell) as device:
        surveys = {name: device.look(name, loads=True) for name in runtimes}
        survey = next(iter(surveys.values())) if surveys else device.look(NO_RUNTIME)
    return Found(
        survey,
        {name: one.versions for name, one in surveys.items() if one.unavailable is None},
        {name: one.unavailable for name, one in surveys.items() if one.unavailable is not None},
    )


def examine(connection: Connection, runtimes: Sequence[str], claim: Claim, tell: Tell) -> tuple[Survey, list[Finding]]:
    """What the device is, and all findings on it, worst first; which of the runtimes can be used there is among them.

    Raises as :func:`look` does.
    """
    found = look(connection, runtimes, claim, tell)
    with _held(connection, [*found.versions], claim, tell) as device:  # as they are there already
        findings = device.examine().findings
    every = [*_of_runtimes(found), *findings]
    return found.survey, sorted(every, key=lambda one: WORST_FIRST.index(one.state))


def _of_runtimes(found: Found) -> list[Finding]:
    able = [
        Finding(f"runtime {name}", "ok", ", ".join(f"{one} {version}" for one, version in told.items()) or "works")
        for name, told in found.versions.items()
    ]
    cost = "its models cannot be run on this device"
    return able + [Finding(f"runtime {name}", "problem", why, cost) for name, why in found.unavailable.items()]
