"""How soon a new hub answers, how soon one that was there before does, and what hub, database and agent hold when idle.

python tests/benchmarks/hub_start.py [--runs 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import httpx
from hub_processes import pss

from dynolab.testing.running_hub import running_hub

IDLE_S = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    first, again, memory = [], [], []
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory() as name:
            first.append(start(Path(name), "--no-agent"))
            again.append(start(Path(name), "--no-agent"))
            with running_hub(Path(name)) as hub:
                time.sleep(IDLE_S)
                memory.append(pss(hub.process.pid))
    print(f"| from nothing to the first request served | minimum {min(first):.2f} s, most {max(first):.2f} s |")
    print(f"| restart | minimum {min(again):.2f} s, most {max(again):.2f} s |")
    least = min(memory, key=lambda one: sum(one.values()))
    parts = ", ".join(f"{name} {size:.0f}" for name, size in least.items())
    print(f"| idle, PSS in MB | {sum(least.values()):.0f} ({parts}) |")


def start(data: Path, *arguments: str) -> float:
    """Seconds from the command to an answer that needed the database."""
    begun = time.perf_counter()
    with running_hub(data, *arguments) as hub:
        assert httpx.get(f"{hub.url}/healthz").status_code == 200
        return time.perf_counter() - begun


if __name__ == "__main__":
    main()
