"""What a runtime is: the contract that every module in this folder keeps, and that ``dynolab.testing`` checks."""

from __future__ import annotations

import json
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dynolab.errors import Bug, ModelNotSupported
from dynolab.runtimes._elements import element_type
from dynolab.spec.measurements import ComputeUnit, Layer, Notice, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.tensors import TensorSpec

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What to compile or load: the files, the folders that the runtime may write to, options and bound input shapes.

    ``shapes`` holds every input's whole shape, all dimensions bound (for :meth:`Runtime.describe`: what is known so far).
    ``artifact_dir`` is empty until :meth:`Runtime.compile` filled it; a load uses the artifact where the runtime's way
    of loading can, and the model itself otherwise. ``cache_dir`` belongs to the runtime's own caches: empty at a first
    load, left in place for a warm one.
    """

    model: Path
    format: ModelFormat
    artifact_dir: Path
    cache_dir: Path
    options: Options
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    effective: Mapping[str, str] = field(default_factory=dict)
    """What the session of an earlier load told of itself, so that no measured one has to find it out; empty in the first."""


@dataclass(frozen=True, slots=True)
class LayerRecording:
    """What a layer pass recorded: the layers of each iteration that was watched, in order, and the clock's step.

    An iteration that cannot be used is empty. ``overlaps_ns`` tells for each how much time counts more than once in its layers,
    because they ran side by side; empty where none did.
    """

    iterations: Sequence[Sequence[Layer]]
    resolution_ns: int | None
    note: str | None = None
    overlaps_ns: Sequence[int] = ()


T = TypeVar("T")


class Watch(Protocol):
    """Looks at what disturbs the iterations of a layer pass, between them."""

    def __call__(self, run: Callable[[], T]) -> T:
        """What one recorded iteration returns; every one of them is run through here, and nothing else is."""

    def close(self) -> None:
        """Told before anything but the next iteration happens: what comes now disturbs none."""


class Unwatched:
    """A :class:`Watch` that looks at nothing."""

    def __call__(self, run: Callable[[], T]) -> T:
        return run()

    def close(self) -> None:
        return None


UNWATCHED = Unwatched()
LAYER_WARM_UP_RUNS = 10
"""Runs before a layer pass records: arenas, caches and lazily packed weights are there by then."""
LAYER_WARM_UP_NS = 1_000_000_000
"""Time after which no further of them is begun."""


def warm_up_layers(run: Callable[[], object]) -> int:
    """Run without being watched, within bounds; how many runs that were, at least one."""
    end, done = monotonic_ns() + LAYER_WARM_UP_NS, 0
    while done < LAYER_WARM_UP_RUNS and (not done or monotonic_ns() < end):
        run()
        done += 1
    return done


class Session(ABC):
    """A loaded model, ready to infer. ``inputs`` and ``outputs`` are its tensors, in the runtime's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    takes_any_shape: ClassVar[bool] = False
    """Whether :meth:`bind` takes inputs of other shapes than the load was told; else each shape is a load."""
    bound_output_bytes: int = 0
    """Outputs that :meth:`bind` allocated, and touched: they are input and output memory, and no part of a stage's."""

    @abstractmethod
    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        """Fix the inputs, and where outputs go, once for all runs. All allocation that binding needs happens here.

        ``outputs`` are bound specs known from an earlier run (empty in the very first); a runtime that can write into
        given memory allocates them now.
        """

    @abstractmethod
    def runner(self) -> Callable[[], object]:
        """One inference on the bound tensors, as a callable without arguments that does nothing else.

        It returns when the results are complete: asynchronous devices are fenced inside.
        """

    @abstractmethod
    def fetch(self) -> dict[str, Array]:
        """The outputs of the last run, by name."""

    @abstractmethod
    def effective(self) -> dict[str, str]:
        """Threads, precision, optimisation level, providers: what is in effect, as the runtime itself reports it."""

    def notices(self) -> tuple[Notice, ...]:
        """What a reader would not expect, such as outputs that :meth:`fetch` leaves out; asked after a run."""
        return ()

    def accelerator_memory(self) -> dict[str, int]:
        """Bytes held on accelerators now, under the runtime's own keys; empty on a CPU."""
        return {}

    def close(self) -> None:
        """Give everything back."""
        return None


