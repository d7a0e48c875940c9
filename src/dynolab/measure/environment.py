"""What the device is and how it is set: recorded with every profile, judged by nobody here.

Nothing here fails: what cannot be read is left out, or says ``not available: reason``.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dynolab.measure import android, cgroups, dumpsys, emulation, nvidia
from dynolab.measure.cores import arm_name, core_types, numbers_of
from dynolab.measure.machine import is_name, machine
from dynolab.measure.nvidia import Gpu
from dynolab.sandbox.base import is_tuning
from dynolab.spec.devices import DeviceFacts

_CPU = "sys/devices/system/cpu"
_NO_MEMORY_LIMIT_BYTES = 1 << 60
"""cgroup v1 says "no limit" with the largest multiple of a page (kernel: Documentation/admin-guide/cgroup-v1/memory.rst)."""
_GPU_DRIVERS = {
    "i915": "Intel", "xe": "Intel", "amdgpu": "AMD", "radeon": "AMD", "nouveau": "NVIDIA", "nvidia": "NVIDIA",
    "nvidia-drm": "NVIDIA", "panfrost": "Mali", "panthor": "Mali", "lima": "Mali", "v3d": "VideoCore", "msm": "Adreno",
    "msm_dpu": "Adreno", "adreno": "Adreno", "etnaviv": "Vivante", "powervr": "PowerVR",
}  # fmt: skip
"""What a kernel driver's GPU is called (kernel: drivers/gpu/drm)."""
_ALONE = "none seen"
_HYPERVISOR_VENDORS = ("qemu", "kvm", "vmware", "virtualbox", "xen", "microsoft corporation", "amazon ec2", "google")


def device_facts(root: Path = Path("/")) -> DeviceFacts:
    """The device as it describes itself; ``root`` stands before ``/proc``, ``/sys`` and ``/etc`` (a recorded tree in tests)."""
    here = root == Path("/")
    found = tree_facts(root, nvidia.gpus() if here else ())
    told = android.properties() if here else {}
    return android.facts(told, found) if told else found


def tree_facts(root: Path, gpus: Sequence[Gpu] = ()) -> DeviceFacts:
    """The same by a tree alone, such as one that was recorded on another device; ``gpus``: what its driver told besides."""
    system, here = _os_release(root), root == Path("/")
    architecture = platform.machine() if here else text(root, "proc/sys/kernel/arch") or platform.machine()
    found, cpu = machine(root, architecture), processor(root)
    host = text(root, "proc/sys/kernel/hostname") or platform.node()
    return DeviceFacts(
        name=next((one for one in (found.name, host, cpu or "") if is_name(one)), f"{architecture} computer"),
        os=system.get("NAME", platform.system()),
        os_version=system.get("VERSION_ID", platform.version()),
        kernel=text(root, "proc/sys/kernel/osrelease") or platform.release(),
        architecture=architecture,
        processor=cpu,
        cores=(os.cpu_count() if here else _online(root)) or os.cpu_count() or 1,
        memory_bytes=meminfo(root).get("MemTotal"),
        page_bytes=os.sysconf("SC_PAGE_SIZE"),
        accelerators=tuple(gpu.name for gpu in gpus) or other_gpus(root),
        attributes=_attributes(root, gpus),
        core_types=core_types(root, cpu),
        system=_system(system),
        form=found.form,
        maker=found.maker.lower(),
        soc=found.soc,
        soc_maker=found.soc_maker,
    )


def environment(root: Path = Path("/")) -> dict[str, str]:
    """How the system is set now, as words by name; names of environment variables begin with ``env.``."""
    found = {
        "kernel": " ".join(platform.uname()[i] for i in (0, 2, 3)),
        "libc": " ".join(platform.libc_ver()).strip() or "not available: not glibc",
        "python": f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        "virtualisation": virtualisation(root),
        "emulation": emulated(root),
        "governor": governor(root),
        "turbo": turbo(root),
        "smt": _said(root, f"{_CPU}/smt/control"),
        "clocksource": clocksource(root),
        "affinity": _affinity(),
        "cpu_isolation": text(root, f"{_CPU}/isolated") or "none",
        **_memory_settings(root),
        **_cgroup_limits(root),
        **dumpsys.state(root),
        "load_average": _said(root, "proc/loadavg"),
    }
    return found | {f"env.{name}": value for name, value in sorted(os.environ.items()) if is_tuning(name)}


