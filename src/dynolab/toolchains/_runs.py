"""One run of a model file by dynolab's own runtimes, and what a file says of itself: for the comparison, not for figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dynolab.errors import Error
from dynolab.runtimes.base import Runtime, Target, runtime_named
from dynolab.spec.compiles import Side
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import parse
from dynolab.toolchains.base import Array


def outputs_of(
    runtime: str, model: Path, kind: ModelFormat, inputs: Mapping[str, Array], scratch: Path, options: str = ""
) -> dict[str, Array]:
    """The outputs by name, in the model's order. Raises what the runtime raises."""
    plugin, target = _target(runtime, model, kind, {name: one.shape for name, one in inputs.items()}, scratch, options)
    plugin.import_library()
    session = plugin.load(target)
    session.bind(inputs, {})
    session.runner()()
    found = {name: array.copy() for name, array in session.fetch().items()}
    session.close()
    return found


def load(runtime: str, model: Path, kind: ModelFormat, scratch: Path) -> None:
    """Raise what the runtime raises where it does not load the model."""
    plugin, target = _target(runtime, model, kind, {}, scratch, "")
    plugin.import_library()
    plugin.load(target).close()


def side(runtime: str, model: Path, kind: ModelFormat, size: int, scratch: Path) -> Side:
    """What a model's files say of it; of a file that the runtime cannot describe without being told shapes, its size alone."""
    plugin, target = _target(runtime, model, kind, {}, scratch, "")
    try:
        told = plugin.describe(target)
    except Error:  # of facts beside the answer nothing depends
        return Side(kind, size)
    return Side(kind, size, told.operators, told.parameters, told.precision, told.schema)


def _target(
    runtime: str, model: Path, kind: ModelFormat, shapes: Mapping[str, tuple[int, ...]], scratch: Path, options: str
) -> tuple[Runtime, Target]:
    plugin = runtime_named(runtime)
    artifact, cache = scratch / f"{runtime}-artifact", scratch / f"{runtime}-cache"
    own = scratch / f"{runtime}-scratch"
    for place in (artifact, cache, own):
        place.mkdir(exist_ok=True)
    return plugin, Target(model, kind, artifact, cache, parse(options), own, dict(shapes))


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
