"""How the system was set, in words: the kernel's own codes mean little to who reads a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dynolab.report.base import Say, plainly
from dynolab.spec.profiles import Profile
from dynolab.spec.show import show_bytes

_Told = Callable[[str, Say], str]


def settings(profile: Profile, say: Say = plainly) -> Iterator[tuple[str, str]]:
    """The environment's rows with words and units; what the device's table tells already is left out."""
    for key, value in profile.environment.items():
        if key == "kernel" or profile.device.attributes.get(key) == value:
            continue
        title, told = _WORDS.get(key, (key if key.startswith("env.") else key.replace("_", " "), _as_it_is))
        yield say(title), value if value.startswith("not available") else told(value, say)


def kernel(profile: Profile) -> str:
    """The kernel as fully as the profile tells it, once: the environment's line holds the device's."""
    full = profile.environment.get("kernel", profile.device.kernel)
    return full if profile.device.kernel in full else f"{profile.device.kernel}; {full}"


def _as_it_is(value: str, say: Say) -> str:
    return value


def _one_of(words: Mapping[str, str]) -> _Told:
    return lambda value, say: say(words[value]) if value in words else value


def _size(value: str, say: Say) -> str:
    if not value.isdigit():
        return value
    return show_bytes(int(value)) if int(value) else say("none")


def _load(value: str, say: Say) -> str:
    """proc_loadavg(5): three averages, runnable and existing threads, the newest process."""
    parts = value.split()
    runnable, _, existing = parts[3].partition("/") if len(parts) == 5 else ("", "", "")
    if not existing:
        return value
    return say(
        "{loads} over 1, 5 and 15 minutes; {runnable} of {existing} threads running or ready to",
        loads=", ".join(parts[:3]), runnable=runnable, existing=existing,
    )  # fmt: skip


_WORDS: dict[str, tuple[str, _Told]] = {
    "libc": ("C library", _as_it_is),
    "python": ("Python", _as_it_is),
    "governor": ("clock governor", _as_it_is),
    "smt": (
        "threads per core (SMT)",
        _one_of({
            "on": "several (on)", "off": "one (off)", "forceoff": "one (forced off)",
            "notsupported": "one: the processor has no SMT", "notimplemented": "not known to this kernel",
        }),
    ),
    "clocksource": ("clock source", _as_it_is),
    "affinity": ("CPUs allowed to use", _as_it_is),
    "cpu_isolation": ("isolated CPUs", _as_it_is),
    "transparent_huge_pages": (
        "transparent huge pages",
        _one_of({"always": "always", "madvise": "where a program asks for them (madvise)", "never": "never"}),
    ),
    "swappiness": ("swappiness", lambda value, say: say("{value} (of 200)", value=value) if value.isdigit() else value),
    "swap_total_bytes": ("swap", _size),
    "overcommit_memory": (
        "memory overcommit",
        _one_of({"0": "within reason (0)", "1": "always (1)", "2": "never (2)"}),
    ),
    "aslr": (
        "random addresses (ASLR)",
        _one_of({"0": "off", "1": "on, but for the heap (1)", "2": "on (2)"}),
    ),
    "cgroup_cpu_quota": ("CPU limit (control group)", _as_it_is),
    "cgroup_memory_limit_bytes": ("memory limit (control group)", _size),
    "load_average": ("load average", _load),
}  # fmt: skip
"""Title and wording by key. Kernel: ABI/testing/sysfs-devices-system-cpu (smt), admin-guide/sysctl/vm.rst (overcommit,
swappiness), admin-guide/sysctl/kernel.rst (randomize_va_space)."""
