"""Campaigns on a device: what a job sends out, and what it makes of what comes back. What job types share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePosixPath

from dynolab import errors, formats, plugins
from dynolab.connections.base import ModelFiles, Session
from dynolab.jobs import _arguments as arguments
from dynolab.jobs import _records as records
from dynolab.jobs._described import described_here
from dynolab.jobs._sources import ModelSource, check_format, open_source
from dynolab.jobs.base import Context
from dynolab.measure import figures, profiling
from dynolab.measure.campaign_messages import Before, Campaign, Measured
from dynolab.measure.device import Device
from dynolab.measure.orders import ARTIFACT_FOLDER, Survey
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes
from dynolab.runtimes.base import PACKAGE as RUNTIMES
from dynolab.runtimes.base import Runtime, installed_runtimes, runtime_named
from dynolab.spec import options as options_module
from dynolab.spec import requirements, untrusted
from dynolab.spec.holding import Held
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Notice, StageName
from dynolab.spec.models import ModelFacts, ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.profiles import Profile, Request


def runtime_for(name: str | None, kind: ModelFormat, *, here: bool = True) -> Runtime:
    """The runtime plug-in for a model, checked to fit and, where it is to run ``here``, to be installed.

    Raises :class:`~dynolab.errors.NotFound`, :class:`~dynolab.errors.SpecInvalid`,
    :class:`~dynolab.errors.ModelNotSupported` or :class:`~dynolab.errors.PluginMissing`.
    """
    runtime = runtime_named(name or formats.preferred(kind, lambda: _takers(kind)))
    if kind not in runtime.formats:
        raise errors.SpecInvalid(
            f"runtime {runtime.name} does not run {kind} models (it runs: {', '.join(runtime.formats)})",
            hint=f"runtimes for {kind}: {', '.join(_takers(kind)) or 'none'}",
        )
    reason = runtime.unavailable() if here else None
    if reason is not None:
        raise errors.PluginMissing(reason, hint="`dynolab runtimes` lists what is installed")
    return runtime


def _takers(kind: ModelFormat) -> list[str]:
    """The runtimes that take a format."""
    return [one.name for one in installed_runtimes() if one.runtime is not None and kind in one.runtime.formats]


@dataclass(frozen=True, slots=True)
class Batches:
    """What to infer from: for each batch the .npy file of each input; outputs are brought into a folder of this machine."""

    inputs: tuple[Mapping[str, Path], ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class Carried:
    """What a campaign brought back: the profile, if it was to measure; for each batch the .npy file of each output."""

    profile: Profile | None
    outputs: tuple[dict[str, Path], ...]
    measured: Measured


def validate(spec: ProfileSpec, *, measures: bool = True, here: bool = True) -> ProfileSpec:
    """Options, inputs, limits, requirements, the model's files and its runtime are checked; nothing is run.

    ``measures``: whether times and memory are wanted, which not every runtime has. ``here``: whether it is to run on this
    machine; whether another one has the runtime shows there. Raises as :func:`runtime_for` does.
    """
    with open_source(spec.model) as source:
        return validate_for(spec, source, measures=measures, here=here)


def validate_for(spec: ProfileSpec, source: ModelSource, *, measures: bool = True, here: bool = True) -> ProfileSpec:
    """The same of a model that is open already."""
    arguments.check(spec)
    check_format(source, spec.formats)
    options = options_module.parse(spec.options)
    options_module.check_sustained(options, measures=measures)
    wanted = options.runtime
    if wanted is not None and spec.runtime not in (None, wanted):
        raise errors.SpecInvalid(f"--runtime {wanted} of the options contradicts the runtime {spec.runtime}")
    if options.repeats != options_module.Options().repeats and spec.repeats not in (None, options.repeats):
        raise errors.SpecInvalid(f"--repeats {options.repeats} of the options contradicts --repeats {spec.repeats}")
    runtime = runtime_for(spec.runtime or wanted, source.format, here=here)
    if measures and runtime.numbers_only:
        raise errors.ModelNotSupported(
            f"the runtime {runtime.name} measures nothing: {runtime.numbers_only}",
            hint="a device with such an NPU measures it; inference jobs, and `dynolab verify`, have the numbers",
        )
    options_module.check_groups(options, plugins.names(RUNTIMES))
    runtime.own_options(options)
    return replace(spec, runtime=runtime.name)


def carry_out(spec: ProfileSpec, context: Context, *, batches: Batches | None = None, measures: bool = True) -> Carried:
    """Infer and measure, as asked, on the context's device. Raises what the model or the device failed with."""
    with open_source(spec.model) as source:
        spec = validate_for(spec, source, measures=measures, here=context.connection.is_here)
        runtime = runtime_for(spec.runtime, source.format, here=context.connection.is_here)
        measured, outputs, record, of_device = _send(spec, source, runtime, context, batches, measures)
    records.remember(record, measured.own)
    if measured.error is not None:
        error = errors.from_dict(measured.error)
        error.details.setdefault("log", measured.log)
        raise error
    if not measures:
        return Carried(None, outputs, measured)
    known = records.model_key(source.sha256, measured, options_module.parse(spec.options))
    notices = [*_unused(options_module.parse(spec.options), runtime), *of_device]
    profile = _profile(spec, source, measured, notices, records.before(record, known))
    if profile.inference.time is not None:
        records.remember(record, {known: profile.inference.time.minimum_ns})
    return Carried(profile, outputs, measured)


