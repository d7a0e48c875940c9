"""How an Android device is now: battery and heat, by its own services. Pure but for :func:`state`.

``/sys`` holds them as well, but what of it the user ``shell`` may read differs by maker.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

DUMPSYS = "system/bin/dumpsys"
_TIMEOUT_S = 10.0
_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""android.os.PowerManager: THERMAL_STATUS_NONE, 0, and so on."""
_CHARGE = {"2": "charging", "3": "discharging", "4": "not charging", "5": "full"}
"""android.os.BatteryManager: BATTERY_STATUS_*; 1 is unknown."""
_SOURCES = ("AC", "USB", "Wireless", "Dock")
_KINDS = {"0": "CPU", "1": "GPU", "2": "battery", "3": "skin", "9": "NPU"}
"""android.os.Temperature: TYPE_*; those that say something of computing."""
_PLAUSIBLE_CELSIUS = (-40.0, 150.0)
_ROW = re.compile(r"^\s*([A-Za-z ]+): (\S.*?)\s*$", re.MULTILINE)
_TEMPERATURE = re.compile(r"Temperature\{mValue=(-?[\d.]+), mType=(\d+), mName=[^,}]*, mStatus=\d+\}")
_NOT_AVAILABLE = "not available: dumpsys {service} tells nothing of it"


def state(root: Path = Path("/")) -> dict[str, str]:
    """Battery and heat in words; nothing where this is no Android. What a service does not tell is said so."""
    if not (root / DUMPSYS).exists():
        return {}
    return {
        "battery": battery(_said(root, "battery")) or _NOT_AVAILABLE.format(service="battery"),
        "thermal_status": thermal(_said(root, "thermalservice")) or _NOT_AVAILABLE.format(service="thermalservice"),
    }


def battery(text: str) -> str:
    """Such as ``81 %, charging (USB), 28.7 °C``, of ``dumpsys battery`` (BatteryService.java); nothing where it tells nothing."""
    told = dict(_ROW.findall(text))
    return ", ".join(_battery(told))


def thermal(text: str) -> str:
    """Such as ``none; CPU 44.1 °C, skin 31.4 °C``, of ``dumpsys thermalservice`` (ThermalManagerService.java, Android 10)."""
    told = dict(_ROW.findall(text))
    number = told.get("Thermal Status", "")
    if not number.isdecimal():
        return ""
    status = _STATUS[int(number)] if int(number) < len(_STATUS) else number
    hottest: dict[str, float] = {}
    # What was asked of the hardware now stands below what was kept from before.
    for value, kind in _TEMPERATURE.findall(text.partition("Current temperatures from HAL")[2] or text):
        celsius = float(value)
        if kind in _KINDS and _PLAUSIBLE_CELSIUS[0] < celsius < _PLAUSIBLE_CELSIUS[1]:
            hottest[_KINDS[kind]] = max(celsius, hottest.get(_KINDS[kind], celsius))
    shown = ", ".join(f"{kind} {celsius:.1f} °C" for kind, celsius in hottest.items())
    return f"{status}; {shown}" if shown else status


def _battery(told: Mapping[str, str]) -> Iterator[str]:
    level, scale = told.get("level", ""), told.get("scale", "100")
    if told.get("present", "true") == "false":
        yield "none"
        return
    if level.isdecimal() and scale.isdecimal() and int(scale):
        yield f"{round(100 * int(level) / int(scale))} %"
    if charge := _CHARGE.get(told.get("status", "")):
        sources = [one for one in _SOURCES if told.get(f"{one} powered") == "true"]
        yield f"{charge} ({', '.join(sources)})" if sources else charge
    tenths = told.get("temperature", "")
    if tenths.lstrip("-").isdecimal():
        yield f"{int(tenths) / 10:.1f} °C"


def _said(root: Path, service: str) -> str:
    try:
        done = subprocess.run(
            [root / DUMPSYS, service],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
