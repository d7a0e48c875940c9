"""The verify job: two models, or one that is run in two ways, on the same inputs, output by output, in a confined process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic_ns
from typing import Any

from dynolab.connections.base import Connection
from dynolab.connections.local import own_folder
from dynolab.errors import Error, NotFound, SpecInvalid
from dynolab.jobs import _arguments as arguments
from dynolab.jobs import _campaigns as campaigns
from dynolab.jobs import _samples as samples
from dynolab.jobs import _toolchain_jobs as toolchain_jobs
from dynolab.jobs import _verify_child as child
from dynolab.jobs._sources import ModelSource, open_source
from dynolab.jobs._verify_devices import DeviceSide, fed_to
from dynolab.jobs._verify_sides import WantedSide
from dynolab.jobs.base import Context, JobType
from dynolab.spec import codec, input_shapes
from dynolab.spec import options as options_module
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Notice
from dynolab.spec.verifies import Verified, VerifiedSide, VerifySide, VerifySpec
from dynolab.spec.verify_layers import with_times

Devices = tuple[Connection | None, Connection | None]
"""Where A and B run; None: here."""
HERE: Devices = (None, None)
GIVEN = "given"
"""The folder with what models on devices put out."""


class VerifyJob(JobType[VerifySpec, Verified]):
    """Runs both models on this machine, or one or both on devices, and compares here: nothing is measured."""

    name = "verify"

    def validate(self, spec: VerifySpec, *, here: tuple[bool, bool] = (True, True)) -> VerifySpec:
        """With both runtimes named. Raises :class:`SpecInvalid`, :class:`NotFound` and :class:`~dynolab.errors.PluginMissing`."""
        with ExitStack() as stack:
            return _validated(spec, _opened(spec, stack), here)

    def run(self, spec: VerifySpec, context: Context, *, devices: Devices = HERE) -> Verified:
        """The document of what was found."""
        begun_ns = monotonic_ns()
        with ExitStack() as stack, own_folder("verify-") as folder:
            sources = _opened(spec, stack)
            spec = _validated(spec, sources, (devices[0] is None, devices[1] is None))
            unpacked, given = folder / "data", folder / GIVEN
            unpacked.mkdir()
            given.mkdir()
            files = () if spec.data is None else samples.find(spec.data, unpacked)
            names = _names(spec, sources)
            a, b = map(_wanted, (spec.a, spec.b), sources, names)
            order = child.Wanted(
                a=a,
                b=b,
                data_name=None if spec.data is None else spec.data.name,
                data=files,
                samples=spec.samples,
                seed=spec.seed,
                at_least=spec.at_least,
                layers=spec.layers,
                times=spec.times,
                input_shapes=dict(spec.input_shapes),
                input_ranges=dict(spec.input_ranges),
            )
            readable = [
                *(file for source in sources for file in toolchain_jobs.files_of(source)),
                *(Path(file.path) for file in files if file.path is not None),
                unpacked,
                given,
            ]
            asking = _Asking(spec, context, folder, readable, " or ".join(dict.fromkeys(one.name for one in sources)))
            there = _on_devices(spec, devices, context)
            order, notices = _with_devices(order, there, asking) if there else (order, [])
            answer = asking("verify", order)
        found = codec.decode(Verified, answer, "what was found of two models")
        if there:
            found = replace(found, notices=(*found.notices, *notices), time_ns=monotonic_ns() - begun_ns)
        return _with_profiles(found, spec)

    def summary(self, result: Verified) -> dict[str, Any]:
        worst = result.accuracy.worst
        return {
            "verdict": result.verdict.value,
            "psnr_db": None if worst is None else worst.psnr_db,
            "agreement": result.accuracy.agreement,
        }


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks the confined process, each time in a folder of its own."""

    spec: VerifySpec
    context: Context
    folder: Path
    readable: Sequence[Path]
    name: str

    def __call__(self, what: str, order: child.Wanted) -> Any:
        work = self.folder / what
        work.mkdir()
        return toolchain_jobs.ask(
            child.__name__,
            self.name,
            order,
            work,
            toolchain_jobs.Bounds(self.spec.timeout_s, self.spec.memory_limit_bytes),
            f"{self.name} is not verified within {self.spec.timeout_s:g} s",
            readable=self.readable,
            progress=lambda text: self.context.progress({"event": "note", "text": text}),
        )


def _on_devices(spec: VerifySpec, devices: Devices, context: Context) -> list[DeviceSide]:
    """The sides that run on devices."""
    sides = (("A", spec.a, devices[0]), ("B", spec.b, devices[1]))
    return [
        DeviceSide(name, _as_profile(side, spec), Context(device, context.progress, context.asking))
        for name, side, device in sides
        if device is not None
    ]


def _as_profile(side: VerifySide, spec: VerifySpec) -> ProfileSpec:
    return ProfileSpec(
        model=side.model,
        runtime=side.runtime,
        options=side.options,
        input_shapes=dict(spec.input_shapes),
        seed=spec.seed,
        timeout_s=spec.timeout_s,
        memory_limit_bytes=spec.memory_limit_bytes,
    )