class Runtime(ABC):
    """A way to run models. Instances are cheap and import nothing: the vendor's library comes in with the first use."""

    name: ClassVar[str]
    formats: ClassVar[tuple[ModelFormat, ...]]
    distributions: ClassVar[tuple[str, ...]]
    """Names on the package index; the first is the runtime's own, and the one whose absence makes it unavailable."""
    units: ClassVar[tuple[ComputeUnit, ...]]
    """Compute units that this runtime can be asked for on some machine."""
    option_groups: ClassVar[tuple[str, ...]] = ()
    """Options that have an effect here besides the common ones: groups such as ``onnx_options``, and plain ones."""
    row: ClassVar[RuntimeRow]
    """What the stages mean here (measuring.md section 1)."""
    rows: ClassVar[Mapping[ModelFormat, RuntimeRow]] = {}
    """Rows of formats that differ from ``row``."""

    numbers_only: ClassVar[str] = ""
    """Why its times and memory tell nothing of a device; empty: they do. Such a runtime infers, and is never measured."""
    cached_values: ClassVar[bool] = True
    """Whether a model out of ``cache_dir`` gives the values of one that was just compiled; else an inference job caches nothing."""

    def row_of(self, kind: ModelFormat) -> RuntimeRow:
        """The row that holds for one format."""
        return self.rows.get(kind, self.row)

    def unavailable(self) -> str | None:
        """Why the runtime cannot be used here (with the way out), or None. Imports nothing."""
        vendor = self.distributions[0]
        if installed_version(vendor) is not None:
            return None
        ours = type(self).__module__.startswith(f"{__package__}.")  # else of an outside distribution: no extra has it
        return f"{vendor} is not installed: {install_command(self.name) if ours else pip_command(vendor)}"

    def versions(self) -> dict[str, str]:
        """Version of each distribution that is installed, by name."""
        found = {name: installed_version(name) for name in self.distributions}
        return {name: version for name, version in found.items() if version is not None}

    @abstractmethod
    def import_library(self) -> None:
        """Import the vendor's library: nothing that a later stage needs may be left to import."""

    @abstractmethod
    def describe(self, target: Target) -> Description:
        """Inputs and outputs as declared, and the facts the file tells. Raises ModelInvalid or ModelNotSupported."""

    @abstractmethod
    def load(self, target: Target) -> Session:
        """A session that is ready to infer; no inference is run here.

        Raises :class:`~dynolab.errors.LoadFailed`, or :class:`~dynolab.errors.ModelNotSupported` naming the operator
        or unit that this runtime lacks. A compute unit that was asked for and is not here is an error, never a
        fallback.
        """

    def compiles(self, target: Target) -> bool:
        """Whether there is anything to compile for this target on the device."""
        return self.row_of(target.format).artifact is not None

    def compile(self, target: Target) -> None:
        """Write the on-device artifact into ``target.artifact_dir`` and release the compiler.

        Raises :class:`~dynolab.errors.PluginMissing` when a tool that it needs is not on the device: the stage is then
        unmeasured, with that reason.
        """
        raise Bug(f"runtime {self.name} compiles nothing for {target.format}, and was asked to")

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        """Time and compute unit of every layer in each of ``iterations`` runs through ``watch``, after a warm-up of its own."""
        raise ModelNotSupported(f"runtime {self.name} does not tell the time of single layers")


def install_command(extra: str) -> str:
    """The command that installs one of dynolab's extras for the interpreter in use; from its checkout where it runs in one."""
    from importlib import metadata  # as below
    from urllib.parse import unquote, urlsplit

    try:
        origin = json.loads(metadata.distribution("dynolab").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        origin = {}
    if origin.get("dir_info", {}).get("editable"):
        return pip_command("-e", f"{unquote(urlsplit(origin['url']).path)}[{extra}]")
    return pip_command(f"dynolab[{extra}]")


def pip_command(*wanted: str) -> str:
    """The command that installs distributions for the interpreter in use."""
    return shlex.join([sys.executable, "-m", "pip", "install", *wanted])


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    from importlib import metadata  # a tenth of a worker's imports: only where it is needed

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_units(options: Options, offered: Sequence[ComputeUnit], runtime: str) -> tuple[ComputeUnit, ...]:
    """The requested units in order; an unnamed request is everything offered.

    Raises :class:`ModelNotSupported` when a unit that was named is not offered here: it is an error, not a fallback.
    """
    if not options.compute_units:
        return tuple(offered)
    for unit in options.compute_units:
        if unit not in offered:
            raise ModelNotSupported(
                f"runtime {runtime} has no {unit} on this machine (it offers: {', '.join(offered)})",
                hint=f"--compute_unit {offered[0].lower()}, or another runtime: see `dynolab runtimes`",
            )
    return options.compute_units


def zeros(spec: TensorSpec) -> Array:
    """A zeroed array of a bound spec, all of it in memory: what is first touched in a run would count as the run's."""
    array = np.empty(spec.sizes, dtype=element_type(spec.dtype))
    array.fill(0)
    return array
