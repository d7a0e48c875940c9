"""How many real profile jobs a minute go through a hub and this machine's agent: a small model, default options.

python tests/benchmarks/hub_real_jobs.py [--jobs 20] [--model examples/models/mlperf_tiny_kws_int8.tflite]

Everything is real: the hub with its own PostgreSQL and local agent, and a profile of some 19 processes a job. Beside the rate
stands that of ``dynolab profile`` alone on the same model, so that what hub and agent add can be told from the measuring.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from hub_processes import cpu_s
from hub_throughput import MODEL, UNLIMITED, submission

from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

POLL_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--model", type=Path, default=MODEL)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        with running_hub(Path(name, "hub"), environment=UNLIMITED) as hub:
            device = the_device(hub)
            finished(
                hub, submitted(hub, device, asked.model, 1)
            )  # what the first job alone pays: bytecode, the runtime's files
            before, start = cpu_s(hub.process.pid), time.perf_counter()
            jobs = finished(hub, submitted(hub, device, asked.model, asked.jobs))
            wall_s, after = time.perf_counter() - start, cpu_s(hub.process.pid)
        alone = [profiled(asked.model, Path(name, "out", str(number))) for number in range(3)]
    took = statistics.median(one["summary"]["estimated_inference_time_ns"] for one in jobs)
    spent = {kind: (after[kind] - before[kind]) / len(jobs) * 1e3 for kind in ("hub", "postgres")}
    print(f"| {asked.model.name}, {took / 1e3:.0f} µs an inference | {len(jobs)} profile jobs, all done |")
    print(f"| profile jobs a minute | {60 * len(jobs) / wall_s:.1f} ({wall_s / len(jobs):.2f} s each) |")
    print(
        f"| `dynolab profile` alone | {60 / statistics.median(alone):.1f} a minute ({min(alone):.2f} s each at best) |"
    )
    print(f"| processor time a job | hub {spent['hub']:.0f} ms, PostgreSQL {spent['postgres']:.0f} ms |")


def ours(hub: RunningHub) -> httpx.Client:
    return httpx.Client(base_url=f"{hub.url}/api/hub/v1/", headers={"Authorization": f"Bearer {hub.token}"}, timeout=60)


def the_device(hub: RunningHub) -> str:
    """This machine's device model, once its agent has announced it."""
    with ours(hub) as http:
        devices = until(lambda: http.get("devices").raise_for_status().json()["devices"], "this machine's agent")
    return str(devices[0]["name"])


def submitted(hub: RunningHub, device: str, model: Path, count: int) -> set[str]:
    """The ids of so many jobs, all waiting."""
    body = submission(hub, device, model)
    headers = {"Authorization": f"token {hub.token}", "Client-Version": "0.56.0"}
    with httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers, timeout=60) as http:
        before = {one["id"] for one in listed(hub)}
        for _ in range(count):
            http.post("jobs/", content=body).raise_for_status()
    return {one["id"] for one in listed(hub)} - before


def finished(hub: RunningHub, wanted: set[str]) -> list[dict[str, Any]]:
    """The jobs once all are over; each must have ended well."""
    while True:
        jobs = [one for one in listed(hub) if one["id"] in wanted]
        if all(one["finished_at"] for one in jobs):
            assert {one["state"] for one in jobs} == {"done"}, jobs
            return jobs
        time.sleep(POLL_S)


def listed(hub: RunningHub) -> list[dict[str, Any]]:
    with ours(hub) as http:
        return list(http.get("jobs", params={"limit": 200}).raise_for_status().json()["jobs"])


def profiled(model: Path, folder: Path) -> float:
    """Seconds of one profile without a hub, its interpreter's start included."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "dynolab.cli.main", "profile", str(model), "-o", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