def text(root: Path, path: str) -> str | None:
    """The stripped text of a file below ``root``; None where there is none, or it may not be read."""
    try:
        return (root / path).read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return None


def processor(root: Path) -> str | None:
    """The CPU's name: ``model name`` of ``/proc/cpuinfo`` (x86), else its cores' (ARM)."""
    rows = _cpuinfo(root)
    return rows.get("model name") or arm_name(root) or rows.get("Processor") or rows.get("Hardware")


def is_shared(environment: Mapping[str, str]) -> bool:
    """Whether an environment's device is a virtual machine or a container: a part of a larger machine."""
    return environment.get("virtualisation", _ALONE) != _ALONE


def virtualisation(root: Path) -> str:
    """Whether this is a virtual machine or a container, as far as the guest is told."""
    hints = []
    if "hypervisor" in _cpuinfo(root).get("flags", "").split():
        hints.append("virtual machine (cpuid hypervisor bit)")
    maker = (text(root, "sys/class/dmi/id/sys_vendor") or "").lower()
    if maker.startswith(_HYPERVISOR_VENDORS):
        hints.append(f"virtual machine ({maker})")
    elif (whose := emulation.hypervisor(root)) is not None:
        hints.append(f"virtual machine ({whose.lower()})")
    kind = text(root, "sys/hypervisor/type")
    hints += [f"hypervisor {kind}"] if kind else []
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        hints.append("container")
    return ", ".join(hints) or _ALONE


def emulated(root: Path) -> str:
    """Whether the CPU is emulated, and how that is known (see :mod:`dynolab.measure.emulation`)."""
    here = root == Path("/")
    found = emulation.emulation(root, platform.machine() if here else text(root, "proc/sys/kernel/arch") or "unknown")
    return android.emulated(android.properties()) if found == emulation.NONE and here else found


def governor(root: Path) -> str:
    """The frequency governors in use, with driver, over all CPUs."""
    files = sorted((root / _CPU).glob("cpu[0-9]*/cpufreq/scaling_governor"))
    kinds = sorted({value for file in files if (value := text(root, str(file.relative_to(root))))})
    if not kinds:
        return "not available: no cpufreq"
    driver = text(root, f"{_CPU}/cpu0/cpufreq/scaling_driver")
    return ", ".join(kinds) + (f" ({driver})" if driver else "")


def turbo(root: Path) -> str:
    """``on``, ``off``, or why it is not known (kernel: Documentation/admin-guide/pm/intel_pstate.rst and cpufreq.rst)."""
    no_turbo = text(root, f"{_CPU}/intel_pstate/no_turbo")
    if no_turbo is not None:
        return "off" if no_turbo == "1" else "on"
    boost = text(root, f"{_CPU}/cpufreq/boost")
    if boost is not None:
        return "on" if boost == "1" else "off"
    return "not available: neither intel_pstate/no_turbo nor cpufreq/boost"


def huge_pages(root: Path) -> str:
    """When the kernel uses transparent huge pages: ``always``, ``madvise`` or ``never``."""
    choices = _said(root, "sys/kernel/mm/transparent_hugepage/enabled")
    return choices.partition("[")[2].partition("]")[0] or choices


def clocksource(root: Path) -> str:
    """What the kernel's clock is made of."""
    return _said(root, "sys/devices/system/clocksource/clocksource0/current_clocksource")


def cpu_quota(root: Path) -> float | None:
    """CPUs that the control group may use over a period, or None where it is not limited.

    ``cpu.max`` (v2) or ``cpu.cfs_quota_us`` over ``cpu.cfs_period_us`` (v1), the smallest up to the root of the hierarchy.
    """
    quotas = []
    for words in _cgroup_texts(root, "cpu", "cpu.max"):
        quota, _, period = words.partition(" ")
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    for folder in cgroups.folders(root, "cpu"):
        quota_us, period_us = _number(root, f"{folder}/cpu.cfs_quota_us"), _number(root, f"{folder}/cpu.cfs_period_us")
        if quota_us and period_us and quota_us > 0:
            quotas.append(quota_us / period_us)
    return min(quotas, default=None)


