"""dynolab's inference minimum against the runtimes' own benchmark tools, interleaved.

python tests/benchmarks/against_peers.py benchmark_app MODEL.onnx [--shape 1,3,224,224] [--pairs 15]
python tests/benchmarks/against_peers.py litert-benchmark MODEL.tflite [--pairs 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pairs import interleave

from dynolab.formats import EXTENSIONS
from dynolab.measure.protocol import InputWishes, Measure, RunKind
from dynolab.spec.measurements import StageName
from dynolab.testing.harness import Harness

TOOLS = Path(sys.executable).parent


def benchmark_app(asked: argparse.Namespace) -> Callable[[], float]:
    command = [
        TOOLS / "benchmark_app", "-m", asked.model, "-d", "CPU", "-hint", "latency", "-api", "sync", "-nireq", "1",
        "-infer_precision", "f32", "-ip", "f32", "-niter", str(asked.iterations),
    ]  # fmt: skip
    if asked.shape:
        command += ["-shape", f"[{asked.shape}]"]

    def run() -> float:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = re.search(r"Min:\s+([0-9.]+) ms", done.stdout)
        assert found, done.stdout
        return float(found[1]) * 1e6

    return run


def litert_benchmark(asked: argparse.Namespace) -> Callable[[], float]:
    with tempfile.NamedTemporaryFile(suffix=".json", delete=False) as file:
        result = Path(file.name)
    command = [
        TOOLS / "litert-benchmark", "--model", asked.model, "--num_runs", str(asked.iterations),
        "--num_threads", str(asked.threads), "--result_json", result,
    ]  # fmt: skip

    def run() -> float:
        subprocess.run(command, capture_output=True, check=True)
        return float(json.loads(result.read_text())["latency"]["min_ms"]) * 1e6

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=["benchmark_app", "litert-benchmark"])
    parser.add_argument("model", type=Path)
    parser.add_argument("--shape")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    if asked.tool == "benchmark_app":
        peer, runtime = benchmark_app(asked), "openvino"
        options = '--openvino_options "inference_precision=f32;performance_hint=LATENCY"'
    else:
        peer, runtime = litert_benchmark(asked), "litert"
        options = f'--tflite_options "number_of_threads={asked.threads}"'
    with tempfile.TemporaryDirectory() as folder:
        model = asked.model.resolve()
        harness = Harness(Path(folder), model, EXTENSIONS[model.suffix], runtime, options)
        if asked.shape:
            name = input_name(harness)
            harness.wishes = InputWishes(shapes={name: tuple(int(size) for size in asked.shape.split(","))})
        harness.inspect()

        def dyno() -> float:
            result = harness.good(
                RunKind.INFERENCE, Measure.TIME, iterations=asked.iterations, time_limit_ns=60 * 10**9
            )
            return float(min(result.stages[StageName.INFERENCE].values_ns))

        same, _, _ = interleave(peer, lambda: peer(), asked.pairs)
        ratios, dyno_ns, peer_ns = interleave(dyno, peer, asked.pairs)
    print(f"| {asked.tool} / {asked.tool} (A/A) | {same} |")
    print(f"| dynolab / {asked.tool} | {ratios} | minima {dyno_ns / 1e6:.3f} ms, {peer_ns / 1e6:.3f} ms |")


def input_name(harness: Harness) -> str:
    """The name of the model's only input."""
    found = harness.inspect().inspection
    assert found is not None
    return found.inputs[0].spec.name


if __name__ == "__main__":
    main()
