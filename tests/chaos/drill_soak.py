"""A soak: steady load and no blows; the hub's memory and descriptors, and what tables hold of dead rows, are to stay flat.

A line is fitted through the second half of the samples (least squares), and is flat when what it rises by over that half is less
than what is allowed below.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from .devices import Blow
from .frame import POOL, SETTINGS, Scene
from .processes import HubProcess, LightAgents

EVERY_S = 3.0
RISE_MOST = {"hub_mib": 12.0, "descriptors": 12.0, "database_mib": 24.0, "steady_tables_mib": 2.0}
"""What the line may rise by: a database process fills its caches, a queue's table has pages to spare."""
FEWEST = 6
STEADY = ("pgqueuer", "device", "setting", "live_log")
"""Tables that hold no more rows after a million jobs than after one."""
SIZES = "SELECT sum(pg_total_relation_size(to_regclass(name))) FROM unnest($1::text[]) AS name"


@dataclass(frozen=True)
class Line:
    """Through samples: where it begins, and by how much it rises to the last one."""

    begins: float
    rises: float


def fitted(points: list[tuple[float, float]]) -> Line:
    """By least squares."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    first, last = points[0][0], points[-1][0]
    return Line(mean_y + slope * (first - mean_x), slope * (last - first))


class Samples(threading.Thread):
    """Of one hub and its database, taken until told to end."""

    def __init__(self, hub: HubProcess) -> None:
        super().__init__(daemon=True)
        self._hub, self._ended = hub, threading.Event()
        self.taken: list[tuple[float, dict[str, float]]] = []

    def run(self) -> None:
        while not self._ended.wait(EVERY_S):
            with suppress(OSError, asyncpg.PostgresError):
                self.taken.append((time.monotonic(), self._sample()))

    def stop(self) -> None:
        self._ended.set()
        self.join(60)

    def lines(self) -> dict[str, Line]:
        """Through the second half."""
        half = self.taken[len(self.taken) // 2 :]
        return {name: fitted([(at, one[name]) for at, one in half]) for name in RISE_MOST}

    def tenths(self) -> dict[str, list[float]]:
        """The mean of each tenth of the time, for all that is sampled: whether what rises still does at the end."""
        parts = [self.taken[len(self.taken) * one // 10 : len(self.taken) * (one + 1) // 10] for one in range(10)]
        full = [part for part in parts if part]
        return {
            name: [round(statistics.fmean(one[name] for _, one in part), 1) for part in full]
            for name in self.taken[0][1]
        }

    def _sample(self) -> dict[str, float]:
        server = int((self._hub.data / "postgres" / "postmaster.pid").read_text().split()[0])
        return {
            "hub_mib": _own_mib(self._hub.pid),
            "descriptors": float(len(list(Path(f"/proc/{self._hub.pid}/fd").iterdir()))),
            "database_mib": sum(_own_mib(pid) for pid in _children(server)),
            "database_processes": float(len(_children(server))),
            "steady_tables_mib": asyncio.run(self._tables_mib()),
        }

    async def _tables_mib(self) -> float:
        from dynolab.hub.store.postgres import running

        url = running(self._hub.data / "postgres")
        assert url is not None
        connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
        try:
            return float(await connection.fetchval(SIZES, list(STEADY))) / 2**20
        finally:
            await connection.close()


def _own_mib(pid: int) -> float:
    """What a process has allocated: of pages that it shares with forks, its part; without what the database's processes share of tables."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss_Anon:")) / 1024


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """One hub with a PostgreSQL of its own, that nothing befalls."""
    hub = HubProcess(folder / "hub", environment=SETTINGS)
    hub.start()
    stack.callback(hub.end)
    agents = LightAgents(hub.url, hub.data / "agent.token", POOL, folder / "agents.log", count=8)
    agents.start()
    stack.callback(agents.kill)
    samples = Samples(hub)
    samples.start()
    stack.callback(samples.stop)

    def blows(draw: random.Random) -> Blow:
        return Blow("none", lambda: None, lambda: None, 0.0)

    def after() -> list[str]:
        return judged(samples)

    def figures() -> dict[str, object]:
        lines = samples.lines() if len(samples.taken) >= FEWEST else {}
        told = {name: {"begins": round(one.begins, 2), "rises": round(one.rises, 2)} for name, one in lines.items()}
        tenths = samples.tenths() if samples.taken else {}
        return {"second_half": told, "tenths": tenths, "samples": len(samples.taken)}

    url, user = hub.url, hub.running.token
    return Scene(
        lambda: url,
        user,
        hub.data,
        SETTINGS,
        blows,
        every_s=1e9,
        per_s=6.0,
        printed=lambda: hub.printed,
        before_peace=samples.stop,
        after=after,
        figures=figures,
    )


def judged(samples: Samples) -> list[str]:
    """What is not flat."""
    if len(samples.taken) < FEWEST:
        return [f"{len(samples.taken)} samples tell nothing"]
    lines = samples.lines()
    return [
        f"{name} rises by {one.rises:.1f} over the second half, from {one.begins:.1f}; {RISE_MOST[name]:g} are allowed"
        for name, one in lines.items()
        if one.rises > RISE_MOST[name]
    ]