def _send(
    spec: ProfileSpec,
    source: ModelSource,
    runtime: Runtime,
    context: Context,
    batches: Batches | None,
    measures: bool,
) -> tuple[Measured, tuple[dict[str, Path], ...], str, list[Notice]]:
    """What was measured, the outputs that were brought back, the key of the device's record, and what is to be said of the device."""
    what = f"{'profile' if measures else 'inference'} of {source.name}"
    with ExitStack() as stack:
        session, device, survey = stack.enter_context(on_device([runtime.name], context, what))
        hot = cooled(device, context) if measures else []
        describe = None if context.connection.is_here else stack.enter_context(described_here(spec, source, runtime))
        record = records.key(survey)
        campaign = pushed(spec, source, runtime, session, session.workspace, records.best(record))
        campaign = replace(campaign, batches=_push_batches(batches, session), measures=measures)
        measured = profiling.carry_out(device, survey, campaign, describe)
        _pull_artifact(spec, measured, session)
        held = hold(device, context, what)
        outputs = _pull_outputs(measured, batches, session)
        device.close()
        return measured, outputs, record, [*hot, *beside(held)]


def hold(device: Device, context: Context, what: str) -> Held:
    """Have the device for this job, or see who was there meanwhile. Raises :class:`~dynolab.errors.DeviceBusy`."""
    connection = context.connection
    return device.hold(context.asking.claim(what, here=connection.is_here), connection.address)


def cooled(device: Device, context: Context) -> list[Notice]:
    """Wait for a device that is hotter than usual; a warning where it still was."""
    asking = context.asking
    if asking.cool_celsius is None:
        return []
    found = device.cool(asking.cool_celsius, asking.cool_within_s)
    if found.celsius is None or found.celsius <= asking.cool_celsius:
        return []
    text = (
        f"the device was at {found.celsius:.1f} °C when this began, and up to {asking.cool_celsius:.1f} °C is usual: "
        f"it had {found.waited_s:.0f} s to cool down"
    )
    return [Notice("warning", "hot-start", text)]


def beside(held: Held) -> list[Notice]:
    """A warning where somebody else measured on the device, too, or may have."""
    if held.trouble:
        return [Notice("info", "holders-unknown", held.trouble)]
    if not held.others:
        return []
    return [Notice("warning", "measured-beside", f"others measured on this machine at the same time: {held.who}")]


@contextmanager
def on_device(runtimes: Sequence[str], context: Context, what: str) -> Iterator[tuple[Session, Device, Survey]]:
    """A session on the context's device, its executor, and what it is; the runtimes can be used there.

    It is held for ``what`` to the end. Raises :class:`~dynolab.errors.PluginMissing` where the runtimes cannot be used, and
    :class:`~dynolab.errors.DeviceBusy`.
    """

    def tell(text: str) -> None:
        context.progress({"event": "note", "text": text})

    with context.connection.session(runtimes, tell, context.asking.patience_s) as session:
        device = Device(session, context.progress)
        for notice in beside(hold(device, context, what)):
            tell(notice.text)
        surveys = [device.look(runtime) for runtime in runtimes]
        for survey in surveys:
            if survey.unavailable is not None:
                where = "" if context.connection.is_here else f"on {context.connection.address}: "
                raise errors.PluginMissing(f"{where}{survey.unavailable}")
        yield session, device, surveys[0]


def pushed(
    spec: ProfileSpec,
    source: ModelSource,
    runtime: Runtime,
    session: Session,
    folder: str,
    best: dict[str, float],
) -> Campaign:
    """The campaign for a model whose files, and those of its inputs, were brought to the device, below ``folder``."""
    model = ModelFiles(source.folder, tuple(file.path for file in source.files), source.sha256)
    files = session.push_model(model, folder)
    return Campaign(
        protocol=PROTOCOL_VERSION,
        folder=folder,
        runtime=runtime.name,
        model=files[0],
        format=source.format,
        files=files,
        options_text=spec.options,
        wishes=_push_inputs(spec, session, folder),
        repeats=spec.processes,
        seed=spec.seed,
        timeout_s=spec.timeout_s,
        memory_limit_bytes=spec.memory_limit_bytes,
        best=best,
        place=folder.removeprefix(session.workspace).lstrip("/"),
    )


