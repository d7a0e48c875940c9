"""The energy of one inference from what the sensors told while the device was idle, and while the model ran. Pure.

Of each loop the energy is that between two samples taken inside it, less the idle power over the same time, for each of the
iterations between them. Idle power is the mean of the whiles just before and just after the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from dynolab.measure.readings.energy import ABSENT
from dynolab.spec.energy import EnergyPass, EnergySample, EnergySummary, SensorEnergy
from dynolab.spec.show import show_joules, show_watts

SHORTEST_NS = 500_000_000
"""Between the two samples of a loop: sensors average over some milliseconds, and a loop's first and last are not full."""
CHANGES = 3
"""A gauge that told fewer values in a loop is too slow for it: batteries' are renewed every second to every half minute."""
CHIPS = ("rapl", "nvidia")
"""Sensors of chips: finer than the board's, and of the board's parts, so that they add up."""


def summary(found: EnergyPass, virtualisation: str = "") -> EnergySummary:
    """The figure, of the finest sensors that tell one: those of the chips, else of the board, else the battery's.

    ``virtualisation``: as the device's environment tells it; a part of a larger machine seldom sees that one's sensors.
    """
    fields = sorted({name for whiles in found.loops for sample in whiles for name in sample.values})
    sensors = tuple(_sensor(name, found) for name in fields)
    telling = {one.source: one for one in sensors if one.joules is not None}
    for names in (CHIPS, ("board",), ("battery",)):
        chosen = [telling[name] for name in names if name in telling]
        if chosen:
            return _together(chosen, sensors, found)
    barred = [one for one in found.unavailable.values() if one not in ABSENT]
    reasons = [found.reason, *(f"{one.told}: {one.reason}" for one in sensors), *barred]
    reason = "; ".join(dict.fromkeys(one for one in reasons if one)) or _no_sensor(virtualisation)
    return EnergySummary(None, None, "", None, None, reason, sensors, found.unavailable, found)


def _no_sensor(virtualisation: str) -> str:
    kinds = ("virtual machine", "hypervisor", "container")
    kind = next((one for one in kinds if one in virtualisation), "device").replace("hypervisor", "virtual machine")
    return f"this {kind} shows no power sensor"


def _together(chosen: Sequence[SensorEnergy], sensors: tuple[SensorEnergy, ...], found: EnergyPass) -> EnergySummary:
    """Those that stand out from idle, added up; where none does, that is the reason why there is no figure."""
    standing = [one for one in chosen if (one.joules or 0.0) > (one.uncertainty_joules or 0.0)]
    counted = standing or list(chosen)
    idle, loop = (sum(getattr(one, name) or 0.0 for one in counted) for name in ("idle_watts", "loop_watts"))
    joules, spread = (sum(getattr(one, name) or 0.0 for one in counted) for name in ("joules", "uncertainty_joules"))
    reason = None
    if not standing:
        reason = (
            f"it does not stand out from idle: {show_watts(loop)} while the model ran, {show_watts(idle)} before and "
            f"after it, which is {show_joules(joules)} an inference, and as uncertain as {show_joules(spread)}"
        )
    return EnergySummary(
        joules=None if reason else joules,
        uncertainty_joules=None if reason else spread,
        source=" + ".join(one.told for one in counted),
        idle_watts=idle,
        loop_watts=loop,
        reason=reason,
        sensors=sensors,
        unavailable=found.unavailable,
        measured=found,
    )


def _sensor(name: str, found: EnergyPass) -> SensorEnergy:
    """One sensor over all loops: the median, and as its uncertainty half of what they differ by, or what one may be off by."""
    source = name.rpartition("_")[0]
    told = found.sources.get(source, source)
    idles = [watts(samples, name) for samples in found.idle]
    values, bounds, idle_watts, loop_watts, reason = [], [], [], [], None
    for number, samples in enumerate(found.loops):
        around = [one for one in idles[number : number + 2] if one is not None]
        inside = within(samples)
        power = watts(inside, name)
        reason = _unfit(inside, name) or (None if around and power is not None else "it stopped answering")
        if reason is not None or power is None:
            break
        seconds, count = (inside[-1].at_ns - inside[0].at_ns) / 1e9, inside[-1].count - inside[0].count
        idle, drift = sum(around) / len(around), (max(around) - min(around)) / 2
        values.append((power - idle) * seconds / count)
        bounds.append(drift * seconds / count + power * seconds / count / count)  # a look falls into an iteration
        idle_watts.append(idle)
        loop_watts.append(power)
    if reason is not None or not values:
        return SensorEnergy(source, told, None, None, None, None, tuple(values), reason or "no loop was measured")
    spread = max((max(values) - min(values)) / 2, median(bounds))
    return SensorEnergy(source, told, median(idle_watts), median(loop_watts), median(values), spread, tuple(values))


def within(samples: Sequence[EnergySample]) -> list[EnergySample]:
    """The samples inside the loop: after its first iteration, and before its last, beyond which the process does other things."""
    last = max((one.count for one in samples), default=0)
    return [one for one in samples if 0 < one.count < last]


def watts(samples: Sequence[EnergySample], name: str) -> float | None:
    """Mean power over the samples: a counter's growth over the time, or a gauge's values, each for the time around it."""
    told = [(one.at_ns, one.values[name]) for one in samples if name in one.values]
    if len(told) < 2 or told[-1][0] <= told[0][0]:
        return None
    seconds = (told[-1][0] - told[0][0]) / 1e9
    if name.endswith("_joules"):
        return max(0.0, told[-1][1] - told[0][1]) / seconds
    parts = ((after[0] - before[0]) / 1e9 * (before[1] + after[1]) / 2 for before, after in pairwise(told))
    return sum(parts) / seconds


def _unfit(inside: Sequence[EnergySample], name: str) -> str | None:
    """Why nothing can be told of a loop, or None."""
    if len(inside) < 2 or inside[-1].count == inside[0].count or inside[-1].at_ns - inside[0].at_ns < SHORTEST_NS:
        return "the loop was too short, or an inference too long, to read the sensor inside it"
    values = {one.values[name] for one in inside if name in one.values}
    if name.endswith("_joules") and len(values) < 2:
        return "its counter stood still while the model ran"
    if name == "battery_watts" and len(values) < CHANGES:
        return (
            f"it told {len(values)} values in {(inside[-1].at_ns - inside[0].at_ns) / 1e9:.1f} s, too few for this loop"
        )
    return None
