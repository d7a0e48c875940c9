"""What can be told of the machines: clocks, disks, and which versions run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.checks.base import Finding, Problem, Replica
from dynolab.hub.settings import Settings
from dynolab.hub.store.blobs import folder_of

SKEW_MOST_S = 60.0
"""Object stores of clouds refuse requests from 15 minutes on (Amazon S3: RequestTimeTooSkewed)."""
FULL_BYTES, FULL_SHARE = 256 << 20, 0.01
"""With less free than the share, or than the one where that is a tenth, the next large file or the database's log does not fit."""
NEARLY_BYTES, NEARLY_SHARE = 10 << 30, 0.1
"""With less free than both an operator should see to it."""


async def clock(connection: AsyncConnection) -> Finding:
    """How far this machine's clock is from the database's."""
    before = time.time()
    at: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    after = time.time()
    ahead_s = at.timestamp() - (before + after) / 2
    found = abs(ahead_s) - (after - before) / 2 > SKEW_MOST_S
    told = f"the database's clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    return Finding(
        "clocks-agree",
        f"this machine's clock and the database's agree within {SKEW_MOST_S:g} s",
        "set both by NTP: dates are the database's, and object stores refuse a hub whose clock is wrong",
        (Problem("clock", told),) if found else (),
        int(found),
        "warning",
    )


def versions(replicas: Sequence[Replica]) -> Finding:
    """Whether all replicas, and this command, are of one version, as far as they say it."""
    found = {one.version for one in replicas if one.version}
    different = len(found) > 1 or (found and found != {version("dynolab")})
    problems = [Problem(f"replica {one.name}", f"it runs dynolab {one.version}", one.since) for one in replicas]
    return Finding(
        "one-version",
        f"all replicas run the version of this command, {version('dynolab')}",
        "amid an update: go on with it; else update those that are older",
        tuple(problems) if different else (),
        len(problems) if different else 0,
        "warning",
    )


def disks(settings: Settings) -> list[Finding]:
    """Room where this machine keeps a hub's files: two findings, of what is full and of what soon will be."""
    full, nearly = list[Problem](), list[Problem]()
    for what, folder in _folders(settings):
        told = os.statvfs(folder)
        free, all_ = told.f_bavail * told.f_frsize, told.f_blocks * told.f_frsize
        problem = Problem(what, f"{free:,} of {all_:,} bytes are free on the disk of {folder}")
        if free < FULL_SHARE * all_ or free < min(FULL_BYTES, NEARLY_SHARE * all_):
            full.append(problem)
        elif free < NEARLY_BYTES and free < NEARLY_SHARE * all_:
            nearly.append(problem)
        if told.f_files and told.f_favail < FULL_SHARE * told.f_files:
            full.append(Problem(what, f"{told.f_favail:,} of {told.f_files:,} files more fit on the disk of {folder}"))
    hint = "make room: delete jobs, models and datasets that are not needed, bound them by DYNOLAB_DATA_MAX_BYTES"
    return [
        Finding("disk-not-full", "the hub's disks have room for what it writes next", hint, tuple(full), len(full)),
        Finding(
            "disk-has-room",
            "a tenth of each of the hub's disks is free, or 10 GiB",
            hint,
            tuple(nearly),
            len(nearly),
            "warning",
        ),
    ]


def _folders(settings: Settings) -> list[tuple[str, Path]]:
    """Those that are there; a database or store on another machine is that machine's to tell of."""
    blobs = folder_of(settings.blobs_url) if settings.blobs_url else settings.data / "blobs"
    kept = [("data folder", settings.data)]
    kept += [("database", settings.data / "postgres")] if not settings.database_url else []
    kept += [("blobs", blobs)] if blobs is not None else []
    return [(what, folder) for what, folder in kept if folder.is_dir()]