def _push_inputs(spec: ProfileSpec, session: Session, folder: str) -> InputWishes:
    files = {}
    for index, (name, path) in enumerate(spec.input_files.items()):
        files[name] = f"{folder}/inputs/{index}/{Path(path).name}"
        session.push(Path(path), files[name])
    return InputWishes(dict(spec.input_shapes), dict(spec.input_ranges), files)


def _push_batches(batches: Batches | None, session: Session) -> tuple[dict[str, str], ...]:
    pushed = []
    for number, files in enumerate(batches.inputs if batches else ()):
        targets = {name: f"{session.workspace}/batches/{number}/{index}.npy" for index, name in enumerate(files)}
        for name, path in files.items():
            session.push(path, targets[name])
        pushed.append(targets)
    return tuple(pushed)


def _check_inside(path: str, workspace: str) -> None:
    """Raise :class:`Forbidden` for a path that a model's process may have named, outside its job's workspace."""
    if not path.startswith(f"{workspace}/") or ".." in PurePosixPath(path).parts:
        raise errors.Forbidden(f"the device names {path[:200]!r} as a file of the job")


def _pull_outputs(measured: Measured, batches: Batches | None, session: Session) -> tuple[dict[str, Path], ...]:
    pulled = []
    for number, files in enumerate(measured.outputs if batches else ()):
        folder = batches.folder if batches else Path()
        targets = {name: folder / f"output-{number}-{index}.npy" for index, name in enumerate(files)}
        for name, path in files.items():
            _check_inside(path, session.workspace)
            session.pull(path, targets[name])
        pulled.append(targets)
    return tuple(pulled)


def _pull_artifact(spec: ProfileSpec, measured: Measured, session: Session) -> None:
    """Bring what compile made, if that is to be kept. Raises :class:`Forbidden` for a name that leads out of the folder."""
    if spec.artifact is None or measured.error is not None:
        return
    for file in measured.files.get(StageName.COMPILE, ()):
        path = untrusted.relative_path(file.path)
        session.pull(f"{session.workspace}/{ARTIFACT_FOLDER}/{path}", spec.artifact / path)


def _profile(
    spec: ProfileSpec, source: ModelSource, measured: Measured, notices: Sequence[Notice], before: Before | None
) -> Profile:
    runtime, options = runtime_named(str(spec.runtime)), options_module.parse(spec.options)
    return figures.profile(
        measured,
        request=_request(spec, runtime.name),
        model=facts(source, measured),
        row=runtime.row_of(source.format),
        options=options,
        notices=notices,
        before=before,
        version=metadata.version("dynolab"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def summary(profile: Profile) -> dict[str, object]:
    """The headline figures, in nanoseconds and bytes; memory from what only swap could take to all that is resident.

    ``estimated_inference_time_ns`` is the upper end of the time's range; ``inference_time_verdict`` says how far to trust it.
    ``requirements`` counts those that are ``met``, ``not met``, or of which the profile ``cannot tell``.
    """
    peak = profile.inference.memory.peak if profile.inference.memory else None
    time = profile.inference.time
    return {
        "estimated_inference_time_ns": time.minimum_ns if time else None,
        "estimated_inference_time_lower_ns": time.lower_ns if time else None,
        "inference_time_verdict": requirements.trust_of(profile.inference, "time").value if time else None,
        "inference_memory_peak_bytes": [peak.lower, peak.upper] if peak else None,
        "verdicts": {stage.name.value: stage.verdict.trust.value for stage in profile.stages},
        "requirements": dict(Counter(one.outcome.value for one in requirements.decide_all(profile))),
    }


def _request(spec: ProfileSpec, runtime: str) -> Request:
    return Request(
        model=spec.model.name,
        runtime=runtime,
        options=spec.options,
        input_shapes=dict(spec.input_shapes),
        input_ranges=dict(spec.input_ranges),
        input_files={name: Path(path).name for name, path in spec.input_files.items()},
        repeats=spec.processes,
        seed=spec.seed,
        timeout_s=spec.timeout_s,
        memory_limit_bytes=spec.memory_limit_bytes,
        requirements=spec.requirements,
    )


def facts(source: ModelSource, measured: Measured) -> ModelFacts:
    """What the file and the runtime's description of it tell."""
    found = measured.inspection
    if found is None:
        raise errors.Bug("a campaign that ended well left no inspection")
    description = found.description
    return ModelFacts(
        name=source.name,
        format=source.format,
        sha256=source.sha256,
        file_bytes=sum(file.bytes for file in source.files),
        files=source.files,
        parameters=description.parameters,
        parameter_bytes=description.parameter_bytes,
        schema=description.schema,
        precision=description.precision,
        operators=description.operators,
        multiply_accumulates=description.multiply_accumulates,
        producer=description.producer,
        unknown=description.unknown,
    )


def _unused(options: Options, runtime: Runtime) -> list[Notice]:
    """A notice for each option that has no effect on this runtime."""
    unused = options.unused_by(runtime.reads)
    return [
        Notice("warning", "option-without-effect", options_module.without_effect(name, runtime.name)) for name in unused
    ]
