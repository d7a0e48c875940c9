"""A device whose executor works in this very process: for tests and benchmarks of the policy."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynolab.measure.clock import now_ns
from dynolab.measure.device import Device
from dynolab.measure.executor.verbs import Executor
from dynolab.measure.orders import document_of, line_of


class DirectLine:
    """Lines that an executor of this process answers at once."""

    def __init__(self, folder: Path) -> None:
        self.executor = Executor(folder, self._said)
        self._lines: deque[str] = deque()

    def _said(self, event: Mapping[str, Any]) -> None:
        self._lines.append(line_of(event))

    def send(self, line: str) -> None:
        """Carry out the order; an error is raised here and now."""
        order = document_of(line) or {}
        value = self.executor.carry_out(order["verb"], order["with"])
        self._lines.append(line_of({"answer": order["order"], "at_ns": now_ns(), "value": value}))

    def receive(self, within_s: float) -> str | None:
        """What it said first and nobody took."""
        del within_s
        return self._lines.popleft() if self._lines else None

    def ended(self) -> tuple[int, str]:
        """It never ends."""
        return 0, ""


def direct_device(folder: Path) -> Device:
    """A device that works in a folder."""
    return Device(DirectLine(folder), lambda event: None)
