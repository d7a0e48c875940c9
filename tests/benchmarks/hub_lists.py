"""How soon lists and summaries are there with a million jobs and 10,000 devices: the JSON API, AI Hub's client and the pages.

python tests/benchmarks/hub_lists.py [--data FOLDER] [--jobs 1000000] [--devices 10000] [--requests 20] [--explain MS]
                                      [--against FOLDER]

The database is that of hub_seed.py, made in FOLDER where it is not there yet (a few minutes), and kept. A real hub on it is
asked as each client asks, as the account that has half of all jobs, as one that has few, and as one that administers nothing.
The aim is a p95 below 100 ms for every one of them. The first request of each kind is not counted. ``--explain`` has the database log
the plans of statements that take longer. ``--against``: another checkout (``git worktree add FOLDER COMMIT``), whose hub stands beside
this one's on the same database and is asked in turns with it: beside each kind stands the processor time of either hub's process
then, the least of all requests, which other work on the machine hardly touches.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import html
import json
import re
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
from hub_processes import cpu_s
from hub_seed import objects, seed
from hub_servers import database_server, share_tokens

from dynolab.spec import codec
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.sample import sample_profile

AIM_MS = 100.0
FEW = "user51@example.org", "benchmark-secret-of-user51"
"""An account with one job in 800, that administers nothing and owns no device."""
CLIENT = {"Client-Version": "0.56.0"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What one kind of request took: ms, once each, and the size of its answer."""

    name: str
    times_ms: list[float]
    answer_bytes: int

    @property
    def p95_ms(self) -> float:
        """Of all that were counted."""
        return statistics.quantiles(self.times_ms, n=20)[18]

    def __str__(self) -> str:
        return (
            f"| {self.name} | {min(self.times_ms):.0f} ms | {statistics.median(self.times_ms):.0f} ms | {self.p95_ms:.0f} ms | "
            f"{self.answer_bytes / 1e3:.0f} kB | {'PASS' if self.p95_ms < AIM_MS else 'FAIL'} |"
        )


async def prepare(dsn: str) -> str:
    """A token for the account with few jobs; the newest id of a board."""
    connection = await asyncpg.connect(dsn)
    try:
        digest = hashlib.sha256(FEW[1].encode()).hexdigest()
        await connection.execute(
            "INSERT INTO token (id, account_id, kind, digest) SELECT 'tbenchmark', id, 'user', $1 FROM account WHERE email = $2 "
            "ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, account_id = excluded.account_id",
            digest,
            FEW[0],
        )
        return str(await connection.fetchval("SELECT min(id) FROM device"))
    finally:
        await connection.close()


def clients(hub: RunningHub) -> Iterator[tuple[str, httpx.Client]]:
    """Who asks, signed in for the pages as well: who owns half, and who owns little."""
    for name, token in (("half of all", hub.token), ("few", FEW[1])):
        headers = {"Authorization": f"Bearer {token}", **CLIENT}
        client = httpx.Client(base_url=hub.url, timeout=60, headers=headers)
        origin = {"Origin": hub.url, "Sec-Fetch-Site": "same-origin"}
        assert client.post("/sign-in", data={"token": token}, headers=origin).status_code == 303
        yield name, client


def _following(client: httpx.Client, path: str, name: str, times: int = 20) -> str:
    """The address that so many pages lead to, through the links of a page or the ``next`` of an answer."""
    at = path
    for _ in range(times):
        answer = client.get(at).raise_for_status()
        if name == "next":
            following = answer.json()["next"]
            at = at if following is None else str(httpx.URL(path).copy_merge_params({"before": following}))
        else:
            found = re.findall(r'href="([^"]+)" rel="next"', answer.text)
            at = html.unescape(found[0]) if found else at
    return at


