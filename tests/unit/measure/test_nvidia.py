"""NVIDIA's GPUs through NVML: nvidia-ml-py itself, on a driver's library whose answers are recorded."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynolab.measure import nvidia, witnesses
from dynolab.measure.readings.base import Unavailable
from dynolab.measure.readings.energy import Energy
from dynolab.measure.readings.nvidia import Nvidia

pynvml = pytest.importorskip("pynvml")
NOT_SUPPORTED = 3
H200 = {
    "name": b"NVIDIA H200", "driver": b"570.124.06", "total": 150_754_820_096, "used": 624_951_296, "sm": 1980,
    "memory": 3201, "max_sm": 1980, "celsius": 31, "milliwatts": 117_242, "millijoules": 48_513_220_871, "gpu": 0,
    "limit": 700_000, "major": 9, "minor": 0, "reasons": pynvml.nvmlClocksThrottleReasonGpuIdle,
}  # fmt: skip
"""As the driver of an idle H200 answers."""


class Driver:
    """Functions of libnvidia-ml.so.1 as nvidia-ml-py calls them: they fill what they are handed and return a code."""

    def __init__(self, **changes: Any) -> None:
        self.answers = H200 | changes
        self.gpus = int(self.answers.get("gpus", 1))

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name not in _FILLED:
            raise AttributeError(name)
        return lambda *given: _FILLED[name](self, *given)

    def number(self, key: str, target: Any) -> int:
        value = self.answers[key]
        if value is None:
            return NOT_SUPPORTED
        target._obj.value = value
        return 0

    def text(self, key: str, target: Any) -> int:
        target.value = self.answers[key]
        return 0

    def memory(self, _: object, target: Any) -> int:
        target._obj.total, target._obj.used = self.answers["total"], self.answers["used"]
        return 0

    def busy(self, _: object, target: Any) -> int:
        target._obj.gpu, target._obj.memory = self.answers["gpu"], 0
        return 0

    def count(self, target: Any) -> int:
        target._obj.value = self.gpus
        return 0


_FILLED: dict[str, Callable[..., int]] = {
    "nvmlInitWithFlags": lambda driver, flags: 0,
    "nvmlDeviceGetCount_v2": Driver.count,
    "nvmlDeviceGetHandleByIndex_v2": lambda driver, index, handle: 0,
    "nvmlSystemGetDriverVersion": lambda driver, text, size: driver.text("driver", text),
    "nvmlDeviceGetName": lambda driver, handle, text, size: driver.text("name", text),
    "nvmlDeviceGetMemoryInfo": Driver.memory,
    "nvmlDeviceGetUtilizationRates": Driver.busy,
    "nvmlDeviceGetMaxClockInfo": lambda driver, handle, kind, out: driver.number("max_sm", out),
    "nvmlDeviceGetClockInfo": lambda driver, handle, kind, out: driver.number(
        "sm" if kind.value == pynvml.NVML_CLOCK_SM else "memory", out
    ),
    "nvmlDeviceGetTemperature": lambda driver, handle, sensor, out: driver.number("celsius", out),
    "nvmlDeviceGetPowerUsage": lambda driver, handle, out: driver.number("milliwatts", out),
    "nvmlDeviceGetTotalEnergyConsumption": lambda driver, handle, out: driver.number("millijoules", out),
    "nvmlDeviceGetEnforcedPowerLimit": lambda driver, handle, out: driver.number("limit", out),
    "nvmlDeviceGetCurrentClocksThrottleReasons": lambda driver, handle, out: driver.number("reasons", out),
    "nvmlDeviceGetCudaComputeCapability": lambda driver, handle, major, minor: max(
        driver.number("major", major), driver.number("minor", minor)
    ),
}


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Has a driver answer so; nvidia-ml-py looks for its library anew."""

    def answer(**changes: Any) -> None:
        monkeypatch.setattr(pynvml, "CDLL", lambda name: Driver(**changes))
        monkeypatch.setattr(pynvml, "nvmlLib", None)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        nvidia._library.cache_clear()

    yield answer
    nvidia._library.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with the driver's sign."""
    sign = tmp_path / "proc" / "driver" / "nvidia" / "version"
    sign.parent.mkdir(parents=True)
    sign.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06\n")
    return tmp_path


