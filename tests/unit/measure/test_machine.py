"""What machines tell of themselves: names, cores and emulation, from trees as the kernel lays them out."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.measure import emulation, environment
from dynolab.measure.cores import core_types, numbers_of
from dynolab.measure.machine import is_name, machine
from dynolab.spec.devices import CoreType

Recorded = Callable[[str], Path]
DMI = "sys/class/dmi/id/"


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("raspberry_pi", "Raspberry Pi 5 Model B"),
        ("jetson_orin", "NVIDIA Jetson AGX Orin Developer Kit"),
        ("rock_5b", "Radxa ROCK 5B"),
        ("qcs6490_kit", "Qualcomm Robotics RB3gen2"),
        ("hybrid_laptop", "Lenovo ThinkPad X1 Carbon Gen 11"),
        ("laptop", "Lenovo 20L5S00000"),
        ("cloud_vm", "Amazon EC2 m5.xlarge"),
        ("qemu_arm", "QEMU virtual machine (aarch64)"),
        ("qemu_x86_kvm", "QEMU virtual machine (x86_64)"),
    ],
)
def test_a_machine_has_the_name_that_people_know(recorded: Recorded, device: str, name: str) -> None:
    assert environment.device_facts(recorded(device)).name == name


def test_boards_of_one_model_have_one_name_whatever_their_revision(recorded: Recorded) -> None:
    root = recorded("raspberry_pi")
    first = environment.device_facts(root).name
    (root / "proc/device-tree/model").write_text("Raspberry Pi 5 Model B Rev 1.1\0")
    assert environment.device_facts(root).name == first


def written(root: Path, files: dict[str, str]) -> Path:
    """A tree of these files."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    "filler",
    ["To be filled by O.E.M.", "To Be Filled By O.E.M.", "System Product Name", "Default string", "None", "Not Specified",
     "N/A", "Unknown", "0123456789", "$(DEFAULT_STRING)", "0", " ", "OEM", "INVALID"],
)  # fmt: skip
def test_filler_is_no_name_and_the_board_is_asked_instead(tmp_path: Path, filler: str) -> None:
    files = {"sys_vendor": "System manufacturer", "product_name": filler, "product_version": filler}
    root = written(tmp_path, {f"{DMI}{name}": f"{text}\n" for name, text in files.items()})
    assert machine(root, "x86_64").name == ""
    written(root, {f"{DMI}board_vendor": "ASUSTeK COMPUTER INC.\n", f"{DMI}board_name": "PRIME Z390-A\n"})
    assert machine(root, "x86_64").name == "ASUSTeK PRIME Z390-A"


@pytest.mark.parametrize(
    "made_up",
    ["4c4c4544-0042-3510-8052-b4c04f4e4d32", "EC2A1B2C-0042-3510-8052-B4C04F4E4D32", "3f2504e04f8911d39a0c0305e82c3301",
     "9f86d081884c", "localhost", "localhost.localdomain"],
)  # fmt: skip
def test_no_machine_is_called_by_a_uuid_or_a_hash(tmp_path: Path, made_up: str) -> None:
    assert not is_name(made_up)
    row = "processor : 0\nmodel name : Fast CPU 9\n"
    files = {f"{DMI}product_name": made_up, "proc/sys/kernel/hostname": made_up, "proc/cpuinfo": row}
    assert environment.device_facts(written(tmp_path, files)).name == "Fast CPU 9"


