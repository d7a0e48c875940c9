"""Memory ranges against known answers: random sizes kept, mapped and touched for 1 ms; the worst error of each end.

python tests/benchmarks/known_answers.py [--cases 20] [--largest-mib 512]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from pathlib import Path

from dynolab.measure import memory_readings
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

PAGE = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--largest-mib", type=int, default=512)
    asked = parser.parse_args()
    source, worst, beyond = random.Random(1), [0, 0, 0, 0], 0
    for _ in range(asked.cases):
        kept, mapped, spike = (
            int(2 ** source.uniform(20, 20 + math.log2(asked.largest_mib))) // PAGE * PAGE for _ in range(3)
        )
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
            folder = Path(name)
            (folder / "weights.bin").write_bytes(random.Random(2).randbytes(PAGE) * (mapped // PAGE))
            content = {
                "anonymous_bytes": kept, "file": str(folder / "weights.bin"), "file_bytes": mapped, "spike_bytes": spike,
            }  # fmt: skip
            (folder / "model.null").write_text(json.dumps(content))
            harness = Harness(folder / "h", folder / "model.null", ModelFormat.NULL, "null")
            harness.inspect()
            peak, increase = harness.memory(StageName.WARM_LOAD)
        found = (increase.lower, increase.upper, peak.lower, peak.upper)
        truth = (kept, kept + mapped, kept + spike, kept + mapped + spike)
        gaps = [abs(seen - right) for seen, right in zip(found, truth, strict=True)]
        worst = [max(pair) for pair in zip(worst, gaps, strict=True)]
        allowed = [max(256 << 10, memory_readings.resolution_bytes(), right // 100) for right in truth]
        beyond += any(gap > limit for gap, limit in zip(gaps, allowed, strict=True))
    names = ("increase, lower", "increase, upper", "peak, lower", "peak, upper")
    for name, gap in zip(names, worst, strict=True):
        print(f"| {name}: largest error | {gap / 1024:.0f} KiB |")
    print(f"| cases beyond max(256 KiB, resolution, 1 %) | {beyond} of {asked.cases} |")


if __name__ == "__main__":
    main()