def test_a_gpus_facts(driver: Callable[..., None], root: Path) -> None:
    driver()
    (gpu,) = nvidia.gpus(root)
    assert gpu.name == "NVIDIA H200"
    assert gpu.told == {
        "memory": "150.8 GB", "driver": "570.124.06", "max_clock": "1980 MHz", "power_limit": "700 W",
        "compute_capability": "9.0",
    }  # fmt: skip


def test_a_gpu_now(driver: Callable[..., None], root: Path) -> None:
    driver(gpu=97, reasons=pynvml.nvmlClocksThrottleReasonHwThermalSlowdown | pynvml.nvmlClocksThrottleReasonSwPowerCap)
    assert Nvidia().read(root) == {
        "sm_hz": 1980e6, "memory_hz": 3201e6, "max_celsius": 31.0, "power_watts": pytest.approx(117.242),
        "used_bytes": 624_951_296.0, "busy_share": 0.97, "heat": 1.0, "power_brake": 0.0, "power_cap": 1.0,
    }  # fmt: skip


def test_an_idle_gpu_is_held_back_by_nothing(driver: Callable[..., None], root: Path) -> None:
    driver()
    values = Nvidia().read(root)
    assert [values[name] for name in ("heat", "power_brake", "power_cap")] == [0.0, 0.0, 0.0]


def test_energy_is_the_drivers_counter_over_all_gpus(driver: Callable[..., None], root: Path) -> None:
    driver(gpus=2)
    assert Energy().read(root) == {"nvidia_joules": pytest.approx(2 * 48_513_220.871)}
    assert Energy().sources(root) == {"nvidia": "NVML (NVIDIA's driver)"}


def test_a_gpu_that_counts_no_energy_tells_its_power(driver: Callable[..., None], root: Path) -> None:
    driver(millijoules=None)
    assert Energy().read(root) == {"nvidia_watts": pytest.approx(117.242)}


def test_what_a_gpu_does_not_know_is_left_out(driver: Callable[..., None], root: Path) -> None:
    driver(millijoules=None, milliwatts=None, celsius=None, reasons=None)
    assert Nvidia().read(root).keys() == {"sm_hz", "memory_hz", "used_bytes", "busy_share"}
    reasons = Energy().told(root)[1]
    assert reasons["nvidia"] == "NVIDIA's driver tells neither energy nor power of its GPUs"


def test_its_values_are_all_named_by_the_reading(driver: Callable[..., None], root: Path) -> None:
    driver()
    before = witnesses.snapshot(("nvidia",), root=root)
    found = witnesses.between(before, witnesses.snapshot(("nvidia",), closing=True, root=root))
    assert found.before.keys() == {f"nvidia.{name}" for name in Nvidia.fields}


def test_a_driver_without_its_library_is_a_reason(
    driver: Callable[..., None], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver()

    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(pynvml, "CDLL", missing)
    with pytest.raises(Unavailable, match="NVML does not answer: NVML Shared Library Not Found"):
        Nvidia().read(root)


def test_without_the_binding_the_way_to_it_is_told_and_the_drivers_command_asked(
    driver: Callable[..., None], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(Unavailable, match=r"nvidia-ml-py is not installed: pip install 'dynolab\[nvidia\]'"):
        Nvidia().read(root)
    answer = "NVIDIA H100 80GB HBM3, 81559 MiB, 570.1, 1980 MHz\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, answer, ""))
    (gpu,) = nvidia.gpus(root)
    assert (gpu.name, gpu.told) == (
        "NVIDIA H100 80GB HBM3", {"memory": "81559 MiB", "driver": "570.1", "max_clock": "1980 MHz"},
    )  # fmt: skip


@pytest.mark.parametrize("error", [FileNotFoundError(2, "no nvidia-smi"), subprocess.TimeoutExpired("nvidia-smi", 10)])
def test_no_nvidia_smi_or_a_hanging_one_is_no_gpu(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    assert nvidia.by_smi() == ()


def test_where_no_driver_is_nothing_is_asked(tmp_path: Path) -> None:
    assert nvidia.gpus(tmp_path) == ()
    with pytest.raises(Unavailable, match="there is no NVIDIA driver"):
        Nvidia().read(tmp_path)