def _with_devices(
    order: child.Wanted, there: Sequence[DeviceSide], asking: _Asking
) -> tuple[child.Wanted, list[Notice]]:
    """The order with what the sides on devices gave for its samples."""
    notices: list[Notice] = []
    for side in there:
        described, told = side.described(_side(order, side))
        order, notices = _replaced(order, side, described), [*notices, *told]
    fed, samples_made = codec.decode(child.Fed, asking("samples", order), "the samples"), asking.folder / "samples"
    for side in there:
        place = asking.folder / GIVEN / side.name
        place.mkdir()
        order = _replaced(order, side, side.ran(_side(order, side), fed_to(side.name, fed, samples_made, place), place))
    return order, notices


def _side(order: child.Wanted, side: DeviceSide) -> WantedSide:
    return order.a if side.name == "A" else order.b


def _replaced(order: child.Wanted, side: DeviceSide, wanted: WantedSide) -> child.Wanted:
    return replace(order, a=wanted) if side.name == "A" else replace(order, b=wanted)


def verify_models(spec: VerifySpec, context: Context, devices: Devices = HERE) -> Verified:
    """Verify here, or on devices. Raises a :class:`~dynolab.errors.UserError` that names the side, and what is wrong with it or the data."""
    return plugin.run(spec, context, devices=devices)


@contextmanager
def _naming(side: str) -> Iterator[None]:
    """An error that comes up inside names the side."""
    try:
        yield
    except Error as error:
        error.message = f"{side}: {error.message}"
        raise


def _opened(spec: VerifySpec, stack: ExitStack) -> tuple[ModelSource, ModelSource]:
    with _naming("A"):
        a = stack.enter_context(open_source(spec.a.model))
    with _naming("B"):
        return a, stack.enter_context(open_source(spec.b.model))


def _validated(spec: VerifySpec, sources: tuple[ModelSource, ModelSource], here: tuple[bool, bool]) -> VerifySpec:
    if not 0 < spec.timeout_s < float("inf"):
        raise SpecInvalid(f"--timeout {spec.timeout_s:g}: seconds above 0 are needed")
    if spec.samples is not None and spec.samples < 1:
        raise SpecInvalid(f"--samples {spec.samples}: at least 1 is needed")
    if spec.seed < 0:
        raise SpecInvalid(f"--seed {spec.seed}: 0 or more is needed")
    if spec.data is not None and not spec.data.exists():
        raise NotFound(f"there are no data at {spec.data}", hint=samples.WAY_OUT)
    if spec.data is not None and (spec.input_shapes or spec.input_ranges):
        raise SpecInvalid(
            "--input-shape and --input-range are of random inputs, and data are given", hint="leave one out"
        )
    input_shapes.check_shapes(spec.input_shapes, "--input-shape")
    arguments.check_ranges(spec.input_ranges)
    with _naming("A"):
        a = _with_runtime(spec.a, sources[0], here=here[0])
    with _naming("B"):
        spec = replace(spec, a=a, b=_with_runtime(spec.b, sources[1], here=here[1]))
    sides = {(source.sha256, side.runtime) for source, side in zip(sources, (spec.a, spec.b), strict=True)}
    for one in spec.profiles:
        if (one.model.sha256, one.runtime.name) not in sides:
            raise SpecInvalid(
                f"the profile of {one.model.name} on {one.runtime.name} is neither of A nor of B",
                hint="profile one of them, on the runtime that it is run on here",
            )
    return spec


def _with_profiles(found: Verified, spec: VerifySpec) -> Verified:
    """With what layers take, as saved profiles tell it."""
    for one in spec.profiles:
        for name, side in (("a", found.a), ("b", found.b)):
            if found.layers is not None and (side.sha256, side.runtime) == (one.model.sha256, one.runtime.name):
                found = replace(found, layers=with_times(found.layers, name, one.layers.layers))
    return found


def _with_runtime(side: VerifySide, source: ModelSource, *, here: bool) -> VerifySide:
    wanted = options_module.parse(side.options).runtime
    if wanted is not None and side.runtime not in (None, wanted):
        raise SpecInvalid(f"--runtime {wanted} of the options contradicts the runtime {side.runtime}")
    return replace(side, runtime=campaigns.runtime_for(side.runtime or wanted, source.format, here=here).name)


def _names(spec: VerifySpec, sources: tuple[ModelSource, ModelSource]) -> tuple[str, str]:
    """What both are called; of files of one name in two folders, with these."""
    a, b = (source.name for source in sources)
    folders = [side.model.absolute().parent.name for side in (spec.a, spec.b)]
    if a != b or folders[0] == folders[1]:
        return a, b
    return f"{folders[0]}/{a}", f"{folders[1]}/{b}"


def _wanted(side: VerifySide, source: ModelSource, name: str) -> WantedSide:
    runtime = campaigns.runtime_for(side.runtime, source.format, here=False)
    told = VerifiedSide(
        name, source.format, source.sha256, runtime.name, side.options, runtime.versions(), effective={}
    )
    return WantedSide(str((source.folder / source.entry).resolve()), told)


plugin = VerifyJob()
