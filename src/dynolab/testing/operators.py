"""ONNX's operator models through dynolab's doors, and what comes of each: right, refused with a reason, or a fault.

Run as ``python -m dynolab.testing.operators RUNTIME``: folders of cases come in on stdin, a line each, and verdicts go out.
Many cases share a process, as imports take longer than cases do; one that dies costs a process.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dynolab import errors
from dynolab.measure.inputs import make
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes, Inspection, Measure, RunKind, RunRequest, RunResult
from dynolab.measure.worker import Run
from dynolab.runtimes._elements import plain
from dynolab.runtimes.base import Array
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import ELEMENT_BYTES
from dynolab.testing.operator_cases import Case, read

OPTIONS = {"openvino": '--openvino_options "inference_precision=f32"'}
"""Values are compared with exact ones: a CPU that has bfloat16 is kept from using it."""
CHANCE = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Dropout",
}
"""Operators that draw their outputs: what is compared is their type and shape."""
OWN = ("the same values", "other values")
"""What the runtime's own library makes of a case where it is wrong itself; ``other values`` are another mistake each time."""
BARE, DOOR, OURS = "--bare", "door", "ours-{}.npy"
_TWO_STEPS = 2**-6
"""How far values of bfloat16 may be apart, as the package itself has it: two units in the last place."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one case: ``right``, ``refused``, ``differs``, ``crash`` or ``fault``; the door that it was at, and why."""

    case: str
    outcome: str
    door: str = ""
    reason: str = ""
    named: bool = False
    """Whether a refusal's reason names an operator, an element type or an input of the model."""
    bare: str = ""
    """What the runtime's own library makes of a case that is not right: ``right``, ``the same values``, ``other values``, ``refused`` or ``died``."""


class Doors:
    """One case through all that a profile and an inference job ask of the measuring worker, in this process."""

    def __init__(self, case: Case, runtime: str, folder: Path) -> None:
        self.case, self.runtime, self.folder = case, runtime, folder
        self.door = ""
        self.inspection: Inspection | None = None
        for name in ("artifact", "cache"):
            (folder / name).mkdir()

    def ask(self, kind: RunKind, measure: Measure = Measure.NOTHING, **changes: Any) -> RunResult:
        """The result of one run. Raises whatever the run does."""
        return self.run(kind, kind, measure=measure, **changes).carry_out()

    def run(self, door: str, kind: RunKind, **changes: Any) -> Run:
        """A run to be carried out at a door."""
        self.door = door
        (self.case.folder / DOOR).write_text(door, encoding="utf-8")  # for whoever finds this process dead
        found, place = self.inspection, self.folder / door
        place.mkdir()
        request = RunRequest(
            protocol=PROTOCOL_VERSION,
            kind=kind,
            measure=Measure.NOTHING,
            runtime=self.runtime,
            model=str(self.case.model),
            format=ModelFormat.ONNX,
            artifact_dir=str(self.folder / "artifact"),
            cache_dir=str(self.folder / "cache"),
            options_text=OPTIONS.get(self.runtime, ""),
            seed=1,
            inputs=found.inputs if found else (),
            outputs=found.outputs if found else (),
            iterations=2,
            time_limit_ns=10**9,
        )
        return Run(place, replace(request, **changes))

    def all(self) -> dict[str, Array]:
        """The outputs for the case's own inputs, after every other door was tried. Raises what stands in the way."""
        files = {name: str(self.case.folder / file) for name, file in self.case.inputs.items() if file}
        self.inspection = self.ask(RunKind.INSPECT, wishes=InputWishes(files=files)).inspection
        assert self.inspection is not None
        if self.inspection.compiles:
            self.ask(RunKind.COMPILE, Measure.TIME)
        self.ask(RunKind.INFERENCE, Measure.TIME)
        outputs = self.ask(RunKind.INFER, batches=(files,)).outputs[0]
        layers = self.ask(RunKind.LAYERS, Measure.TIME).layer_pass
        assert layers is not None
        assert layers.layers or layers.reason
        return {name: np.load(file) for name, file in outputs.items()}

    def bound(self) -> dict[str, Array]:
        """The outputs as the timed loop has them: in memory that was given to the runtime, where it takes any."""
        run = self.run("bound", RunKind.INFERENCE)
        (run.folder / "cache").mkdir()
        session = run.runtime.load(run.target(cache_dir=run.folder / "cache"))
        session.bind(make(run.request.inputs, run.request.seed), {spec.name: spec for spec in run.request.outputs})
        session.runner()()
        outputs = {name: plain(array) for name, array in session.fetch().items()}
        session.close()
        return outputs


