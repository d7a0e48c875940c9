"""What 10,000 idle agents cost one replica: memory, processor time and statements, while nobody submits a job.

python tests/benchmarks/hub_idle_agents.py [--agents 10000] [--for-s 60] [--accounts 20]

A real hub on a PostgreSQL server; each agent is a connection of this process that asks as dynolab's own does, again and again: a
question that waits 20 s for a job. The aim is a proportional set (PSS) of the replica below 300 MB. At the end one job is submitted, and
it is told how soon one of them has it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
from hub_clients import UNLIMITED, Agent, submission, submit, users
from hub_processes import cpu_s, pss
from hub_servers import database_server

from dynolab.testing.running_hub import RunningHub, running_hub

AIM_MB = 300.0
WAIT_S = 20.0
"""As dynolab's own agents ask."""
STATEMENTS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


async def tokens(dsn: str, count: int) -> list[str]:
    """Agents' tokens of so many accounts: one has 500 devices at most."""
    connection = await asyncpg.connect(dsn)
    secrets = [f"benchmark-agent-{number:040d}" for number in range(count)]
    for number, secret in enumerate(secrets):
        digest = hashlib.sha256(secret.encode()).hexdigest()
        await connection.execute(
            "INSERT INTO account (email, is_admin) VALUES ($1, true)", f"owner{number}@example.org"
        )
        await connection.execute(
            "INSERT INTO token (id, account_id, kind, digest) SELECT $1, id, 'agent', $2 FROM account WHERE email = $3",
            f"tbench{number}",
            digest,
            f"owner{number}@example.org",
        )
    await connection.close()
    return secrets


async def counted(dsn: str) -> int:
    """Transactions of this database so far."""
    connection = await asyncpg.connect(dsn)
    found = int(await connection.fetchval(STATEMENTS))
    await connection.close()
    return found


async def idle(hub: RunningHub, dsn: str, asked: argparse.Namespace) -> bool:
    secrets = await tokens(dsn, asked.accounts)
    agents = [Agent([hub.url], secrets[number % len(secrets)], number, b"{}") for number in range(asked.agents)]
    arrived: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
    asking = asyncio.Semaphore(200)  # a machine's first question comes when it is switched on, not all at one instant
    known = 0

    async def serve(agent: Agent) -> None:
        nonlocal known
        async with asking:
            await agent.claim(0.0)
            known += 1
        while (found := await agent.claim(WAIT_S)) is None:
            pass
        arrived.put_nowait((time.perf_counter(), found["job"]))

    before, start = pss(hub.process.pid)["hub"], time.perf_counter()
    serving = [asyncio.create_task(serve(agent)) for agent in agents]
    while known < len(agents):
        await asyncio.sleep(0.2)
    print(f"| {asked.agents} agents are known | after {time.perf_counter() - start:.0f} s |", flush=True)
    await asyncio.sleep(WAIT_S)
    used, done, start = cpu_s(hub.process.pid)["hub"], await counted(dsn), time.perf_counter()
    most = 0.0
    while time.perf_counter() - start < asked.for_s:
        await asyncio.sleep(2)
        most = max(most, pss(hub.process.pid)["hub"])
    took = time.perf_counter() - start
    share = (cpu_s(hub.process.pid)["hub"] - used) / took
    transactions = (await counted(dsn) - done) / took
    turned_away = sum(agent.turned_away for agent in agents)
    print(f"| one replica's PSS, before and with {asked.agents} idle agents | {before:.0f} MB, {most:.0f} MB at most | "
          f"{'PASS' if most < AIM_MB else 'FAIL'}: below {AIM_MB:.0f} MB |")  # fmt: skip
    print(f"| each idle agent | {(most - before) * 1e3 / asked.agents:.1f} kB |")
    print(f"| its processor time | {share:.1%} of a core; {turned_away} were told to come again |")
    print(f"| transactions of the database | {transactions:.0f} a second |", flush=True)
    body = await asyncio.to_thread(submission, hub)
    user, start = users([hub.url], hub.token, 1)[0], time.perf_counter()
    await submit(user, body)
    at, _ = await asyncio.wait_for(arrived.get(), 60)
    print(f"| a job that comes then | {(at - start) * 1e3:.0f} ms from its submission to an agent |")
    for one in serving:
        one.cancel()
    return most < AIM_MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--for-s", type=float, default=60.0)
    asked = parser.parse_args()
    if asked.agents > 500 * asked.accounts:
        parser.error(f"--agents {asked.agents}: an account has 500 devices at most; --accounts {asked.accounts}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as name, database_server(Path(name, "postgres")) as server:
        environment = {"DYNOLAB_DATABASE_URL": server.dsn, **UNLIMITED}
        with running_hub(Path(name, "hub"), "--no-agent", environment=environment) as hub:
            passed = asyncio.run(idle(hub, server.dsn, asked))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
