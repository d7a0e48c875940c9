"""What a device's facts are in AI Hub's vocabulary: attributes ``key:value``, by which jobs find devices. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dynolab.spec.chipset_parts import part_of
from dynolab.spec.chipsets import CHIPSET, HEXAGON, SOC_MODEL
from dynolab.spec.devices import DeviceFacts

_YOCTO = "aarch64-oe-linux-gcc11"
"""AI Hub's ``abi:`` of Qualcomm Linux 1, whose compiler it names."""


def attributes(facts: DeviceFacts) -> tuple[str, ...]:
    """``os:``, ``format:``, ``abi:``, ``vendor:``, ``chipset:`` and, of a chipset with a Hexagon NPU, what AI Hub tells of it.

    ``gpu:`` is dynolab's own key. Each has exactly one colon, as AI Hub's client demands.
    """
    found = [
        *(f"os:{word}" for word in system_words(facts)),
        f"format:{facts.form or 'compute'}",
        f"abi:{abi(facts)}",
        *([f"vendor:{slug(facts.maker)}"] if facts.maker else []),
        *_chipset(facts),
        *(f"gpu:{slug(one)}" for one in facts.accelerators),
    ]
    return tuple(dict.fromkeys(found))


def system_words(facts: DeviceFacts) -> tuple[str, ...]:
    """AI Hub's values of ``os:``: the system first, which its recipes know and read, then the distribution's name."""
    words = facts.os.split()
    first = facts.system or "linux"
    if first == "qc_linux":
        return first, "linux"
    return tuple(dict.fromkeys((first, slug(words[0]) if words and first == "linux" else first)))


def abi(facts: DeviceFacts) -> str:
    """Architecture and system, as AI Hub writes them: ``aarch64-android``, ``aarch64-windows``; of others ``x86_64-linux``."""
    if facts.system == "qc_linux" and facts.os_version.startswith("1."):
        return _YOCTO
    system = "linux" if facts.system in ("", "qc_linux") else facts.system
    return f"{facts.architecture or 'unknown'}-{system}"


def _chipset(facts: DeviceFacts) -> Iterator[str]:
    """Keyed on the part number alone: several chipsets share one ``soc-model``."""
    found = part_of(facts.soc, facts.maker)
    if found is not None:
        yield from (f"{CHIPSET}{one}" for one in found.names)
        yield f"{HEXAGON}{found.hexagon}"
        yield f"{SOC_MODEL}{found.soc_model}"
        if found.computes_floats:
            yield "htp-supports-fp16:true"
        if found.shares_weights:
            yield "htp-supports-weight-sharing:true"
    elif facts.soc:
        yield from ([f"{CHIPSET}{slug(facts.soc_maker)}-{slug(facts.soc)}"] if facts.soc_maker else [])
        yield f"{CHIPSET}{slug(facts.soc)}"
    else:
        yield f"{CHIPSET}{slug(facts.processor or facts.architecture)}"


def description(facts: DeviceFacts) -> str:
    """The device in a line: its cores by type, its memory, its GPUs."""
    cores = [f"{facts.processor or facts.architecture}, {facts.cores} cores"]
    if len(facts.core_types) > 1:
        cores = [one.told for one in facts.core_types]
    memory = [f"{facts.memory_bytes / 1e9:.0f} GB"] if facts.memory_bytes else []
    return ", ".join([*cores, *memory, *facts.accelerators])


def version(facts: DeviceFacts) -> str:
    """The system's version, numbers and dots, as a job asks for it; that of the kernel where the system has none."""
    return ".".join(re.findall(r"\d+", facts.os_version or facts.kernel)[:2]) or "0"


def slug(text: str) -> str:
    """The text in small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unknown"
