"""False alarms and findings of the duet beside one busy process: a model against itself, and against one with 20 % more work.

python tests/benchmarks/duet.py [--runs 10] [--layers 20] [--threads 1] [--hogs 1] [--memory]

Prints a row of Markdown for each of the two. The heavier model is the lighter one with a fifth of its layers appended.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pairs import hogs

from dynolab.jobs.compare import compare
from dynolab.spec.answers import Answer
from dynolab.spec.duets import Duet, StageDuet
from dynolab.spec.measurements import StageName

SIDE = 96
MORE = 1.2


def chain(path: Path, layers: int) -> Path:
    """A model of equal layers, one after the other: a product and a bounded activation each."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = (random.standard_normal((SIDE, SIDE)) / SIDE**0.5).astype(np.float32)
    names = ["x", *(f"t{number}" for number in range(2 * layers))]
    nodes = [
        helper.make_node(*(("MatMul", [names[at], "w"]) if at % 2 == 0 else ("Tanh", [names[at]])), [names[at + 1]])
        for at in range(2 * layers)
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [SIDE, SIDE])],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, [SIDE, SIDE])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save_model(model, str(path))
    return path


@dataclass(frozen=True)
class Found:
    """The outcome of one duet."""

    stage: StageDuet
    duet: Duet
    seconds: float

    @property
    def within(self) -> bool:
        """Whether the interval shows that B is within a limit of 10 %."""
        return self.stage.ratio is not None and self.stage.ratio.upper <= 1.10

    @property
    def beyond(self) -> bool:
        """Whether it shows that B is beyond it."""
        return self.stage.ratio is not None and self.stage.ratio.lower > 1.10


def run(a: Path, b: Path, threads: int, memory: bool) -> Found:
    options = f'--onnx_options "intra_op_num_threads={threads}"'
    duet = compare(a, b, options_a=options, options_b=options, memory=memory)
    stage = duet.stage(StageName.INFERENCE)
    after = duet.decided_after_s if duet.decided_after_s is not None else duet.wall_s
    load = os.getloadavg()[0]
    print(f"  {stage.sentence}; {len(duet.pairs)} pairs, {after:.0f} s of {duet.wall_s:.0f} s, load {load:.1f}", file=sys.stderr, flush=True)  # fmt: skip
    for one in duet.memory:
        if one.answer is Answer.CHANGED:
            print(f"    {one.name}: {one.sentence}", file=sys.stderr, flush=True)
    return Found(stage, duet, duet.wall_s)


def row(title: str, found: list[Found]) -> str:
    """How many were called what, and the seconds."""
    answers = [one.stage.answer for one in found]
    counts = ", ".join(f"{answers.count(answer)} {answer.value}" for answer in Answer)
    memory = sum(any(one.answer is Answer.CHANGED for one in each.duet.memory) for each in found)
    seconds = sorted(one.seconds for one in found)
    widths = [one.stage.ratio.upper / one.stage.ratio.lower - 1 for one in found if one.stage.ratio is not None]
    width = f"{100 * statistics.median(widths):.1f} %" if widths else "-"
    limits = f"{sum(one.within for one in found)} within, {sum(one.beyond for one in found)} beyond"
    return f"| {title} | {len(found)} | {counts} | {limits} | {memory} | {width} | {statistics.median(seconds):.0f} s (most: {seconds[-1]:.0f} s) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hogs", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="memory passes as well")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, hogs(asked.hogs):
        model = chain(Path(folder) / "model.onnx", asked.layers)
        heavier = chain(Path(folder) / "heavier.onnx", round(MORE * asked.layers))
        same = [run(model, model, asked.threads, asked.memory) for _ in range(asked.runs)]
        more = [run(model, heavier, asked.threads, asked.memory) for _ in range(asked.runs)]
    print(
        "| B against A | duets | answers (2 % floor) | at a limit of 10 % | memory changed | interval's width | time |"
    )
    print("|---|---|---|---|---|---|---|")
    print(row("the same file", same))
    print(row("20 % more layers", more))


if __name__ == "__main__":
    main()
