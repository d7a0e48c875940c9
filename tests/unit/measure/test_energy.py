"""Energy by the device's sensors, on trees that change as those of RAPL, board monitors and batteries do; and what it adds up to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.measure import energy_figures
from dynolab.measure.executor import energy_meter
from dynolab.measure.readings.base import Unavailable
from dynolab.measure.readings.energy import Energy
from dynolab.spec import codec
from dynolab.spec.energy import EnergyPass, EnergySample, EnergySummary

Recorded = Callable[[str], Path]
RAPL = "sys/class/powercap"
SUPPLY = "sys/class/power_supply"
S = 10**9


def written(root: Path, files: dict[str, str | int]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
    return root


def zone(name: str, folder: str, microjoules: int, most: int = 262_143_328_850) -> dict[str, str | int]:
    where = f"{RAPL}/{folder}"
    return {f"{where}/name": name, f"{where}/energy_uj": microjoules, f"{where}/max_energy_range_uj": most}


def test_packages_and_their_memory_are_added_up_and_parts_of_them_are_not(tmp_path: Path) -> None:
    zones = {
        **zone("package-0", "intel-rapl:0", 5_000_000),
        **zone("core", "intel-rapl:0:0", 4_000_000),
        **zone("dram", "intel-rapl:0:1", 1_000_000),
        **zone("package-1", "intel-rapl:1", 2_000_000),
        **zone("psys", "intel-rapl:2", 90_000_000),
        **zone("package-0", "intel-rapl-mmio:0", 5_000_000),
    }
    reading = Energy()
    assert reading.read(written(tmp_path, zones)) == {"rapl_joules": 8.0}
    assert reading.sources(tmp_path) == {"rapl": "RAPL (package-0, dram, package-1)"}


def test_a_counter_that_wraps_goes_on_growing(tmp_path: Path) -> None:
    reading, most = Energy(), 10_000_000
    told = []
    for microjoules in (9_000_000, 9_500_000, 500_000, 9_999_999, 0):
        told.append(
            reading.read(written(tmp_path, zone("package-0", "intel-rapl:0", microjoules, most)))["rapl_joules"]
        )
    grown = [round(after - before, 6) for before, after in pairwise(told)]
    assert grown == [0.5, 1.0, 9.499999, 0.000001]


@settings(deadline=None, max_examples=50)
@given(steps=st.lists(st.integers(min_value=0, max_value=9_999_999), min_size=2, max_size=30))
def test_whatever_a_wrapping_counter_does_energy_never_shrinks(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    root, reading, raw, told = tmp_path_factory.mktemp("rapl"), Energy(), 0, []
    for step in steps:
        raw = (raw + step) % 10_000_000
        told.append(reading.read(written(root, zone("package-0", "intel-rapl:0", raw, 10_000_000)))["rapl_joules"])
    assert told[-1] - told[0] == pytest.approx(sum(steps[1:]) / 1e6)


def test_a_counter_for_root_alone_is_no_reading_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = written(tmp_path, zone("package-0", "intel-rapl:0", 5_000_000))

    def forbidden(path: Path, *_: object, **__: object) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *_, **__)

    original = Path.read_text
    monkeypatch.setattr(Path, "read_text", forbidden)  # the tests may be root, whom no mode stops
    values, reasons = Energy().told(root)
    assert values == {}
    assert reasons["rapl"].startswith("RAPL is there, but only root may read it (CVE-2020-8694): /sys/class/powercap/")


@pytest.mark.parametrize(
    ("folder", "source"), [("class/powercap", "rapl"), ("class/hwmon", "board"), ("class/power_supply", "battery")]
)
def test_a_folder_that_may_not_be_read_is_no_proof_that_there_is_no_sensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, source: str
) -> None:
    """As the rules of Android's SELinux have it for its shell."""
    original = os.scandir

    def barred(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith(folder):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", barred)  # the tests may be root, whom no mode stops
    assert Energy().told(tmp_path)[1][source] == f"/sys/{folder} may not be read here"


def test_the_rails_of_a_jetson_are_added_up_from_voltage_and_current(recorded: Recorded) -> None:
    root, reading = recorded("jetson_orin"), Energy()
    assert reading.read(root)["board_watts"] == pytest.approx(3.8 + 1.9 + 4.0)
    assert reading.sources(root) == {"board": "power monitor (VDD_GPU_SOC, VDD_CPU_CV, VIN_SYS_5V0)"}


def test_a_rail_that_feeds_all_others_is_the_board(tmp_path: Path) -> None:
    monitor = "sys/class/hwmon/hwmon3"
    rails = {"VDD_IN": (5000, 1200), "VDD_CPU_GPU_CV": (5000, 400), "VDD_SOC": (5000, 300)}
    files: dict[str, str | int] = {f"{monitor}/name": "ina3221"}
    for number, (label, (millivolts, milliamperes)) in enumerate(rails.items(), 1):
        files |= {f"{monitor}/in{number}_label": label, f"{monitor}/in{number}_input": millivolts}
        files[f"{monitor}/curr{number}_input"] = milliamperes
    assert Energy().read(written(tmp_path, files)) == {"board_watts": 6.0}


@pytest.mark.parametrize(
    ("driver", "file", "value", "told"),
    [
        ("ina226", "power1_input", 2_500_000, {"board_watts": 2.5}),
        ("power_meter", "power1_average", 75_000_000, {"board_watts": 75.0}),
        ("ina238", "energy1_input", 3_000_000, {"board_joules": 3.0}),
    ],
)
def test_monitors_tell_power_or_energy(
    tmp_path: Path, driver: str, file: str, value: int, told: dict[str, float]
) -> None:
    root = written(tmp_path, {"sys/class/hwmon/hwmon0/name": driver, f"sys/class/hwmon/hwmon0/{file}": value})
    assert Energy().read(root) == told


@pytest.mark.parametrize("driver", ["amdgpu", "nvme", "coretemp", "BAT0"])
def test_a_sensor_of_a_card_a_disk_or_a_battery_is_none_of_the_board(tmp_path: Path, driver: str) -> None:
    root = written(tmp_path, {"sys/class/hwmon/hwmon0/name": driver, "sys/class/hwmon/hwmon0/power1_input": 9_000_000})
    assert "board_watts" not in Energy().told(root)[0]


@pytest.mark.parametrize(
    ("gauge", "watts"),
    [
        ({"power_now": 7_250_000}, 7.25),
        ({"current_now": -1_000_000, "voltage_now": 3_850_000}, 3.85),
        ({"power_now": 0, "current_now": 500_000, "voltage_now": 4_000_000}, 2.0),
    ],
)
def test_a_battery_that_powers_the_device_tells_its_power(tmp_path: Path, gauge: dict[str, int], watts: float) -> None:
    files = {f"{SUPPLY}/BAT0/{name}": value for name, value in gauge.items()}
    root = written(tmp_path, {f"{SUPPLY}/BAT0/status": "Discharging", f"{SUPPLY}/BAT0/type": "Battery", **files})
    assert Energy().read(root) == {"battery_watts": pytest.approx(watts)}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"BAT0/status": "Charging", "BAT0/power_now": 9}, "the battery does not power the device (BAT0: Charging)"),
        ({"BAT0/status": "Full", "BAT0/power_now": 9}, "the battery does not power the device (BAT0: Full)"),
        ({"BAT0/status": "Discharging"}, "the battery's gauge tells neither power nor current and voltage"),
        ({"mouse/status": "Discharging", "mouse/scope": "Device", "mouse/power_now": 9}, "there is no battery"),
        ({"AC/online": 1}, "there is no battery"),
    ],
)
def test_a_battery_that_tells_nothing_of_the_device_says_why(
    tmp_path: Path, files: dict[str, str | int], why: str
) -> None:
    reasons = Energy().told(written(tmp_path, {f"{SUPPLY}/{name}": value for name, value in files.items()}))[1]
    assert reasons["battery"].startswith(why)


