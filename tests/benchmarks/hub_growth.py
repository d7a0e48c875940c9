"""What grows with a hub, each by itself on a PostgreSQL server: heartbeats, sweeps, notices, and a queue beside an old snapshot.

python tests/benchmarks/hub_growth.py [--data FOLDER] [--running 100000] [--heartbeats 5000] [--notices 2000]

Rates depend on the machine; what tells is told as counts: buffers and rows that a statement touches, bytes of the database's log
(WAL), updates that touch no index (heap-only tuples). FOLDER holds the database of hub_seed.py (a million jobs); nothing in it stays changed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import asyncpg
from hub_seed import seed
from hub_servers import database_server

from dynolab.hub.scheduling.queue import CHANNEL
from dynolab.hub.store.database import Database
from dynolab.hub.store.postgres import urls
from dynolab.hub.usecases.renew_attempt import RENEWING

WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
SWEEPS = {
    "leases that ran out": "SELECT job_id FROM attempt WHERE state = 'running' AND renewed_at < now() - interval '15 s' FOR UPDATE SKIP LOCKED",
    "deadlines of an hour that passed": "SELECT id FROM attempt WHERE state = 'running' AND started_at < now() - interval '1 h'",
    "deadlines as they were looked for before": """SELECT attempt.id FROM attempt JOIN job ON job.id = attempt.job_id WHERE attempt.state = 'running'
        AND attempt.started_at + make_interval(secs => coalesce(job.deadline_s, 3600)) < now()""",
    "queues that hold something": """WITH RECURSIVE found AS ((SELECT entrypoint FROM pgqueuer WHERE status = 'queued' ORDER BY entrypoint LIMIT 1)
        UNION ALL SELECT (SELECT entrypoint FROM pgqueuer WHERE status = 'queued' AND entrypoint > found.entrypoint ORDER BY entrypoint LIMIT 1)
        FROM found WHERE found.entrypoint IS NOT NULL) SELECT entrypoint FROM found WHERE entrypoint IS NOT NULL""",
}
CLAIM = """SELECT id FROM pgqueuer WHERE entrypoint = 'pool:hot|1' AND status = 'queued' AND execute_after < now()
           ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED"""


async def explained(connection: asyncpg.Connection, statement: str) -> tuple[float, int]:
    """Milliseconds and buffers of a statement, as the database itself counts them."""
    [[text]] = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
    found: dict[str, Any] = json.loads(text)[0]
    plan = found["Plan"]
    return float(found["Execution Time"]), int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def sweeps(dsn: str, running: int) -> None:
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    try:
        made = f"""UPDATE attempt SET state = 'running', renewed_at = now(), started_at = now() - interval '5 min'
                   WHERE id IN (SELECT id FROM attempt ORDER BY started_at DESC LIMIT {running})"""
        await connection.execute(made, timeout=600)
        await connection.execute("ANALYZE attempt")
        for name, statement in SWEEPS.items():
            took_ms, buffers = min([await explained(connection, statement) for _ in range(3)])
            print(f"| sweep of {name}, {running:,} attempts run | {took_ms:.0f} ms, {buffers:,} buffers |", flush=True)
    finally:
        await transaction.rollback()
        await connection.execute("VACUUM ANALYZE attempt", timeout=600)
        await connection.close()


async def prepared(dsn: str) -> asyncpg.Connection:
    database = Database(urls(dsn)[0])
    await database.upgrade()
    await database.close()
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO account (email) VALUES ('a@example.org')")
    await connection.execute(
        "INSERT INTO token (id, account_id, kind, digest) SELECT 't1', id, 'agent', 'x' FROM account"
    )
    await connection.execute("INSERT INTO device (id, token_id, name, os) VALUES ('d1', 't1', 'd', '1')")
    await connection.execute("INSERT INTO model (id, account_id, name, kind) SELECT 'm1', id, 'm', 'onnx' FROM account")
    return connection


async def heartbeats(connection: asyncpg.Connection, count: int) -> None:
    """Renewals of 1,000 attempts, each a statement and a transaction of its own, as agents cause them."""
    await connection.execute(
        """INSERT INTO job (id, account_id, kind, name, model_id, device_name, device_os, state)
           SELECT 'j' || n, (SELECT id FROM account), 'profile', 'j', 'm1', 'd', '1', 'running' FROM generate_series(1, 1000) n"""
    )
    await connection.execute(
        """INSERT INTO attempt (id, job_id, number, device_id, token_id, state)
           SELECT md5(n::text)::uuid, 'j' || n, 1, 'd1', 't1', 'running' FROM generate_series(1, 1000) n"""
    )
    await renewed(connection, count, "a heartbeat")
    await connection.execute("CREATE INDEX as_before ON attempt (renewed_at) WHERE state = 'running'")
    await renewed(connection, count, "a heartbeat, with an index of when each was renewed, as there was before")
    await connection.execute("DROP INDEX as_before")


async def renewed(connection: asyncpg.Connection, count: int, what: str) -> None:
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM attempt")]
    await connection.execute("VACUUM FULL ANALYZE attempt")
    await connection.execute("CHECKPOINT")
    await connection.execute("SELECT pg_stat_reset()")
    before, start = await connection.fetchval(WAL), time.perf_counter()
    for number in range(count):
        given = {
            "attempt": ids[number % len(ids)],
            "token": "t1",
            "progress": {"stage": "inference", "done": number},
            "log": None,
        }
        await connection.fetch(RENEWING.sql, *RENEWING._bound(given))
    took = time.perf_counter() - start
    written = (await connection.fetchval(WAL) - before) / count
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await connection.fetchrow(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'attempt'"
    )
    size = await connection.fetchval("SELECT pg_relation_size('attempt')")
    print(f"| {what} | {written:.0f} bytes of WAL; {row['n_tup_hot_upd'] / max(1, row['n_tup_upd']):.0%} touch no index; "
          f"{count / took:.0f} a second on one connection; the table of 1,000 attempts has {size / 1e3:.0f} kB after {count:,} |")  # fmt: skip


async def notices(dsn: str, count: int) -> None:
    """Transactions that notify, with more and more replicas that listen."""
    sender = await asyncpg.connect(dsn)
    for listening in (0, 2, 10, 50):
        heard = 0

        def hear(*_: object) -> None:
            nonlocal heard
            heard += 1

        others = [await asyncpg.connect(dsn) for _ in range(listening)]
        for one in others:
            await one.add_listener(CHANNEL, hear)
        start = time.perf_counter()
        for number in range(count):
            await sender.execute("SELECT pg_notify($1, $2)", CHANNEL, f"pool:{number}|1")
        took = time.perf_counter() - start
        while heard < count * listening:
            await asyncio.sleep(0.01)
        last = time.perf_counter() - start
        print(
            f"| notices with {listening} replicas that listen | {count / took:.0f} commits a second, all heard after {last / took:.2f} of that time |"
        )
        for one in others:
            await one.close()
    await sender.close()


async def old_snapshot(dsn: str, connection: asyncpg.Connection) -> None:
    """What a claim touches after 10,000 jobs went through its queue while a backup's snapshot is open, and once it is closed."""
    backup = await asyncpg.connect(dsn)
    snapshot = backup.transaction(isolation="repeatable_read")
    await snapshot.start()
    await backup.fetchval("SELECT count(*) FROM job")
    await connection.execute("ALTER TABLE pgqueuer SET (autovacuum_enabled = off)")
    for _ in range(2):
        await connection.execute(
            """INSERT INTO pgqueuer (priority, status, entrypoint, execute_after) SELECT 0, 'queued', 'pool:hot|1', '-infinity'
               FROM generate_series(1, 5000)"""
        )
        await connection.execute("UPDATE pgqueuer SET status = 'picked', queue_manager_id = $1", uuid.uuid4())
        await connection.execute("DELETE FROM pgqueuer")
    await connection.execute(
        "INSERT INTO pgqueuer (priority, status, entrypoint, execute_after) VALUES (0, 'queued', 'pool:hot|1', '-infinity')"
    )
    _, beside = await explained(connection, CLAIM)
    await snapshot.rollback()
    await backup.close()
    await connection.execute("VACUUM pgqueuer")
    _, after = await explained(connection, CLAIM)
    print(
        f"| a claim after 10,000 jobs, beside a snapshot that is older than they | {beside:,} buffers; once it is closed and vacuumed {after} |"
    )


async def alone(dsn: str, asked: argparse.Namespace) -> None:
    connection = await prepared(dsn)
    await heartbeats(connection, asked.heartbeats)
    await notices(dsn, asked.notices)
    await old_snapshot(dsn, connection)
    await connection.close()


async def seeded(dsn: str, asked: argparse.Namespace) -> None:
    await seed(dsn, 1_000_000, 10_000)
    await sweeps(dsn, asked.running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/tmp/dynolab-benchmark"))
    parser.add_argument("--running", type=int, default=100_000)
    parser.add_argument("--heartbeats", type=int, default=5000)
    parser.add_argument("--notices", type=int, default=2000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, database_server(Path(name, "postgres")) as server:
        asyncio.run(alone(server.dsn, asked))
    with database_server(asked.data / "postgres") as server:
        asyncio.run(seeded(server.dsn, asked))


if __name__ == "__main__":
    main()
