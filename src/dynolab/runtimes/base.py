"""What a runtime is: the contract that every module in this folder keeps, and that ``dynolab.testing`` checks."""

from __future__ import annotations

import json
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic_ns
from typing import Any, ClassVar, Protocol, TypeVar

from dynolab import plugins
from dynolab.errors import Bug, Error, ModelNotSupported, PluginMissing
from dynolab.runtimes._elements import element_type
from dynolab.runtimes._numpy import Array as Array
from dynolab.runtimes._numpy import np
from dynolab.spec.measurements import ComputeUnit, Layer, Notice, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.option_grammar import KnownOption, OptionValue, typed
from dynolab.spec.options import TABLE, Options, group_of
from dynolab.spec.tensors import TensorSpec

PACKAGE = "dynolab.runtimes"
"""The folder of dynolab's own runtimes, and the group of the entry points of others."""


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
    scratch_dir: Path
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

        It returns when the results are complete: asynchronous devices are fenced inside. Where the library destroys its
        inputs, they are filled in again inside, before the call: the next run needs them, and an app pays for that too.
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
    """A way to run models. Instances are cheap and import nothing: the vendor's library comes in with the first use.

    Each measured thing is a fresh process, which calls in this order:

    ======================== =========================================================================================
    process                  calls
    ======================== =========================================================================================
    list, offer              ``unavailable``, ``versions``: nothing is imported
    inspection               ``import_library``, ``versions``, ``describe`` (shapes: what the user said), then for each try
                             ``load``, ``bind``, the runner once, ``fetch``, ``effective``, ``notices``, ``close``; at last
                             ``describe`` (all shapes bound) and ``compiles``. Here ``load`` comes **before** ``compile``:
                             ``artifact_dir`` is empty, and the model itself is loaded
    compile                  ``import_library``, ``compile``: only where ``compiles`` said so
    first load               ``import_library``, ``load``, ``close``: ``cache_dir`` is empty
    warm load, inference     ``import_library``, ``load``, ``bind`` (outputs known), the runner many times,
                             ``accelerator_memory``, ``effective``, ``close``
    layers                   ``import_library``, ``layers``
    whole process, in memory the same as inference, and the inputs are there before ``import_library``
    inference job            ``import_library``, then for each batch ``bind``, the runner once, ``fetch``; ``load`` before
                             the first, and again where shapes change and ``takes_any_shape`` is False
    ======================== =========================================================================================
    """

    name: ClassVar[str]
    formats: ClassVar[tuple[ModelFormat, ...]]
    distributions: ClassVar[tuple[str, ...]]
    """Names on the package index; the first is the runtime's own, and the one whose absence makes it unavailable."""
    units: ClassVar[tuple[ComputeUnit, ...]]
    """Compute units that this runtime can be asked for on some machine."""
    option_groups: ClassVar[tuple[str, ...]] = ()
    """Options that have an effect here besides the common ones: groups such as ``onnx_options``, and plain ones."""
    options: ClassVar[tuple[KnownOption, ...]] = ()
    """The runtime's own options: people write ``--<name>_options "key=value;..."``, and :meth:`own_options` reads them."""
    row: ClassVar[RuntimeRow]
    """What the stages mean here (measuring.md section 1)."""
    rows: ClassVar[Mapping[ModelFormat, RuntimeRow]] = {}
    """Rows of formats that differ from ``row``."""

    numbers_only: ClassVar[str] = ""
    """Why its times and memory tell nothing of a device; empty: they do. Such a runtime infers, and is never measured."""
    described_by: ClassVar[Mapping[ModelFormat, tuple[str, ...]]] = {}
    """Formats of which :meth:`describe` reads the file with these modules alone, and not with the runtime's library: they are
    described on the machine that asks, and a device need not have the modules."""
    cached_values: ClassVar[bool] = True
    """Whether a model out of ``cache_dir`` gives the values of one that was just compiled; else an inference job caches nothing."""

    def __init_subclass__(cls, *, is_base: bool = False, **more: Any) -> None:
        """Check a runtime's class as it is made; ``is_base``: it is what several runtimes share, and leaves something open.

        Raises :class:`~dynolab.errors.PluginMissing`, naming the distribution and what is missing or wrong.
        """
        super().__init_subclass__(**more)
        if not is_base:
            _check_class(cls)

    def own_options(self, options: Options) -> dict[str, OptionValue | None]:
        """The values of :attr:`options`, by name: what was given, else the default. Raises SpecInvalid for what does not fit."""
        group = group_of(self.name)
        return typed(group, self.options, options.group(group)) if self.options else {}

    @property
    def reads(self) -> tuple[str, ...]:
        """Every group and option that has an effect here besides the common ones."""
        return (*self.option_groups, *([group_of(self.name)] if self.options else ()))

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


