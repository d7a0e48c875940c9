"""Attributes of devices in AI Hub's vocabulary, from facts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dynolab.spec.chipset_parts import PARTS, part_of
from dynolab.spec.chipsets import CHIPSETS, chipset_named
from dynolab.spec.device_attributes import attributes, description, version
from dynolab.spec.devices import CoreType, DeviceFacts

PC = DeviceFacts("Dell XPS 13", "Debian GNU/Linux", "12", "6.1.0", "x86_64", "Fast CPU 9", 8, 16_000_000_000, 4096)


def words(facts: DeviceFacts, key: str) -> list[str]:
    return [one.partition(":")[2] for one in attributes(facts) if one.startswith(f"{key}:")]


@pytest.mark.parametrize(
    ("system", "distribution", "found"),
    [
        ("linux", "Debian GNU/Linux", ["linux", "debian"]),
        ("linux", "Ubuntu", ["linux", "ubuntu"]),
        ("windows", "Windows", ["windows"]),
        ("android", "Android", ["android"]),
        ("qc_linux", "QCOM Reference Distro with Wayland", ["qc_linux", "linux"]),
        ("", "Debian", ["linux", "debian"]),
        ("linux", "", ["linux"]),
    ],
)
def test_the_system_is_told_before_its_distribution(system: str, distribution: str, found: list[str]) -> None:
    """AI Hub's recipes read the first, and stop at one that they do not know."""
    assert words(replace(PC, system=system, os=distribution), "os") == found


@pytest.mark.parametrize(
    ("system", "release", "architecture", "abi"),
    [
        ("linux", "12", "x86_64", "x86_64-linux"),
        ("linux", "12", "aarch64", "aarch64-linux"),
        ("android", "14", "aarch64", "aarch64-android"),
        ("windows", "11", "aarch64", "aarch64-windows"),
        ("qc_linux", "1.6", "aarch64", "aarch64-oe-linux-gcc11"),
        ("qc_linux", "2.0", "aarch64", "aarch64-linux"),
        ("", "12", "x86_64", "x86_64-linux"),
    ],
)
def test_the_abi_names_architecture_and_system(system: str, release: str, architecture: str, abi: str) -> None:
    assert words(replace(PC, system=system, os_version=release, architecture=architecture), "abi") == [abi]


def test_a_computer_is_called_what_ai_hub_calls_one() -> None:
    assert words(PC, "format") == ["compute"]
    assert words(replace(PC, form="iot"), "format") == ["iot"]


@pytest.mark.parametrize("number", sorted(PARTS))
def test_every_part_is_found_by_its_number_and_its_names_are_nobody_elses(number: str) -> None:
    part = part_of(number.upper(), "")
    assert part is PARTS[number]
    others = {name for key, one in PARTS.items() if key != number for name in one.names}
    assert others.isdisjoint(part.names)


def test_parts_and_the_chipsets_that_are_compiled_for_tell_the_same() -> None:
    compiled_for = {name: one for one in CHIPSETS for name in one.names}
    shared = [(part, compiled_for[name]) for part in PARTS.values() for name in part.names if name in compiled_for]
    assert len(shared) > 30
    assert all((part.hexagon, part.soc_model) == (one.hexagon, one.soc_model) for part, one in shared)


def test_two_parts_of_one_soc_model_are_told_apart() -> None:
    """Both are soc-model 86; only one computes with floats."""
    phone, board = (replace(PC, soc=soc, soc_maker="qualcomm") for soc in ("sm7750", "qcs7790"))
    assert words(phone, "soc-model") == words(board, "soc-model") == ["86"]
    assert (words(phone, "htp-supports-fp16"), words(board, "htp-supports-fp16")) == ([], ["true"])
    assert chipset_named("qualcomm-qcs7790").soc_model == 86


def test_other_makers_chips_are_named_with_and_without_their_maker() -> None:
    assert words(replace(PC, soc="rk3588", soc_maker="rockchip"), "chipset") == ["rockchip-rk3588", "rk3588"]
    assert words(PC, "chipset") == ["fast-cpu-9"]


@pytest.mark.parametrize(
    "facts", [PC, replace(PC, maker="A:B, Inc.", accelerators=("NVIDIA: H200",), processor="x:y", os="a:b")]
)
def test_every_attribute_is_a_key_and_a_value_in_small_letters(facts: DeviceFacts) -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+:[a-z0-9_-]+", one) for one in attributes(facts))


def test_a_description_tells_unlike_cores_memory_and_gpus() -> None:
    assert description(PC) == "Fast CPU 9, 8 cores, 16 GB"
    cores = (CoreType("big", 4, 2_400_000_000), CoreType("little", 4))
    assert description(replace(PC, core_types=cores, accelerators=("H200",))) == (
        "4 x big at 2.4 GHz, 4 x little, 16 GB, H200"
    )


@pytest.mark.parametrize(
    ("release", "kernel", "told"), [("24.04", "6.8", "24.04"), ("", "6.1.0-13-amd64", "6.1"), ("rolling", "x", "0")]
)
def test_the_version_is_numbers_and_dots(release: str, kernel: str, told: str) -> None:
    assert version(replace(PC, os_version=release, kernel=kernel)) == told
