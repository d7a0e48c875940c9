"""``dynolab profile``: four stages of a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dynolab.cli import _device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dynolab.client.inference_jobs import InferenceJob
    from dynolab.jobs.base import Asking
    from dynolab.spec.jobs import ProfileSpec
    from dynolab.spec.profiles import Profile

T = TypeVar("T")


@click.command("profile")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-r", "--runtime", "runtimes", multiple=True, help="Runtime; may be repeated. Default: the format's own.")
@click.option("--options", default="", help='Options in AI Hub\'s grammar, such as "--max_profiler_iterations 500".')
@click.option("--input-shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of one input.")
@click.option("--input-range", "ranges", multiple=True, metavar="NAME=LOW,HIGH", help="Range of random values.")
@click.option("--input-file", "files", multiple=True, metavar="NAME=FILE.npy", help="Values of one input.")
@click.option(
    "--device",
    metavar="ADDRESS|NAME",
    help="Where: at an address such as ssh://pi@board, or a device of the hub that `dynolab login` knows. Default: here (local).",
)
@click.option(
    "--inputs", help="With --device: an .h5 file of AI Hub's form, or a dataset's id; the first batch is measured."
)
@click.option(
    "--project", metavar="ORGANISATION.PROJECT", help="With a hub's device: see `dynolab submit profile --help`."
)
@click.option("--repeats", type=int, show_default="3", help="Fresh processes for each load and memory pass.")
@click.option(
    "--sustained", metavar="10m", help="Then infer for so long without a pause: does the device keep its pace?"
)
@click.option("--seed", type=int, default=20250, show_default=True, help="Seed of the random inputs.")
@click.option("--timeout", type=float, metavar="SECONDS", help="End the measurement after this long.")
@click.option("--memory-limit", metavar="SIZE", help="Bound of a worker's memory, such as 512MB.")
@click.option(
    "--wait",
    metavar="30m",
    help="Wait at most so long until nobody else measures there. Default: 15s for a device at an address.",
)
@click.option(
    "--require", "requirements", multiple=True, metavar='"FIGURE <= VALUE"', help="Decide; exit 1 unless met."
)
@click.option("--require-sandbox", is_flag=True, help="Refuse where nothing confines the model.")
@click.option("--keep-artifact", is_flag=True, help="With -o: keep what compile makes, too, in its folder artifact.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder for profile.json, report.html and others."
)
@click.option(
    "--format", "form", default="text", show_default=True, help="What is printed: see `dynolab report --help`."
)
def command(
    model: Path,
    runtimes: tuple[str, ...],
    options: str,
    shapes: tuple[str, ...],
    ranges: tuple[str, ...],
    files: tuple[str, ...],
    device: str | None,
    inputs: str | None,
    project: str | None,
    repeats: int | None,
    sustained: str | None,
    seed: int,
    timeout: float | None,
    memory_limit: str | None,
    wait: str | None,
    requirements: tuple[str, ...],
    require_sandbox: bool,
    keep_artifact: bool,
    output: Path | None,
    form: str,
) -> int:
    """Profile MODEL on this machine: time and memory of compile, first load, warm load and inference.

    \b
    MODEL is an .onnx, .ort, .tflite, OpenVINO .xml, TorchScript .pt, exported .pt2, ExecuTorch .pte, MNN .mnn or ncnn .param file, or a folder or
    zip with one.
    \b
    dynolab profile model.onnx
    dynolab profile model.onnx -r onnxruntime -r openvino -o out
    dynolab profile model.tflite --require "estimated_inference_time <= 33 ms"
    """  # noqa: D301 - click wants the backspace character itself
    import shlex

    from dynolab.cli import _output, _parse
    from dynolab.connections.base import is_address
    from dynolab.errors import SpecInvalid
    from dynolab.jobs.base import Asking
    from dynolab.spec import input_shapes
    from dynolab.spec.jobs import ProfileSpec

    spec = ProfileSpec(
        model=model,
        options=" ".join(
            filter(None, [options, f"--sustained {shlex.quote(sustained)}" if sustained is not None else ""])
        ),
        input_shapes=input_shapes.parse_shapes(shapes, "--input-shape"),
        input_ranges=_parse.ranges(ranges),
        input_files=_parse.files(files),
        repeats=repeats,
        seed=seed,
        timeout_s=timeout,
        memory_limit_bytes=_parse.size(memory_limit) if memory_limit else None,
        requirements=requirements,
    )
    _output.check(output, form)
    if keep_artifact and output is None:
        raise SpecInvalid("--keep-artifact needs -o", hint="name the folder that it is to be kept in")
    kept = output if keep_artifact else None
    twice = [name for name in set(runtimes) if runtimes.count(name) > 1]
    if twice:
        raise SpecInvalid(f"-r {twice[0]} is given twice", hint="name each runtime once")
    at_hub = device is not None and not _device.is_here(device) and not is_address(device)
    if require_sandbox and at_hub:
        raise SpecInvalid(
            f"--require-sandbox and --device {device}, a hub's device, are given",
            hint="a device says by its attribute sandbox:NAME what it confines models with: see dynolab devices",
        )
    if device is not None and at_hub:
        if wait is not None:
            raise SpecInvalid("--wait and a hub's device are given", hint="there, jobs wait in the hub's queue")
        profiles, failed = _at_hub(spec, device, inputs, runtimes or (None,), kept, project=project)
    elif project is not None:
        raise SpecInvalid("--project needs --device, and a hub's device", hint="leave it out: only a hub has projects")
    elif inputs is not None:
        raise SpecInvalid(
            "--inputs needs --device, and a hub's device",
            hint="here, --input-file NAME=FILE.npy gives the values of one input",
        )
    else:
        _device.check(device, require_sandbox=require_sandbox)
        asking = Asking(wait_s=_parse.wait(wait))
        profiles, failed = _measure(spec, runtimes or (None,), kept, device, asking, require_sandbox=require_sandbox)
    if profiles:
        _output.show(profiles, form)
        if output is not None:
            _output.write(profiles, output, form)
    met = _output.decide(profiles, form)
    return 2 if failed else int(not met)


def _at_hub(
    spec: ProfileSpec,
    device: str,
    inputs: str | None,
    runtimes: tuple[str | None, ...],
    kept: Path | None,
    *,
    project: str | None,
) -> tuple[list[Profile], bool]:
    """Profiles of jobs at the hub, one for each runtime: the same measurement, on one of its devices."""
    from dynolab.cli import _hub
    from dynolab.client.devices import Device
    from dynolab.errors import SpecInvalid
    from dynolab.spec import input_shapes, requirements
    from dynolab.spec.jobs import ProfileSpec

    taken = ProfileSpec(
        model=spec.model,
        options=spec.options,
        repeats=spec.repeats,
        input_shapes=spec.input_shapes,
        input_files=spec.input_files,
        requirements=spec.requirements,
    )
    if spec != taken:
        raise SpecInvalid(
            "--device takes -r, --options, --repeats, --input-shape, --inputs, --input-file, --require and --keep-artifact: "
            "seed, limits and ranges are the device's own",
            hint="without --device, on that machine, all of them can be given",
        )
    if spec.input_files and inputs is not None:
        raise SpecInvalid("--inputs and --input-file are given", hint="one of them")
    for text in spec.requirements:
        requirements.parse(text)
    input_shapes.check_shapes(spec.input_shapes, "--input-shape")
    if spec.input_shapes and (spec.input_files or inputs is not None):
        raise SpecInvalid("--input-shape and values of inputs are given", hint="the values have a shape of their own")
    batch = _batch(spec)
    with _hub.client_in(project) as client:
        wanted = Device(device)
        asked = [_options(spec, runtime) for runtime in runtimes]
        for options in asked:
            client.check_device(wanted, options, spec.model)
        data = None if inputs is None else _hub.dataset(client, inputs)
        model = client.upload_model(spec.model)
        if batch:
            data = client.upload_dataset(batch)
        more: dict[str, Any] = {
            "requirements": spec.requirements,
            "keep_artifact": kept is not None,
            "input_shapes": spec.input_shapes,
        }
        jobs = [client.submit_inference_job(model, wanted, data, options=options, **more) for options in asked]
        for job in jobs:
            click.echo(f"job {job.job_id}: {job.url}", err=True)

        def measured(job: InferenceJob) -> Profile:
            profile = job.measured()
            if kept is not None:
                _unpack(job, _artifact(kept, profile.runtime.name, runtimes))
            return profile

        return _each(jobs, measured, [str(runtime) for runtime in runtimes])


def _artifact(output: Path, runtime: str, runtimes: tuple[str | None, ...]) -> Path:
    """Where what compile makes is kept: beside the runtime's reports."""
    return (output if len(runtimes) == 1 else output / runtime) / "artifact"


