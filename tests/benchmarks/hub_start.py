"""How soon a new hub answers, how soon one that was there before does, and what hub, database and agent hold when idle.

python tests/benchmarks/hub_start.py [--runs 5]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx

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


def pss(hub: int) -> dict[str, float]:
    """MB of the hub, of its database, and of its agent: shared pages are counted once among those that share them."""
    parents = {int(path.parent.name): _parent(path) for path in Path("/proc").glob("[0-9]*/stat")}
    found = {"hub": 0.0, "postgres": 0.0, "agent": 0.0}
    for pid in parents:
        line = [pid]
        while line[-1] in parents and line[-1] != hub:
            line.append(parents[line[-1]])
        if line[-1] != hub:
            continue
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            kind = "hub" if pid == hub else "postgres" if b"postgres" in command.split(b"\0")[0] else "agent"
            sizes = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            found[kind] += int(sizes[1]) * 1024 / 1e6 if sizes else 0
    return found


def _parent(stat: Path) -> int:
    with suppress(OSError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return 0


if __name__ == "__main__":
    main()
