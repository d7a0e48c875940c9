"""Checks of temperature and power supply, both of which lower the clock."""

from __future__ import annotations

from dynolab.doctor.base import Place, read
from dynolab.measure.readings import energy as sensors
from dynolab.measure.readings import thermal
from dynolab.spec.findings import Finding

_HOT_CELSIUS = 80.0
"""The Raspberry Pi's soft limit; laptops and phones begin to slow down between 80 and 100 degrees."""


def temperature(place: Place) -> list[Finding]:
    """How hot the device is, and whether heat holds it back."""
    values = read(thermal.plugin, place)
    if not values:
        return [Finding("temperature", "unknown", "no thermal zone, cooling device or throttle counter")]
    braked = max(values.get("cooling_state", 0.0), values.get("firmware_throttled", 0.0))
    events, celsius = values.get("throttle_events", 0.0), values.get("max_celsius")
    heat = f"{celsius:.0f} °C" if celsius is not None else "temperature not known"
    found = f"{heat}, {events:.0f} throttle events since boot, {'held back now' if braked else 'not held back now'}"
    cost = "a hot device lowers its clock: the first minute is faster than the tenth"
    if braked:
        return [
            Finding(
                "temperature", "problem", found, cost, "# let it cool down, or give it a fan or a stronger power supply"
            )
        ]
    warm = events > 0 or (celsius is not None and celsius >= _HOT_CELSIUS)
    return [Finding("temperature", "warning" if warm else "ok", found, cost if warm else "")]


def power(place: Place) -> list[Finding]:
    """Whether the device runs from its battery, or in a mode that saves power."""
    supplies = {path.name: path for path in (place.root / "sys/class/power_supply").glob("*")}
    states = {name: place.text(f"sys/class/power_supply/{name}/status") for name in supplies}
    profile = place.text("sys/firmware/acpi/platform_profile")
    found = ", ".join([f"{name}: {state}" for name, state in sorted(states.items()) if state]) or "no battery"
    found += f", power profile {profile}" if profile else ""
    cost = "the firmware caps the clock to save power"
    if "Discharging" in states.values():
        return [Finding("power", "warning", found, cost, "# plug in the charger")]
    if profile in ("low-power", "quiet", "cool"):
        return [
            Finding("power", "warning", found, cost, "echo performance | sudo tee /sys/firmware/acpi/platform_profile")
        ]
    return [Finding("power", "ok", found)]


def energy(place: Place) -> list[Finding]:
    """Which sensors tell the energy of an inference, and how one that is barred is opened."""
    values, reasons = sensors.plugin.told(place.root)
    barred = [one for one in reasons.values() if one not in sensors.ABSENT]
    if values:
        return [Finding("energy", "ok", ", ".join(sensors.plugin.sources(place.root).values()))]
    if not barred:
        return [Finding("energy", "unknown", "no power sensor", "what an inference costs in energy cannot be told")]
    fix = "sudo chmod a+r /sys/class/powercap/*/energy_uj  # whoever can read it may learn what others compute, until reboot"
    shown = fix if "rapl" in reasons and reasons["rapl"] in barred else ""
    return [Finding("energy", "unknown", "; ".join(barred), "what an inference costs in energy cannot be told", shown)]
