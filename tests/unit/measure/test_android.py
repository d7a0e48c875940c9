"""Facts of Android devices from their properties, as ``getprop`` prints them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dynolab.measure import android, environment
from dynolab.spec.device_attributes import attributes, version
from dynolab.spec.devices import DeviceFacts

GETPROP = Path(__file__).parents[2] / "data" / "getprop"
Recorded = Callable[[str], Path]


def told(device: str) -> dict[str, str]:
    return android.parse((GETPROP / f"{device}.txt").read_text(encoding="utf-8"))


@pytest.fixture
def base(recorded: Recorded) -> DeviceFacts:
    return environment.device_facts(recorded("rock_5b"))


@pytest.mark.parametrize(
    ("device", "name", "release"),
    [
        ("galaxy_s24", "Samsung Galaxy S24", "14"),
        ("galaxy_s25", "Samsung Galaxy S25", "15"),
        ("pixel_8", "Google Pixel 8", "15"),
        ("xiaomi_15", "Xiaomi 15", "15"),
        ("qcs6490_kit", "Qualcomm QCS6490 for arm64", "13"),
    ],
)
def test_a_phone_has_the_name_that_it_is_sold_under(base: DeviceFacts, device: str, name: str, release: str) -> None:
    facts = android.facts(told(device), base)
    assert (facts.name, facts.os, version(facts)) == (name, "Android", release)


def test_cores_and_memory_are_those_of_its_own_tree(base: DeviceFacts) -> None:
    facts = android.facts(told("galaxy_s24"), base)
    assert (facts.cores, facts.memory_bytes, facts.core_types) == (base.cores, base.memory_bytes, base.core_types)


def test_a_galaxy_s24_has_the_attributes_of_ai_hubs_own(base: DeviceFacts) -> None:
    """All that AI Hub lists of its own, but ``framework:``, which tells what runs there."""
    assert set(attributes(android.facts(told("galaxy_s24"), replace(base, accelerators=())))) == {
        "os:android", "format:phone", "abi:aarch64-android", "vendor:samsung", "chipset:qualcomm-snapdragon-8gen3",
        "chipset:sm8650", "hexagon:v75", "soc-model:57", "htp-supports-fp16:true", "htp-supports-weight-sharing:true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("device", "chipset"),
    [("galaxy_s25", "chipset:qualcomm-snapdragon-8-elite-for-galaxy"), ("xiaomi_15", "chipset:qualcomm-snapdragon-8-elite")],
)  # fmt: skip
def test_the_part_made_for_one_maker_is_claimed_for_that_maker_alone(
    base: DeviceFacts, device: str, chipset: str
) -> None:
    chipsets = [one for one in attributes(android.facts(told(device), base)) if one.startswith("chipset:qualcomm")]
    assert chipsets == [chipset]


def test_a_part_that_ai_hub_does_not_list_has_no_npu_attributes(base: DeviceFacts) -> None:
    found = attributes(android.facts(told("galaxy_s24_exynos"), base))
    assert "chipset:s5e9945" in found
    assert not [one for one in found if one.startswith(("hexagon", "soc-model", "htp"))]


@pytest.mark.parametrize(
    ("device", "changes", "form"),
    [
        ("galaxy_s24", {}, "phone"),
        ("galaxy_s24", {"ro.build.characteristics": "tablet,nosdcard"}, "tablet"),
        ("galaxy_s24", {"ro.build.characteristics": "automotive"}, "auto"),
        ("qcs6490_kit", {}, "iot"),
        ("qcs6490_kit", {"ro.product.manufacturer": "Fairphone"}, "phone"),
    ],
)
def test_what_kind_of_device_it_is(base: DeviceFacts, device: str, changes: dict[str, str], form: str) -> None:
    assert android.facts(told(device) | changes, base).form == form


def test_an_emulator_is_recognised() -> None:
    assert android.emulated(told("emulator")) == "emulated: it is Android's emulator"
    assert android.emulated(told("pixel_8")) == "none seen"


def test_a_value_of_several_lines_and_carriage_returns_are_read() -> None:
    assert told("galaxy_s24")["ro.boot.bootreason"] == "reboot,\nuserrequested"
    assert android.parse("[a]: [1]\r\n[b]: []\r\nnoise\r\n") == {"a": "1", "b": ""}


@pytest.mark.parametrize("serial", ["", "unknown", "0123456789ABCDEF"])
def test_a_serial_number_that_many_have_is_no_identity(serial: str) -> None:
    assert android.identity({"ro.serialno": serial}) is None
    assert android.identity({"ro.serialno": serial, "ro.boot.serialno": "R5CX1"}) == "R5CX1"


def test_a_device_that_tells_nothing_keeps_what_its_tree_tells(base: DeviceFacts) -> None:
    facts = android.facts({}, base)
    assert (facts.name, facts.architecture) == (base.name, base.architecture)
