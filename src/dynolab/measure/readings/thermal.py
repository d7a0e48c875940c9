"""How hot the device is, and whether it slows itself down for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_number

_BRAKES = ("processor", "cpu", "powerclamp", "devfreq", "gpu")
"""Words in the type of a cooling device that slows computing down; fans, displays and radios cool without that."""
_FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
"""Raspberry Pi: a hexadecimal word (linux: drivers/firmware/raspberrypi.c)."""
_FIRMWARE_NOW = 0xF
"""Bits 0-3: under-voltage, frequency capped, throttled, soft temperature limit, each *now* (raspberrypi.com, vcgencmd)."""
_MOST_FILES = 40
"""Counters and zones read at most, to stay below 1 ms; all packages' and the first cores' throttle counts are among them."""
_PLAUSIBLE_CELSIUS = (-40.0, 150.0)
"""Zones without a sensor answer with values such as -273 or 2e6."""


class Thermal(Reading):
    """Temperature and throttling.

    Source: ``/sys/class/thermal/thermal_zone*/temp`` in millidegrees and ``cooling_device*/cur_state`` (kernel:
    Documentation/driver-api/thermal/sysfs-api.rst); ``cpu*/thermal_throttle/*_throttle_count`` (x86 machine check).
    """

    name = "thermal"
    fields = {
        "max_celsius": Field("gauge", "celsius", "the hottest zone"),
        "throttle_events": Field("counter", "1", "times that a core or package crossed its thermal threshold"),
        "cooling_state": Field(
            "gauge", "1", "sum of the states of cooling devices that slow computing down; 0: none does"
        ),
        "firmware_throttled": Field("gauge", "1", "Raspberry Pi: how many reasons to slow down hold now, 0 to 4"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The values that this device has. Raises :class:`Unavailable` when it has none."""
        values = dict(_zones(root))
        values.update(_throttle_counts(root))
        values.update(_cooling(root))
        values.update(_firmware(root))
        if not values:
            raise Unavailable("no thermal zone, cooling device or throttle counter below /sys")
        return values


def _zones(root: Path) -> Iterator[tuple[str, float]]:
    files = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))[:_MOST_FILES]
    found = [value / 1e3 for value in map(read_number, files) if value is not None]
    plausible = [value for value in found if _PLAUSIBLE_CELSIUS[0] < value < _PLAUSIBLE_CELSIUS[1]]
    if plausible:
        yield "max_celsius", max(plausible)


def _throttle_counts(root: Path) -> Iterator[tuple[str, float]]:
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))[:_MOST_FILES]
    counts = [value for value in map(read_number, files) if value is not None]
    if counts:
        yield "throttle_events", sum(counts)


def _cooling(root: Path) -> Iterator[tuple[str, float]]:
    states = []
    for device in sorted((root / "sys/class/thermal").glob("cooling_device*"))[:_MOST_FILES]:
        state = read_number(device / "cur_state")
        if state is not None and _is_brake(device):
            states.append(max(0.0, state))  # intel_powerclamp says -1 when it does nothing
    if states:
        yield "cooling_state", sum(states)


def _is_brake(device: Path) -> bool:
    try:
        kind = (device / "type").read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
    return "fan" not in kind and any(word in kind for word in _BRAKES)


def _firmware(root: Path) -> Iterator[tuple[str, float]]:
    try:
        word = int((root / _FIRMWARE).read_text(encoding="ascii", errors="replace").strip(), 16)
    except (OSError, ValueError):
        return
    yield "firmware_throttled", float((word & _FIRMWARE_NOW).bit_count())


plugin = Thermal()