def _check_class(made: type[Runtime]) -> None:
    missing = [name for name in ("name", "formats", "distributions", "units", "row") if not hasattr(made, name)]
    missing += [name for name in sorted(Runtime.__abstractmethods__) if getattr(made, name) is getattr(Runtime, name)]
    wrong = [] if missing else [name for name, fits in _fits(made) if not fits]
    if not missing and not wrong:
        return
    owner = plugins.owner_of_module(PACKAGE, made.__module__) or made.__module__
    told = f"lacks {', '.join(missing)}" if missing else f"has no usable {wrong[0]}: {getattr(made, wrong[0])!r}"
    raise PluginMissing(
        f"the runtime class {made.__qualname__} of {owner} {told}",
        hint="docs/runtimes.md has a whole runtime to compare with; a class that others build on says is_base=True",
    )


def _fits(made: type[Runtime]) -> Iterator[tuple[str, bool]]:
    """Whether what every runtime has to tell of itself is of the right kind."""

    def all_are(kind: type, value: object) -> bool:
        return isinstance(value, tuple) and bool(value) and all(isinstance(one, kind) for one in value)

    yield "name", all_are(str, (made.name,)) and made.name.isidentifier() and made.name == made.name.lower()
    yield "formats", all_are(ModelFormat, made.formats)
    yield "distributions", all_are(str, made.distributions)
    yield "units", all_are(ComputeUnit, made.units)
    yield "row", isinstance(made.row, RuntimeRow)
    yield "options", not made.options or (all_are(KnownOption, made.options) and group_of(made.name) not in TABLE.keys)


def runtime_named(name: str) -> Runtime:
    """The runtime plug-in of a name.

    Raises :class:`~dynolab.errors.NotFound`, and :class:`~dynolab.errors.PluginMissing` for one of an outside distribution
    that cannot be used.
    """
    found = plugins.load(PACKAGE, name)
    if isinstance(found, Runtime) and found.name == name:
        return found
    told = (
        f"calls itself {found.name!r}" if isinstance(found, Runtime) else f"is no Runtime, but {type(found).__name__}"
    )
    owner = plugins.owner(PACKAGE, name)
    if owner is None:
        raise Bug(f"the plug-in {name} of {PACKAGE} {told}")
    raise PluginMissing(
        f"the runtime {name!r} of {owner} {told}",
        hint=f"its entry point names an object of a class built on dynolab.runtimes.base.Runtime, called {name!r} as well",
    )


@dataclass(frozen=True, slots=True)
class Installed:
    """A runtime that is installed, as it tells of itself; ``runtime`` None: it is broken, and ``unavailable`` says how."""

    name: str
    runtime: Runtime | None
    versions: Mapping[str, str]
    unavailable: str | None


def loaded_runtimes() -> list[Installed]:
    """The same, each library tried once in a process of its own: what does not load here is unavailable, with the reason."""

    def tried(one: Installed) -> Installed:
        if one.unavailable is not None or one.runtime is None:
            return one
        return replace(one, unavailable=why_not_loaded(one.runtime))

    return [tried(one) for one in installed_runtimes()]


def why_not_loaded(runtime: Runtime) -> str | None:
    """Why the library of an installed runtime does not load here, in words; None: it does. That it does is remembered."""
    from dynolab.runtimes import _loading  # needed once in a while

    return _loading.why_not(runtime.name, runtime.versions())


def installed_runtimes() -> list[Installed]:
    """Every runtime, whether or not it can be used; one that is broken keeps none of the others from being told."""
    ours = [name for name in plugins.names(PACKAGE) if plugins.is_own(PACKAGE, name)]
    hidden = plugins.unreachable(PACKAGE, ours)
    why = "another runtime has its name; it needs one of its own"
    return [
        *(_installed(name) for name in plugins.names(PACKAGE)),
        *(Installed(f"{name} of {owner}", None, {}, why) for name, owner in hidden),
    ]


def _installed(name: str) -> Installed:
    try:
        runtime = runtime_named(name)
    except Error as error:
        return Installed(name, None, {}, error.message + (f" ({error.hint})" if error.hint else ""))
    if type(runtime).__module__.startswith(f"{__package__}."):
        return Installed(name, runtime, runtime.versions(), runtime.unavailable())
    try:
        return Installed(name, runtime, runtime.versions(), runtime.unavailable())
    except Exception as error:  # noqa: BLE001 - a stranger's code: whatever it raises is told of it alone
        owner = plugins.owner(PACKAGE, name)
        return Installed(name, None, {}, f"the runtime {name!r} of {owner} fails: {type(error).__name__}: {error}")


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
    if "archive_info" in origin:  # from a hub: an index need not have it
        return pip_command(f"dynolab[{extra}] @ {origin['url']}")
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
