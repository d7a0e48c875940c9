"""How the system was set, in words: the kernel's own codes mean little to who reads a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dynolab.spec.profiles import Profile
from dynolab.spec.show import show_bytes

_Say = Callable[[str], str]


def settings(profile: Profile) -> Iterator[tuple[str, str]]:
    """The environment's rows with words and units; what the device's table tells already is left out."""
    for key, value in profile.environment.items():
        if key == "kernel" or profile.device.attributes.get(key) == value:
            continue
        title, say = _WORDS.get(key, (key if key.startswith("env.") else key.replace("_", " "), str))
        yield title, value if value.startswith("not available") else say(value)


def kernel(profile: Profile) -> str:
    """The kernel as fully as the profile tells it, once: the environment's line holds the device's."""
    full = profile.environment.get("kernel", profile.device.kernel)
    return full if profile.device.kernel in full else f"{profile.device.kernel}; {full}"


def _one_of(words: Mapping[str, str]) -> _Say:
    return lambda value: words.get(value, value)


def _size(value: str) -> str:
    if not value.isdigit():
        return value
    return show_bytes(int(value)) if int(value) else "none"


def _load(value: str) -> str:
    """proc_loadavg(5): three averages, runnable and existing threads, the newest process."""
    parts = value.split()
    runnable, _, existing = parts[3].partition("/") if len(parts) == 5 else ("", "", "")
    if not existing:
        return value
    return f"{', '.join(parts[:3])} over 1, 5 and 15 minutes; {runnable} of {existing} threads running or ready to"


_WORDS: dict[str, tuple[str, _Say]] = {
    "libc": ("C library", str),
    "python": ("Python", str),
    "governor": ("clock governor", str),
    "smt": (
        "threads per core (SMT)",
        _one_of({
            "on": "several (on)", "off": "one (off)", "forceoff": "one (forced off)",
            "notsupported": "one: the processor has no SMT", "notimplemented": "not known to this kernel",
        }),
    ),
    "clocksource": ("clock source", str),
    "affinity": ("CPUs allowed to use", str),
    "cpu_isolation": ("isolated CPUs", str),
    "transparent_huge_pages": (
        "transparent huge pages",
        _one_of({"always": "always", "madvise": "where a program asks for them (madvise)", "never": "never"}),
    ),
    "swappiness": ("swappiness", lambda value: f"{value} (of 200)" if value.isdigit() else value),
    "swap_total_bytes": ("swap", _size),
    "overcommit_memory": (
        "memory overcommit",
        _one_of({"0": "within reason (0)", "1": "always (1)", "2": "never (2)"}),
    ),
    "aslr": (
        "random addresses (ASLR)",
        _one_of({"0": "off", "1": "on, but for the heap (1)", "2": "on (2)"}),
    ),
    "cgroup_cpu_quota": ("CPU limit (control group)", str),
    "cgroup_memory_limit_bytes": ("memory limit (control group)", _size),
    "load_average": ("load average", _load),
}  # fmt: skip
"""Title and wording by key. Kernel: ABI/testing/sysfs-devices-system-cpu (smt), admin-guide/sysctl/vm.rst (overcommit,
swappiness), admin-guide/sysctl/kernel.rst (randomize_va_space)."""
