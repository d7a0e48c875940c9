"""What a runtime does, seen from inside its process: ``python -m dynolab.testing.runtime_probe FOLDER`` for the contract suite.

Reads ``request.json`` there, as a worker does, and leaves ``probed.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.measure import inputs as inputs_module
from dynolab.measure.protocol import REQUEST_FILE, RunRequest, read
from dynolab.measure.worker import Run
from dynolab.runtimes.base import Array, Runtime, Session, Target

T = TypeVar("T")
PROBED_FILE = "probed.json"
RUNS = 5
"""Runs on inputs that were bound once."""
SEEDS = 4
"""Seeds that are tried until the outputs differ from the first."""
DEPTH = 2
"""How far below the runner's callable calls are looked at: further down they are the library's own business."""


@dataclass(slots=True)
class Probed:
    """What was seen. Outputs by name, where there are some."""

    input_files: list[dict[str, str]] = field(default_factory=list)
    """For each of two choices of inputs the .npy file of each."""
    output_files: list[dict[str, str]] = field(default_factory=list)
    changed_later: list[str] = field(default_factory=list)
    """Outputs of the last of :data:`RUNS` runs that differ from those of the first, though nothing was bound anew."""
    same_for_seeds: bool = False
    """Whether every output is the same for all inputs that were tried."""
    zero: bool = False
    """Whether every output is zero, for all inputs."""
    early: bool = False
    """Whether outputs were there once inputs were bound, before anything was run."""
    inferred_in_load: list[str] = field(default_factory=list)
    """What an inference calls, and the load called as well."""
    layer_iterations: int | None = None
    """Iterations of three that the layer pass tells of; None: the runtime tells of no layers."""
    layer_runs: int = 0
    """Iterations of three that the layer pass ran through its watch."""


def main(folder: Path) -> None:
    """Look, and leave what was seen; what is risky comes last, once the rest is written."""
    run = Run(folder, read(RunRequest, folder / REQUEST_FILE))
    probed, target = Probed(), run.target()
    run.runtime.import_library()
    _look_at_runs(probed, run, target, folder)
    _write(probed, folder)
    _look_at_layers(probed, run.runtime, target, inputs_module.make(run.request.inputs, run.request.seed))
    _write(probed, folder)


def _others(run: Run) -> Iterator[dict[str, Array]]:
    """Inputs that differ from the first: of other seeds, then all at one value; a classifier may see the same in much noise."""
    plans = run.request.inputs
    yield from (inputs_module.make(plans, run.request.seed + more) for more in range(1, SEEDS))
    for end in ("low", "high"):
        fixed = [replace(plan, low=getattr(plan, end), high=getattr(plan, end)) for plan in plans]
        yield inputs_module.make(fixed, run.request.seed)


def _look_at_runs(probed: Probed, run: Run, target: Target, folder: Path) -> None:
    given = inputs_module.make(run.request.inputs, run.request.seed)
    with _called(DEPTH_OF_LOAD) as in_load, _session_calls() as of_ours:
        session = run.runtime.load(target)
    bound = {spec.name: spec for spec in run.request.outputs}
    with _called(DEPTH_OF_LOAD) as in_bind:
        session.bind(given, bound)
    runner = session.runner()
    with _called(DEPTH) as in_run:
        runner()
    first = _fetched(session)
    for _ in range(RUNS - 1):
        runner()
    last = _fetched(session)
    probed.changed_later = [name for name in first if not _same(first[name], last[name])]
    probed.inferred_in_load = sorted({*of_ours, *((in_run - in_bind) & in_load)})
    others, second = given, first
    for others in _others(run):
        session.bind(others, bound)
        early: dict[str, Array] = {}
        with suppress(Exception):  # before a run there need not be anything to fetch
            early = _fetched(session)
        session.runner()()
        second = _fetched(session)
        probed.same_for_seeds = all(_same(first[name], second[name]) for name in first)
        probed.early = (
            not probed.same_for_seeds and bool(early) and all(_same(early[name], second[name]) for name in second)
        )
        if not probed.same_for_seeds:
            break
    both = (given, first), (others, second)
    probed.input_files = [_saved(folder, f"input{at}", each) for at, (each, _) in enumerate(both)]
    probed.output_files = [_saved(folder, f"output{at}", each) for at, (_, each) in enumerate(both)]
    probed.zero = not any(np.any(each) for _, found in both for each in found.values() if each.dtype.kind != "U")
    session.close()


class _Counting:
    """A watch that counts what is run through it."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, run: Callable[[], T]) -> T:
        self.runs += 1
        return run()

    def close(self) -> None:
        return None


def _look_at_layers(probed: Probed, runtime: Runtime, target: Target, arrays: Mapping[str, Array]) -> None:
    watch = _Counting()
    with suppress(ModelNotSupported):
        probed.layer_iterations = sum(bool(one) for one in runtime.layers(target, arrays, 3, watch).iterations)
    probed.layer_runs = watch.runs


DEPTH_OF_LOAD = 50
"""A load may go through many functions before it infers."""


@contextmanager
def _called(depth: int) -> Iterator[set[str]]:
    """The functions that are called meanwhile, down to some depth; not those of Python's own library, of numpy and of ours."""
    found: set[str] = set()
    level = 0

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal level
        if event == "call":
            level += 1
            if level <= depth:
                found.add(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}")
        elif event == "return":
            level -= 1
        elif event == "c_call" and level < depth:
            found.add(f"{getattr(argument, '__module__', None)}.{getattr(argument, '__qualname__', argument)}")

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)
        found -= {name for name in found if _is_common(name)}


def _is_common(name: str) -> bool:
    root = name.partition(".")[0]
    return root in ("None", "numpy", *sys.stdlib_module_names) or name.startswith(f"{__package__}.")


@contextmanager
def _session_calls() -> Iterator[set[str]]:
    """Methods of sessions that are called meanwhile and belong to an inference."""
    found: set[str] = set()
    kept = [(one, name, vars(one)[name]) for one in _sessions() for name in ("bind", "runner") if name in vars(one)]

    def noted(owner: type, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            found.add(f"{owner.__module__}.{owner.__qualname__}.{name}")
            return method(*arguments, **more)

        return call

    for owner, name, method in kept:
        setattr(owner, name, noted(owner, name, method))
    try:
        yield found
    finally:
        for owner, name, method in kept:
            setattr(owner, name, method)


def _sessions() -> list[type[Session]]:
    """Every class of sessions that is there, however far from the first."""
    found: list[type[Session]] = Session.__subclasses__()
    for one in found:
        found.extend(one.__subclasses__())
    return found


def _fetched(session: Session) -> dict[str, Array]:
    return {name: np.array(array) for name, array in session.fetch().items()}


def _same(one: Array, other: Array) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")


def _saved(folder: Path, what: str, arrays: Mapping[str, Array]) -> dict[str, str]:
    from dynolab.runtimes._elements import plain

    files = {name: str(folder / f"{what}-{at}.npy") for at, name in enumerate(arrays)}
    for name, file in files.items():
        np.save(file, plain(arrays[name]))
    return files


def _write(probed: Probed, folder: Path) -> None:
    (folder / PROBED_FILE).write_text(json.dumps(asdict(probed)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
