"""How fast NVIDIA's GPUs run now, how hot they are, and what holds their clocks back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from dynolab.measure import nvidia
from dynolab.measure.nvidia import Board
from dynolab.measure.readings.base import Field, Reading, Unavailable


class Nvidia(Reading):
    """Clocks, temperature, power, memory and the reasons for a lower clock, over all GPUs.

    Source: NVML, the driver's own library (docs.nvidia.com/deploy/nvml-api), through nvidia-ml-py.
    """

    name = "nvidia"
    fields = {
        "sm_hz": Field("gauge", "Hz", "clock of the slowest GPU's processors"),
        "memory_hz": Field("gauge", "Hz", "clock of the slowest GPU's memory"),
        "max_celsius": Field("gauge", "celsius", "the hottest GPU"),
        "power_watts": Field("gauge", "W", "all GPUs together"),
        "used_bytes": Field("gauge", "bytes", "memory in use on all GPUs, by whomever"),
        "busy_share": Field("gauge", "1", "the busiest GPU: share of the driver's last period in which it computed"),
        "heat": Field("gauge", "1", "GPUs whose clock is held back for heat"),
        "power_brake": Field("gauge", "1", "GPUs whose clock the power supply holds back"),
        "power_cap": Field("gauge", "1", "GPUs at their power limit"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The values now. Raises :class:`Unavailable` where there is no GPU, or its driver does not answer."""
        try:
            boards = nvidia.boards(root)
            library = nvidia.opened(root)
        except nvidia.NoGpu as error:
            raise Unavailable(str(error)) from error
        if not boards:
            raise Unavailable("NVIDIA's driver lists no GPU")
        held = [nvidia.reasons(library, board.reasons) for board in boards if board.reasons is not None]
        counts = {key: float(sum(word in one for one in held)) for key, word in _REASONS.items()} if held else {}
        return {name: value for name, value in (_gauges(boards) | counts).items() if value is not None}


_REASONS = {"heat": "heat", "power_brake": "power brake", "power_cap": "power cap"}


def _gauges(boards: Iterable[Board]) -> dict[str, float | None]:
    found = list(boards)

    def over(pick: Callable[[list[float]], float], name: str) -> float | None:
        values = [value for board in found if (value := getattr(board, name)) is not None]
        return pick(values) if values else None

    return {
        "sm_hz": over(min, "sm_hz"),
        "memory_hz": over(min, "memory_hz"),
        "max_celsius": over(max, "celsius"),
        "power_watts": over(sum, "watts"),
        "used_bytes": over(sum, "used_bytes"),
        "busy_share": over(max, "busy"),
    }


plugin = Nvidia()