def test_a_device_without_a_sensor_names_every_reason(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Energy().read(tmp_path)
    told = str(caught.value)
    assert all(one in told for one in ("powercap", "hwmon", "no NVIDIA driver", "no battery"))
    found = energy_meter.idle(3600.0, tmp_path)  # it does not wait for what will not come
    assert (found.samples, found.sources, set(found.unavailable)) == ((), {}, {"rapl", "board", "nvidia", "battery"})


def test_an_idle_while_is_sampled_from_end_to_end(recorded: Recorded) -> None:
    found = energy_meter.idle(0.25, recorded("jetson_orin"))
    times = [one.at_ns for one in found.samples]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 0.25 * S
    assert {sample.values["board_watts"] for sample in found.samples} == {found.samples[0].values["board_watts"]}


# ---- what it adds up to -----------------------------------------------------------------------------------------------


def idle(watts: float, *, name: str = "rapl_joules", start: float = 0.0) -> tuple[EnergySample, ...]:
    """A second of it, sampled ten times."""
    if name.endswith("_watts"):
        return tuple(EnergySample(n * S // 10, {name: watts}) for n in range(11))
    return tuple(EnergySample(n * S // 10, {name: start + watts * n / 10}) for n in range(11))


def loop(watts: float, per_second: int, *, name: str = "rapl_joules", seconds: int = 4) -> tuple[EnergySample, ...]:
    """A process that starts up for half a second, loops, and ends; sampled four times a second."""
    counts = [0, 0, *(per_second * n // 4 for n in range(1, 4 * seconds + 1)), per_second * seconds]
    power = (lambda n: watts) if name.endswith("_watts") else (lambda n: watts * n / 4)
    return tuple(EnergySample(n * S // 4, {name: power(n)}, count) for n, count in enumerate(counts))


def found(
    idles: Sequence[float], loops: Sequence[float], *, name: str = "rapl_joules", rate: int = 400
) -> EnergySummary:
    source = name.rpartition("_")[0]
    return energy_figures.summary(
        EnergyPass(
            tuple(idle(one, name=name) for one in idles),
            tuple(loop(one, rate, name=name) for one in loops),
            {source: source.upper()},
        )
    )


@pytest.mark.parametrize("name", ["rapl_joules", "board_watts", "nvidia_joules"])
def test_idle_power_is_taken_off_and_the_rest_shared_among_the_iterations(name: str) -> None:
    told = found([5.0] * 4, [25.0] * 3, name=name)
    assert told.joules == pytest.approx(20.0 / 400)
    assert told.uncertainty_joules is not None
    assert told.uncertainty_joules < 0.01 * told.joules
    assert (told.idle_watts, told.loop_watts) == (pytest.approx(5.0), pytest.approx(25.0))
    assert (told.source, told.reason) == (name.rpartition("_")[0].upper(), None)


def test_what_the_loops_differ_by_is_uncertain() -> None:
    told = found([5.0] * 4, [24.0, 25.0, 27.0])
    assert told.joules == pytest.approx(20.0 / 400)
    assert told.uncertainty_joules == pytest.approx(1.5 / 400, rel=0.01)


def test_idle_power_that_drifts_is_uncertain() -> None:
    told = found([5.0, 9.0], [25.0])
    assert told.joules == pytest.approx(18.0 / 400)
    assert told.uncertainty_joules is not None
    assert told.uncertainty_joules >= 2.0 / 400


def test_what_does_not_stand_out_from_idle_is_no_figure() -> None:
    told = found([5.0, 5.5, 5.0, 5.5], [5.3, 5.2, 5.4])
    assert (told.joules, told.uncertainty_joules) == (None, None)
    assert (told.reason or "").startswith("it does not stand out from idle: 5.30 W while the model ran")
    assert (told.idle_watts, told.loop_watts) == (pytest.approx(5.25), pytest.approx(5.3))


def test_chips_are_added_up_and_the_board_is_not_counted_again() -> None:
    names = ("rapl_joules", "nvidia_joules", "board_watts")
    idles = [{name: idle(5.0, name=name) for name in names}] * 2
    run = {name: loop(watts, 400, name=name) for name, watts in zip(names, (25.0, 105.0, 500.0), strict=True)}

    def merged(whiles: dict[str, tuple[EnergySample, ...]]) -> tuple[EnergySample, ...]:
        columns = zip(*whiles.values(), strict=True)
        return tuple(replace(row[0], values={k: v for one in row for k, v in one.values.items()}) for row in columns)

    told = energy_figures.summary(
        EnergyPass(tuple(map(merged, idles)), (merged(run),), {"rapl": "CPU", "nvidia": "GPU"})
    )
    assert told.joules == pytest.approx((20.0 + 100.0) / 400)
    assert told.source in ("CPU + GPU", "GPU + CPU")
    assert {one.source for one in told.sensors} == {"rapl", "nvidia", "board"}


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ((), "the loop was too short"),
        (loop(25.0, 1, seconds=1), "the loop was too short"),
        (tuple(replace(one, values={"rapl_joules": 7.0}) for one in loop(25.0, 400)), "its counter stood still"),
    ],
)
def test_a_loop_that_tells_nothing_has_a_reason(samples: tuple[EnergySample, ...], why: str) -> None:
    ends = (idle(5.0), idle(5.0))
    told = energy_figures.summary(EnergyPass(ends, (samples, loop(25.0, 400)), {"rapl": "RAPL"}))
    assert told.joules is None
    assert why in (told.reason or "")


def test_a_battery_whose_gauge_is_slower_than_the_loop_tells_nothing() -> None:
    told = found([5.0] * 2, [25.0], name="battery_watts")
    assert told.joules is None
    assert "it told 1 values in" in (told.reason or "")


@pytest.mark.parametrize(
    ("virtualisation", "why"),
    [
        ("none seen", "this device shows no power sensor"),
        ("virtual machine (cpuid hypervisor bit), container", "this virtual machine shows no power sensor"),
        ("hypervisor xen", "this virtual machine shows no power sensor"),
        ("container", "this container shows no power sensor"),
    ],
)
def test_a_device_without_a_sensor_says_so_and_one_that_bars_it_says_that(
    tmp_path: Path, virtualisation: str, why: str
) -> None:
    reasons = Energy().told(tmp_path)[1]
    told = energy_figures.summary(EnergyPass(unavailable=reasons), virtualisation)
    assert (told.joules, told.idle_watts, told.source, told.unavailable) == (None, None, "", reasons)
    assert told.reason == why
    barred = energy_figures.summary(EnergyPass(unavailable=reasons | {"rapl": "only root may read it"}), virtualisation)
    assert barred.reason == "only root may read it"


def test_what_was_found_survives_the_way_to_a_document() -> None:
    told = found([5.0] * 3, [25.0, 26.0])
    assert codec.decode(EnergySummary, json.loads(json.dumps(codec.encode(told)))) == told
