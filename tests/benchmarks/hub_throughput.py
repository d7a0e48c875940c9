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
import json
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
from urllib.parse import urlsplit

import httpx
from hub_processes import cpu_s

from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.testing.running_hub import RunningHub, running_hub

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
NAME = "bench"
SUBMITTERS = 20
UNLIMITED = {"DYNOLAB_POSTS_PER_S": "1000000"}
"""This is one user with many hands."""


class Line:
    """One connection, kept: HTTP/1.1 by hand."""

    def __init__(self, url: str, headers: str) -> None:
        self._at, self._headers = urlsplit(url), headers
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._at.hostname, self._at.port)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._at.netloc}\r\nContent-Length: {len(body)}\r\n{self._headers}\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next((int(field[15:]) for field in fields if field.lower().startswith(b"content-length:")), 0)
        return int(status.split()[1]), await self._reader.readexactly(length)


class Agent:
    """One slot."""

    def __init__(self, hub: RunningHub, number: int, result: bytes) -> None:
        self.line = Line(hub.url, f"Authorization: Bearer {hub.agent_token}\r\nContent-Type: application/json\r\n")
        self.result = result
        device = {"id": f"{NAME}-{number}", "name": NAME, "os": "1.0", "attributes": ["framework:tflite"]}
        self._claim = {"protocol": 1, "device": device}

    async def claim(self, wait_s: float) -> dict[str, Any] | None:
        body = json.dumps(self._claim | {"wait_s": wait_s}).encode()
        status, answer = await self.line.ask("POST", "/api/agent/v1/claim", body)
        assert status in (200, 204), answer
        return json.loads(answer) if status == 200 else None

    async def leave(self, found: dict[str, Any]) -> None:
        for verb, content in (("result", self.result), ("log", b"done\n" * 100)):
            status, answer = await self.line.ask("PUT", urlsplit(found["uploads"][verb]).path, content)
            assert status == 204, answer
        body = b'{"summary": {"estimated_inference_time_ns": 1}}'
        status, answer = await self.line.ask("POST", f"/api/agent/v1/attempts/{found['attempt']}/finish", body)
        assert status == 204, answer


def submission(hub: RunningHub, device: str = NAME, file: Path = MODEL) -> bytes:
    """The body that submits a job, for a TFLite model that is uploaded here."""
    headers = {"Authorization": f"token {hub.token}", "Client-Version": "0.56.0"}
    with httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers) as http:
        model = pb.Model(name="net", model_type=pb.MODEL_TYPE_TFLITE).SerializeToString()
        model_id = pb.CreateUpdateResponse.FromString(http.post("models/", content=model).content).id
        answer = http.get(f"models/{model_id}/multipart_upload/", params={"file_size": file.stat().st_size})
        begun = pb.FileMultipartUploadURL.FromString(answer.content)
        etags = [http.put(url, content=file.read_bytes()).headers["etag"] for url in begun.urls]
        complete = pb.FileMultipartUploadComplete(upload_id=begun.upload_id, etags=etags)
        http.post(f"models/{model_id}/multipart_upload/", content=complete.SerializeToString()).raise_for_status()
    asked = pb.InferenceJob(name="job", is_profiling_on=True)
    asked.model.model_id, asked.device.name = model_id, device
    return pb.Job(inference_job=asked).SerializeToString()


async def submit(line: Line, body: bytes) -> str:
    status, answer = await line.ask("POST", "/api/v1/jobs/", body)
    assert status in (200, 201), answer
    return str(pb.CreateUpdateResponse.FromString(answer).id)


def users(hub: RunningHub, count: int) -> list[Line]:
    return [Line(hub.url, f"Authorization: token {hub.token}\r\nClient-Version: 0.56.0\r\n") for _ in range(count)]


async def latency(hub: RunningHub, body: bytes, agents: list[Agent], count: int) -> list[float]:
    """Seconds from the start of a submission to an agent that has the job, one at a time, everybody else waiting."""
    took: list[float] = []
    user = users(hub, 1)[0]
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
    mine = users(hub, SUBMITTERS)
    with phase(hub, count, phases):
        jobs = await together([submit_many(line, body, count // len(mine)) for line in mine])
    submitted = {job for part in jobs for job in part}
    done: Counter[str] = Counter()

    async def serve(agent: Agent) -> None:
        while (found := await agent.claim(0.0)) is not None:
            await agent.leave(found)
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
                agents = [Agent(hub, number, result) for number in range(asked.slots)]
                await together([agent.claim(0.0) for agent in agents])
                body = await asyncio.to_thread(submission, hub)
                took = await latency(hub, body, agents, asked.latencies) if asked.latencies else []
                fresh = [Agent(hub, number, result) for number in range(asked.slots)]
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
