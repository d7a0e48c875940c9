"""Many compile jobs at once on two agents that only compile: whether all end, and how much memory they take together.

python tests/benchmarks/compile_load.py [--jobs 50]

Both agents run on this machine, so they take turns; every third job has a wrong input and is to fail.
"""

from __future__ import annotations

import argparse
import collections
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
SPECS = {"x": (1, 3, 48, 192)}
WITHIN_S = 1800.0


def resident(root: int) -> int:
    """Bytes that a process and all below it hold, shared ones counted once: the sum of their PSS."""
    children: dict[int, list[int]] = collections.defaultdict(list)
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(place.parent.name))
    total, left = 0, [root]
    while left:
        one = left.pop()
        left += children[one]
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
    return total


def agent(hub: RunningHub, state: Path, name: str, *more: str) -> subprocess.Popen[bytes]:
    """An agent with an identity of its own."""
    state.mkdir()
    environment = {**os.environ, "DYNOLAB_STATE": str(state), "DYNOLAB_AGENT_TOKEN": hub.agent_token}
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub.url, "--name", name, *more]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        hub = stack.enter_context(running_hub(Path(folder) / "hub", "--no-agent"))
        client = stack.enter_context(closing(Client(ClientConfig(hub.token, hub.url, verbose=False))))
        agents = [agent(hub, Path(folder) / name, name, "--toolchains-only") for name in ("forge-a", "forge-b")]
        device = agent(hub, Path(folder) / "board", "board")
        for one in (*agents, device):
            stack.callback(one.terminate)
        until(client.get_devices, "the board")
        time.sleep(5)  # for the other two
        model = client.upload_model(MODEL)
        jobs = [
            client.submit_compile_job(
                model, Device("board"), f"job {k}", {"wrong": (1, 2)} if k % 3 == 2 else SPECS, "--target_runtime onnx"
            )
            for k in range(asked.jobs)
        ]
        begun, peak = time.monotonic(), 0
        waiting = set(range(len(jobs)))
        while waiting and time.monotonic() - begun < WITHIN_S:
            peak = max(peak, *(resident(one.pid) for one in agents))
            waiting = {k for k in waiting if not jobs[k].get_status().finished}
            time.sleep(1)  # between two looks at jobs and memory
        states = collections.Counter(one.document["state"] for one in jobs)
        by = collections.Counter(one.document["attempts"][-1]["device_id"] for one in jobs if one.document["attempts"])
        print(f"{len(jobs)} jobs in {time.monotonic() - begun:.0f} s: {dict(states)}; shares {sorted(by.values())}")
        print(f"the most that one agent and its processes held: {peak / 1e6:.0f} MB (PSS)")
        print(f"agents still there: {sum(one.poll() is None for one in (*agents, device))} of 3")


if __name__ == "__main__":
    main()
