"""What a profile costs in processor time, all its processes together: a figure that others on the machine touch less than wall time.

python tests/benchmarks/profile_cpu.py [MODEL ...] [--pairs 15] [--against FOLDER] [--arguments TEXT]

``--against``: another checkout (``git worktree add FOLDER COMMIT``), whose profiles are made in turns with this one's, by the same interpreter and
libraries. The sources of both are copied and compiled first, as pip does. One repeat is made, so that the number of processes does not
depend on how noisy the machine is; a profile whose layer pass was tried again for that is made anew. Below the figures stand the memory ranges and the
fastest load of either side: medians over the profiles.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from pairs import interleave

HERE = Path(__file__).parents[2]
STAGES = ("first_load", "warm_load", "inference")


@dataclass
class Side:
    """A checkout's sources, compiled, and what its profiles told."""

    folder: Path
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, checkout: Path, folder: Path) -> Side:
        """A compiled copy."""
        shutil.copytree(checkout / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(folder, quiet=1)
        return cls(folder)

    def cpu_s(self, model: Path, arguments: list[str]) -> float:
        """Of one profile, processes that it started included."""
        while (found := self._once(model, arguments)) is None:
            pass
        return found

    def _once(self, model: Path, arguments: list[str]) -> float | None:
        """None: one of its passes was tried again."""
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "-m", "dynolab.cli.main", "profile", str(model), "-o", name, *arguments]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            told = subprocess.run(
                command,
                check=True,
                env={**os.environ, "PYTHONPATH": str(self.folder)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ).stderr
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if "(try 2" in told:
                return None
            self._note(json.loads(Path(name, "profile.json").read_text(encoding="utf-8")))
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def _note(self, document: dict[str, Any]) -> None:
        for stage in STAGES:
            for what in ("peak", "increase"):
                for end in ("lower", "upper"):
                    self.figures[f"{stage} {what} {end}, MB"].append(document[stage]["memory"][what][end] / 1e6)
        for end in ("lower", "upper"):
            self.figures[f"process_total peak {end}, MB"].append(document["process_total"]["peak"][end] / 1e6)
        for stage in STAGES:
            self.figures[f"{stage} time, ms"].append(document[stage]["time"]["minimum_ns"] / 1e6)


def measure(model: Path, sides: list[Side], pairs: int, arguments: list[str]) -> None:
    """Print the table of one model."""
    runs = [partial(side.cpu_s, model, arguments) for side in sides]
    seen: list[list[float]] = [[], []]

    def kept(number: int) -> float:
        seen[number].append(runs[number]())
        return seen[number][-1]

    ratios, *_ = interleave(lambda: kept(0), lambda: kept(1), pairs)
    print(f"| {model.name}: CPU time, this / other | {ratios} |")
    for title, values in zip(("this", "other"), seen, strict=True):
        print(f"| {title} | minimum {min(values):.3f} s, median {median(values):.3f} s |")
    for name, values in sides[0].figures.items():
        others = sides[1].figures[name]
        here, there = (f"{median(one):.3f} ({min(one):.3f} - {max(one):.3f})" for one in (values, others))
        print(f"| {name} | {here} | {there} |")
    for side in sides:
        side.figures.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--against", type=Path, default=HERE)
    parser.add_argument("--arguments", default="--repeats 1", help="of `dynolab profile`")
    asked = parser.parse_args()
    if not (asked.against / "src" / "dynolab").is_dir():
        parser.error(f"--against {asked.against}: there is no src/dynolab below it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # workers are somebody else where this is root
        nothing = folder / "nothing.null"
        nothing.write_text("{}", encoding="utf-8")
        sides = [Side.of(tree, folder / str(number)) for number, tree in enumerate((HERE, asked.against))]
        for model in asked.models or [nothing]:
            measure(model, sides, asked.pairs, shlex.split(asked.arguments))


if __name__ == "__main__":
    main()
