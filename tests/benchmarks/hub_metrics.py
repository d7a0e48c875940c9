"""What a scrape costs: the question about queue and devices with many jobs in the queue, and the text of all metrics.

python tests/benchmarks/hub_metrics.py [--jobs 1000000] [--devices 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from prometheus_client.exposition import generate_latest
from sqlalchemy import text

from dynolab.hub.api.metrics import _note_fleet
from dynolab.hub.store.database import Database
from dynolab.hub.telemetry.metrics import REGISTRY
from dynolab.hub.usecases.base import FleetCache
from dynolab.hub.usecases.find_fleet import find_fleet
from dynolab.testing.databases import databases

POOLS = 200
FILL = (
    "INSERT INTO account (email) VALUES ('a@example.org')",
    "INSERT INTO token (id, account_id, kind, digest) SELECT 't', id, 'agent', 'd' FROM account",
    f"INSERT INTO pool (id, account_id, name) SELECT 'p' || n, id, 'pool ' || n FROM account, generate_series(1, {POOLS}) n",
    (
        "INSERT INTO device (id, token_id, pool_id, name, os)"
        f" SELECT 'd' || n, 't', 'p' || (n % {POOLS} + 1), 'x', '1' FROM generate_series(1, :devices) n"
    ),
    (
        "INSERT INTO pgqueuer (priority, status, entrypoint, execute_after)"
        f" SELECT 0, 'queued', 'pool:p' || (n % {POOLS} + 1) || '|1', now() FROM generate_series(1, :jobs) n"
    ),
    "ANALYZE",
)


async def measure(url: str, jobs: int, devices: int) -> None:
    database = Database(url)
    async with database.single() as connection:
        await connection.execute(text("SET statement_timeout = 0"))
        for statement in FILL:
            given = {name: value for name, value in (("jobs", jobs), ("devices", devices)) if f":{name}" in statement}
            await connection.execute(text(statement), given)
    asked, kept, told = [], [], []
    for _ in range(5):
        cache = FleetCache()
        begun = time.perf_counter()
        fleet = await find_fleet(database, cache)
        asked.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await find_fleet(database, cache)
        kept.append(time.perf_counter() - begun)
        _note_fleet(fleet)
        begun = time.perf_counter()
        size = len(generate_latest(REGISTRY))
        told.append(time.perf_counter() - begun)
    assert sum(one.jobs for one in fleet.queues.values()) == jobs
    await database.close()
    print(f"| asked of the database, {jobs} jobs in {POOLS} pools, {devices} devices | {min(asked) * 1e3:.0f} ms |")
    print(f"| told again within {cache.until_s - time.monotonic():.0f} s | {min(kept) * 1e6:.0f} µs |")
    print(f"| text of {size} bytes | {min(told) * 1e3:.1f} ms |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder) / "postgres") as found:
        asyncio.run(measure(found.new().url, given.jobs, given.devices))


if __name__ == "__main__":
    main()
