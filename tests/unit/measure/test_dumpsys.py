"""An Android device's battery and heat, in the words of its own services (the form is that of Android's sources)."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.measure import dumpsys

from ...devices.phone_root import BATTERY, THERMAL


def test_battery_tells_charge_source_and_temperature() -> None:
    assert dumpsys.battery(BATTERY) == "81 %, charging (USB), 28.7 °C"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  present: false\n  level: 0\n  scale: 100\n", "none"),
        ("  AC powered: true\n  USB powered: true\n  status: 5\n  level: 100\n  scale: 100\n", "100 %, full (AC, USB)"),
        ("  status: 3\n  level: 30\n  scale: 200\n  temperature: -52\n", "15 %, discharging, -5.2 °C"),
        ("Can't find service: battery\n", ""),
    ],
)
def test_battery_says_what_it_is_told_and_no_more(text: str, told: str) -> None:
    assert dumpsys.battery(text) == told


def test_heat_is_the_status_and_what_the_hardware_says_now() -> None:
    assert dumpsys.thermal(THERMAL) == "none; CPU 44.1 °C, skin 31.4 °C"


def test_hottest_of_a_kind_counts_and_a_sensor_that_is_none_does_not() -> None:
    rows = "".join(
        f"\tTemperature{{mValue={value}, mType={kind}, mName=x, mStatus=0}}\n"
        for value, kind in ((40.0, 0), (61.5, 0), (-273.0, 3), (20.0, 7))
    )
    assert dumpsys.thermal(f"Thermal Status: 3\nCurrent temperatures from HAL:\n{rows}") == "severe; CPU 61.5 °C"


def test_status_that_is_not_known_keeps_its_number_and_none_is_nothing() -> None:
    assert dumpsys.thermal("Thermal Status: 9\n") == "9"
    assert dumpsys.thermal("Can't find service: thermalservice\n") == ""


def test_a_machine_that_is_no_android_says_nothing(tmp_path: Path) -> None:
    assert dumpsys.state(tmp_path) == {}


def test_services_that_tell_nothing_are_said_so(tmp_path: Path) -> None:
    program = tmp_path / "system" / "bin" / "dumpsys"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\n[ "$1" = battery ] && echo "  level: 50"\n', encoding="utf-8")
    program.chmod(0o755)
    told = dumpsys.state(tmp_path)
    assert told == {"battery": "50 %", "thermal_status": "not available: dumpsys thermalservice tells nothing of it"}
