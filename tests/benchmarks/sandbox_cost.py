"""What the sandbox adds to a measurement: the same runs with and without it, in turn.

python tests/benchmarks/sandbox_cost.py [MODEL] [--pairs 15] [--sandbox NAME]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from pairs import interleave

from dynolab.formats import EXTENSIONS
from dynolab.measure.protocol import InputWishes, Measure, RunKind
from dynolab.sandbox.base import Sandbox, all_by_strength, strongest
from dynolab.spec.measurements import Range, StageName
from dynolab.testing.harness import Harness

MODELS = Path(__file__).parents[2] / "examples" / "models"
RUNTIMES = {".onnx": "onnxruntime", ".tflite": "litert", ".null": "null"}


def harness(folder: Path, model: Path, sandbox: Sandbox, shapes: dict[str, tuple[int, ...]]) -> Harness:
    """An inspected copy of the model, one for each side: files of its own to be warm or cold."""
    folder.mkdir()
    own = Path(shutil.copyfile(model, folder / model.name))
    wishes = InputWishes(shapes=shapes)
    made = Harness(folder / "h", own, EXTENSIONS[model.suffix], RUNTIMES[model.suffix], wishes=wishes, sandbox=sandbox)
    made.inspect()
    made.good(RunKind.FIRST_LOAD)
    return made


def inference_ns(one: Harness) -> float:
    """The minimum of one process."""
    result = one.good(RunKind.INFERENCE, Measure.TIME, iterations=1000, time_limit_ns=5 * 10**9)
    return float(min(result.stages[StageName.INFERENCE].values_ns))


def load_ns(one: Harness) -> float:
    """A warm load's time."""
    result = one.good(RunKind.INFERENCE, Measure.TIME, iterations=1)
    return float(result.stages[StageName.WARM_LOAD].values_ns[0])


def wall_ns(one: Harness) -> float:
    """A whole process's time, as its caller sees it."""
    start = time.perf_counter_ns()
    one.good(RunKind.INFERENCE, Measure.NOTHING, iterations=1)
    return float(time.perf_counter_ns() - start)


def ranges(one: Harness) -> list[tuple[str, Range]]:
    """Peak and increase of load and inference, in one process each."""
    stages = (StageName.WARM_LOAD, StageName.INFERENCE)
    found = {stage: one.memory(stage) for stage in stages}
    return [
        (f"{stage.replace('_', ' ')}, {what}", found[stage][i])
        for stage in stages
        for i, what in enumerate(("peak", "increase"))
    ]


def meet(first: Range, second: Range) -> str:
    """Whether two ranges have a value in common, and both."""
    answer = "meet" if max(first.lower, second.lower) <= min(first.upper, second.upper) else "DO NOT MEET"
    shown = (f"{one.lower / 1e6:.2f} - {one.upper / 1e6:.2f} MB" for one in (first, second))
    return f"{answer}: {' and '.join(shown)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=MODELS / "mlperf_tiny_kws_int8.tflite")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--sandbox", default=strongest().name)
    asked = parser.parse_args()
    means = {one.name: one for one in all_by_strength()}
    shapes = {"x": (1, 3, 48, 192)} if asked.model.suffix == ".onnx" else {}
    with tempfile.TemporaryDirectory() as name:
        inside = harness(Path(name, "in"), asked.model, means[asked.sandbox], shapes)
        outside = harness(Path(name, "out"), asked.model, means["none"], shapes)
        rows = [
            ("inference minimum", inference_ns),
            ("warm load", load_ns),
            ("whole process, as seen from outside", wall_ns),
        ]
        for title, figure in rows:
            same, _, _ = interleave(
                lambda figure=figure: figure(outside), lambda figure=figure: figure(outside), asked.pairs
            )
            ratio, in_ns, out_ns = interleave(
                lambda figure=figure: figure(inside), lambda figure=figure: figure(outside), asked.pairs
            )
            minima = f"minima {in_ns / 1e6:.3f} and {out_ns / 1e6:.3f} ms, {(in_ns - out_ns) / 1e6:+.3f} ms"
            print(f"| {title}: {asked.sandbox} / none | {ratio}; none / none {same} | {minima} |", flush=True)
        for (title, first), (_, second) in zip(ranges(inside), ranges(outside), strict=True):
            print(f"| {title} | {meet(first, second)} | |", flush=True)


if __name__ == "__main__":
    main()
