"""What is known of the device that a profile was measured on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CoreType:
    """The cores of one type: big and little ones of a machine are two. ``max_hz``: their highest clock; None: not told."""

    name: str
    count: int
    max_hz: int | None = None

    @property
    def told(self) -> str:
        """The same in words: ``4 x cortex-a76 at 2.4 GHz``."""
        return f"{self.count} x {self.name}" + (f" at {self.max_hz / 1e9:.3g} GHz" if self.max_hz else "")


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """One device, as it describes itself; what it does not tell is None, or empty."""

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
    core_types: tuple[CoreType, ...] = ()
    """The cores by type, the fastest first; empty also in profiles of versions before, as is all that follows."""
    system: str = ""
    """AI Hub's word: ``linux``, ``qc_linux``, ``android`` or ``windows``."""
    form: str = ""
    """AI Hub's word for what it is: ``phone``, ``tablet``, ``compute``, ``auto``, ``iot`` or ``xr``."""
    maker: str = ""
    """Who makes the device, in small letters."""
    soc: str = ""
    """The part number of its system on a chip, such as ``sm8650`` or ``bcm2712``."""
    soc_maker: str = ""
    """Who makes that."""
