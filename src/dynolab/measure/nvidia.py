"""NVIDIA's GPUs through NVML, the driver's own library (the extra ``nvidia``); by ``nvidia-smi`` where only that is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_SIGNS = ("proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg")
"""Where the driver shows itself: Linux, a container that has its devices, and Windows' Linux."""
_QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version,clocks.max.sm", "--format=csv,noheader")
_TIMEOUT_S = 10.0
NO_DRIVER = "there is no NVIDIA driver"


class NoGpu(Exception):
    """NVML tells of no GPU; the message says why."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as its driver describes it, in words by name."""

    name: str
    told: dict[str, str]


@dataclass(frozen=True, slots=True)
class Board:
    """One GPU now. Hz, watts, joules, bytes; None: this GPU does not tell."""

    sm_hz: float | None
    memory_hz: float | None
    celsius: float | None
    watts: float | None
    joules: float | None
    """Since the driver was loaded; no counter of Volta and later wraps (NVML: nvmlDeviceGetTotalEnergyConsumption)."""
    used_bytes: float | None
    busy: float | None
    """Share of the last sampling period in which a kernel ran."""
    reasons: int | None
    """Why its clock is held back: a bit mask (NVML: nvmlClocksEventReasons)."""


def gpus(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """The GPUs of the machine at hand, none where no driver is; ``root``: where its signs are looked for."""
    if not _is_there(root):
        return ()
    try:
        library = opened(root)
    except NoGpu:
        return by_smi()
    driver = _told(library.nvmlSystemGetDriverVersion)
    return tuple(_gpu(library, handle, driver) for handle in _handles(library))


def boards(root: Path = Path("/")) -> list[Board]:
    """Every GPU now. Raises :class:`NoGpu` with the reason where NVML tells of none."""
    library = opened(root)
    return [_board(library, handle) for handle in _handles(library)]


def opened(root: Path = Path("/")) -> Any:
    """The library, ready to be asked. Raises :class:`NoGpu` where there is no driver, no binding, or no answer."""
    if not _is_there(root):
        raise NoGpu(NO_DRIVER)
    found = _library()
    if isinstance(found, NoGpu):
        raise found
    return found


def reasons(library: Any, mask: int) -> list[str]:
    """The reasons for a lower clock in a mask, in words; idleness and a clock that was set are none."""
    names = {
        "power cap": library.nvmlClocksThrottleReasonSwPowerCap,
        "hardware slowdown": library.nvmlClocksThrottleReasonHwSlowdown,
        "heat": library.nvmlClocksThrottleReasonSwThermalSlowdown | library.nvmlClocksThrottleReasonHwThermalSlowdown,
        "power brake": library.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
    }
    return [name for name, bits in names.items() if mask & bits]


@cache
def _library() -> Any:
    """NVML, opened once in a process, or why it is not."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return NoGpu("nvidia-ml-py is not installed: pip install 'dynolab[nvidia]'")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return NoGpu(f"NVML does not answer: {error}")
    return pynvml


def by_smi() -> tuple[Gpu, ...]:
    """The same by the driver's command; none where it is not installed, or hangs."""
    import subprocess  # seldom: every worker asks for GPUs, few machines have one, and fewer without NVML's Python module

    try:
        ran = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    keys = ("memory", "driver", "max_clock")
    rows = (line.split(", ") for line in ran.stdout.splitlines()) if ran.returncode == 0 else iter(())
    return tuple(Gpu(row[0], dict(zip(keys, row[1:], strict=True))) for row in rows if len(row) == len(keys) + 1)


def _is_there(root: Path) -> bool:
    return any((root / sign).exists() for sign in _SIGNS)


def _handles(library: Any) -> Iterator[Any]:
    with suppress(library.NVMLError):
        for index in range(library.nvmlDeviceGetCount()):
            with suppress(library.NVMLError):
                yield library.nvmlDeviceGetHandleByIndex(index)


def _gpu(library: Any, handle: Any, driver: str | None) -> Gpu:
    memory = _told(library.nvmlDeviceGetMemoryInfo, handle)
    clock = _told(library.nvmlDeviceGetMaxClockInfo, handle, library.NVML_CLOCK_SM)
    limit = _told(library.nvmlDeviceGetEnforcedPowerLimit, handle)
    capability = _told(library.nvmlDeviceGetCudaComputeCapability, handle)
    told = {
        "memory": memory and f"{memory.total / 1e9:.1f} GB",
        "driver": driver,
        "max_clock": clock and f"{clock} MHz",
        "power_limit": limit and f"{limit / 1e3:.0f} W",
        "compute_capability": capability and ".".join(map(str, capability)),
    }
    name = _told(library.nvmlDeviceGetName, handle) or "NVIDIA GPU"
    return Gpu(name, {key: value for key, value in told.items() if value})


def _board(library: Any, handle: Any) -> Board:
    def number(ask: Callable[..., Any], *more: Any, scale: float = 1.0) -> float | None:
        value = _told(ask, handle, *more)
        return None if value is None else float(value) * scale

    memory, busy = _told(library.nvmlDeviceGetMemoryInfo, handle), _told(library.nvmlDeviceGetUtilizationRates, handle)
    return Board(
        sm_hz=number(library.nvmlDeviceGetClockInfo, library.NVML_CLOCK_SM, scale=1e6),
        memory_hz=number(library.nvmlDeviceGetClockInfo, library.NVML_CLOCK_MEM, scale=1e6),
        celsius=number(library.nvmlDeviceGetTemperature, library.NVML_TEMPERATURE_GPU),
        watts=number(library.nvmlDeviceGetPowerUsage, scale=1e-3),
        joules=number(library.nvmlDeviceGetTotalEnergyConsumption, scale=1e-3),
        used_bytes=None if memory is None else float(memory.used),
        busy=None if busy is None else busy.gpu / 100,
        reasons=_told(library.nvmlDeviceGetCurrentClocksThrottleReasons, handle),
    )


def _told(ask: Callable[..., Any], *given: Any) -> Any:
    """What the library answers; None where this GPU, or its driver, does not know the question."""
    import pynvml

    try:
        return ask(*given)
    except pynvml.NVMLError:
        return None
