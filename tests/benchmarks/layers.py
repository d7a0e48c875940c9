"""How far the layer pass stands a CPU hog: its heaviest layers and their shares, quiet and beside one.

    .venv/bin/python tests/benchmarks/layers.py MODEL [--runtime onnxruntime] [--profiles 10] [--hogs 1]

A profile is a layer pass as a campaign makes it, tries included. The quiet passes come first, and count together; each of the
others stands for itself. It prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pairs import hogs

from dynolab.measure import layer_table, layer_times, layer_tries
from dynolab.measure.protocol import LayerPass, Measure, RunKind
from dynolab.measure.readings import reference_kernel
from dynolab.measure.time_range import reference_name
from dynolab.spec.compare_layers import STEPS_FOR_RATIO
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import LayerTable
from dynolab.testing.harness import Harness

TOP = 5
QUIET_PASSES = 3
LOOKS = 200
"""At the reference kernel, before the first pass: the device's best is not on record here."""


class Campaign:
    """As much of a campaign's runner as the layer pass asks for."""

    is_parallel = (os.cpu_count() or 1) > 1
    """As the runtimes run a model by default."""

    def __init__(self, harness: Harness, fastest_ns: int, best: Mapping[str, float]) -> None:
        self._harness = harness
        self.fastest_ns = fastest_ns
        self.options = SimpleNamespace(compute_units=())
        self.measured = SimpleNamespace(best=best)
        self.found = LayerPass()
        self.tries = 0

    def make_warm(self) -> None:
        self.tries += 1

    def request(self, kind: RunKind, measure: Measure, **changes: Any) -> tuple[RunKind, Measure, dict[str, Any]]:
        return kind, measure, changes

    def spawn(self, request: tuple[RunKind, Measure, dict[str, Any]]) -> Any:
        kind, measure, changes = request
        return self._harness.run(kind, measure, **changes)

    def note(self, layer_pass: LayerPass) -> None:
        self.found = layer_pass


def one_profile(harness: Harness, fastest_ns: int, best: Mapping[str, float]) -> tuple[LayerPass, int]:
    """A layer pass, and how many processes it took."""
    campaign = Campaign(harness, fastest_ns, best)
    with redirect_stdout(StringIO()):
        layer_tries.carry_out(campaign)  # type: ignore[arg-type] # as much of a Runner as is needed
    return campaign.found, campaign.tries


def shares(table: LayerTable) -> dict[tuple[str, str], float]:
    """Share of the time by name and type."""
    whole = table.total_ns or 1
    return {(layer.name, layer.type): layer.time_ns / whole for layer in table.layers}


def heaviest(found: dict[tuple[str, str], float]) -> list[tuple[str, str]]:
    return sorted(found, key=lambda key: -found[key])[:TOP]


def excess(found: dict[tuple[str, str], float], quiet: LayerTable) -> float:
    """The largest share over the quiet one, of layers that are long enough for a ratio."""
    step = quiet.resolution_ns or 1
    base = shares(quiet)
    long = [(layer.name, layer.type) for layer in quiet.layers if layer.time_ns >= STEPS_FOR_RATIO * step]
    worst = max(long, key=lambda key: found[key] / base[key])
    return found[worst] / base[worst]


def row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--profiles", type=int, default=10)
    parser.add_argument("--hogs", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kind = ModelFormat.TFLITE if asked.model.suffix == ".tflite" else ModelFormat.ONNX
        made = Harness(Path(folder), asked.model.resolve(), kind, asked.runtime)
        made.inspect()
        if asked.runtime == "onnxruntime":
            made.good(RunKind.COMPILE)
        timed = made.good(RunKind.INFERENCE, Measure.TIME, iterations=50).stages[StageName.INFERENCE]
        fastest_ns = min(timed.values_ns)
        team = reference_kernel.KernelTeam()
        best = {reference_name(count): min(team.slowest_ns(count) for _ in range(LOOKS)) for count in (1, 2)}
        team.close()
        quiet = layer_table.table(
            layer_times.together([one_profile(made, fastest_ns, best)[0] for _ in range(QUIET_PASSES)]), fastest_ns
        )
        top = heaviest(shares(quiet))
        print(
            row(
                [
                    "pass",
                    "processes",
                    "calm iterations",
                    "overhead",
                    f"of the {TOP} heaviest",
                    "largest share over quiet",
                ]
            )
        )
        print(row(["---"] * 6))
        print(
            row(
                [
                    "quiet",
                    QUIET_PASSES,
                    f"{quiet.calm_iterations} of {quiet.iterations}",
                    f"{quiet.overhead:.0%}",
                    TOP,
                    1,
                ]
            )
        )
        same = within = 0
        with hogs(asked.hogs):
            for number in range(1, asked.profiles + 1):
                found, tries = one_profile(made, fastest_ns, best)
                table = layer_table.table(found, fastest_ns)
                kept, most = len({*top} & {*heaviest(shares(table))}), excess(shares(table), quiet)
                same, within = same + (kept == TOP), within + (most <= 2)
                calm = f"{table.calm_iterations} of {table.iterations}"
                print(row([number, tries, calm, f"{table.overhead:.0%}", kept, f"{most:.2f}"]), flush=True)
    print(f"\nThe same {TOP} in {same} of {asked.profiles}; no layer above twice its quiet share in {within}.")


if __name__ == "__main__":
    main()
