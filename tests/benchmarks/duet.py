"""False alarms and findings of the duet beside one busy process: a model against itself, and against one with 20 % more work.

python tests/benchmarks/duet.py [--runs 10] [--layers 20] [--threads 1] [--hogs 1] [--memory]

Prints a row of Markdown for each of the two. The heavier model is the lighter one with a fifth of its layers appended.
With --memory the models hold a table of 40 MB besides, memory is compared as well, and a third row tells of a model whose
table is a tenth larger.
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
MORE, FATTER = 1.2, 1.1
TABLE_BYTES = 40_000_000


def chain(path: Path, layers: int, table_bytes: int = 0) -> Path:
    """A model of equal layers, one after the other: a product and a bounded activation each.

    Of a table, the last of them adds the first row, which costs no time to speak of.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = (random.standard_normal((SIDE, SIDE)) / SIDE**0.5).astype(np.float32)
    names = ["x", *(f"t{number}" for number in range(2 * layers))]
    nodes = [
        helper.make_node(*(("MatMul", [names[at], "w"]) if at % 2 == 0 else ("Tanh", [names[at]])), [names[at + 1]])
        for at in range(2 * layers)
    ]
    constants = [numpy_helper.from_array(weights, "w")]
    if table_bytes:
        table = random.standard_normal((table_bytes // (4 * SIDE), SIDE)).astype(np.float32)
        constants += [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.float32(0), "zero")]
        nodes += [  # the row's number comes from the input, so that no optimiser folds the table away
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("Mul", ["most", "zero"], ["none"]),
            helper.make_node("Cast", ["none"], ["number"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "number"], ["row"]),
            helper.make_node("Add", [names[-1], "row"], ["y"]),
        ]
        names.append("y")
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [SIDE, SIDE])],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, [SIDE, SIDE])],
        constants,
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
        table = TABLE_BYTES if asked.memory else 0
        model = chain(Path(folder) / "model.onnx", asked.layers, table)
        others = {
            "the same file": model,
            "20 % more layers": chain(Path(folder) / "heavier.onnx", round(MORE * asked.layers), table),
        }
        if asked.memory:
            others["10 % more weights"] = chain(Path(folder) / "fatter.onnx", asked.layers, round(FATTER * table))
        found = {
            title: [run(model, other, asked.threads, asked.memory) for _ in range(asked.runs)]
            for title, other in others.items()
        }
    print(
        "| B against A | duets | answers (2 % floor) | at a limit of 10 % | memory changed | interval's width | time |"
    )
    print("|---|---|---|---|---|---|---|")
    for title, runs in found.items():
        print(row(title, runs))


if __name__ == "__main__":
    main()
