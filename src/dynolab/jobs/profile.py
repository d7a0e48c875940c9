"""The profile job: four stages of a model on a device."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dynolab import errors, plugins
from dynolab.connections.base import Connection
from dynolab.jobs import _records as records
from dynolab.jobs._sources import ModelSource, open_source
from dynolab.jobs.base import Context, JobType, Progress
from dynolab.measure import environment, figures
from dynolab.measure.orders import CAMPAIGN_FILE, MEASURED_FILE, Campaign, Measured
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes, read, write
from dynolab.runtimes.base import Runtime
from dynolab.spec import options as options_module
from dynolab.spec import requirements
from dynolab.spec.jobs import DEFAULT_REPEATS, DEFAULT_SEED, ProfileSpec
from dynolab.spec.models import ModelFacts, ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.profiles import Notice, Profile, Request

PREFERRED: Mapping[ModelFormat, str] = {
    ModelFormat.ONNX: "onnxruntime",
    ModelFormat.TFLITE: "litert",
    ModelFormat.OPENVINO_IR: "openvino",
    ModelFormat.TORCHSCRIPT: "torch",
    ModelFormat.EXPORTED_PROGRAM: "torch",
    ModelFormat.NULL: "null",
}
"""The runtime of a format when none is named: the one its makers publish."""


def runtime_for(name: str | None, kind: ModelFormat) -> Runtime:
    """The runtime plug-in for a model, checked to fit and to be installed.

    Raises :class:`~dynolab.errors.NotFound`, :class:`~dynolab.errors.SpecInvalid` or
    :class:`~dynolab.errors.PluginMissing`.
    """
    chosen = name or PREFERRED[kind]
    runtime = plugins.load("dynolab.runtimes", chosen)
    if not isinstance(runtime, Runtime):
        raise errors.Bug(f"the plug-in {chosen} of dynolab.runtimes is no Runtime")
    if kind not in runtime.formats:
        fitting = [other for other in plugins.names("dynolab.runtimes") if _takes(other, kind)]
        raise errors.SpecInvalid(
            f"runtime {chosen} does not run {kind} models (it runs: {', '.join(runtime.formats)})",
            hint=f"runtimes for {kind}: {', '.join(fitting)}",
        )
    reason = runtime.unavailable()
    if reason is not None:
        raise errors.PluginMissing(reason, hint="`dynolab runtimes` lists what is installed")
    return runtime


def _takes(name: str, kind: ModelFormat) -> bool:
    runtime = plugins.load("dynolab.runtimes", name)
    return isinstance(runtime, Runtime) and kind in runtime.formats


class ProfileJob(JobType[ProfileSpec, Profile]):
    """Runs a campaign on the device and makes the profile document of what it measured."""

    name = "profile"

    def validate(self, spec: ProfileSpec) -> ProfileSpec:
        """Options, inputs, limits, requirements, the model's files and its runtime are checked; nothing is run."""
        with open_source(spec.model) as source:
            return self._validate(spec, source)

    def _validate(self, spec: ProfileSpec, source: ModelSource) -> ProfileSpec:
        options_module.parse(spec.options)
        for text in spec.requirements:
            requirements.parse(text)
        for name, path in spec.input_files.items():
            if not Path(path).is_file():
                raise errors.NotFound(f"there is no file {path} for input {name!r}")
        if spec.repeats < 1:
            raise errors.SpecInvalid(f"--repeats {spec.repeats}: at least 1 is needed")
        if spec.timeout_s is not None and spec.timeout_s <= 0:
            raise errors.SpecInvalid(f"--timeout {spec.timeout_s:g}: seconds above 0 are needed")
        if spec.memory_limit_bytes is not None and spec.memory_limit_bytes < MEMORY_LIMIT_MIN_BYTES:
            raise errors.SpecInvalid(
                f"--memory-limit {spec.memory_limit_bytes} bytes: not even an empty worker fits",
                hint=f"at least {MEMORY_LIMIT_MIN_BYTES // 10**6} MB",
            )
        return replace(spec, runtime=runtime_for(spec.runtime, source.format).name)

    def run(self, spec: ProfileSpec, context: Context) -> Profile:
        """Measure on the context's device. Raises what the model or the device failed with."""
        with open_source(spec.model) as source:
            spec = self._validate(spec, source)
            runtime = runtime_for(spec.runtime, source.format)
            device = records.key(environment.device_facts())
            measured = self._measure(spec, source, runtime, context, records.best(device))
        records.remember(device, measured.best)
        if measured.error is not None:
            error = errors.from_dict(measured.error)
            error.details.setdefault("log", measured.log)
            raise error
        known = records.model_key(source.sha256, measured, options_module.parse(spec.options))
        profile = self._profile(spec, source, runtime, measured, records.best(device).get(known))
        if profile.inference.time is not None:
            records.remember(device, {known: profile.inference.time.minimum_ns})
        return profile

    def _measure(
        self, spec: ProfileSpec, source: ModelSource, runtime: Runtime, context: Context, best: dict[str, float]
    ) -> Measured:
        connection = context.connection
        with connection.workspace() as workspace:
            files = tuple(f"{workspace}/model/{file.path}" for file in source.files)
            for file, target in zip(source.files, files, strict=True):
                connection.push(source.folder / file.path, target)
            campaign = Campaign(
                protocol=PROTOCOL_VERSION,
                runtime=runtime.name,
                model=files[0],
                format=source.format,
                files=files,
                options_text=spec.options,
                wishes=self._push_inputs(spec, connection, workspace),
                repeats=spec.repeats,
                seed=spec.seed,
                timeout_s=spec.timeout_s,
                memory_limit_bytes=spec.memory_limit_bytes,
                best=best,
            )
            return _campaign(campaign, connection, workspace, context.progress)

    def _push_inputs(self, spec: ProfileSpec, connection: Connection, workspace: str) -> InputWishes:
        files = {}
        for index, (name, path) in enumerate(spec.input_files.items()):
            files[name] = f"{workspace}/inputs/{index}/{Path(path).name}"
            connection.push(Path(path), files[name])
        return InputWishes(dict(spec.input_shapes), dict(spec.input_ranges), files)

    def _profile(
        self, spec: ProfileSpec, source: ModelSource, runtime: Runtime, measured: Measured, seen_ns: float | None
    ) -> Profile:
        options = options_module.parse(spec.options)
        return figures.profile(
            measured,
            request=_request(spec, runtime.name),
            model=_facts(source, measured),
            row=runtime.row_of(source.format),
            options=options,
            notices=_unused(options, runtime),
            seen_ns=seen_ns,
            version=metadata.version("dynolab"),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def summary(self, result: Profile) -> dict[str, Any]:
        """The headline figures, in nanoseconds and bytes."""
        return {
            "estimated_inference_time_ns": result.inference.time.minimum_ns if result.inference.time else None,
            "verdicts": {stage.name.value: stage.verdict.trust.value for stage in result.stages},
        }


MEMORY_LIMIT_MIN_BYTES = 64 * 10**6
"""Python, numpy and dynolab themselves take about half of this."""


def _campaign(campaign: Campaign, connection: Connection, workspace: str, progress: Progress) -> Measured:
    """Run the supervisor on the device and bring back what it measured."""
    with TemporaryDirectory(prefix="dynolab-") as name:
        folder = Path(name)
        write(campaign, folder / CAMPAIGN_FILE)
        connection.push(folder / CAMPAIGN_FILE, f"{workspace}/{CAMPAIGN_FILE}")
        arguments = [connection.python, "-m", "dynolab.measure.supervisor", workspace]
        code, text = connection.run(arguments, lambda line: progress(json.loads(line)))
        if code:
            raise _supervisor_ended(code, text)
        connection.pull(f"{workspace}/{MEASURED_FILE}", folder / MEASURED_FILE)
        return read(Measured, folder / MEASURED_FILE)


def _supervisor_ended(code: int, log: str) -> errors.Error:
    """The error for a supervisor that ended before it was through; one that was told to end is no bug of ours."""
    number = -code if code < 0 else code - 128  # the supervisor's own way to say SIGTERM, and a shell's of any signal
    if number in (signal.SIGKILL, signal.SIGTERM):
        return errors.DeviceLost(
            f"the supervisor was ended by {signal.Signals(number).name} before it was through: nothing was kept",
            hint="if nobody stopped it, the system may have run out of memory: see `dmesg`; then run it again",
            details={"log": log},
        )
    return errors.Bug(f"the supervisor ended with code {code}", details={"log": log})


def _request(spec: ProfileSpec, runtime: str) -> Request:
    return Request(
        model=spec.model.name,
        runtime=runtime,
        options=spec.options,
        input_shapes=dict(spec.input_shapes),
        input_ranges=dict(spec.input_ranges),
        input_files={name: Path(path).name for name, path in spec.input_files.items()},
        repeats=spec.repeats,
        seed=spec.seed,
        timeout_s=spec.timeout_s,
        memory_limit_bytes=spec.memory_limit_bytes,
        requirements=spec.requirements,
    )


def _facts(source: ModelSource, measured: Measured) -> ModelFacts:
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
    unused = options.unused_by(runtime.option_groups)
    return [
        Notice("warning", "option-without-effect", options_module.without_effect(name, runtime.name)) for name in unused
    ]


def profile(
    model: str | Path,
    *,
    runtime: str | None = None,
    options: str = "",
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    input_ranges: Mapping[str, tuple[float, float]] | None = None,
    input_files: Mapping[str, str | Path] | None = None,
    repeats: int = DEFAULT_REPEATS,
    seed: int = DEFAULT_SEED,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
    requirements: Sequence[str] = (),
    progress: Progress | None = None,
) -> Profile:
    """Profile a model file on this machine: the Python form of ``dynolab profile``.

    ``options`` is text in AI Hub's grammar. ``progress`` receives events (see :data:`dynolab.jobs.base.Progress`).
    Raises :class:`dynolab.errors.UserError` for what cannot work and :class:`dynolab.errors.WorkerError` when the model
    fails; nothing is left behind in either case.
    """
    spec = ProfileSpec(
        model=Path(model),
        runtime=runtime,
        options=options,
        input_shapes={name: tuple(shape) for name, shape in (input_shapes or {}).items()},
        input_ranges=dict(input_ranges or {}),
        input_files={name: Path(path) for name, path in (input_files or {}).items()},
        repeats=repeats,
        seed=seed,
        timeout_s=timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        requirements=tuple(requirements),
    )
    connection = plugins.load("dynolab.connections", "local")
    if not isinstance(connection, Connection):
        raise errors.Bug("the plug-in local of dynolab.connections is no Connection")
    return plugin.run(spec, Context(connection, progress or (lambda _: None)))


plugin = ProfileJob()
