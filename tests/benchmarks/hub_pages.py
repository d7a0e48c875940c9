"""How fast the pages are: a profile of 10,000 layers in a browser, and the list of jobs with a million of them.

python tests/benchmarks/hub_pages.py [--jobs 1000000] [--layers 10000] [--requests 200]

A real hub with its own PostgreSQL, which is filled by SQL: jobs of 40 users, 20 devices, 200 models, all states. The list
is asked for as a browser does, signed in as a user who sees everything's half, with each kind of filter in turn, the first
page and pages far behind. First paint is Chromium's own figure (First Contentful Paint), the minimum of several loads.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import html
import json
import re
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
from playwright.sync_api import sync_playwright

from dynolab.agent.http import HubDoor
from dynolab.hub.store.postgres import Postgres
from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.sample import layer_table, sample_profile

CHROMIUM = "/usr/bin/chromium"
SEED = (
    "INSERT INTO account (email, name) SELECT 'user' || n || '@example.org', 'user ' || n FROM generate_series(1, 39) n",
    """INSERT INTO model (id, account_id, name, kind)
       SELECT 'mseed' || lpad(n::text, 8, '0'), (SELECT min(id) FROM account), 'model ' || n, 'onnx'
       FROM generate_series(1, 200) n""",
    """INSERT INTO job (id, account_id, kind, name, model_id, device_name, device_os, state, attempts, summary,
                        created_at, started_at, finished_at, updated_at)
       SELECT 'jseed' || lpad(n::text, 8, '0'),
              accounts[CASE WHEN n % 2 = 0 THEN 1 ELSE n % 40 + 1 END],
              CASE WHEN n % 5 = 0 THEN 'inference' ELSE 'profile' END,
              'model ' || n % 200 || ' commit ' || md5(n::text),
              'mseed' || lpad((n % 200 + 1)::text, 8, '0'), 'phone ' || n % 20, '14',
              CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 97 = 0 THEN 'cancelled' ELSE 'done' END, 1,
              jsonb_build_object('estimated_inference_time_ns', 1000000 + n, 'verdicts',
                                 jsonb_build_object('inference', 'clean')),
              now() - n * interval '10 s', now() - n * interval '10 s' + interval '1 s',
              now() - n * interval '10 s' + interval '6 s', now() - n * interval '10 s' + interval '6 s'
       FROM generate_series(1, $1) n, (SELECT array_agg(id ORDER BY id) AS accounts FROM account) known""",
    "INSERT INTO share (target_id, email) SELECT id, 'admin@localhost' FROM job WHERE account_id <> (SELECT min(id) FROM account) LIMIT 500",
    "VACUUM ANALYZE job",
    "VACUUM ANALYZE share",
)


async def seed(dsn: str, jobs: int) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in SEED:
        await connection.execute(statement, *([jobs] if "$1" in statement else []), timeout=1800)
    await connection.close()


def signed_in(hub: RunningHub) -> httpx.Client:
    browser = httpx.Client(base_url=hub.url, timeout=60)
    origin = {"Origin": hub.url, "Sec-Fetch-Site": "same-origin"}
    browser.post("/sign-in", data={"token": hub.token}, headers=origin)
    return browser


def listing(hub: RunningHub, requests: int) -> None:
    browser = signed_in(hub)
    far = browser.get("/jobs/").text
    on = html.unescape(re.findall(r'href="([^"]+)" rel="next"', far)[0])
    back = html.unescape(re.findall(r'href="([^"]+)" rel="prev"', browser.get(on).text)[0])
    kinds = {
        "first page": "/jobs/",
        "state=failed": "/jobs/?state=failed",
        "state=running (none)": "/jobs/?state=running",
        "kind=inference": "/jobs/?kind=inference",
        "device": "/jobs/?device=phone+7",
        "device that is not there": "/jobs/?device=nothing",
        "model": "/jobs/?model=mseed00000033",
        "model by name": "/jobs/?model=model+33",
        "two states": "/jobs/?state=failed&state=cancelled",
        "the next page": on,
        "and back": back,
        "creator": "/jobs/?creator=admin%40localhost",
        "a part of the name": "/jobs/?text=commit+abc",
        "a part of no name": "/jobs/?text=nothing+like+it",
    }
    print(f"| page of jobs ({len(far) / 1e3:.0f} kB) | minimum | median | p95 |")
    everything: list[float] = []
    for name, path in kinds.items():
        times = []
        for _ in range(requests // len(kinds)):
            start = time.perf_counter()
            assert browser.get(path).status_code == 200
            times.append((time.perf_counter() - start) * 1e3)
        everything += times
        p95 = statistics.quantiles(times, n=20)[18]
        print(f"| {name} | {min(times):.1f} ms | {statistics.median(times):.1f} ms | {p95:.1f} ms |")
    print(f"| all | {min(everything):.1f} ms | {statistics.median(everything):.1f} ms | "
          f"{statistics.quantiles(everything, n=20)[18]:.1f} ms |")  # fmt: skip


def finished(hub: RunningHub, layers: int) -> str:
    """The id of a job whose profile has so many layers."""
    headers = {"Authorization": f"Bearer {hub.token}"}
    api = httpx.Client(base_url=f"{hub.url}/api/hub/v1/", headers=headers, timeout=60)
    door = HubDoor(hub.url, hub.agent_token)
    claim = ClaimRequest(AGENT_PROTOCOL, DeviceOffer("bench-1", "Bench", "1", ()), 10.0)
    door.claim(replace(claim, wait_s=0.0))
    made = api.post("models", json={"name": "deep", "kind": "onnx", "is_directory": False}).json()
    begun = api.post(f"models/{made['id']}/uploads", json={"size": 4}).json()
    etags = [httpx.put(url, content=b"deep").headers["etag"] for url in begun["urls"]]
    api.post(f"models/{made['id']}/uploads/{begun['upload_id']}/complete", json={"etags": etags}).raise_for_status()
    asked = {"kind": "profile", "model_id": made["id"], "device": {"name": "Bench", "os": "1", "attributes": []}}
    job_id = str(api.post("jobs", json=asked).json()["id"])
    given = door.claim(claim)
    assert given is not None
    content = json.dumps(codec.encode(replace(sample_profile(), layers=layer_table(layers))))
    hub.leave(given.attempt, "result", content.encode())
    door.finish(given.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))
    return job_id


def painting(hub: RunningHub, job_id: str, loads: int) -> None:
    browser = signed_in(hub)
    answer = browser.get(f"/jobs/{job_id}/")
    packed = int(answer.headers.get("content-length", 0)) or len(gzip.compress(answer.content, 6))
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        found: list[tuple[float, float, int]] = []
        for _ in range(loads):
            context = chromium.new_context(base_url=hub.url)
            context.add_cookies(
                [{"name": "dynolab_session", "value": browser.cookies["dynolab_session"], "url": hub.url}]
            )
            page = context.new_page()
            page.goto(f"/jobs/{job_id}/")
            page.get_by_text("10,000 layers").first.wait_for()
            first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            moved = page.evaluate(
                "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
                ".reduce((sum, entry) => sum + entry.transferSize, 0)"
            )
            whole = page.evaluate("performance.getEntriesByType('resource').at(-1).responseEnd")
            found.append((first, whole, moved))
            context.close()
        chromium.close()
    print(f"| page of 10,000 layers | {packed / 1e3:.0f} kB compressed; all that a first visit moves "
          f"{found[0][2] / 1e3:.0f} kB |")  # fmt: skip
    print(f"| first contentful paint | {min(one[0] for one in found):.0f} ms; all layers there after "
          f"{min(one[1] for one in found):.0f} ms |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--layers", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = Postgres.start(Path(name, "postgres"))
        try:
            environment = {"DYNOLAB_DATABASE_URL": server.dsn}
            with running_hub(Path(name, "hub"), "--no-agent", environment=environment) as hub:
                painting(hub, finished(hub, asked.layers), 5)
                start = time.perf_counter()
                asyncio.run(seed(server.dsn, asked.jobs))
                print(f"({asked.jobs:,} jobs put in within {time.perf_counter() - start:.0f} s)")
                listing(hub, asked.requests)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
