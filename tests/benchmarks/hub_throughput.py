"""How many jobs a second go through a hub, and how soon an idle agent hears of one.

python tests/benchmarks/hub_throughput.py [--jobs 5000] [--slots 200] [--latencies 1000] [--result profile.json]

A real hub with its own PostgreSQL; agents and users are connections of this process that speak the real HTTP by hand, so
that they cost little beside the hub. Each agent claims, sends a whole result, and finishes; the profile document that is
sent is that of a real run, made first where none is given. Beside the rates stands the processor time a job, which other
work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub_clients import MODEL, UNLIMITED, Agent, Line, submission, submit, users
from hub_processes import cpu_s

from dynolab.testing.running_hub import RunningHub, running_hub

SUBMITTERS = 20


async def latency(hub: RunningHub, body: bytes, agents: list[Agent], count: int) -> list[float]:
    """Seconds from the start of a submission to an agent that has the job, one at a time, everybody else waiting."""
    took: list[float] = []
    user = users([hub.url], hub.token, 1)[0]
    arrived: asyncio.Queue[tuple[float, Agent, dict[str, Any]]] = asyncio.Queue()

    async def wait(agent: Agent) -> None:
        while (found := await agent.claim(20.0)) is None:
            pass
        arrived.put_nowait((time.perf_counter(), agent, found))

    waiting = {agent: asyncio.create_task(wait(agent)) for agent in agents}
    await asyncio.sleep(2)
    for _ in range(count):
        start = time.perf_counter()
        await submit(user, body)
        at, agent, found = await arrived.get()
        took.append(at - start)
        await agent.leave(found)
        waiting[agent] = asyncio.create_task(wait(agent))
        await asyncio.sleep(0.03)
    for agent, task in waiting.items():
        task.cancel()
        agent.line.close()  # the hub must see them go, or it gives them jobs
    await asyncio.sleep(1)
    return took


@dataclass(frozen=True)
class Phase:
    """What a number of jobs took: seconds by the clock, and of processor time by kind of process."""

    jobs: int
    wall_s: float
    cpu_s: dict[str, float]

    def __str__(self) -> str:
        used = ", ".join(f"{kind} {spent / self.jobs * 1e3:.2f}" for kind, spent in self.cpu_s.items())
        return f"{self.jobs / self.wall_s:.0f} jobs/s; ms of processor time a job: {used}"


@contextmanager
def phase(hub: RunningHub, jobs: int, found: list[Phase]) -> Iterator[None]:
    """Adds what the block took."""
    before, start = used(hub), time.perf_counter()
    yield
    wall_s, after = time.perf_counter() - start, used(hub)
    found.append(Phase(jobs, wall_s, {kind: after[kind] - before[kind] for kind in after}))


def used(hub: RunningHub) -> dict[str, float]:
    """Seconds of processor time: the hub's, its database's, and those of the agents and users, which are this process."""
    found = cpu_s(hub.process.pid)
    return {"hub": found["hub"], "PostgreSQL": found["postgres"], "this benchmark": time.process_time()}


async def throughput(hub: RunningHub, body: bytes, agents: list[Agent], count: int) -> tuple[list[Phase], Counter[str]]:
    """The submission of so many jobs, then the time from the first claim to the last finish; how often each was done."""
    phases: list[Phase] = []
    mine = users([hub.url], hub.token, SUBMITTERS)
    with phase(hub, count, phases):
        jobs = await together([submit_many(line, body, count // len(mine)) for line in mine])
    submitted = {job for part in jobs for job in part}
    done: Counter[str] = Counter()

    async def serve(agent: Agent) -> None:
        while (found := await agent.claim(0.0)) is not None:
            assert await agent.leave(found)
            done[found["job"]] += 1

    with phase(hub, count, phases):
        await together([serve(agent) for agent in agents])
    assert set(done) == submitted, f"{len(submitted - set(done))} lost"
    return phases, done


async def submit_many(line: Line, body: bytes, count: int) -> list[str]:
    return [await submit(line, body) for _ in range(count)]


async def together(work: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    return list(await asyncio.gather(*work))


def real_result(folder: Path) -> Path:
    command = [sys.executable, "-m", "dynolab.cli.main", "profile", str(MODEL), "-o", str(folder / "out")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return next((folder / "out").rglob("profile.json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--slots", type=int, default=200)
    parser.add_argument("--latencies", type=int, default=1000)
    parser.add_argument("--result", type=Path)
    asked = parser.parse_args()
    if asked.jobs % SUBMITTERS or asked.latencies == 1:
        parser.error(f"--jobs {asked.jobs}: {SUBMITTERS} submit the same number each; --latencies: 0, or 2 and more")
    with tempfile.TemporaryDirectory() as name:
        result = (asked.result or real_result(Path(name))).read_bytes()
        with running_hub(Path(name, "hub"), "--no-agent", environment=UNLIMITED) as hub:

            async def measure() -> tuple[list[float], list[Phase], Counter[str]]:
                agents = [Agent([hub.url], hub.agent_token, number, result) for number in range(asked.slots)]
                await together([agent.claim(0.0) for agent in agents])
                body = await asyncio.to_thread(submission, hub)
                took = await latency(hub, body, agents, asked.latencies) if asked.latencies else []
                fresh = [Agent([hub.url], hub.agent_token, number, result) for number in range(asked.slots)]
                return took, *await throughput(hub, body, fresh, asked.jobs)

            took, (submitted, served), done = asyncio.run(measure())
    print(f"| submit, {SUBMITTERS} at a time | {submitted} |")
    print(
        f"| claim, result of {len(result) / 1e3:.0f} kB, log, finish; {asked.slots} slots | "
        f"{served}; {len(done)} done, {sum(done.values()) - len(done)} twice |"
    )
    if took:
        p99 = statistics.quantiles(took, n=100)[98]
        print(
            f"| submit to agent, {asked.slots} idle, {len(took)} times | "
            f"p50 {statistics.median(took) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, most {max(took) * 1e3:.1f} ms |"
        )


if __name__ == "__main__":
    main()
