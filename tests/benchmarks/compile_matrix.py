"""Every model compiled for every target: what comes out, and what it costs beside its source. Writes docs/compile-matrix.md.

python tests/benchmarks/compile_matrix.py MODEL... --kept out/matrix [--shape MODEL:NAME=1,3,224,224] [--measure onnx] [--page docs/compile-matrix.md]

A cell is `dynolab compile`; of targets to --measure also `dynolab profile` of source and compiled model, and of ONNX to ONNX a duet of
`dynolab compare`. What is in the folder already is not made again.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynolab import plugins
from dynolab.spec.show import show_bytes, show_time
from dynolab.toolchains.base import PACKAGE, toolchain_named

COMMAND = [sys.executable, "-m", "dynolab.cli.main"]
CHIPSET = "v73"
TITLES = ("numbers", "operators", "size", "compile")
MEASURED = ("load", "inference", "inference, A (source) against B")
"""Of targets that were asked to be measured: least times of a profile of each, and the answer of a duet."""
PROFILE = "--max_profiler_iterations 100 --max_profiler_time 1 --repeats 1"
BUDGET_S = 20
REASON_MOST = 160


@dataclass(frozen=True)
class Cell:
    """A model for a target: what `dynolab compile` said, or why it did not; and what both cost."""

    model: Path
    target: str
    folder: Path
    made: dict[str, Any] | None
    reason: str

    @property
    def artifact(self) -> Path:
        assert self.made is not None
        return self.folder / "made" / str(self.made["entry"])


def run(arguments: Sequence[str], timeout_s: float) -> tuple[dict[str, Any] | None, str]:
    """The JSON that a command prints, or the last of what it said."""
    try:
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return None, f"not done within {timeout_s:g} s"
    try:
        return json.loads(done.stdout), ""
    except ValueError:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        return None, said[-1].removeprefix("error: ") if said else f"exit {done.returncode}"


def kept(path: Path, make: Callable[[], tuple[dict[str, Any] | None, str]]) -> tuple[dict[str, Any] | None, str]:
    """What was found before, else what is found now."""
    if not path.exists():
        found, reason = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"found": found, "reason": reason}))
    document = json.loads(path.read_text())
    return document["found"], document["reason"]


def compiled(model: Path, target: str, folder: Path, shapes: Sequence[str]) -> Cell:
    place = folder / f"{model.name}-{target}"
    command = ["compile", str(model), "--options", f"--target_runtime {target}", "-o", str(place / "made"), "--json"]
    command += [word for one in shapes for word in ("--input-specs", one)]
    if toolchain_named(target).for_chipset:
        command += ["--chipset", CHIPSET]
    made, reason = kept(place / "compile.json", lambda: run(command, 900))
    return Cell(model, target, place, made, reason)


def sized(shapes: Sequence[str]) -> list[str]:
    """The same shapes as options of `dynolab profile` and `compare`, which take no element types."""
    return [word for one in shapes for word in ("--input-shape", one.partition(":")[0])]


def profiled(model: Path, path: Path, shapes: Sequence[str] = ()) -> tuple[dict[str, Any] | None, str]:
    return kept(
        path, lambda: run(["profile", str(model), "--options", PROFILE, *sized(shapes), "--format", "json"], 900)
    )


def dueled(cell: Cell, shapes: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
    stages = ["--stage", "inference", "--stage", "warm_load"]
    command = [
        "compare",
        str(cell.model),
        str(cell.artifact),
        "--json",
        "--budget",
        str(BUDGET_S),
        *stages,
        *sized(shapes),
    ]
    return kept(cell.folder / "compare.json", lambda: run(command, 900))


def minimum(profile: dict[str, Any] | None, stage: str) -> int | None:
    """A stage's time in a profile's document, in nanoseconds."""
    time = ((profile or {}).get(stage) or {}).get("time")
    return None if time is None else int(time["minimum_ns"])


def numbers(cell: Cell) -> str:
    """How the compiled model's numbers stand to its source's, at its worst output."""
    assert cell.made is not None
    checks = [one for one in cell.made["checks"] if one["max_abs_error"] is not None]
    if not checks:
        return "not compared"
    worst = [one["psnr_db"] for one in checks if one["psnr_db"] is not None]
    return f"{min(worst):.0f} dB" if worst else "="


def told_numbers(cell: Cell) -> str:
    """The same, with the reason where there is none."""
    found = numbers(cell)
    return found if found != "not compared" or cell.made is None else f"not compared: {cell.made['check_reason']}"


def change(before: int | None, after: int | None, show: Callable[[int], str]) -> str:
    if before is None or after is None:
        return show(after) if after is not None else "–"
    return show(after) if before == after else f"{show(before)} → {show(after)}"


def row(cell: Cell, folder: Path, shapes: Sequence[str], *, measured: bool) -> list[str]:
    if cell.made is None:
        return [cell.reason, *[""] * (len(TITLES) + (len(MEASURED) if measured else 0) - 1)]
    source, made = cell.made["source"], cell.made["compiled"]
    found = [
        told_numbers(cell),
        change(source["operators"], made["operators"], str),
        change(source["file_bytes"], made["file_bytes"], show_bytes),
        show_time(cell.made["time_ns"]),
    ]
    if not measured:
        return found
    before, _ = profiled(cell.model, folder / "sources" / f"{cell.model.name}.json", shapes)
    after, reason = profiled(cell.artifact, cell.folder / "profile.json")
    times = [change(minimum(before, stage), minimum(after, stage), show_time) for stage in ("warm_load", "inference")]
    same = cell.target == "onnx" and source["format"] == "onnx"
    verdict = answer(*dueled(cell, shapes)) if same else ""
    return [*found, *times, verdict or reason]


def answer(duet: dict[str, Any] | None, reason: str) -> str:
    """What the duet decided of the inference."""
    if duet is None:
        return reason
    return next(str(one["sentence"]) for one in duet["stages"] if one["name"] == "inference")


def cut(text: str) -> str:
    """As a cell of a table holds it."""
    short = text.replace("|", "/").replace("\n", " ")
    return short if len(short) <= REASON_MOST else f"{short[:REASON_MOST]} …"


def page(cells: Sequence[Cell], folder: Path, shapes: Mapping[str, Sequence[str]], *, measured: Collection[str]) -> str:
    """The document."""
    targets = list(dict.fromkeys(one.target for one in cells))
    by_model: dict[str, dict[str, Cell]] = {}
    for one in cells:
        by_model.setdefault(one.model.name, {})[one.target] = one
    lines = [
        "# What compiles, and what it costs",
        "",
        f"Made by `tests/benchmarks/compile_matrix.py` on {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, two shared cores.",
        f"QNN targets are built for Hexagon {CHIPSET} and compared on Qualcomm's simulator. **=**: the same numbers, bit by bit;",
        "dB: PSNR of the worst output against the source; **–**: refused, with the reason below. Before → after: source and compiled model,",
        "each in its own runtime; times are the least of a profile, on a machine that others use too.",
        "",
        "| model | " + " | ".join(f"`{one}`" for one in targets) + " |",
        "|---|" + "---|" * len(targets),
    ]
    for name, row_cells in by_model.items():
        told = ["–" if one.made is None else numbers(one) for one in row_cells.values()]
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    for target in targets:
        wanted = target in measured
        titles = [*TITLES, *(MEASURED if wanted else ())]
        lines += ["", f"## {target}", "", "| model | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
        unmade = dict[str, list[str]]()
        for name, row_cells in by_model.items():
            cell = row_cells[target]
            if cell.made is None and " is not made from " in cell.reason:
                unmade.setdefault(cell.reason.rpartition(" ")[2], []).append(name)
                continue
            found = row(cell, folder, shapes.get(name, ()), measured=wanted)
            lines.append(f"| {name} | " + " | ".join(cut(one) for one in found) + " |")
        if unmade:
            lines += ["", f"It is not made from {' or '.join(sorted(unmade))}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--kept", type=Path, required=True, help="where what is found lies")
    parser.add_argument("--measure", action="append", default=[], metavar="TARGET", help="profile and compare as well")
    parser.add_argument("--page", type=Path, help="write the document here; default: standard output")
    parser.add_argument(
        "--shape", action="append", default=[], metavar="MODEL:NAME=1,3,224,224[:TYPE]", help="of one input"
    )
    asked = parser.parse_args()
    shapes: dict[str, list[str]] = {}
    for one in asked.shape:
        name, _, text = one.partition(":")
        shapes.setdefault(name, []).append(text)
    cells = []
    for model in asked.models:
        for target in sorted(plugins.names(PACKAGE)):
            cells.append(compiled(model, target, asked.kept, shapes.get(model.name, ())))
            one = cells[-1]
            print(f"{model.name} {target}: {one.reason or numbers(one)}", file=sys.stderr, flush=True)
    found = page(cells, asked.kept, shapes, measured=asked.measure)
    if asked.page is None:
        sys.stdout.write(found)
    else:
        asked.page.write_text(found)


if __name__ == "__main__":
    main()
