"""How long `dynolab --help` takes, as a process.

python tests/benchmarks/help.py [--runs 20]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMAND = Path(sys.executable).parent / "dynolab"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    asked = parser.parse_args()
    times = []
    for _ in range(asked.runs):
        start = time.perf_counter()
        subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    print(
        f"| dynolab --help | minimum {min(times):.3f} s, median {statistics.median(times):.3f} s, {len(times)} runs |"
    )


if __name__ == "__main__":
    main()
