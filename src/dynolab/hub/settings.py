"""What an operator may set: from the environment and the command line, checked once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dynolab.errors import SpecInvalid

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """One hub's settings; seconds and bytes."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    database_url: str | None = None
    """``DYNOLAB_DATABASE_URL``, such as ``postgresql://user@host/name``; None: a PostgreSQL of the hub's own."""
    blobs_url: str | None = None
    """``DYNOLAB_BLOBS_URL``, such as ``s3://bucket/prefix``; None: a folder below ``data``."""
    public_url: str | None = None
    """``DYNOLAB_PUBLIC_URL``: how clients reach the hub, for file addresses; None: as the request came."""
    lease_s: float = 15.0
    """``DYNOLAB_LEASE_S``: after this long without a heartbeat a job goes to another agent."""
    part_bytes: int = 64 * MIB
    model_max_bytes: int = 64 * 1024 * MIB
    data_max_bytes: int | None = None
    """``DYNOLAB_DATA_MAX_BYTES``: uploads that would pass this many bytes in all are refused; None: no bound."""
    dataset_life_days: int = 30
    """As AI Hub keeps datasets."""
    minimum_client: tuple[int, int] = (0, 46)
    """Official clients below this are answered 426."""

    @classmethod
    def from_environment(cls, data: Path, *, host: str, port: int) -> Settings:
        """Command line first, environment second. Raises :class:`SpecInvalid`."""
        if not 0 <= port <= 65535:
            raise SpecInvalid(f"--port {port}: ports are 0 to 65535 (0: any that is free)")
        lease = os.environ.get("DYNOLAB_LEASE_S", "15")
        try:
            lease_s = float(lease)
        except ValueError as error:
            raise SpecInvalid(f"DYNOLAB_LEASE_S={lease!r} is no number of seconds") from error
        if lease_s < 1:
            raise SpecInvalid(f"DYNOLAB_LEASE_S={lease}: at least 1 second is needed")
        most = os.environ.get("DYNOLAB_DATA_MAX_BYTES") or None
        if most is not None and not (most.isascii() and most.isdecimal()):
            raise SpecInvalid(f"DYNOLAB_DATA_MAX_BYTES={most!r} is no whole number of bytes")
        return cls(
            data=data,
            host=host,
            port=port,
            database_url=os.environ.get("DYNOLAB_DATABASE_URL") or None,
            blobs_url=os.environ.get("DYNOLAB_BLOBS_URL") or None,
            public_url=os.environ.get("DYNOLAB_PUBLIC_URL") or None,
            lease_s=lease_s,
            data_max_bytes=None if most is None else int(most),
        )
