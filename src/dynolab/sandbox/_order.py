"""What a sandbox tells its first process: see ``_keeper``."""

from __future__ import annotations

from typing import TypedDict


class LandlockOrder(TypedDict):
    """Paths that may be read, and written; devices may be used."""

    readable: list[str]
    writable: list[str]
    devices: list[str]


class MountOrder(TypedDict):
    """What a file system of one's own consists of."""

    binds: list[tuple[str, str, bool]]
    """Where it comes from, where it lies, and whether it may be written; parents first."""
    devices: list[str]
    temporary_bytes: int


class Order(TypedDict):
    """All of it; JSON-ready."""

    command: list[str]
    environment: dict[str, str]
    cwd: str | None
    limits: dict[str, int]
    """By the names of the module ``resource``."""
    parent: int
    """The process whose end is the end."""
    isolated: bool
    """Whether it has a process namespace of its own."""
    user: int | None
    """Whom to become; None: stay."""
    groups: list[int]
    reads_all: bool
    """Whether to keep the right to read what its owner closed to others, of what is in sight."""
    filter: str
    """The filter of system calls, in hexadecimal; empty: none."""
    landlock: LandlockOrder | None
    mounts: MountOrder | None
