"""A hub's database as it is after a few years: a million jobs of 400 accounts on 10,000 devices, made by SQL.

python tests/benchmarks/hub_seed.py FOLDER [--jobs 1000000] [--devices 10000]

It is made once in FOLDER and kept, for as many benchmarks as there are; what is there already is left as it is. The first
account has half of all jobs, and is shared 10,000 of the others'; the rest is spread over the accounts. One job in 100 waits, as
many as there are devices at most; each job that is over has its attempt, a result and a log, of which all share a few objects.
The same numbers come out each time: nothing here is drawn by chance.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

import asyncpg
from hub_servers import database_server

from dynolab.hub.store.database import Database
from dynolab.hub.store.postgres import urls

MADE = "benchmark_seed"
"""The setting that says that all of it is there, and how much."""
OBJECTS = 200
"""Results in the blob store; the rows name them over and over."""
OWNERS = 40
"""Accounts with devices, ten pools each: of a hundred names in all, ten times each."""
ACCOUNTS, MODELS = 400, 20_000

STEPS = (
    (
        "accounts",
        """INSERT INTO account (email, name, is_admin)
           SELECT 'user' || n || '@example.org', 'user ' || n, n <= 20 FROM generate_series(1, $1::int - 1) n""",
        (ACCOUNTS,),
    ),
    (
        "tokens",
        """INSERT INTO token (id, account_id, kind, digest, label)
           SELECT 'tseed' || n, pg_temp.account_id_of(n), 'agent', md5('agent' || n) || md5(n::text), 'seed'
           FROM generate_series(1, $1::int) n""",
        (OWNERS,),
    ),
    (
        "pools",
        """INSERT INTO pool (id, account_id, name, is_open)
           SELECT 'pseed' || n, pg_temp.account_id_of((n - 1) % $1 + 1), 'phone ' || ((n - 1) / $1::int * 10 + (n - 1) % 10), n % 4 <> 0
           FROM generate_series(1, $1::int * 10) n""",
        (OWNERS,),
    ),
    (
        "trust",
        """INSERT INTO trust (account_id, owner_id)
           SELECT pg_temp.account_id_of(0), pg_temp.account_id_of(n) FROM generate_series(1, $1::int) n""",
        (OWNERS,),
    ),
    (
        "devices",
        """INSERT INTO device (id, token_id, pool_id, is_confined, name, os, attributes, description, frameworks, agent_version,
                               seen_at, health, health_why, drift)
           SELECT 'dseed-' || n || '-' || md5(n::text), 'tseed' || ((p - 1) % $2 + 1), 'pseed' || p, true,
                  'phone ' || ((p - 1) / $2::int * 10 + (p - 1) % 10), (12 + n / 400 % 3)::text,
                  ARRAY['os:android', 'format:phone', 'abi:aarch64-android', 'vendor:maker ' || p % 12, 'chipset:chip-' || p % 30,
                        'framework:onnx', 'framework:tflite', 'runs:onnxruntime/onnx', 'runs:litert/tflite', 'sandbox:bubblewrap'],
                  '4 x cortex-a76 at 2.4 GHz, 4 x cortex-a55 at 1.8 GHz',
                  '[{"name": "onnxruntime", "version": "1.27"}, {"name": "litert", "version": "2.1"}]', '0.1.0',
                  now() - (n % 3000) * interval '1 s', CASE WHEN n % 200 = 0 THEN 'quarantined' ELSE 'good' END,
                  CASE WHEN n % 200 = 0 THEN 'compute one core 21 % above its band' ELSE '' END,
                  CASE WHEN n % 333 = 0 THEN 'copying memory 7 % slower within 20 days' ELSE '' END
           FROM (SELECT n, (n - 1) % ($2::int * 10) + 1 AS p FROM generate_series(1, $1::int) n) numbered""",
        ("devices", OWNERS),
    ),
    (
        "probes",
        """INSERT INTO probe (device_id, at, identity, figures, cores, others_share, celsius, verdict)
           SELECT device.id, now() - k * interval '2 h' - row_number * interval '1 s', 'Python 3.11.7, zlib 1.2.13',
                  jsonb_build_object('fastest_ns', 6000000 + k % 7 * 9000, 'slowest_ns', 6100000 + k % 5 * 9000,
                                     'copy_ns', 4000000 + k % 11 * 9000), 8, 0.01, 41.5, 'good'
           FROM (SELECT id, row_number() OVER (ORDER BY id) FROM device WHERE id LIKE 'dseed-%') device, generate_series(1, 30) k""",
        (),
    ),
    (
        "blobs",
        """INSERT INTO blob (id, bytes, keys, digests)
           SELECT what || n, size, ARRAY[path || n % $2 || ending], ARRAY[repeat('0', 64)]
           FROM generate_series(1, $1::int) n,
                (VALUES ('bseedr', 60000, 'attempts/seed/result-', ''), ('bseedl', 3000, 'attempts/seed/log-', ''))
                kinds (what, size, path, ending)""",
        ("jobs", OBJECTS),
    ),
    (
        "models",
        """INSERT INTO blob (id, bytes, keys, digests)
           SELECT 'bseedm' || n, 1000000, ARRAY['attempts/seed/result-' || n % $2], ARRAY[repeat('0', 64)]
           FROM generate_series(1, $1::int) n""",
        (MODELS, OBJECTS),
    ),
    (
        "models' rows",
        """INSERT INTO model (id, account_id, name, kind, blob_id, created_at)
           SELECT 'mseed' || lpad(n::text, 8, '0'), pg_temp.account_id_of(CASE WHEN n % 2 = 0 THEN 0 ELSE n % $2 END),
                  'net ' || n % 5000, (ARRAY['onnx', 'tflite', 'onnx', 'torchscript'])[n % 4 + 1], 'bseedm' || n,
                  now() - n * interval '1 h'
           FROM generate_series(1, $1::int) n""",
        (MODELS, ACCOUNTS),
    ),
    (
        "datasets",
        """INSERT INTO dataset (id, account_id, name, created_at, blob_id, expires_at)
           SELECT 'dseed' || lpad(n::text, 8, '0'), pg_temp.account_id_of(CASE WHEN n % 2 = 0 THEN 0 ELSE n % $2 END),
                  'samples ' || n % 900, now() - n * interval '60 s', 'bseedm' || n % 20000 + 1, now() + interval '400 days'
           FROM generate_series(1, $1::int / 5) n""",
        ("jobs", ACCOUNTS),
    ),
    (
        "jobs",
        """INSERT INTO job (id, account_id, kind, name, project_id, model_id, dataset_id, output_dataset_id, pool_id,
                            device_name, device_os, device_attributes, options, state, attempts, summary, failure,
                            result_blob_id, queue_entry, created_at, started_at, finished_at, updated_at)
           SELECT 'jseed' || lpad(n::text, 8, '0'), pg_temp.account_id_of(CASE WHEN n % 2 = 0 THEN 0 ELSE n % $2 END),
                  CASE WHEN n % 5 = 0 THEN 'inference' ELSE 'profile' END,
                  'net ' || n % 5000 || ' commit ' || substr(md5(n::text), 1, 12), CASE WHEN n % 50 = 1 THEN 'nightly' ELSE '' END,
                  'mseed' || lpad((n * 7919::bigint % $3 + 1)::text, 8, '0'),
                  CASE WHEN n % 5 = 0 THEN 'dseed' || lpad((n * 31::bigint % ($1 / 5) + 1)::text, 8, '0') END,
                  CASE WHEN n % 5 = 0 AND n > $4 THEN 'dseed' || lpad((n / 5)::text, 8, '0') END,
                  'pseed' || p, 'phone ' || ((p - 1) / $5::int * 10 + (p - 1) % 10), (12 + n % 3)::text, ARRAY['framework:onnx'],
                  '--max_profiler_iterations 100', state, CASE WHEN state = 'queued' THEN 0 ELSE 1 END,
                  CASE WHEN state = 'done' THEN jsonb_build_object(
                      'estimated_inference_time_ns', 1000000 + n % 977 * 1000, 'estimated_inference_time_lower_ns', 990000 + n % 977 * 1000,
                      'inference_time_verdict', 'clean', 'inference_memory_peak_bytes', ARRAY[9000000, 12000000 + n % 77 * 1000],
                      'verdicts', '{"compile": "clean", "first_load": "clean", "warm_load": "noisy", "inference": "clean"}'::jsonb,
                      'requirements', '{}'::jsonb) END,
                  CASE WHEN state = 'failed' THEN '{"code": "WorkerCrashed", "message": "the worker ended with code 1", "hint": null,
                                                    "details": {}}'::jsonb END,
                  CASE WHEN state = 'done' THEN 'bseedr' || n END, CASE WHEN state = 'queued' THEN n END,
                  at, CASE WHEN state <> 'queued' THEN at + interval '4 s' END,
                  CASE WHEN state <> 'queued' THEN at + interval '40 s' END, at + interval '40 s'
           FROM (SELECT n, n % 400 + 1 AS p, now() - n * interval '60 s' AS at,
                        CASE WHEN n <= $4 THEN 'queued' WHEN n % 50 = 0 THEN 'failed' WHEN n % 97 = 0 THEN 'cancelled'
                             ELSE 'done' END AS state
                 FROM generate_series(1, $1::int) n) numbered""",
        ("jobs", ACCOUNTS, MODELS, "waiting", OWNERS),
    ),
    (
        "attempts",
        """INSERT INTO attempt (id, job_id, number, device_id, token_id, state, result_blob_id, log_blob_id, started_at, renewed_at,
                                finished_at)
           SELECT md5('attempt' || n)::uuid, 'jseed' || lpad(n::text, 8, '0'), 1,
                  'dseed-' || n % $2 + 1 || '-' || md5((n % $2 + 1)::text), 'tseed' || (n % $2 % ($3::int * 10) % $3 + 1), 'done',
                  'bseedr' || n, 'bseedl' || n, at + interval '4 s', at + interval '38 s', at + interval '40 s'
           FROM (SELECT n, now() - n * interval '60 s' AS at FROM generate_series($4::int + 1, $1::int) n) numbered
           WHERE n % 97 <> 0 OR n % 50 = 0""",
        ("jobs", "devices", OWNERS, "waiting"),
    ),
    (
        "queue",
        """INSERT INTO pgqueuer (priority, queue_manager_id, created, updated, heartbeat, execute_after, status, entrypoint, payload)
           SELECT 0, NULL, created_at, created_at, created_at, now() - interval '36500 days', 'queued',
                  'pool:' || pool_id || '|' || device_os, convert_to(id, 'UTF8')
           FROM job WHERE state = 'queued' AND id LIKE 'jseed%' ORDER BY id""",
        (),
    ),
    (
        "shares",
        """INSERT INTO share (target_id, email, granted_by)
           SELECT id, (SELECT email FROM account WHERE id = pg_temp.account_id_of(0)), account_id FROM job
           WHERE account_id <> pg_temp.account_id_of(0) AND id LIKE 'jseed%' LIMIT 10000""",
        (),
    ),
)
TABLES = (
    "account",
    "token",
    "pool",
    "trust",
    "device",
    "probe",
    "blob",
    "model",
    "dataset",
    "job",
    "attempt",
    "share",
    "pgqueuer",
)


async def seed(dsn: str, jobs: int, devices: int) -> bool:
    """Put it in, unless it is there; whether it was put in. Raises ValueError where another number of jobs is there."""
    database = Database(urls(dsn)[0])
    await database.upgrade()
    await database.close()
    connection = await asyncpg.connect(dsn)
    try:
        known = await connection.fetchval("SELECT value FROM setting WHERE name = $1", MADE)
        if known is not None:
            if known != f"{jobs} {devices}":
                raise ValueError(f"the database holds {known} jobs and devices: name another folder")
            return False
        await _fill(connection, jobs, devices)
        await connection.execute("INSERT INTO setting (name, value) VALUES ($1, $2)", MADE, f"{jobs} {devices}")
        return True
    finally:
        await connection.close()


async def _fill(connection: asyncpg.Connection, jobs: int, devices: int) -> None:
    numbers = {"jobs": jobs, "devices": devices, "waiting": min(jobs // 100, devices)}
    owner = "INSERT INTO account (email, name, is_admin) VALUES ('admin@localhost', '', true) ON CONFLICT DO NOTHING"
    async with connection.transaction():
        await connection.execute(owner)
        ids: list[int] = []
        for name, statement, given in STEPS:
            start = time.perf_counter()
            if len(ids) < ACCOUNTS:
                ids = [one["id"] for one in await connection.fetch("SELECT id FROM account ORDER BY id")]
                await _define(connection, ids)
            await connection.execute(statement, *(numbers.get(str(one), one) for one in given), timeout=3600)
            print(f"({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    for table in TABLES:
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=3600)


async def _define(connection: asyncpg.Connection, ids: list[int]) -> None:
    """A function of the session: the number of the n-th account, as a constant array."""
    array = ",".join(map(str, ids))
    await connection.execute(
        "CREATE OR REPLACE FUNCTION pg_temp.account_id_of(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS "
        f"'SELECT (ARRAY[{array}]::bigint[])[n + 1]'"
    )


def objects(blobs: Path, result: bytes) -> None:
    """The objects that the rows name, in a folder of blobs."""
    folder = blobs / "attempts" / "seed"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(OBJECTS):
        for name, content in ((f"result-{number}", result), (f"log-{number}", b"a line\n" * 400)):
            path = folder / name
            if not path.exists():
                path.write_bytes(content)
                os.utime(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=10_000)
    asked = parser.parse_args()
    start = time.perf_counter()
    with database_server(asked.folder / "postgres", maintenance_work_mem="512MB") as server:
        made = asyncio.run(seed(server.dsn, asked.jobs, asked.devices))
    print(f"{'made' if made else 'there already'}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
