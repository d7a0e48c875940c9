"""Replicas on one PostgreSQL server and one S3 server, under load and with one of them killed again and again.

python tests/benchmarks/hub_replicas.py [--replicas 2] [--jobs 4000] [--rate 50] [--for-s 60] [--kill-every 10] [--slots 200] [--folder]

First many jobs are sent, and then taken by agents as fast as they can: claim, result of 50 kB, log, finish (the aim: 200 a second).
Then jobs are sent at a rate, and it is told how soon an agent has each (the aim: p99 below 100 ms). Then the same again while every
10 s a replica is killed (SIGKILL) and started anew. At the end the database is held against what clients were told: every job whose submission was
answered is done, by one attempt that ended well, which its agent was told, and nothing is left. The seed draws which replica dies.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from hub_clients import LOST, MODEL, UNLIMITED, Agent, Line, submission, submit, users
from hub_processes import cpu_s
from hub_servers import database_server, free_port, share_tokens

from dynolab.testing import object_stores
from dynolab.testing.running_hub import RunningHub, running_hub

AIM_P99_MS, AIM_RATE, SUBMITTERS, ENDED_WITHIN_S = 100.0, 200.0, 40, 120.0
LEASE_S = 5.0
CHECKS = {
    "lost: acknowledged and not done": "SELECT count(*) FROM unnest($1::text[]) sent LEFT JOIN job ON job.id = sent WHERE job.state IS DISTINCT FROM 'done'",
    "doubled: more than one attempt ended well": """SELECT count(*) FROM (SELECT job_id FROM attempt WHERE state = 'done' AND job_id = ANY($1)
                                                    GROUP BY job_id HAVING count(*) > 1) several""",
    "ended otherwise than its agent was told": """SELECT count(*) FROM unnest($2::uuid[]) told LEFT JOIN attempt ON attempt.id = told
                                                  WHERE attempt.state IS DISTINCT FROM 'done'""",
    "stuck: still running or waiting": "SELECT count(*) FROM job WHERE state IN ('queued', 'preparing', 'running') AND $1::text[] IS NOT NULL",
    "devices held by nobody": "SELECT count(*) FROM device WHERE attempt_id IS NOT NULL AND $1::text[] IS NOT NULL",
    "entries left in the queue": "SELECT count(*) FROM pgqueuer WHERE $1::text[] IS NOT NULL",
}
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"


@dataclass
class Seen:
    """What clients saw: when each job was sent and answered, when an agent had it, and what agents were told."""

    sent: dict[str, float] = field(default_factory=dict)
    unanswered: int = 0
    """Submissions whose answer did not come: whether there is a job nobody knows."""
    held: dict[str, float] = field(default_factory=dict)
    """When an agent first had it."""
    ended: dict[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    """Attempts whose end the hub has taken."""
    refused: int = 0
    """Attempts whose end it has not: their lease had run out."""


class Site:
    """The replicas, each at a port of its own, which it has again after it was killed."""

    def __init__(self, folder: Path, environment: dict[str, str], count: int, stack: ExitStack) -> None:
        self._folder, self._environment, self._stack = folder, environment, stack
        self.ports = [free_port() for _ in range(count)]
        self.hubs = [self._started(number) for number in range(count)]
        self.urls = [hub.url for hub in self.hubs]

    def _started(self, number: int) -> RunningHub:
        data = self._folder / f"replica-{number}"
        if number and not data.exists():
            share_tokens(self.hubs_data(0), data)
        hub = running_hub(data, "--no-agent", port=self.ports[number], environment=self._environment)
        return self._stack.enter_context(hub)

    def hubs_data(self, number: int) -> Path:
        return self._folder / f"replica-{number}"

    async def kill(self, number: int) -> None:
        """SIGKILL, and a new one at once."""
        self.hubs[number].process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.hubs[number].process.wait)
        self.hubs[number] = await asyncio.to_thread(self._started, number)


async def serve(agent: Agent, seen: Seen) -> None:
    while True:
        found = await agent.claim(20.0)
        if found is None:
            continue
        seen.held.setdefault(found["job"], time.perf_counter())
        if await agent.leave(found):
            seen.told.append(found["attempt"])
            seen.ended[found["job"]] = time.perf_counter()
        else:
            seen.refused += 1


async def send(line: Line, body: bytes, at: asyncio.Queue[float | None], seen: Seen) -> None:
    while (due := await at.get()) is not None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter()
        try:
            seen.sent[await submit(line, body)] = start
        except LOST:
            seen.unanswered += 1


async def load(site: Site, body: bytes, seen: Seen, asked: argparse.Namespace, *, kills: random.Random | None) -> float:
    """Send jobs at the rate for the time; seconds from the first to the last one's end."""
    due: asyncio.Queue[float | None] = asyncio.Queue()
    start = time.perf_counter() + 0.5
    for number in range(int(asked.rate * asked.for_s)):
        due.put_nowait(start + number / asked.rate)
    for _ in range(SUBMITTERS):
        due.put_nowait(None)
    sending = [
        asyncio.create_task(send(line, body, due, seen)) for line in users(site.urls, site.hubs[0].token, SUBMITTERS)
    ]
    killing = asyncio.create_task(_kill(site, kills, asked.kill_every)) if kills is not None else None
    await asyncio.gather(*sending)
    if killing is not None:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
    until = time.perf_counter() + ENDED_WITHIN_S
    while seen.sent.keys() - seen.ended.keys() and time.perf_counter() < until:
        await asyncio.sleep(0.1)
    return max(seen.ended.values(), default=start) - start


