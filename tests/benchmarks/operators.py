"""ONNX's own operator models through dynolab's doors, with their values compared: how many are right, refused, or a fault.

python tests/benchmarks/operators.py [onnxruntime|openvino] [--jobs 2] [--keep verdicts.jsonl]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from dynolab.testing.operator_cases import write
from dynolab.testing.operator_pool import verdicts
from dynolab.testing.operators import OWN, Verdict


def row(verdict: Verdict) -> tuple[str, str]:
    """A verdict's row of the table, and what the bare library does."""
    outcome = verdict.outcome
    if outcome == "refused":
        outcome += f", {verdict.reason.split(':')[0]}" + ("" if verdict.named else ", naming nothing")
    if outcome == "differs" and verdict.bare in OWN:
        outcome = "as the runtime itself has it, which is not as ONNX has it"
    return outcome, verdict.bare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtime", nargs="?", default="onnxruntime", choices=("onnxruntime", "openvino"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folders = list(write(Path(folder)))
        found = list(verdicts(folders, asked.runtime, asked.jobs))
    if asked.keep:
        asked.keep.write_text("".join(json.dumps(asdict(one)) + "\n" for one in found), encoding="utf-8")
    counts = Counter(map(row, found))
    print(f"| {asked.runtime} | its own library | of {len(found)} |\n|---|---|---|")
    for (outcome, bare), count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"| {outcome} | {bare or '-'} | {count} |")


if __name__ == "__main__":
    main()
