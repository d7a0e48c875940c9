"""What a phone behind adb tells of itself, read on the phone."""

from __future__ import annotations

from contextlib import closing

from dynolab.connections.base import connect
from dynolab.measure.device import Device
from dynolab.measure.orders import Survey
from dynolab.spec.device_attributes import attributes, slug, version

from ..devices.phone import Phone


def survey(phone: Phone) -> Survey:
    with (
        phone.as_server(),
        closing(connect(phone.address)) as connection,
        connection.session(["null"], lambda text: None) as session,
    ):
        device = Device(session, lambda event: None)
        told = device.look("null", loads=True)
        device.close()
        return told


def test_a_phone_has_its_own_name_system_chip_and_libraries(phone: Phone) -> None:
    """By its properties; cores and memory are those of the machine that stands in for it."""
    told = survey(phone)
    facts = told.device
    assert (facts.name, facts.os, version(facts), facts.form) == ("Samsung Galaxy S24", "Android", "14", "phone")
    assert set(attributes(facts)) == {
        "os:android", "format:phone", "abi:aarch64-android", "vendor:samsung", "chipset:qualcomm-snapdragon-8gen3",
        "chipset:sm8650", "hexagon:v75", "soc-model:57", "htp-supports-fp16:true", "htp-supports-weight-sharing:true",
        *(f"gpu:{slug(one)}" for one in facts.accelerators),
    }  # fmt: skip
    assert facts.attributes["model"] == "SM-S921B"
    assert facts.memory_bytes
    assert sum(one.count for one in facts.core_types) >= facts.cores
    assert told.unavailable is None, "the library was loaded there"
    assert told.environment["emulation"] == "none seen"
