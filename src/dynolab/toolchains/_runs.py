"""One run of a model file by dynolab's own runtimes, and what a file says of itself: for the comparison, not for figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

from dynolab.errors import Error
from dynolab.runtimes.base import Runtime, Session, Target, runtime_named
from dynolab.spec.compiles import Side
from dynolab.spec.measurements import Layer
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.options import parse
from dynolab.toolchains.base import Array


def outputs_of(
    runtime: str, model: Path, kind: ModelFormat, inputs: Mapping[str, Array], scratch: Path, options: str = ""
) -> dict[str, Array]:
    """The outputs by name, in the model's order. Raises what the runtime raises."""
    running = Running(runtime, model, kind, scratch, options)
    found = running(inputs)
    running.close()
    return found


class Running:
    """A model that stays loaded: its outputs by name, in its order, for one sample after the other."""

    def __init__(self, runtime: str, model: Path, kind: ModelFormat, scratch: Path, options: str = "") -> None:
        """``scratch``: of this one alone. Nothing is loaded before the first sample, which tells the shapes."""
        self._plugin, self._target = _target(runtime, model, kind, {}, scratch, options)
        self._plugin.import_library()
        self._session: Session | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}

    def describe(self, shapes: Mapping[str, tuple[int, ...]]) -> Description:
        """Inputs and outputs as the file declares them; ``shapes`` are for files that record none. Raises what the runtime raises."""
        return self._plugin.describe(replace(self._target, shapes=dict(shapes)))

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Raises what the runtime raises."""
        shapes = {name: one.shape for name, one in inputs.items()}
        if self._session is None or (shapes != self._shapes and not self._session.takes_any_shape):
            self.close()
            self._session, self._shapes = self._plugin.load(replace(self._target, shapes=shapes)), shapes
        self._session.bind(inputs, {})
        self._session.runner()()
        return {name: array.copy() for name, array in self._session.fetch().items()}

    def layers(self, inputs: Mapping[str, Array], iterations: int) -> list[Layer]:
        """What each layer takes, the median over the iterations. Raises what the runtime raises."""
        shapes = {name: one.shape for name, one in inputs.items()}
        target = replace(self._target, shapes=shapes, effective=self.effective())
        times: dict[tuple[str, int], list[Layer]] = {}
        for row in self._plugin.layers(target, inputs, iterations).iterations:
            counts: Counter[str] = Counter()
            for layer in row:
                times.setdefault((layer.name, counts[layer.name]), []).append(layer)
                counts[layer.name] += 1
        return [replace(every[0], time_ns=int(median(one.time_ns for one in every))) for every in times.values()]

    def effective(self) -> dict[str, str]:
        """What is in effect, as the runtime tells it; asked after a run."""
        return {} if self._session is None else self._session.effective()

    def close(self) -> None:
        """Give everything back."""
        if self._session is not None:
            self._session.close()
        self._session = None


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
