"""What is known of the device that a profile was measured on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """One device, as it describes itself; what it does not tell is None."""

    name: str
    os: str
    os_version: str
    kernel: str
    architecture: str
    processor: str | None
    cores: int
    memory_bytes: int | None
    page_bytes: int
    accelerators: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
