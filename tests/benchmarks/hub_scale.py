"""All aims of scale, one after the other, in at most 8 minutes on a quiet machine of two cores: a table of each, and what failed.

python tests/benchmarks/hub_scale.py [--data FOLDER] [--quick]

The database with a million jobs lies in FOLDER; where it is not there yet, it takes some 2 minutes more to make it, once:
python tests/benchmarks/hub_seed.py FOLDER
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def parts(data: Path, quick: bool) -> dict[str, list[str]]:
    """The scripts with what they are given."""
    folder = ["--data", str(data)]
    if quick:
        return {
            "hub_replicas.py": ["--jobs", "400", "--rate", "10", "--for-s", "12", "--kill-every", "6", "--slots", "40"],
            "hub_idle_agents.py": ["--agents", "500", "--accounts", "1", "--for-s", "5"],
            "hub_uploads.py": ["--uploads", "100"],
            "hub_lists.py": [*folder, "--requests", "3", "--slow-only"],
            "hub_growth.py": [*folder, "--heartbeats", "1000", "--notices", "500"],
        }
    return {
        "hub_replicas.py": ["--for-s", "40"],
        "hub_idle_agents.py": ["--for-s", "20"],
        "hub_uploads.py": [],
        "hub_lists.py": [*folder, "--requests", "10", "--slow-only"],
        "hub_growth.py": folder,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/tmp/dynolab-benchmark"))
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that all of it runs")
    asked = parser.parse_args()
    failed, start = [], time.perf_counter()
    for script, given in parts(asked.data, asked.quick).items():
        print(f"\n### {script} {' '.join(given)}\n", flush=True)
        done = subprocess.run(
            [sys.executable, str(HERE / script), *given], stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            failed.append(script)
        if done.returncode not in (0, 1) or "Traceback" in done.stderr:
            print(done.stderr[-2000:], flush=True)
    print(f"\n{'FAIL: ' + ', '.join(failed) if failed else 'PASS: all aims'} ({time.perf_counter() - start:.0f} s)")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
