"""Campaigns on a device: what a job sends out, and what it makes of what comes back. What job types share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dynolab import errors, formats, plugins
from dynolab.connections.base import Connection
from dynolab.jobs import _arguments as arguments
from dynolab.jobs import _records as records
from dynolab.jobs._sources import ModelSource, check_format, open_source
from dynolab.jobs.base import Context, Progress
from dynolab.measure import deaths, environment, figures
from dynolab.measure.campaign_messages import (
    ARTIFACT_FOLDER,
    CAMPAIGN_FILE,
    MEASURED_FILE,
    MEASURED_MAX_BYTES,
    Before,
    Campaign,
    Measured,
)
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes, read_untrusted, write
from dynolab.runtimes.base import PACKAGE as RUNTIMES
from dynolab.runtimes.base import Runtime, installed_runtimes, runtime_named
from dynolab.spec import options as options_module
from dynolab.spec import requirements, untrusted
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Notice, StageName
from dynolab.spec.models import ModelFacts, ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.profiles import Profile, Request

T = TypeVar("T")


def runtime_for(name: str | None, kind: ModelFormat) -> Runtime:
    """The runtime plug-in for a model, checked to fit and to be installed.

    Raises :class:`~dynolab.errors.NotFound`, :class:`~dynolab.errors.SpecInvalid`,
    :class:`~dynolab.errors.ModelNotSupported` or :class:`~dynolab.errors.PluginMissing`.
    """
    runtime = runtime_named(name or formats.preferred(kind, lambda: _takers(kind)))
    if kind not in runtime.formats:
        raise errors.SpecInvalid(
            f"runtime {runtime.name} does not run {kind} models (it runs: {', '.join(runtime.formats)})",
            hint=f"runtimes for {kind}: {', '.join(_takers(kind)) or 'none'}",
        )
    reason = runtime.unavailable()
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


def validate(spec: ProfileSpec, *, measures: bool = True) -> ProfileSpec:
    """Options, inputs, limits, requirements, the model's files and its runtime are checked; nothing is run.

    ``measures``: whether times and memory are wanted, which not every runtime has. Raises as :func:`runtime_for` does.
    """
    with open_source(spec.model) as source:
        return validate_for(spec, source, measures=measures)


def validate_for(spec: ProfileSpec, source: ModelSource, *, measures: bool = True) -> ProfileSpec:
    """The same of a model that is open already."""
    arguments.check(spec)
    check_format(source, spec.formats)
    options = options_module.parse(spec.options)
    wanted = options.runtime
    if wanted is not None and spec.runtime not in (None, wanted):
        raise errors.SpecInvalid(f"--runtime {wanted} of the options contradicts the runtime {spec.runtime}")
    if options.repeats != options_module.Options().repeats and spec.repeats not in (None, options.repeats):
        raise errors.SpecInvalid(f"--repeats {options.repeats} of the options contradicts --repeats {spec.repeats}")
    runtime = runtime_for(spec.runtime or wanted, source.format)
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
        spec = validate_for(spec, source, measures=measures)
        runtime = runtime_for(spec.runtime, source.format)
        device = records.key(environment.device_facts())
        measured, outputs = _send(spec, source, runtime, context, records.best(device), batches, measures)
    records.remember(device, measured.own)
    if measured.error is not None:
        error = errors.from_dict(measured.error)
        error.details.setdefault("log", measured.log)
        raise error
    if not measures:
        return Carried(None, outputs)
    known = records.model_key(source.sha256, measured, options_module.parse(spec.options))
    profile = _profile(spec, source, runtime, measured, records.before(device, known))
    if profile.inference.time is not None:
        records.remember(device, {known: profile.inference.time.minimum_ns})
    return Carried(profile, outputs)


def _send(
    spec: ProfileSpec,
    source: ModelSource,
    runtime: Runtime,
    context: Context,
    best: dict[str, float],
    batches: Batches | None,
    measures: bool,
) -> tuple[Measured, tuple[dict[str, Path], ...]]:
    connection = context.connection
    with connection.workspace() as workspace:
        campaign = pushed(spec, source, runtime, connection, workspace, best)
        campaign = replace(campaign, batches=_push_batches(batches, connection, workspace), measures=measures)
        measured = _campaign(campaign, connection, workspace, context.progress)
        _pull_artifact(spec, measured, connection, workspace)
        return measured, _pull_outputs(measured, batches, connection, workspace)


def pushed(
    spec: ProfileSpec,
    source: ModelSource,
    runtime: Runtime,
    connection: Connection,
    place: str,
    best: dict[str, float],
) -> Campaign:
    """The campaign for a model whose files, and those of its inputs, were brought to the device, below ``place``."""
    files = tuple(f"{place}/model/{file.path}" for file in source.files)
    for file, target in zip(source.files, files, strict=True):
        connection.push(source.folder / file.path, target)
    return Campaign(
        protocol=PROTOCOL_VERSION,
        runtime=runtime.name,
        model=files[0],
        format=source.format,
        files=files,
        options_text=spec.options,
        wishes=_push_inputs(spec, connection, place),
        repeats=spec.processes,
        seed=spec.seed,
        timeout_s=spec.timeout_s,
        memory_limit_bytes=spec.memory_limit_bytes,
        best=best,
    )


def _push_inputs(spec: ProfileSpec, connection: Connection, workspace: str) -> InputWishes:
    files = {}
    for index, (name, path) in enumerate(spec.input_files.items()):
        files[name] = f"{workspace}/inputs/{index}/{Path(path).name}"
        connection.push(Path(path), files[name])
    return InputWishes(dict(spec.input_shapes), dict(spec.input_ranges), files)


def _push_batches(batches: Batches | None, connection: Connection, workspace: str) -> tuple[dict[str, str], ...]:
    pushed = []
    for number, files in enumerate(batches.inputs if batches else ()):
        targets = {name: f"{workspace}/batches/{number}/{index}.npy" for index, name in enumerate(files)}
        for name, path in files.items():
            connection.push(path, targets[name])
        pushed.append(targets)
    return tuple(pushed)


def _check_inside(path: str, workspace: str) -> None:
    """Raise :class:`Forbidden` for a path that a model's process may have named, outside its job's workspace."""
    if not path.startswith(f"{workspace}/") or ".." in PurePosixPath(path).parts:
        raise errors.Forbidden(f"the device names {path[:200]!r} as a file of the job")


def _pull_outputs(
    measured: Measured, batches: Batches | None, connection: Connection, workspace: str
) -> tuple[dict[str, Path], ...]:
    pulled = []
    for number, files in enumerate(measured.outputs if batches else ()):
        folder = batches.folder if batches else Path()
        targets = {name: folder / f"output-{number}-{index}.npy" for index, name in enumerate(files)}
        for name, path in files.items():
            _check_inside(path, workspace)
            connection.pull(path, targets[name])
        pulled.append(targets)
    return tuple(pulled)


def _pull_artifact(spec: ProfileSpec, measured: Measured, connection: Connection, workspace: str) -> None:
    """Bring what compile made, if that is to be kept. Raises :class:`Forbidden` for a name that leads out of the folder."""
    if spec.artifact is None or measured.error is not None:
        return
    for file in measured.files.get(StageName.COMPILE, ()):
        path = untrusted.relative_path(file.path)
        connection.pull(f"{workspace}/{ARTIFACT_FOLDER}/{path}", spec.artifact / path)


def _profile(
    spec: ProfileSpec, source: ModelSource, runtime: Runtime, measured: Measured, before: Before | None
) -> Profile:
    options = options_module.parse(spec.options)
    return figures.profile(
        measured,
        request=_request(spec, runtime.name),
        model=facts(source, measured),
        row=runtime.row_of(source.format),
        options=options,
        notices=_unused(options, runtime),
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


def _campaign(campaign: Campaign, connection: Connection, workspace: str, progress: Progress) -> Measured:
    """Run the supervisor on the device and bring back what it measured."""
    names = CAMPAIGN_FILE, MEASURED_FILE
    return exchanged("dynolab.measure.supervisor", campaign, Measured, names, connection, workspace, progress)


def exchanged(
    program: str,
    campaign: object,
    kind: type[T],
    names: tuple[str, str],
    connection: Connection,
    workspace: str,
    progress: Progress,
) -> T:
    """What a program of ours on the device left for a campaign: the documents there and back bear these names.

    The papers for the way there and back lie in a workspace of this machine's own: what a killed command leaves in one is
    swept by the next.
    """
    there, back = names
    with this_machine().workspace() as desk:
        folder = Path(desk)
        write(campaign, folder / there)
        connection.push(folder / there, f"{workspace}/{there}")
        command = [connection.python, "-m", program, workspace]
        unfit: list[Mapping[str, object]] = []

        def follow(line: str) -> None:
            event = json.loads(line)
            if event["event"] == "unfit":
                unfit.append(event["error"])
            else:
                progress(event)

        code, text = connection.run(command, follow)
        if code:
            raise errors.from_dict(unfit[-1]) if unfit else _supervisor_ended(code, text)
        connection.pull(f"{workspace}/{back}", folder / back)
        return read_untrusted(kind, folder / back, inside=folder, most=MEASURED_MAX_BYTES)


def _supervisor_ended(code: int, log: str) -> errors.Error:
    """The error for a supervisor that ended before it was through; one that was told to end is no bug of ours."""
    bug = errors.Bug(f"the supervisor ended with code {code}", details={"log": log})
    return deaths.from_outside(code, "the supervisor", log=log) or bug


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


def this_machine() -> Connection:
    """The connection to the machine that this runs on."""
    connection = plugins.load("dynolab.connections", "local")
    if not isinstance(connection, Connection):
        raise errors.Bug("the plug-in local of dynolab.connections is no Connection")
    return connection
