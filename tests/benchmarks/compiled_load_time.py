"""Whether what `dynolab compile` makes of an ONNX model loads faster than its source, by ONNX Runtime alone, on one thread.

python tests/benchmarks/compiled_load_time.py MODEL.onnx... [--pairs 200]

Sessions are made in pairs, one of the source and one of the compiled model, in one process and changing order: what a subsequent load takes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import onnxruntime
from pairs import interleave


def load_s(model: Path) -> float:
    """What a session of it takes to be made, in seconds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    begun = time.perf_counter()
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return time.perf_counter() - begun


def compiled(model: Path, folder: Path) -> Path:
    """The file that `dynolab compile` makes of it."""
    made = folder / model.stem
    command = [sys.executable, "-m", "dynolab.cli.main", "compile", str(model), "-o", str(made)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return next(made.rglob("*.onnx"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for model in asked.models:
            made = compiled(model, Path(name))
            ratios, least, source = interleave(partial(load_s, made), partial(load_s, model), asked.pairs)
            won = sum(one < 1 for one in ratios.values)
            print(
                f"{model.name}: {ratios}; faster in {won}; minima {least * 1e3:.2f} ms, {source * 1e3:.2f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
