"""Device facts and settings from recorded trees, and from the machine at hand without ever failing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.measure import environment

Recorded = Callable[[str], Path]


def test_a_laptop(recorded: Recorded) -> None:
    root = recorded("laptop")
    facts, found = environment.device_facts(root), environment.environment(root)
    assert facts.name == "Lenovo 20L5S00000"
    assert (facts.os, facts.os_version) == ("Ubuntu", "24.04")
    assert facts.processor == "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz"
    assert facts.memory_bytes == 8_000_000 * 1024
    assert found["governor"] == "powersave (intel_pstate)"
    assert found["turbo"] == "on"
    assert found["transparent_huge_pages"] == "always"
    assert found["smt"] == "on"
    assert found["clocksource"] == "hpet"
    assert found["virtualisation"] == "none seen"
    assert found["swap_total_bytes"] == str(2_000_000 * 1024)


def test_a_raspberry_pi(recorded: Recorded) -> None:
    root = recorded("raspberry_pi")
    facts = environment.device_facts(root)
    assert facts.name == "Raspberry Pi 5 Model B"
    assert facts.processor == "cortex-a76"
    assert environment.environment(root)["turbo"] == "off"


def test_a_virtual_machine_with_a_container_of_control_groups_v1(recorded: Recorded) -> None:
    root = recorded("virtual_machine")
    found = environment.environment(root)
    assert "hypervisor bit" in found["virtualisation"]
    assert found["governor"] == "not available: no cpufreq"
    assert found["cgroup_cpu_quota"] == "0.50 CPUs"
    assert found["cgroup_memory_limit_bytes"] == str(2 << 30)


def test_the_smallest_limit_up_the_hierarchy_counts(recorded: Recorded) -> None:
    root = recorded("laptop")
    assert environment.memory_limit_bytes(root) == 6_000_000_000
    assert environment.cpu_quota(root) is None
    (root / "sys/fs/cgroup/user.slice/cpu.max").write_text("150000 100000\n")
    assert environment.cpu_quota(root) == 1.5


def test_nothing_readable_is_no_failure(tmp_path: Path) -> None:
    facts, found = environment.device_facts(tmp_path), environment.environment(tmp_path)
    assert facts.memory_bytes is None
    assert facts.processor is None
    assert facts.cores >= 1
    assert found["clocksource"].startswith("not available: /sys/")
    assert found["cgroup_cpu_quota"] == "none"
    assert found["turbo"].startswith("not available: ")
    assert all(isinstance(value, str) and value for value in found.values())


def test_the_machine_at_hand() -> None:
    facts, found = environment.device_facts(), environment.environment()
    assert facts.page_bytes >= 4096
    assert facts.kernel in found["kernel"]
    assert all(isinstance(value, str) and value for value in found.values())


def test_variables_that_matter_are_kept_and_secrets_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("ORT_API_KEY", "do not tell")
    monkeypatch.setenv("TF_VAR_password", "do not tell")
    found = environment.environment()
    assert found["env.MALLOC_ARENA_MAX"] == "1"
    assert found["env.OMP_NUM_THREADS"] == "2"
    assert "do not tell" not in found.values()


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([3], "3"), ([0, 1, 2, 5, 7, 8], "0-2,5,7-8")])
def test_ranges(numbers: list[int], text: str) -> None:
    assert environment.ranges(numbers) == text


def written(root: Path, files: dict[str, str]) -> Path:
    """A tree of these files."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


DMI = "sys/class/dmi/id/"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "none seen"),
        ({f"{DMI}sys_vendor": "LENOVO\n"}, "none seen"),
        ({f"{DMI}sys_vendor": "QEMU\n"}, "virtual machine (qemu)"),
        ({f"{DMI}sys_vendor": "Amazon EC2\n"}, "virtual machine (amazon ec2)"),
        ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, "virtual machine (qemu)"),
        ({"proc/cpuinfo": "flags : fpu hypervisor sse\n"}, "virtual machine (cpuid hypervisor bit)"),
        ({"proc/cpuinfo": "flags : fpu sse\n"}, "none seen"),
        ({"sys/hypervisor/type": "xen\n"}, "hypervisor xen"),
        ({".dockerenv": ""}, "container"),
        ({"run/.containerenv": ""}, "container"),
        ({f"{DMI}sys_vendor": "QEMU\n", ".dockerenv": ""}, "virtual machine (qemu), container"),
    ],
)
def test_a_part_of_a_larger_machine_is_told_by_each_of_its_signs(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    root = written(tmp_path, files)
    assert environment.virtualisation(root) == said
    assert environment.is_shared(environment.environment(root)) is (said != "none seen")


def test_limits_that_are_not_there_are_called_none(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/"
    root = written(
        tmp_path, {"proc/self/cgroup": "0::/\n", f"{group}cpu.max": "max 100000\n", f"{group}memory.max": "max\n"}
    )
    found = environment.environment(root)
    assert (found["cgroup_cpu_quota"], found["cgroup_memory_limit_bytes"]) == ("none", "none")
    (root / group / "memory.max").write_text("4096\n")
    (root / group / "cpu.max").write_text("200000 100000\n")
    found = environment.environment(root)
    assert (found["cgroup_cpu_quota"], found["cgroup_memory_limit_bytes"]) == ("2.00 CPUs", "4096")
