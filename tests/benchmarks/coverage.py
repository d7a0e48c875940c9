"""Do ranges of times hold the time of the undisturbed device, and how often are they narrow?

    .venv/bin/python tests/benchmarks/coverage.py run FILE [--profiles 10] [--hogs 0 1 2] [--cases example-1 ...]
    .venv/bin/python tests/benchmarks/coverage.py show FILE...

``run`` adds the timing passes of campaigns to FILE, one JSON object a line: six cases, quiet and beside hogs, in turn. ``show``
replays what is there through the rules as they are now, and prints a table in Markdown: for each number of hogs the share of ranges
that hold the best minimum ever seen, their median width and the share of clean verdicts; with and without the device's record.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from pairs import hogs

from dynolab.measure import environment
from dynolab.measure.campaign import Runner
from dynolab.measure.campaign_messages import Campaign
from dynolab.measure.profiling import inspect
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes
from dynolab.measure.readings import reference_kernel
from dynolab.measure.time_range import ProcessTimes, reference_name, time_range
from dynolab.measure.timing import TimingPasses
from dynolab.measure.timing_runs import chosen
from dynolab.spec import codec
from dynolab.spec.measurements import LoopWindow
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import NARROW
from dynolab.testing import models
from dynolab.testing.direct_device import direct_device

EXAMPLE = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
ONE = {
    "onnxruntime": '--onnx_options "intra_op_num_threads=1"',
    "openvino": '--openvino_options "inference_num_threads=1"',
}
LOOKS = 200
"""At the reference kernel, before the first campaign."""
SHORT_NS = 5_000_000
"""Iterations below this with one thread are those of which nine in ten are to be clean."""


@dataclass(frozen=True)
class Case:
    """A model on a runtime; ``shape``: of the example's input, None for a tiny net."""

    runtime: str
    threads: int
    shape: tuple[int, ...] | None


CASES = {
    "tiny": Case("onnxruntime", 1, None),
    "example-1": Case("onnxruntime", 1, (1, 3, 48, 192)),
    "example-2": Case("onnxruntime", 2, (1, 3, 224, 224)),
    "openvino-1": Case("openvino", 1, (1, 3, 48, 192)),
    "openvino-2": Case("openvino", 2, (1, 3, 640, 640)),
    "large-2": Case("onnxruntime", 2, (4, 3, 640, 640)),
}


def campaign(case: Case, best: dict[str, float]) -> dict[str, list[Any]]:
    """The timing passes of one campaign: for each stage its processes, as values and windows."""
    with tempfile.TemporaryDirectory() as place, redirect_stdout(StringIO()):
        folder = Path(place)
        model = folder / "model.onnx"
        models.onnx_net(model) if case.shape is None else shutil.copyfile(EXAMPLE, model)
        asked = Campaign(
            protocol=PROTOCOL_VERSION,
            folder=str(folder),
            runtime=case.runtime,
            model=str(model),
            format=ModelFormat.ONNX,
            files=(str(model),),
            options_text=ONE[case.runtime] if case.threads == 1 else "",
            wishes=InputWishes(shapes={} if case.shape is None else {"x": case.shape}),
            repeats=3,
            seed=1,
            best=best,
        )
        device = direct_device(folder)
        runner = Runner(device, device.look(case.runtime), asked)
        inspect(runner)
        runner.look_at_reference()
        TimingPasses(runner).carry_out()
        measured = runner.finish()
    return {
        str(stage): [[run.values_ns, codec.encode(run.windows)] for run in chosen(runs) if run.chosen]
        for stage, runs in measured.timing.items()
    }


