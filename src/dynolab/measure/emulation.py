"""Whether the CPU itself is emulated: then times are the emulator's, and no device's.

A virtual machine whose instructions the host's CPU runs is none. QEMU's machines run either way and look alike: one that shows
no sign of KVM, or of another hypervisor that lends its CPU, counts as emulated. QEMU told to be a real board cannot be told
from the board.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

NONE = "none seen"
_TREE = ("proc/device-tree", "sys/firmware/devicetree/base")
_DMI = "sys/class/dmi/id"
_CLOCKS = "sys/devices/system/clocksource/clocksource0/available_clocksource"
_LENT_CLOCKS = ("kvm-clock", "hyperv_clocksource", "xen", "vmware")
"""Clocks that a hypervisor gives to guests on its CPU (kernel: arch/x86/kernel/kvmclock.c and its likes)."""
_QEMU_BOARDS = ("linux,dummy-virt", "riscv-virtio", "qemu")
"""Of a device tree that QEMU makes (QEMU: hw/arm/virt.c, hw/riscv/virt.c)."""
_EMULATED_CPUS = ("QEMU TCG CPU", "VirtualApple", "FEX-", "box64")
"""Names of CPUs that nothing but an emulator has: QEMU's own, Rosetta, FEX and Box64."""
_X86_ROWS, _ARM_ROWS = ("flags", "model name"), ("CPU implementer", "CPU part")


def emulation(root: Path, architecture: str | None = None) -> str:
    """``emulated: `` and how that is known, or ``none seen``; ``architecture``: the processes' own, on the machine at hand."""
    cpu = _text(root / "proc/cpuinfo")
    seen = next((one for one in _EMULATED_CPUS if one in cpu), None)
    if seen is not None:
        return f"emulated: its CPU calls itself {seen}"
    if _is_foreign(cpu, architecture or platform.machine()):
        return f"emulated: programs for {architecture or platform.machine()} run on another kind of CPU"
    if hypervisor(root) == "QEMU" and not _lends_its_cpu(root):
        return "emulated: a machine of QEMU that shows no KVM"
    return NONE


def is_emulated(environment: Mapping[str, str]) -> bool:
    """Whether an environment's device is emulated; profiles of versions before do not tell."""
    return environment.get("emulation", NONE) != NONE


def hypervisor(root: Path) -> str | None:
    """Whose virtual machine this is, where its firmware names none but that: ``QEMU``; None: another machine."""
    words = [_text(root / place / name).lower() for place in _TREE for name in ("model", "compatible")]
    if any(board in text for board in _QEMU_BOARDS for text in words):
        return "QEMU"
    makers = (_text(root / _DMI / "sys_vendor").lower(), _text(root / _DMI / "product_name").lower())
    return "QEMU" if makers[0] == "qemu" or makers[1].startswith(("qemu", "standard pc (")) else None


def _lends_its_cpu(root: Path) -> bool:
    clocks = _text(root / _CLOCKS)
    timers = (_text(path) for path in (root / "sys/class/ptp").glob("ptp*/clock_name"))
    trees = (_text(root / place / "hypervisor/compatible") for place in _TREE)
    told = any(one in clocks for one in _LENT_CLOCKS) or any("KVM" in one for one in timers)
    return told or any("kvm" in one for one in trees) or "kvm" in _text(root / "sys/hypervisor/type")


def _is_foreign(cpu: str, architecture: str) -> bool:
    """Whether ``/proc/cpuinfo`` is of another kind of CPU than the processes are for, as under QEMU's user mode."""
    is_x86 = architecture in ("x86_64", "AMD64", "i686", "i386")
    rows = _ARM_ROWS if is_x86 else _X86_ROWS
    return architecture in ("x86_64", "aarch64") and all(f"\n{row}" in f"\n{cpu}" for row in rows)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
    except OSError:
        return ""