def requests(client: httpx.Client, board: str) -> Mapping[str, str]:
    """What is asked for, by name. Cursors deep into a list are come to by a cursor in its middle, not by a thousand pages."""
    api, official = "/api/hub/v1", "/api/v1"
    return {
        "API jobs": f"{api}/jobs",
        "API jobs, 200": f"{api}/jobs?limit=200",
        "API jobs, deep": f"{api}/jobs?before={_middle()}",
        "API jobs, 20 pages on": _following(client, f"{api}/jobs", "next"),
        "API jobs, failed": f"{api}/jobs?state=failed",
        "API jobs, queued": f"{api}/jobs?state=queued",
        "API jobs, running (none)": f"{api}/jobs?state=running",
        "API jobs, inference": f"{api}/jobs?kind=inference",
        "API jobs, compile (none)": f"{api}/jobs?kind=compile",
        "API jobs, inference failed": f"{api}/jobs?kind=inference&state=failed",
        "API jobs of a device": f"{api}/jobs?device=phone+7",
        "API jobs of no device": f"{api}/jobs?device=nothing",
        "API jobs of a device, compile": f"{api}/jobs?device=phone+7&kind=compile",
        "API jobs of a model": f"{api}/jobs?model=mseed00000033",
        "API jobs of a creator": f"{api}/jobs?creator=admin%40localhost",
        "API jobs of another creator": f"{api}/jobs?creator=user53%40example.org",
        "API jobs of a project": f"{api}/jobs?project=nightly",
        "API jobs of no project": f"{api}/jobs?project=nothing",
        "API jobs, text": f"{api}/jobs?text=commit+abc",
        "API jobs, text in all": f"{api}/jobs?text=commit",
        "API jobs, text in none": f"{api}/jobs?text=nothing+like+it",
        "API jobs, text of two letters": f"{api}/jobs?text=zq",
        "API models": f"{api}/models",
        "API models, text": f"{api}/models?name=net+4321",
        "API models, text in none": f"{api}/models?name=nothing+like+it",
        "API models, deep": f"{api}/models?before={_middle()}",
        "API datasets": f"{api}/datasets",
        "API datasets, text in none": f"{api}/datasets?name=nothing+like+it",
        "API datasets, deep": f"{api}/datasets?before={_middle()}",
        "API devices": f"{api}/devices",
        "API devices of a name": f"{api}/devices?name=phone+7",
        "API boards": f"{api}/boards",
        "API boards of a name": f"{api}/boards?name=phone+7",
        "API a board": f"{api}/devices/{board}",
        "API a board's probes": f"{api}/devices/{board}/probes",
        "API frameworks": f"{api}/frameworks",
        "API pools": f"{api}/pools",
        "AI Hub jobs": f"{official}/jobs/",
        "AI Hub summaries": f"{official}/job_summaries/",
        "AI Hub summaries, 1000": f"{official}/job_summaries/?limit=1000",
        "AI Hub summaries, offset 10,000": f"{official}/job_summaries/?offset=10000",
        "AI Hub summaries, offset 400,000": f"{official}/job_summaries/?offset=400000",
        "AI Hub summaries, failed": f"{official}/job_summaries/?state=7",
        "AI Hub summaries of a creator": f"{official}/job_summaries/?creator=admin%40localhost",
        "AI Hub models": f"{official}/models/",
        "AI Hub models, offset 5,000": f"{official}/models/?offset=5000",
        "AI Hub datasets": f"{official}/datasets/",
        "AI Hub datasets, offset 50,000": f"{official}/datasets/?offset=50000",
        "AI Hub devices": f"{official}/devices/",
        "AI Hub a device": f"{official}/devices/?name=phone+7&select=True",
        "AI Hub frameworks": f"{official}/frameworks/",
        "page of jobs": "/jobs/",
        "page of jobs, deep": f"/jobs/?before={_middle()}",
        "page of jobs, back": f"/jobs/?after={_middle()}",
        "page of jobs, two states": "/jobs/?state=failed&state=cancelled",
        "page of jobs, model by name": "/jobs/?model=net+33",
        "page of jobs of a dataset": "/jobs/?dataset=dseed00000010",
        "page of jobs, text": "/jobs/?text=commit+abc",
        "page of jobs, 20 on": _following(client, "/jobs/", "href"),
        "page of models": "/models/",
        "page of models, text": "/models/?text=net+4321",
        "page of models, kind": "/models/?kind=torchscript",
        "page of models, deep": f"/models/?before={_middle()}",
        "page of datasets": "/datasets/",
        "page of datasets, text": "/datasets/?text=samples+77",
        "page of devices": "/devices/",
        "page of devices, text": "/devices/?text=phone+7",
        "page of a device": "/devices/phone%207",
        "page of a board": f"/devices/{board}",
        "page to submit": "/submit",
        "page of trends": "/trends",
        "page of trends of a device": "/trends?device=phone+7",
        "page of trends of a model": "/trends?model=net+33",
        "page of a job": "/jobs/jseed00500000/",
        "page of a queued job": "/jobs/jseed00000002/",
    }


