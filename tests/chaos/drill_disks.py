"""Disks are full, one at a time, on small tmpfs mounts: the hub's data with its database, its blobs, the agents'. Needs root."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from .devices import Blow
from .frame import LEASE_S, POOL, SETTINGS, Scene
from .processes import HubProcess, LightAgents

DATA, BLOBS, AGENTS = "hub's data", "blobs'", "agents'"
SIZES_MIB = {DATA: 400, BLOBS: 128, AGENTS: 32}
"""PostgreSQL's log may be 256 MiB between two checkpoints."""


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """A hub whose data and blobs are on disks of their own, and so are two of its eight agents: they alone cannot use up a job's attempts."""
    disks = {what: folder / what.replace("'", "").replace(" ", "-") for what in SIZES_MIB}
    for what, place in disks.items():
        mount(place, SIZES_MIB[what], stack)
    for place in disks.values():
        place.chmod(0o755)  # PostgreSQL is a user of its own
    blobs = disks[BLOBS] / "blobs"
    environment = {**SETTINGS, "DYNOLAB_BLOBS_URL": f"file://{blobs}"}
    hub = HubProcess(disks[DATA] / "hub", environment=environment)
    hub.start()
    stack.callback(hub.end)
    before = ("env", f"TMPDIR={disks[AGENTS]}")
    token = hub.data / "agent.token"
    for one in (
        LightAgents(hub.url, token, POOL, folder / "agents.log", count=2, before=before),
        LightAgents(hub.url, token, POOL, folder / "others.log", count=6, first=11),
    ):
        one.start()
        stack.callback(one.kill)
    url, user = hub.url, hub.running.token

    def blows(draw: random.Random) -> Blow:
        what = draw.choice(sorted(disks))
        return Blow(f"{what} disk full", *filled(disks[what]), draw.uniform(0.5, 3.0) * LEASE_S)

    return Scene(lambda: url, user, hub.data, environment, blows, printed=lambda: hub.printed)


def mount(place: Path, megabytes: int, stack: ExitStack) -> None:
    """A disk of this size, until the stack is closed."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", place], check=True)
    stack.callback(subprocess.run, ["umount", "--lazy", place], check=False)


def filled(disk: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Fills a disk to the last byte, and empties it again."""
    filler = disk / "filler"

    def strike() -> None:
        with filler.open("wb") as file, suppress(OSError):
            block = b"\0" * (1 << 16)
            while True:
                os.write(file.fileno(), block)

    return strike, lambda: filler.unlink(missing_ok=True)