def _unpack(job: InferenceJob, folder: Path) -> None:
    import zipfile

    from dynolab.connections.local import own_folder

    with own_folder("download-") as place:
        packed = job.download_artifact(place)
        if packed is not None:
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(folder)


def _options(spec: ProfileSpec, runtime: str | None) -> str:
    """The options' text with what stands beside it on the command line."""
    beside = {"runtime": runtime, "repeats": spec.repeats}
    return " ".join(
        [spec.options, *(f"--{name} {value}" for name, value in beside.items() if value is not None)]
    ).lstrip()


def _batch(spec: ProfileSpec) -> dict[str, list[Any]]:
    """One batch of the arrays that were named. Raises :class:`~dynolab.errors.SpecInvalid` for what is no .npy file."""
    import numpy as np

    from dynolab.errors import NotFound, SpecInvalid

    found = {}
    for name, path in spec.input_files.items():
        if not path.is_file():
            raise NotFound(f"there is no file {path} for the input {name!r}")
        try:
            found[name] = [np.load(path, allow_pickle=False)]
        except (ValueError, EOFError) as error:
            raise SpecInvalid(
                f"{path}, for the input {name!r}, is no .npy file", hint="numpy.save writes one"
            ) from error
    return found


def _measure(
    spec: ProfileSpec,
    runtimes: tuple[str | None, ...],
    kept: Path | None,
    address: str | None,
    asking: Asking,
    *,
    require_sandbox: bool,
) -> tuple[list[Profile], bool]:
    """A profile for each runtime, measured here, or on the device at an address."""
    from dataclasses import replace

    from dynolab.cli import _progress, _side_by_side
    from dynolab.jobs.base import Context
    from dynolab.jobs.profile import plugin as job

    before: list[Profile] = []

    def run(one: ProfileSpec) -> Profile:
        with _progress.follow(one, several=len(runtimes) > 1) as progress:
            return job.run(one, Context(connection, progress, asking))

    def measured(one: ProfileSpec) -> Profile:
        if kept is not None:
            one = replace(one, artifact=_artifact(kept, str(one.runtime), runtimes))
        before.append(_side_by_side.measured(one, before, run))
        return before[-1]

    here = _device.is_here(address)
    specs = [job.validate(replace(spec, runtime=runtime), here=here) for runtime in runtimes]
    with _device.opened(address, require_sandbox=require_sandbox) as connection:
        return _each(specs, measured, [str(one.runtime) for one in specs])


def _each(asked: Sequence[T], measured: Callable[[T], Profile], names: Sequence[str]) -> tuple[list[Profile], bool]:
    """What was measured, and whether one failed: that is told and the others go on. The only one's failure is raised."""
    from dynolab import errors
    from dynolab.cli import main

    profiles, failed = [], False
    for one, name in zip(asked, names, strict=True):
        try:
            profiles.append(measured(one))
        except errors.WorkerError as error:
            if len(asked) == 1:
                raise
            error.message = f"{name}: {error.message}"
            main.show(error)
            failed = True
    return profiles, failed
