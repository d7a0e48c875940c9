"""dynolab's inference minimum against the bare runtime in a tight loop.

python tests/benchmarks/inference_minimum.py MODEL.onnx [--pairs 15] [--iterations 300] [--threads 1]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from pairs import bare, interleave

from dynolab.formats import EXTENSIONS
from dynolab.measure.protocol import Measure, RunKind
from dynolab.spec.measurements import StageName
from dynolab.testing.harness import Harness

BARE_ONNX = """
import sys, time
import numpy as np
import onnxruntime as ort
model, count, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = ort.SessionOptions()
options.intra_op_num_threads = threads
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
shapes = eval(sys.argv[4])
random = np.random.default_rng(1)
feed = {}
binding = session.io_binding()
for node in session.get_inputs():
    kind = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}[node.type]
    feed[node.name] = random.uniform(0, 1, shapes[node.name]).astype(kind)
    binding.bind_cpu_input(node.name, feed[node.name])
for node in session.get_outputs():
    binding.bind_output(node.name)
run, clock = session.run_with_iobinding, time.perf_counter_ns
end = clock() + 500_000_000
while clock() < end:
    run(binding)
times = []
for _ in range(count):
    start = clock()
    run(binding)
    times.append(clock() - start)
print(min(times))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    kind = EXTENSIONS[asked.model.suffix]
    with tempfile.TemporaryDirectory() as folder:
        options = f'--onnx_options "intra_op_num_threads={asked.threads}"'
        harness = Harness(Path(folder), asked.model.resolve(), kind, "onnxruntime", options)
        found = harness.inspect().inspection
        assert found is not None
        harness.good(RunKind.COMPILE)
        shapes = repr({item.spec.name: item.spec.sizes for item in found.inputs})

        def dyno() -> float:
            result = harness.good(
                RunKind.INFERENCE, Measure.TIME, iterations=asked.iterations, time_limit_ns=60 * 10**9
            )
            return float(min(result.stages[StageName.INFERENCE].values_ns))

        def loop() -> float:
            return bare(BARE_ONNX, str(asked.model), str(asked.iterations), str(asked.threads), shapes)

        same, _, _ = interleave(loop, lambda: loop(), asked.pairs)
        ratios, dyno_ns, bare_ns = interleave(dyno, loop, asked.pairs)
    print(f"| bare / bare (A/A) | {same} |")
    print(f"| dynolab / bare | {ratios} | minima {dyno_ns / 1e3:.1f} us, {bare_ns / 1e3:.1f} us |")


if __name__ == "__main__":
    main()