@pytest.mark.parametrize("name", ["board-3", "decade", "facade", "m5.xlarge", "beefcafe"])
def test_words_of_hexadecimal_letters_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({f"{DMI}sys_vendor": "ACME\n", f"{DMI}product_name": "Mark 2\n"}, "ACME Mark 2"),
        ({f"{DMI}product_name": "Mark 2\n"}, "Mark 2"),
        ({f"{DMI}sys_vendor": "ACME\n", f"{DMI}product_name": "\n"}, "ACME"),
        ({f"{DMI}sys_vendor": "Dell Inc.\n", f"{DMI}product_name": "XPS 13 9310\n"}, "Dell XPS 13 9310"),
        ({f"{DMI}sys_vendor": "Google\n", f"{DMI}product_name": "Google Compute Engine\n"}, "Google Compute Engine"),
        ({f"{DMI}sys_vendor": "\n", f"{DMI}product_name": "\n"}, ""),
        ({"proc/device-tree/model": "Board 3\0", f"{DMI}sys_vendor": "ACME\n"}, "Board 3"),
        ({"sys/firmware/devicetree/base/model": "Board 4\0"}, "Board 4"),
        ({}, ""),
    ],
)
def test_maker_and_product_are_the_name_and_else_the_host_is(tmp_path: Path, files: dict[str, str], name: str) -> None:
    root = written(tmp_path, {**files, "proc/sys/kernel/hostname": "bench"})
    assert machine(root, "x86_64").name == name
    assert environment.device_facts(root).name == (name or "bench")


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("rock_5b", ["4 x cortex-a76 at 2.4 GHz", "4 x cortex-a55 at 1.8 GHz"]),
        ("qcs6490_kit", ["1 x cortex-a78 at 2.71 GHz", "3 x cortex-a78 at 2.4 GHz", "4 x cortex-a55 at 1.96 GHz"]),
        ("hybrid_laptop", ["8 x performance core at 5 GHz", "8 x efficiency core at 3.7 GHz"]),
        ("jetson_orin", ["12 x cortex-a78ae at 2.2 GHz"]),
        ("raspberry_pi", ["4 x cortex-a76"]),
        ("qemu_arm", ["2 x cortex-a57"]),
    ],
)
def test_cores_are_counted_by_type_the_fastest_first(recorded: Recorded, device: str, told: list[str]) -> None:
    facts = environment.device_facts(recorded(device))
    assert [one.told for one in facts.core_types] == told
    assert sum(one.count for one in facts.core_types) == facts.cores


def test_a_core_without_a_name_is_called_as_the_processor(tmp_path: Path) -> None:
    files = {f"sys/devices/system/cpu/cpu{number}/topology/core_id": "0" for number in range(3)}
    assert core_types(written(tmp_path, files), "Fast CPU 9") == (CoreType("Fast CPU 9", 3),)
    assert core_types(tmp_path / "none", "Fast CPU 9") == ()


@pytest.mark.parametrize(
    ("listed", "numbers"), [("0-3,8", [0, 1, 2, 3, 8]), ("5", [5]), ("", []), ("x,1-y,2", [2])]
)  # fmt: skip
def test_the_kernels_lists_of_numbers(listed: str, numbers: list[int]) -> None:
    assert numbers_of(listed) == numbers


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("qemu_arm", "emulated: a machine of QEMU that shows no KVM"),
        ("qemu_x86_emulated", "emulated: its CPU calls itself QEMU TCG CPU"),
        ("qemu_x86_kvm", "none seen"),
        ("cloud_vm", "none seen"),
        ("virtual_machine", "none seen"),
        ("laptop", "none seen"),
        ("raspberry_pi", "none seen"),
        ("qcs6490_kit", "none seen"),
    ],
)
def test_emulated_machines_are_told_from_virtual_and_real_ones(recorded: Recorded, device: str, said: str) -> None:
    found = environment.environment(recorded(device))
    assert found["emulation"] == said
    assert emulation.is_emulated(found) is said.startswith("emulated")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("sys/class/ptp/ptp0/clock_name", "KVM virtual PTP\n"),
        ("proc/device-tree/hypervisor/compatible", "linux,kvm\0"),
    ],
)
def test_a_machine_of_qemu_that_kvm_runs_is_not_emulated(recorded: Recorded, file: str, content: str) -> None:
    root = written(recorded("qemu_arm"), {file: content})
    found = environment.environment(root)
    assert (found["emulation"], environment.is_shared(found)) == ("none seen", True)


def test_programs_for_another_cpu_are_emulated_as_qemus_user_mode_does(recorded: Recorded) -> None:
    assert emulation.emulation(recorded("laptop"), "aarch64").startswith("emulated: programs for aarch64")
    assert emulation.emulation(recorded("rock_5b"), "x86_64").startswith("emulated: programs for x86_64")


def test_a_profile_of_a_version_before_does_not_tell_of_emulation() -> None:
    assert not emulation.is_emulated({})


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the tree is of an x86 machine")
def test_this_machine_is_described_from_its_own_tree() -> None:
    facts = environment.device_facts()
    assert is_name(facts.name)
    assert facts.architecture == platform.machine()
    assert sum(one.count for one in facts.core_types) >= facts.cores
