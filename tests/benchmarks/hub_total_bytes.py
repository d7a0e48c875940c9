"""What DYNOLAB_DATA_MAX_BYTES costs each upload at a million blobs: the sum of all of them under one lock, as before, and what the database counts.

python tests/benchmarks/hub_total_bytes.py [--blobs 1000000] [--open 2000] [--workers 8] [--uploads 200] [--pairs 7]

An upload is what begins one: bytes are reserved, and its row is made, in one transaction. Then what counting costs whoever makes blobs: the
same with and without the triggers.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hub_servers import database_server
from pairs import interleave
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.database import Database
from dynolab.hub.store.postgres import urls
from dynolab.hub.store.tables import upload
from dynolab.hub.usecases.begin_upload import QUOTA_LOCK, reserve

MOST = 1 << 50
SIZE = 1 << 20
SEED = """
    INSERT INTO account (email) VALUES ('one@example.org');
    INSERT INTO blob (id, bytes, keys, digests, account_id)
    SELECT 'b' || lpad(n::text, 12, '0'), 1000 + n % 5000, ARRAY['uploads/u' || lpad(n::text, 12, '0') || '/00000-0123abcd'],
        ARRAY[repeat(md5(n::text), 2)], 1 FROM generate_series(1, {blobs}) AS n;
    INSERT INTO upload (id, account_id, target_id, bytes, part_bytes, completed_at)
    SELECT 'u' || n, 1, 'm' || n, 1000, 1000, CASE WHEN n > {open} THEN now() END FROM generate_series(1, {open} * 50) AS n;
"""
SUM = "SELECT coalesce(sum(bytes), 0) FROM blob"
ANNOUNCED = "SELECT coalesce(sum(coalesce(bytes, come_bytes)), 0) FROM upload WHERE completed_at IS NULL AND id <> ''"
HUB: Any = SimpleNamespace(limits=SimpleNamespace(data_max_bytes=MOST))


async def before(connection: AsyncConnection) -> None:
    """As it was done before."""
    await connection.execute(text(f"SELECT pg_advisory_xact_lock({QUOTA_LOCK})"))
    used = sum([int(await connection.scalar(text(one)) or 0) for one in (SUM, ANNOUNCED)])
    assert used + SIZE <= MOST


async def after(connection: AsyncConnection) -> None:
    """As it is done."""
    await reserve(HUB, connection, SIZE)


async def uploads(database: Database, way: Any, workers: int, each: int) -> float:
    """Seconds that one upload takes, of so many that come at once; their rows go again."""

    async def work() -> None:
        for _ in range(each):
            async with database.begin() as connection:
                await way(connection)
                values = {"id": "x" + secrets.token_hex(8), "account_id": 1, "target_id": "m", "bytes": SIZE}
                await connection.execute(insert(upload).values(values))

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    took = time.perf_counter() - begun
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM upload WHERE id LIKE 'x%'"))
    return took / (workers * each)


async def blobs(database: Database, workers: int, each: int, *, counted: bool) -> float:
    """Seconds that one blob takes, each in a transaction of its own."""
    async with database.begin() as connection:
        for act in ("insert", "update", "delete"):
            verb = "ENABLE" if counted else "DISABLE"
            await connection.execute(text(f"ALTER TABLE blob {verb} TRIGGER dynolab_count_total_{act}"))

    async def work() -> None:
        for _ in range(each):
            async with database.begin() as connection:
                made = "INSERT INTO blob (id, bytes, keys, account_id) VALUES (:id, 5, ARRAY[:id], 1)"
                await connection.execute(text(made), {"id": "y" + secrets.token_hex(8)})

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    took = time.perf_counter() - begun
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM blob WHERE id LIKE 'y%'"))
    return took / (workers * each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("blobs", 1_000_000), ("open", 2000), ("workers", 8), ("uploads", 200), ("pairs", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        database_server(Path(folder) / "postgres") as server,
        asyncio.Runner() as runner,
    ):
        database = Database(urls(server.dsn)[0])

        async def seed() -> None:
            await database.upgrade()
            async with database.begin() as connection:
                for one in SEED.format(blobs=asked.blobs, open=asked.open).split(";")[:-1]:
                    await connection.execute(text("SET LOCAL statement_timeout = 0"))
                    await connection.execute(text(one))
            async with database.single() as connection:
                await connection.execute(text("VACUUM ANALYZE blob"))
                await connection.execute(text("VACUUM ANALYZE upload"))

        def one_way(way: Any, each: int) -> float:
            return runner.run(uploads(database, way, asked.workers, each)) * 1e3

        runner.run(seed())
        few = max(1, asked.uploads // 40)
        ratios, old, new = interleave(lambda: one_way(before, few), lambda: one_way(after, asked.uploads), asked.pairs)
        print(f"an upload of {asked.workers} at once: {old:.3f} ms before, {new:.3f} ms now; before / now {ratios}")
        print(f"  {1e3 / old:.0f} a second before, {1e3 / new:.0f} now")
        with_, without = (
            lambda counted=counted: runner.run(blobs(database, asked.workers, asked.uploads, counted=counted)) * 1e3
            for counted in (True, False)
        )
        ratios, counted, plain = interleave(with_, without, asked.pairs)
        print(f"a blob that is made: {counted:.3f} ms counted, {plain:.3f} ms not; ratio {ratios}")
        runner.run(database.close())


if __name__ == "__main__":
    main()