def run(file: Path, profiles: int, counts: Sequence[int], cases: Sequence[str]) -> None:
    """Add campaigns to the file, in turn."""
    team = reference_kernel.KernelTeam()
    best = {reference_name(count): float(min(team.slowest_ns(count) for _ in range(LOOKS))) for count in (1, 2)}
    team.close()
    shared = environment.is_shared({"virtualisation": environment.virtualisation(Path("/"))})
    for number in range(profiles):
        for count in counts:
            for name in cases:
                with hogs(count):
                    stages = campaign(CASES[name], best)
                with file.open("a", encoding="utf-8") as out:
                    out.write(
                        json.dumps({"case": name, "hogs": count, "best": best, "shared": shared, "stages": stages})
                        + "\n"
                    )
                smallest = min(min(values) for values, _ in stages["inference"])
                print(f"{number + 1}/{profiles}, {count} hogs, {name}: {smallest / 1e6:.3f} ms", file=sys.stderr)


@dataclass(frozen=True)
class Seen:
    """One range of one campaign, in ns; ``remembered``: the second smallest minimum of the campaigns before it."""

    case: str
    hogs: int
    lower_ns: int
    upper_ns: int
    remembered: int | None

    def lower(self, *, recorded: bool) -> int:
        """The lower end, with the device's record or without it."""
        return min(self.lower_ns, self.remembered or self.lower_ns) if recorded else self.lower_ns

    def is_clean(self, *, recorded: bool) -> bool:
        return self.width(recorded=recorded) <= NARROW

    def width(self, *, recorded: bool) -> float:
        return (self.upper_ns - self.lower(recorded=recorded)) / self.upper_ns


def replay(files: Sequence[Path], stage: str) -> list[Seen]:
    """The ranges that the rules give now."""
    found, before = [], defaultdict[str, list[int]](list)
    for line in (line for file in files for line in file.read_text(encoding="utf-8").splitlines()):
        told = json.loads(line)
        processes = [
            ProcessTimes(values, codec.decode(tuple[LoopWindow, ...], windows))
            for values, windows in told["stages"].get(stage, ())
        ]
        if not processes:
            continue
        given = time_range(processes, told["best"], is_shared=told["shared"])
        earlier = sorted(before[told["case"]])
        remembered = earlier[min(1, len(earlier) - 1)] if earlier else None
        found.append(Seen(told["case"], told["hogs"], given.lower_ns, given.upper_ns, remembered))
        before[told["case"]].append(given.upper_ns)
    return found


def show(files: Sequence[Path]) -> None:
    """The tables."""
    print("| stage | cases | hogs | ranges | record | hold the best | median width | clean |")
    print("|---|---|---|---|---|---|---|---|")
    for stage in ("inference", "compile", "first_load", "warm_load"):
        seen = replay(files, stage)
        best = {name: min(one.upper_ns for one in seen if one.case == name) for name in {one.case for one in seen}}
        short = {name for name, ns in best.items() if ns < SHORT_NS and CASES[name].threads == 1}
        groups = [("all", set(best))]
        if stage == "inference":
            groups += [("one thread, below 5 ms", short), ("others", set(best) - short)]
        for title, names in groups:
            for count in sorted({one.hogs for one in seen}):
                some = [one for one in seen if one.hogs == count and one.case in names]
                for recorded in (True, False):
                    row(stage, title, count, some, best, recorded=recorded)


def row(stage: str, title: str, count: int, some: Sequence[Seen], best: dict[str, int], *, recorded: bool) -> None:
    """A line of the table."""
    if not some:
        return
    held = statistics.mean(one.lower(recorded=recorded) <= best[one.case] for one in some)
    width = statistics.median(one.width(recorded=recorded) for one in some)
    clean = statistics.mean(one.is_clean(recorded=recorded) for one in some)
    cells = (stage, title, count, len(some), "yes" if recorded else "no", f"{held:.0%}", f"{width:.1%}", f"{clean:.0%}")
    print("| " + " | ".join(str(cell).replace("%", " %") for cell in cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("file", type=Path)
    runs.add_argument("--profiles", type=int, default=10)
    runs.add_argument("--hogs", type=int, nargs="+", default=[0, 1, 2])
    runs.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    commands.add_parser("show").add_argument("files", type=Path, nargs="+")
    asked = parser.parse_args()
    if asked.command == "run":
        run(asked.file, asked.profiles, asked.hogs, asked.cases)
    else:
        show(asked.files)


if __name__ == "__main__":
    main()
