"""What a default profile costs in wall time: against the work that it reports, and against three bare scripts.

python tests/benchmarks/wall.py MODEL.onnx [--pairs 5]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pairs import interleave

BARE = """
import sys
import numpy as np
import onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
shapes = eval(sys.argv[2])
feed = {node.name: np.random.rand(*shapes[node.name]).astype(np.float32) for node in session.get_inputs()}
for _ in range(100):
    session.run(None, feed)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    shares: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shapes: dict[str, list[int]] = {}

        def profile() -> float:
            command = [sys.executable, "-m", "dynolab.cli.main", "profile", str(asked.model), "-o", str(folder)]
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wall = time.perf_counter() - start
            document = json.loads((folder / "profile.json").read_text())
            shapes.update({item["spec"]["name"]: item["spec"]["shape"] for item in document["inputs"]})
            shares.append(wall / (document["work_ns"] / 1e9))
            tries = sum(
                len(document[stage]["timing_runs"]) for stage in ("compile", "first_load", "warm_load", "inference")
            )
            print(f"  wall {wall:.2f} s, work {document['work_ns'] / 1e9:.2f} s, timing runs {tries}", file=sys.stderr)
            return wall

        def bare() -> float:
            start = time.perf_counter()
            for _ in range(3):
                subprocess.run([sys.executable, "-c", BARE, str(asked.model), repr(shapes)], check=True)
            return time.perf_counter() - start

        profile()
        ratios, wall, plain = interleave(profile, bare, asked.pairs)
    print(f"| wall / work reported | {min(shares):.2f} - {max(shares):.2f} |")
    print(f"| profile / three bare scripts | {ratios} | minima {wall:.2f} s, {plain:.2f} s |")


if __name__ == "__main__":
    main()