def _middle() -> str:
    """A cursor half way through the list."""
    from base64 import urlsafe_b64encode
    from datetime import UTC, datetime, timedelta

    at = datetime.now(UTC) - timedelta(seconds=60 * 400_000)
    return urlsafe_b64encode(f"{at.isoformat()} j".encode()).decode()


def measured(client: httpx.Client, name: str, path: str, count: int) -> Seen:
    """So many requests, one after the other."""
    answer = client.get(path)
    times = []
    for _ in range(max(2, count)):
        start = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - start) * 1e3)
    assert answer.status_code in (200, 404), (path, answer.status_code, answer.text[:300])
    return Seen(name, times, len(answer.content))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/tmp/dynolab-benchmark"))
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--explain", type=float, metavar="MS")
    parser.add_argument("--only", default="", help="requests whose name has this in it")
    parser.add_argument("--against", type=Path, help="another checkout, whose hub is asked in turns with this one's")
    parser.add_argument("--slow-only", action="store_true", help="print those that miss the aim alone")
    asked = parser.parse_args()
    settings = {}
    if asked.explain is not None:
        settings = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": f"{asked.explain}ms"}
        settings |= {f"auto_explain.log_{one}": "on" for one in ("analyze", "buffers")}
    with database_server(asked.data / "postgres", **settings) as server:
        asyncio.run(seed(server.dsn, asked.jobs, asked.devices))
        board = asyncio.run(prepare(server.dsn))
        objects(asked.data / "hub" / "blobs", json.dumps(codec.encode(sample_profile())).encode())
        environment = {"DYNOLAB_DATABASE_URL": server.dsn}
        with ExitStack() as stack:
            hub = stack.enter_context(running_hub(asked.data / "hub", "--no-agent", environment=environment))
            if asked.against is not None:
                share_tokens(asked.data / "hub", asked.data / "hub-against")
                blobs = {"DYNOLAB_BLOBS_URL": f"file://{(asked.data / 'hub' / 'blobs').resolve()}"}
                other = {**environment, **blobs, "PYTHONPATH": str(asked.against.resolve() / "src")}
                beside = stack.enter_context(running_hub(asked.data / "hub-against", "--no-agent", environment=other))
                in_turns(hub, beside, board, asked)
                return
            found = list(_all(hub, board, asked))
    late = [one for one in found if one.p95_ms >= AIM_MS]
    print(
        f"{'FAIL' if late else 'PASS'}: p95 below {AIM_MS:.0f} ms, {len(found) - len(late)} of {len(found)} kinds of requests"
    )
    sys.exit(1 if late else 0)


def in_turns(hub: RunningHub, other: RunningHub, board: str, asked: argparse.Namespace) -> None:
    """Print the processor time of both hubs' processes for each kind of request."""
    print("| asked for | this hub, ms of its processor | the other one |\n|---|---|---|")
    for (who, client), (_, beside) in zip(clients(hub), clients(other), strict=True):
        for name, path in requests(client, board).items():
            if asked.only not in f"{name}; ":
                continue
            spent: list[list[float]] = [[], []]
            for _ in range(asked.requests + 1):
                for one, door, times in zip((hub, other), (client, beside), spent, strict=True):
                    begun = cpu_s(one.process.pid)["hub"]
                    assert door.get(path).status_code in (200, 404), path
                    times.append((cpu_s(one.process.pid)["hub"] - begun) * 1e3)
            least = [min(times[1:]) for times in spent]
            print(f"| {name}; who has {who} | {least[0]:.1f} | {least[1]:.1f} |", flush=True)


def _all(hub: RunningHub, board: str, asked: argparse.Namespace) -> Iterator[Seen]:
    print("| asked for | minimum | median | p95 | answer | p95 below 100 ms |\n|---|---|---|---|---|---|")
    for who, client in clients(hub):
        for name, path in requests(client, board).items():
            if asked.only in f"{name}; ":
                seen = measured(client, f"{name}; who has {who}", path, asked.requests)
                if not asked.slow_only or seen.p95_ms >= AIM_MS:
                    print(seen, flush=True)
                yield seen


if __name__ == "__main__":
    main()