def memory_limit_bytes(root: Path) -> int | None:
    """The control group's memory limit: ``memory.max`` (v2) or ``memory.limit_in_bytes`` (v1); None: not limited."""
    limits = [int(words) for words in _cgroup_texts(root, "memory", "memory.max") if words.isdigit()]
    found = (_number(root, f"{folder}/memory.limit_in_bytes") for folder in cgroups.folders(root, "memory"))
    limits += [limit for limit in found if limit is not None and limit < _NO_MEMORY_LIMIT_BYTES]
    return min(limits, default=None)


def other_gpus(root: Path) -> tuple[str, ...]:
    """GPUs by the drivers of ``/sys/class/drm``, and by the device tree where there are none: ``Intel GPU (i915)``."""
    drivers = {}
    for card in sorted((root / "sys/class/drm").glob("card[0-9]*")):
        rows = dict(line.split("=", 1) for line in (text(card, "device/uevent") or "").splitlines() if "=" in line)
        if card.name[4:].isdigit() and rows.get("DRIVER", "") in _GPU_DRIVERS:
            drivers[rows.get("PCI_SLOT_NAME") or rows.get("OF_FULLNAME") or card.name] = rows["DRIVER"]
    return tuple(f"{_GPU_DRIVERS[driver]} GPU ({driver})" for driver in drivers.values())


def _attributes(root: Path, gpus: Sequence[Gpu]) -> dict[str, str]:
    found = {"hostname": platform.node() if root == Path("/") else "", "virtualisation": virtualisation(root)}
    for index, gpu in enumerate(gpus):
        found.update({f"gpu{index}.{key}": value for key, value in gpu.told.items()})
    return {name: value for name, value in found.items() if value}


def _system(release: Mapping[str, str]) -> str:
    """AI Hub's word for the system, by os-release(5)."""
    words = f"{release.get('ID', '')} {release.get('NAME', '')}".lower()
    is_qualcomm = any(one in words for one in ("qcom", "qualcomm linux", "qli"))
    return "qc_linux" if is_qualcomm else platform.system().lower() or "linux"


def _online(root: Path) -> int:
    return len(numbers_of(text(root, f"{_CPU}/online") or "")) or len(list((root / _CPU).glob("cpu[0-9]*")))


def _memory_settings(root: Path) -> dict[str, str]:
    swap_bytes = meminfo(root).get("SwapTotal")
    return {
        "transparent_huge_pages": huge_pages(root),
        "swappiness": _said(root, "proc/sys/vm/swappiness"),
        "swap_total_bytes": str(swap_bytes) if swap_bytes is not None else "not available: /proc/meminfo",
        "overcommit_memory": _said(root, "proc/sys/vm/overcommit_memory"),
        "aslr": _said(root, "proc/sys/kernel/randomize_va_space"),
    }


def _cgroup_limits(root: Path) -> dict[str, str]:
    quota, limit = cpu_quota(root), memory_limit_bytes(root)
    return {
        "cgroup_cpu_quota": f"{quota:.2f} CPUs" if quota is not None else "none",
        "cgroup_memory_limit_bytes": str(limit) if limit is not None else "none",
    }


def _affinity() -> str:
    if not hasattr(os, "sched_getaffinity"):
        return "not available: no sched_getaffinity"
    return ranges(sorted(os.sched_getaffinity(0)))


def ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers in the kernel's notation, such as ``0-3,8``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _said(root: Path, path: str) -> str:
    found = text(root, path)
    return found if found is not None else f"not available: /{path}"


def _number(root: Path, path: str) -> int | None:
    found = text(root, path)
    return int(found) if found is not None and found.lstrip("-").isdigit() else None


def _os_release(root: Path) -> dict[str, str]:
    """os-release(5)."""
    rows = (line.partition("=") for line in (text(root, "etc/os-release") or "").splitlines())
    return {key: value.strip("\"'") for key, _, value in rows if value}


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first CPU's rows, and those that stand for all (on ARM: Hardware, Model)."""
    found: dict[str, str] = {}
    for line in (text(root, "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found


def meminfo(root: Path) -> dict[str, int]:
    """Rows of ``/proc/meminfo`` in bytes."""
    rows = (line.replace(":", "").split() for line in (text(root, "proc/meminfo") or "").splitlines())
    return {row[0]: int(row[1]) * 1024 for row in rows if len(row) == 3 and row[1].isdigit()}


def _cgroup_texts(root: Path, controller: str, file: str) -> Iterator[str]:
    for folder in cgroups.folders(root, controller):
        found = text(root, f"{folder}/{file}")
        if found is not None:
            yield found
