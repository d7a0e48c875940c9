"""The harness's own cost: the null runtime's minimum, and what is added to a model of 50 us.

python tests/benchmarks/floor.py [--pairs 15]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from pairs import bare, interleave

from dynolab.measure.protocol import Measure, RunKind
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"

BARE = """
import sys, time
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel, CpuOptions
from ai_edge_litert.compiled_model import Options
model = CompiledModel.from_file(sys.argv[1], options=Options(cpu_options=CpuOptions(num_threads=1)))
inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
clock = time.perf_counter_ns
times = []
for _ in range(5000):
    start = clock()
    model.run_by_index(0, inputs, outputs)
    times.append(clock() - start)
print(min(times))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "floor.null").write_text(json.dumps({}))
        null = Harness(folder / "null", folder / "floor.null", ModelFormat.NULL, "null")
        floors = [null.inspect().floor_ns for _ in range(asked.pairs)]
        litert = Harness(folder / "kws", MODEL, ModelFormat.TFLITE, "litert", '--tflite_options "number_of_threads=1"')
        litert.inspect()

        def dyno() -> float:
            result = litert.good(RunKind.INFERENCE, Measure.TIME, iterations=5000, time_limit_ns=10**10)
            return float(min(result.stages[StageName.INFERENCE].values_ns))

        ratios, dyno_ns, bare_ns = interleave(dyno, lambda: bare(BARE, str(MODEL)), asked.pairs)
    print(f"| null runtime, minimum | {min(floors)} - {max(floors)} ns over {asked.pairs} processes |")
    print(f"| 50 us model, dynolab / bare | {ratios} | {dyno_ns / 1e3:.2f} us, {bare_ns / 1e3:.2f} us |")
    print(f"| dynolab minus bare | {(dyno_ns - bare_ns) / 1e3:+.2f} us |")


if __name__ == "__main__":
    main()
