"""The CPU's cores by type, under the names that their makers give them: from ``/proc/cpuinfo``, ``/sys`` and the device tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dynolab.measure.readings.base import read_number
from dynolab.spec.devices import CoreType

_CPU = "sys/devices/system/cpu"
_ARM, _QUALCOMM, _AMPERE, _FUJITSU = "0x41", "0x51", "0xc0", "0x46"
_PARTS = {
    _ARM: {
        0xD03: "cortex-a53", 0xD04: "cortex-a35", 0xD05: "cortex-a55", 0xD07: "cortex-a57", 0xD08: "cortex-a72",
        0xD09: "cortex-a73", 0xD0A: "cortex-a75", 0xD0B: "cortex-a76", 0xD0C: "neoverse-n1", 0xD0D: "cortex-a77",
        0xD0E: "cortex-a76ae", 0xD40: "neoverse-v1", 0xD41: "cortex-a78", 0xD42: "cortex-a78ae", 0xD44: "cortex-x1",
        0xD46: "cortex-a510", 0xD47: "cortex-a710", 0xD48: "cortex-x2", 0xD49: "neoverse-n2", 0xD4A: "neoverse-e1",
        0xD4B: "cortex-a78c", 0xD4C: "cortex-x1c", 0xD4D: "cortex-a715", 0xD4E: "cortex-x3", 0xD4F: "neoverse-v2",
        0xD80: "cortex-a520", 0xD81: "cortex-a720", 0xD82: "cortex-x4", 0xD84: "neoverse-v3", 0xD85: "cortex-x925",
        0xD87: "cortex-a725", 0xD8E: "neoverse-n3", 0xC07: "cortex-a7", 0xC09: "cortex-a9", 0xC0F: "cortex-a15",
    },
    _QUALCOMM: {
        0x001: "oryon", 0x800: "kryo-2xx-gold", 0x801: "kryo-2xx-silver", 0x802: "kryo-3xx-gold",
        0x803: "kryo-3xx-silver", 0x804: "kryo-4xx-gold", 0x805: "kryo-4xx-silver",
    },
    _AMPERE: {0xAC3: "ampere-1", 0xAC4: "ampere-1a"},
    _FUJITSU: {0x001: "a64fx"},
}  # fmt: skip
"""Part numbers of the register MIDR_EL1 by implementer (Arm's Technical Reference Manuals; kernel: arch/arm64/include/asm/cputype.h)."""
_HYBRID = {"cpu_core": "performance core", "cpu_atom": "efficiency core"}
"""Intel's hybrid CPUs list both kinds under these names (kernel: Documentation/ABI/testing/sysfs-bus-event_source-devices)."""


_NAMED, _NAMELESS = 1.05, 1.2
"""So far apart are highest clocks of unlike cores: equal ones differ by less, where a chip is binned core by core (RK3588), or
favours a few of its cores (Intel's Turbo Boost Max); of cores with a name of their own that says less."""


def core_types(root: Path, processor: str | None) -> tuple[CoreType, ...]:
    """The cores by type, those of the highest clock first; ``processor``: what cores are called that have no name of their own.

    Cores of one name whose highest clocks are far apart are of two types. Empty where nothing tells of cores.
    """
    names = _tree_names(root) | _named(root) | _hybrid_names(root)
    clocks: dict[str, list[int]] = {}
    for number in sorted(_numbers(root)):
        clocks.setdefault(names.get(number, ""), []).append(_max_hz(root, number) or 0)
    types = [
        CoreType(name or processor or "core", len(group), max(group) or None)
        for name, every in clocks.items()
        for group in _groups(every, _NAMED if name else _NAMELESS)
    ]
    return tuple(sorted(types, key=lambda one: (-(one.max_hz or 0), one.name)))


def _groups(clocks: list[int], apart: float) -> list[list[int]]:
    """The clocks of cores of one name by type: the next one begins where a clock is ``apart`` times lower than the fastest."""
    groups: list[list[int]] = []
    for clock in sorted(clocks, reverse=True):
        if groups and groups[-1][0] <= apart * clock:
            groups[-1].append(clock)
        else:
            groups.append([clock])
    return groups


def arm_name(root: Path) -> str | None:
    """The processor's name made of its cores' (ARM): ``cortex-a76, cortex-a55``; None where they have none."""
    names = _tree_names(root) | _named(root)
    return ", ".join(dict.fromkeys(names[number] for number in sorted(names, reverse=True))) or None


def _numbers(root: Path) -> Iterator[int]:
    for folder in (root / _CPU).glob("cpu[0-9]*"):
        if folder.name[3:].isdigit():
            yield int(folder.name[3:])


def _max_hz(root: Path, number: int) -> int | None:
    khz = read_number(root / f"{_CPU}/cpu{number}/cpufreq/cpuinfo_max_freq")
    return int(khz * 1000) if khz else None


def _named(root: Path) -> dict[int, str]:
    """Names by the rows ``CPU implementer`` and ``CPU part`` of ``/proc/cpuinfo`` (ARM), by the core's number."""
    found: dict[int, str] = {}
    for rows in _blocks(root):
        number, implementer, part = (rows.get(name, "") for name in ("processor", "CPU implementer", "CPU part"))
        name = _PARTS.get(implementer or _ARM, {}).get(int(part, 16)) if part.startswith("0x") else None
        if number.isdigit() and name:
            found[int(number)] = name
    return found


def _blocks(root: Path) -> Iterator[dict[str, str]]:
    """The rows of each CPU in ``/proc/cpuinfo``."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for block in text.split("\n\n"):
        rows = (line.partition(":") for line in block.splitlines())
        yield {key.strip(): value.strip() for key, _, value in rows}


def _tree_names(root: Path) -> dict[int, str]:
    """Names by the device tree's ``compatible`` of each core, in the order of the cores."""
    folders = (root / "proc/device-tree/cpus").glob("cpu@*/compatible")
    found = {}
    for number, path in enumerate(sorted(folders, key=lambda one: int(one.parent.name[4:] or "0", 16))):
        try:
            name = path.read_text(encoding="utf-8", errors="replace").split("\0")[0].strip()
        except OSError:
            continue
        if name:
            found[number] = name.partition(",")[2] or name
    return found


def _hybrid_names(root: Path) -> dict[int, str]:
    found = {}
    for folder, name in _HYBRID.items():
        try:
            listed = (root / f"sys/devices/{folder}/cpus").read_text(encoding="ascii").strip()
        except OSError:
            continue
        found.update(dict.fromkeys(numbers_of(listed), name))
    return found


def numbers_of(listed: str) -> list[int]:
    """The numbers of a list in the kernel's notation, such as ``0-3,8``; those that are none are left out."""
    found: list[int] = []
    for part in listed.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (last.isdigit() or not last):
            found += range(int(first), int(last or first) + 1)
    return found