async def _kill(site: Site, kills: random.Random, every_s: float) -> None:
    count = 0
    try:
        while True:
            await asyncio.sleep(every_s)
            count += 1
            await asyncio.shield(site.kill(kills.randrange(len(site.hubs))))
    finally:
        print(f"| replicas killed | {count} |", flush=True)


async def checked(dsn: str, seen: Seen) -> dict[str, int]:
    connection = await asyncpg.connect(dsn)
    found = {}
    for name, statement in CHECKS.items():
        given = [list(seen.sent), seen.told] if "$2" in statement else [list(seen.sent)]
        found[name] = int(
            await connection.fetchval(statement if "$1" in statement else statement.replace("$2", "$1"), *given[-1:])
        )
    await connection.close()
    return found


async def wal(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    found = int(await connection.fetchval(WAL))
    await connection.close()
    return found


async def drained(site: Site, dsn: str, body: bytes, agents: list[Agent], count: int) -> bool:
    """So many jobs that wait, and the rate at which they are claimed and finished."""
    seen, mine = Seen(), users(site.urls, site.hubs[0].token, SUBMITTERS)

    async def send_some(line: Line) -> None:
        for _ in range(count // len(mine)):
            seen.sent[await submit(line, body)] = 0.0

    start = time.perf_counter()
    await asyncio.gather(*map(send_some, mine))
    print(
        f"| submissions, {len(mine)} at a time | {len(seen.sent) / (time.perf_counter() - start):.0f} a second |",
        flush=True,
    )
    used, written, start = [cpu_s(hub.process.pid)["hub"] for hub in site.hubs], await wal(dsn), time.perf_counter()
    serving = [asyncio.create_task(serve(agent, seen)) for agent in agents]
    while seen.sent.keys() - seen.ended.keys():
        await asyncio.sleep(0.05)
    rate = len(seen.ended) / (max(seen.ended.values()) - start)
    spent = sum(cpu_s(hub.process.pid)["hub"] for hub in site.hubs) - sum(used)
    for one in serving:
        one.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    print(f"| claim to finish, {len(site.hubs)} replicas, {len(agents)} agents | {rate:.0f} a second; a job costs "
          f"{spent / len(seen.ended) * 1e3:.1f} ms of a replica's processor, {(await wal(dsn) - written) / len(seen.ended) / 1e3:.1f} kB of WAL | "
          f"{'PASS' if rate >= AIM_RATE else 'FAIL'}: {AIM_RATE:.0f} |", flush=True)  # fmt: skip
    return rate >= AIM_RATE


def dispatch_ms(seen: Seen) -> list[float]:
    return [(seen.held[job] - at) * 1e3 for job, at in seen.sent.items() if job in seen.held]


async def measure(site: Site, dsn: str, asked: argparse.Namespace) -> bool:
    result = asked.result.read_bytes() if asked.result else MODEL.read_bytes()[: asked.result_bytes]
    agents = [Agent(site.urls, site.hubs[0].agent_token, number, result) for number in range(asked.slots)]
    for agent in agents:
        await agent.claim(0.0)
    body = await asyncio.to_thread(submission, site.hubs[0])
    passed = await drained(site, dsn, body, agents, asked.jobs) if asked.jobs else True
    seen = Seen()
    serving = [asyncio.create_task(serve(agent, seen)) for agent in agents]
    used, written = [cpu_s(hub.process.pid)["hub"] for hub in site.hubs], await wal(dsn)
    took = await load(site, body, seen, asked, kills=None)
    count = len(seen.ended)
    spent = sum(cpu_s(hub.process.pid)["hub"] for hub in site.hubs) - sum(used)
    times = dispatch_ms(seen)
    p99, rate = statistics.quantiles(times, n=100)[98], count / took
    keeps_up = rate >= 0.95 * asked.rate
    print(f"| submitted to finished, {asked.rate:g} a second sent | {rate:.0f} jobs a second over {took:.0f} s | "
          f"{'PASS' if keeps_up else 'FAIL'} |")  # fmt: skip
    print(f"| submission sent to an agent that has the job | p50 {statistics.median(times):.0f} ms, p99 {p99:.0f} ms, most "
          f"{max(times):.0f} ms | {'PASS' if p99 < AIM_P99_MS else 'FAIL'}: p99 below {AIM_P99_MS:.0f} ms |")  # fmt: skip
    print(f"| a job costs | {spent / count * 1e3:.1f} ms of a replica's processor, {(await wal(dsn) - written) / count / 1e3:.1f} kB "
          "of the database's log (WAL) |", flush=True)  # fmt: skip
    passed = passed and keeps_up and p99 < AIM_P99_MS
    if asked.kill_every:
        await load(site, body, seen, asked, kills=random.Random(asked.seed))
    await asyncio.sleep(2 * LEASE_S if seen.refused else 0)
    for one in serving:
        one.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    found = await checked(dsn, seen)
    times = dispatch_ms(seen)[count:]
    if times:
        print(
            f"| the same with kills | p50 {statistics.median(times):.0f} ms, p99 {statistics.quantiles(times, n=100)[98]:.0f} ms |"
        )
    print(f"| submissions | {len(seen.sent)} acknowledged, {seen.unanswered} without an answer |")
    print(f"| attempts | {len(seen.told)} ended, {seen.refused} refused: their lease had run out |")
    for name, number in found.items():
        print(f"| {name} | {number} | {'PASS' if number == 0 else 'FAIL'} |")
    twice = sum(1 for often in Counter(seen.told).values() if often > 1)
    print(f"| ends that were told twice | {twice} |", flush=True)
    return passed and not any(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=4000, help="taken as fast as agents can; 0: none")
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--for-s", type=float, default=60.0)
    parser.add_argument("--kill-every", type=float, default=10.0, help="0: none is killed")
    parser.add_argument("--slots", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--folder", action="store_true", help="blobs in a folder that the replicas share, in place of S3"
    )
    parser.add_argument("--result", type=Path, help="a profile document that agents send")
    parser.add_argument("--result-bytes", type=int, default=50_000, help="without one, so many bytes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, database_server(Path(name, "postgres")) as server, ExitStack() as stack:
        environment: dict[str, Any] = {
            "DYNOLAB_DATABASE_URL": server.dsn,
            "DYNOLAB_LEASE_S": f"{LEASE_S:g}",
            **UNLIMITED,
        }
        if asked.folder:
            Path(name, "blobs").mkdir()
            environment |= {"DYNOLAB_BLOBS_URL": f"file://{name}/blobs"}
        else:
            store = stack.enter_context(object_stores.s3())
            environment |= {"DYNOLAB_BLOBS_URL": f"{store.url}/hub", **store.environment}
        site = Site(Path(name), environment, asked.replicas, stack)
        passed = asyncio.run(measure(site, server.dsn, asked))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