def judge(case: Case, runtime: str) -> Verdict:
    """What comes of a case. Errors that are no dynolab error are faults, and end this process."""
    with tempfile.TemporaryDirectory() as folder:
        doors = Doors(case, runtime, Path(folder))
        try:
            outputs, bound = doors.all(), doors.bound()
        except errors.Error as error:
            outcome = "refused" if error.exit_code == 2 else "fault"
            reason = f"{error.code}: {error.message}"
            return Verdict(case.name, outcome, doors.door, reason, named=named(error.message, case))
        assert doors.inspection is not None
        kinds = {spec.name: spec.dtype for spec in doors.inspection.outputs}
    gap = difference(case, outputs, kinds) or difference(case, bound, kinds)
    if not gap:
        return Verdict(case.name, "right")
    for index, array in enumerate(outputs.values()):
        np.save(case.folder / OURS.format(index), array)
    return Verdict(case.name, "differs", "values", gap)


def difference(case: Case, outputs: Mapping[str, Array], kinds: Mapping[str, str] | None = None) -> str:
    """Where the outputs are not the expected ones, in words; empty where they are."""
    for name, expected in case.outputs.items():
        if expected is None:
            continue
        kind, file = expected
        if name not in outputs:
            return f"output {name!r} is missing"
        if kinds is not None and kinds[name] != kind:
            return f"output {name!r} is {kinds[name]}, expected was {kind}"
        right, found = np.load(case.folder / file), outputs[name]
        if right.shape != found.shape:
            return f"output {name!r} has shape {list(found.shape)}, expected was {list(right.shape)}"
        if not CHANCE & operators(case) and not same(
            right, found, _TWO_STEPS if kind == "bfloat16" else case.rtol, case.atol
        ):
            return f"output {name!r} has other values"
    return ""


def same(right: Array, found: Array, rtol: float, atol: float) -> bool:
    """Whether values agree as the package's own tests ask."""
    if right.dtype.kind in "OSTU":
        return bool(np.array_equal(right.astype(np.str_), found.astype(np.str_)))
    wide = np.complex128 if right.dtype.kind == "c" else np.float64
    return bool(np.allclose(found.astype(wide), right.astype(wide), rtol=rtol, atol=atol, equal_nan=True))


def operators(case: Case) -> set[str]:
    """The operators of a case's model, those of inner graphs and functions too."""
    import onnx

    model = onnx.load(str(case.model))
    return set(_operators([*model.graph.node, *(node for one in model.functions for node in one.node)]))


def _operators(nodes: Any) -> Iterator[str]:
    for node in nodes:
        yield node.op_type
        for attribute in node.attribute:
            for graph in [attribute.g, *attribute.graphs]:
                yield from _operators(graph.node)


_KINDS = {*ELEMENT_BYTES, "string", "map"}
_NO_TENSORS = re.compile("sequence|optional|sparse", re.IGNORECASE)


def named(reason: str, case: Case) -> bool:
    """Whether a reason names an operator (one that the model's are made of, too), an input, or a type."""
    from onnx import defs

    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", reason))
    known = {schema.name for schema in defs.get_all_schemas()}
    parts = set(re.findall(r"\b([A-Z]\w+)[(-]\d", reason)) & known  # with its version, as in Add(14) and Conv-16
    parts |= {name for name in words & known if sum(map(str.isupper, name)) > 1}
    inside = any(re.search(rf"(?<![a-z]){name}(?![a-z])", reason, re.IGNORECASE) for name in operators(case))
    return inside or bool(_NO_TENSORS.search(reason)) or bool(parts or words & (case.inputs.keys() | _KINDS))


def bare(case: Case, runtime: str) -> Verdict:
    """What the runtime's own library makes of a case."""
    from dynolab.testing import bare as runners

    if None in case.inputs.values():
        return Verdict(case.name, "", bare="not asked")  # of tensors alone it has nothing to say
    try:
        outputs = runners.RUNNERS[runtime](case)
    except runners.failures(runtime) as error:
        return Verdict(case.name, "", reason=str(error), bare="refused")
    ours = [np.load(path) for path in sorted(case.folder.glob(OURS.format("*")))]
    if not difference(case, outputs):
        outcome = "right"
    elif ours and all(same(one, other, 0, 0) for one, other in zip(ours, outputs.values(), strict=True)):
        outcome = "the same values"
    else:
        outcome = "other values"
    return Verdict(case.name, "", bare=outcome)


@contextmanager
def _verdicts() -> Iterator[Any]:
    """A way out for verdicts; what libraries print goes to the log."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        yield out


def main(runtime: str, judged: Callable[[Case, str], Verdict]) -> None:
    """Judge the cases whose folders come in, until there are no more."""
    with _verdicts() as out:
        for line in sys.stdin:
            found = judged(read(Path(line.strip())), runtime)
            out.write(json.dumps(asdict(found)) + "\n")
            out.flush()


if __name__ == "__main__":
    main(sys.argv[1], bare if BARE in sys.argv else judge)
