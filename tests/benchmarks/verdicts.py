"""Does the verdict see a neighbour? Profiles beside a CPU hog and without one, in turn.

python tests/benchmarks/verdicts.py MODEL.onnx [--runs 20] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HOG = "while True: pass"


def profile(model: Path, folder: Path, options: str) -> tuple[str, int, list[str]]:
    """Verdict of the inference stage, its minimum in ns, and the reasons."""
    command = [sys.executable, "-m", "dynolab.cli.main", "profile", str(model), "-o", str(folder), "--options", options]
    subprocess.run([*command, "--repeats", "1"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stage = json.loads((folder / "profile.json").read_text())["inference"]
    return stage["verdict"]["trust"], stage["time"]["minimum_ns"], stage["verdict"]["reasons"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    options = f'--onnx_options "intra_op_num_threads={asked.threads}"'
    rows: list[tuple[bool, str, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(2 * asked.runs):
            hogged = index % 2 == 1
            hog = subprocess.Popen([sys.executable, "-c", HOG]) if hogged else None
            try:
                trust, minimum_ns, reasons = profile(asked.model, Path(folder), options)
            finally:
                if hog is not None:
                    hog.kill()
                    hog.wait()
            rows.append((hogged, trust, minimum_ns))
            print(
                f"  {'hog ' if hogged else 'calm'} {trust:6} {minimum_ns / 1e3:9.1f} us  {reasons[:1]}", file=sys.stderr
            )
    best = min(minimum for _, _, minimum in rows)
    beside = [trust != "clean" for hogged, trust, _ in rows if hogged]
    alone = [trust == "clean" for hogged, trust, _ in rows if not hogged]
    clean = [minimum <= best * 1.03 for _, trust, minimum in rows if trust == "clean"]
    print(f"| beside a hog, flagged | {sum(beside)} of {len(beside)} |")
    print(f"| without one, called clean | {sum(alone)} of {len(alone)} |")
    print(f"| called clean, within 3 % of the best seen | {sum(clean)} of {len(clean)} |")


if __name__ == "__main__":
    main()
