"""What an operator may set: from the environment and the command line, checked once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_network
from math import isfinite
from pathlib import Path
from urllib.parse import urlsplit

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
    orphan_age_s: float = 3600.0
    """``DYNOLAB_ORPHAN_AGE_S``: objects that the database did not know at two looks, this far apart, are removed."""
    run_s: float = 3600.0
    """``DYNOLAB_RUN_S``: how long an attempt may run of a job that names no deadline, so that none holds a device for ever."""
    dataset_life_days: int = 30
    """As AI Hub keeps datasets."""
    minimum_client: tuple[int, int] = (0, 46)
    """Official clients below this are answered 426."""
    posts_per_s: float | None = 100.0
    """``DYNOLAB_POSTS_PER_S``: more POSTs than this from one token are answered 429; None (0): no bound."""
    trusted_proxies: tuple[str, ...] = ()
    """``DYNOLAB_TRUSTED_PROXIES``: addresses and networks whose forwarded headers are believed."""
    tls_certificate: Path | None = None
    """``DYNOLAB_TLS_CERTIFICATE``: with ``tls_key``, the hub speaks HTTPS and nothing else."""
    tls_key: Path | None = None

    @classmethod
    def from_environment(
        cls, data: Path, *, host: str, port: int, tls_certificate: Path | None = None, tls_key: Path | None = None
    ) -> Settings:
        """Command line first, environment second. Raises :class:`SpecInvalid`."""
        if not 0 <= port <= 65535:
            raise SpecInvalid(f"--port {port}: ports are 0 to 65535 (0: any that is free)")
        certificate, key = tls_certificate or _path("DYNOLAB_TLS_CERTIFICATE"), tls_key or _path("DYNOLAB_TLS_KEY")
        if (certificate is None) != (key is None):
            raise SpecInvalid("HTTPS needs a certificate and its key", hint="--tls-certificate FILE --tls-key FILE")
        return cls(
            data=data,
            host=host,
            port=port,
            database_url=os.environ.get("DYNOLAB_DATABASE_URL") or None,
            blobs_url=os.environ.get("DYNOLAB_BLOBS_URL") or None,
            public_url=_public_url(),
            lease_s=_lease_s(),
            data_max_bytes=_data_max_bytes(),
            orphan_age_s=_orphan_age_s(),
            run_s=_run_s(),
            posts_per_s=_posts_per_s(),
            trusted_proxies=_trusted_proxies(),
            tls_certificate=certificate,
            tls_key=key,
        )


def _path(name: str) -> Path | None:
    text = os.environ.get(name)
    return Path(text) if text else None


def _number(name: str, default: float, what: str) -> float:
    text = os.environ.get(name) or str(default)
    try:
        found = float(text)
    except ValueError as error:
        raise SpecInvalid(f"{name}={text!r} is no number of {what}") from error
    if not isfinite(found):
        raise SpecInvalid(f"{name}={text!r} is no number of {what}")
    return found


def _lease_s() -> float:
    found = _number("DYNOLAB_LEASE_S", 15.0, "seconds")
    if found < 1:
        raise SpecInvalid(f"DYNOLAB_LEASE_S={found:g}: at least 1 second is needed")
    return found


def _orphan_age_s() -> float:
    found = _number("DYNOLAB_ORPHAN_AGE_S", 3600.0, "seconds")
    if found < 1:
        raise SpecInvalid(f"DYNOLAB_ORPHAN_AGE_S={found:g}: at least 1 second is needed")
    return found


def _run_s() -> float:
    found = _number("DYNOLAB_RUN_S", 3600.0, "seconds")
    if found < 1:
        raise SpecInvalid(f"DYNOLAB_RUN_S={found:g}: at least 1 second is needed")
    return found


def _posts_per_s() -> float | None:
    found = _number("DYNOLAB_POSTS_PER_S", 100.0, "requests a second")
    if found < 0:
        raise SpecInvalid(f"DYNOLAB_POSTS_PER_S={found:g} is below 0", hint="0 takes the bound away")
    return found or None


def _data_max_bytes() -> int | None:
    most = os.environ.get("DYNOLAB_DATA_MAX_BYTES") or None
    if most is None:
        return None
    if not (most.isascii() and most.isdecimal()):
        raise SpecInvalid(f"DYNOLAB_DATA_MAX_BYTES={most!r} is no whole number of bytes")
    return int(most)


def _public_url() -> str | None:
    """With the slash at its end that addresses of files are joined to."""
    url = os.environ.get("DYNOLAB_PUBLIC_URL")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise SpecInvalid(f"DYNOLAB_PUBLIC_URL={url!r} is no address of a hub", hint="https://hub.example/")
    return url.rstrip("/") + "/"


def _trusted_proxies() -> tuple[str, ...]:
    found = tuple(one.strip() for one in os.environ.get("DYNOLAB_TRUSTED_PROXIES", "").split(",") if one.strip())
    for one in found:
        try:
            ip_network(one)
        except ValueError as error:
            raise SpecInvalid(
                f"DYNOLAB_TRUSTED_PROXIES: {error}", hint="addresses and networks, such as 127.0.0.1,10.0.0.0/8"
            ) from error
    return found
