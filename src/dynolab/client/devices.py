"""Devices and what they run, as a hub lists them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Device:
    """A device to ask for: by name, by system version (or an interval such as ``[14,15)``), by attributes, or by several."""

    name: str = ""
    os: str = ""
    attributes: str | list[str] = field(default_factory=list)

    @property
    def wanted(self) -> dict[str, Any]:
        """As the hub's API takes it."""
        attributes = [self.attributes] if isinstance(self.attributes, str) else list(self.attributes)
        return {"name": self.name, "os": self.os, "attributes": [one for one in attributes if one]}


@dataclass(frozen=True, slots=True)
class Framework:
    """A runtime that some device of the hub has. ``api_tags`` are the other names that its version goes by."""

    name: str = ""
    api_version: str = ""
    api_tags: list[str] = field(default_factory=list)
    full_version: str = ""
