"""Spans of an attempt's stages, made of the events that its process tells."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dynolab import tracing


class Stages:
    """Each stage lasts until the next one begins, or the process ends."""

    def __init__(self) -> None:
        self._name = ""
        self._begun_s = 0.0

    def follow(self, event: Mapping[str, Any]) -> None:
        """An event of the attempt's process."""
        name = str(event.get("stage") or "")
        if event.get("event") in ("stage", "duet") and name != self._name:
            self.end()
            self._name, self._begun_s = name, time.monotonic()

    def end(self) -> None:
        """The process has ended."""
        if self._name:
            tracing.record(f"stage {self._name}", time.monotonic() - self._begun_s)
        self._name = ""
