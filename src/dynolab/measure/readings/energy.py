"""How much energy the device uses, as its own sensors tell: RAPL, power monitors of the board, NVIDIA's driver, the battery."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from dynolab.measure import nvidia
from dynolab.measure.readings.base import Field, Reading, Unavailable, read_number

_RAPL = "sys/class/powercap"
_RAPL_ZONE = re.compile(r"(intel-rapl|amd-rapl):\d+(:\d+)?")
"""The zones of MSRs; ``intel-rapl-mmio`` counts the same packages again (kernel: Documentation/power/powercap/powercap.rst)."""
_RAPL_COUNTED = re.compile(r"package-\d+(-die-\d+)?|dram")
"""Of them those that add up: ``core`` and ``uncore`` are parts of their package, and ``psys`` is all of them."""
_WHOLE = ("VDD_IN", "VIN", "POM_5V_IN", "VIN_SYS", "TOTAL", "INPUT")
"""Rails that feed all others, as boards label them (NVIDIA's Jetson Orin NX and Nano: VDD_IN; Jetson Nano: POM_5V_IN)."""
_MONITORS = (
    "ina",
    "power_meter",
    "ltc",
    "max34",
    "pac1",
    "isl28",
    "scmi",
    "fsp",
    "pmbus",
    "ucd",
    "tps",
    "adm1",
    "sy7636a",
)
"""How drivers of power monitors begin; a graphics card's or a disk's own sensor is none of the board (kernel: Documentation/hwmon)."""
_SUPPLY = "sys/class/power_supply"
NO_COUNTERS = "the CPU shows no energy counters (no package below /sys/class/powercap)"
NO_MONITOR = "the board has no power monitor (none below /sys/class/hwmon)"
NO_BATTERY = "there is no battery"
ABSENT = frozenset({NO_COUNTERS, NO_MONITOR, nvidia.NO_DRIVER, NO_BATTERY})
"""Reasons that say no more than that a sensor is not there."""


class Energy(Reading):
    """Energy and power by the device's sensors; asked in passes of its own, since some sensors take milliseconds to answer.

    Sources: ``/sys/class/powercap`` in microjoules, whose counters wrap and are unwrapped here; ``/sys/class/hwmon`` in
    microwatts and microjoules, or millivolts and milliamperes (kernel: Documentation/hwmon/sysfs-interface.rst);
    ``/sys/class/power_supply`` in microwatts, or microvolts and microamperes (Documentation/ABI/testing/sysfs-class-power);
    NVML.
    """

    name = "energy"
    apart = True
    fields = {
        "rapl_joules": Field("counter", "J", "CPU packages, and their memory where it is told apart"),
        "board_joules": Field("counter", "J", "the board, or its rails"),
        "board_watts": Field("gauge", "W", "the same where its monitors tell power alone"),
        "nvidia_joules": Field("counter", "J", "NVIDIA's GPUs"),
        "nvidia_watts": Field("gauge", "W", "the same of GPUs before Volta"),
        "battery_watts": Field("gauge", "W", "what the battery gives to the whole device, screen and radios included"),
    }

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[float, float]] = {}
        """Of each counter that wraps: its last value, and what its wraps add up to."""

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The sensors that this device has. Raises :class:`Unavailable` with all reasons when there is none."""
        values, reasons = self.told(root)
        if not values:
            raise Unavailable("; ".join(reasons.values()))
        return values

    def told(self, root: Path = Path("/")) -> tuple[dict[str, float], dict[str, str]]:
        """The values by field, and for each source that has none (``rapl``, ``board``, ``nvidia``, ``battery``) the reason."""
        values: dict[str, float] = {}
        reasons: dict[str, str] = {}
        for source, read in (("rapl", self._rapl), ("board", _board), ("nvidia", _nvidia), ("battery", _battery)):
            try:
                values.update(read(root))
            except Unavailable as error:
                reasons[source] = str(error)
        return values, reasons

    def sources(self, root: Path = Path("/")) -> dict[str, str]:
        """What each source is made of, in words, by the names of :meth:`told`; only those that answer."""
        values, _ = self.told(root)
        parts = {
            "rapl": ("RAPL", [name for name, _ in _zones(root)]),
            "board": ("power monitor", [name for name, *_ in _rails(root)]),
            "nvidia": ("NVML", ["NVIDIA's driver"]),
            "battery": ("battery gauge", list(_batteries(root))),
        }
        answering = {source_of(field) for field in values}
        return {
            source: f"{what} ({', '.join(dict.fromkeys(of))})"
            for source, (what, of) in parts.items()
            if source in answering
        }

    def _rapl(self, root: Path) -> dict[str, float]:
        _check_listed(root, _RAPL)
        zones = list(_zones(root))
        if not zones:
            raise Unavailable(NO_COUNTERS)
        return {"rapl_joules": sum(self._unwrapped(folder, root) for _, folder in zones)}

    def _unwrapped(self, folder: Path, root: Path) -> float:
        try:
            now = float((folder / "energy_uj").read_text(encoding="ascii"))
        except PermissionError as error:
            path = f"/{folder.relative_to(root)}/energy_uj"
            raise Unavailable(f"RAPL is there, but only root may read it (CVE-2020-8694): {path}") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"/{folder.relative_to(root)}/energy_uj cannot be read: {error}") from error
        last, wrapped = self._seen.get(folder, (now, 0.0))
        if now < last:
            wrapped += read_number(folder / "max_energy_range_uj") or 0.0
        self._seen[folder] = now, wrapped
        return (now + wrapped) / 1e6


def _check_listed(root: Path, path: str) -> None:
    """Raise :class:`Unavailable` for a folder that is there and may not be looked into, as on phones: what is in it is not known."""
    try:
        with os.scandir(root / path):
            return
    except PermissionError as error:
        raise Unavailable(f"/{path} may not be read here") from error
    except OSError:
        return


def _zones(root: Path) -> Iterator[tuple[str, Path]]:
    """The zones that add up, by name."""
    for folder in sorted((root / _RAPL).glob("*:*")):
        name = _text(folder / "name")
        if _RAPL_ZONE.fullmatch(folder.name) and _RAPL_COUNTED.fullmatch(name):
            yield name, folder


def _board(root: Path) -> dict[str, float]:
    _check_listed(root, "sys/class/hwmon")
    rails = list(_rails(root))
    if not rails:
        raise Unavailable(NO_MONITOR)
    kinds = {kind for _, kind, _ in rails}
    kind = "board_joules" if kinds == {"board_joules"} else "board_watts"
    return {kind: sum(value for _, found, value in rails if found == kind)}


def _rails(root: Path) -> list[tuple[str, str, float]]:
    """Name, field and value of the rail that feeds all others, or of all where none does."""
    found = [rail for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")) for rail in _rails_of(folder)]
    whole = [rail for rail in found if rail[0].upper() in _WHOLE]
    return whole[:1] or found


def _rails_of(folder: Path) -> Iterator[tuple[str, str, float]]:
    driver = _text(folder / "name")
    if not driver.startswith(_MONITORS):
        return
    told = False
    for file in sorted(
        (*folder.glob("energy[0-9]*_input"), *folder.glob("power[0-9]*_input"), *folder.glob("power[0-9]*_average"))
    ):
        value = read_number(file)
        if value is not None:
            label = _text(folder / f"{file.name.partition('_')[0]}_label") or driver
            yield label, "board_joules" if file.name.startswith("energy") else "board_watts", value / 1e6
            told = True
    if not told:
        yield from _products(folder, driver)


def _products(folder: Path, driver: str) -> Iterator[tuple[str, str, float]]:
    """Of monitors that tell voltage and current alone, such as the INA3221: their product, for each channel that is in use."""
    for file in sorted(folder.glob("curr[0-9]*_input")):
        number = file.name.removeprefix("curr").removesuffix("_input")
        milliamperes, millivolts = read_number(file), read_number(folder / f"in{number}_input")
        if milliamperes is not None and millivolts is not None and millivolts > 0:
            yield _text(folder / f"in{number}_label") or driver, "board_watts", milliamperes * millivolts / 1e6


def _nvidia(root: Path) -> dict[str, float]:
    try:
        boards = nvidia.boards(root)
    except nvidia.NoGpu as error:
        raise Unavailable(str(error)) from error
    joules, watts = [one.joules for one in boards], [one.watts for one in boards]
    if boards and None not in joules:
        return {"nvidia_joules": sum(one for one in joules if one is not None)}
    if boards and None not in watts:
        return {"nvidia_watts": sum(one for one in watts if one is not None)}
    raise Unavailable("NVIDIA's driver tells neither energy nor power of its GPUs")


def _battery(root: Path) -> dict[str, float]:
    _check_listed(root, _SUPPLY)
    batteries = _batteries(root)
    if not batteries:
        raise Unavailable(NO_BATTERY)
    resting = [f"{name}: {state}" for name, state in batteries.items() if state != "Discharging"]
    if resting:
        raise Unavailable(
            f"the battery does not power the device ({', '.join(resting)}), so its gauge tells nothing of it"
        )
    values = [_gauge(root / _SUPPLY / name) for name in batteries]
    if None in values:
        raise Unavailable("the battery's gauge tells neither power nor current and voltage")
    return {"battery_watts": sum(value for value in values if value is not None)}


def _batteries(root: Path) -> dict[str, str]:
    """State of the device's own batteries by name; those of a mouse or a pen power these (``scope``)."""
    folders = sorted((root / _SUPPLY).glob("*"))
    own = [one for one in folders if _text(one / "type") in ("Battery", "") and _text(one / "scope") != "Device"]
    return {one.name: state for one in own if (state := _text(one / "status"))}


def _gauge(folder: Path) -> float | None:
    """Watts; signs differ by driver, and only discharging is read."""
    power = read_number(folder / "power_now")
    if power:
        return abs(power) / 1e6
    current, voltage = read_number(folder / "current_now"), read_number(folder / "voltage_now")
    return None if not current or not voltage else abs(current) * voltage / 1e12


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def source_of(field: str) -> str:
    """The source that a field of the reading is of: ``rapl`` of ``rapl_joules``."""
    return field.rpartition("_")[0]


plugin = Energy()
