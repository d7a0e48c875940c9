"""``dynolab profile``: four stages of a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dynolab.client.jobs import ProfileJob
    from dynolab.spec.jobs import ProfileSpec
    from dynolab.spec.profiles import Profile


@click.command("profile")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-r", "--runtime", "runtimes", multiple=True, help="Runtime; may be repeated. Default: the format's own.")
@click.option("--options", default="", help='Options in AI Hub\'s grammar, such as "--max_profiler_iterations 500".')
@click.option("--input-shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of one input.")
@click.option("--input-range", "ranges", multiple=True, metavar="NAME=LOW,HIGH", help="Range of random values.")
@click.option("--input-file", "files", multiple=True, metavar="NAME=FILE.npy", help="Values of one input.")
@click.option("--device", help="A device of the hub that `dynolab login` knows, instead of this machine.")
@click.option(
    "--repeats", type=int, default=3, show_default=True, help="Fresh processes for each load and memory pass."
)
@click.option("--seed", type=int, default=20250, show_default=True, help="Seed of the random inputs.")
@click.option("--timeout", type=float, metavar="SECONDS", help="End the measurement after this long.")
@click.option("--memory-limit", metavar="SIZE", help="Bound of a worker's memory, such as 512MB.")
@click.option(
    "--require", "requirements", multiple=True, metavar='"FIGURE <= VALUE"', help="Decide; exit 1 unless met."
)
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
    repeats: int,
    seed: int,
    timeout: float | None,
    memory_limit: str | None,
    requirements: tuple[str, ...],
    output: Path | None,
    form: str,
) -> int:
    """Profile MODEL on this machine: time and memory of compile, first load, warm load and inference.

    \b
    MODEL is an .onnx, .tflite, OpenVINO .xml, TorchScript .pt or exported .pt2 file, or a folder or zip with one.
    \b
    dynolab profile model.onnx
    dynolab profile model.onnx -r onnxruntime -r openvino -o out
    dynolab profile model.tflite --require "estimated_inference_time <= 33 ms"
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.cli import _output, _parse
    from dynolab.errors import SpecInvalid
    from dynolab.spec.jobs import ProfileSpec

    spec = ProfileSpec(
        model=model,
        options=options,
        input_shapes=_parse.shapes(shapes),
        input_ranges=_parse.ranges(ranges),
        input_files=_parse.files(files),
        repeats=repeats,
        seed=seed,
        timeout_s=timeout,
        memory_limit_bytes=_parse.size(memory_limit) if memory_limit else None,
        requirements=requirements,
    )
    _output.check(output, form)
    twice = [name for name in set(runtimes) if runtimes.count(name) > 1]
    if twice:
        raise SpecInvalid(f"-r {twice[0]} is given twice", hint="name each runtime once")
    if device is None:
        profiles, failed = _measure(spec, runtimes or (None,))
    else:
        profiles, failed = [_at_hub(spec, device, runtimes)], False
    if profiles:
        _output.show(profiles, form)
        if output is not None:
            _output.write(profiles, output, form)
    met = _output.decide(profiles, form)
    return 2 if failed else int(not met)


def _at_hub(spec: ProfileSpec, device: str, runtimes: tuple[str, ...]) -> Profile:
    """The profile of a job at the hub: the same measurement, on one of its devices."""
    from dataclasses import replace

    from dynolab.cli import _hub, _progress
    from dynolab.client.devices import Device
    from dynolab.errors import SpecInvalid
    from dynolab.spec.jobs import ProfileSpec

    plain = ProfileSpec(model=spec.model, options=spec.options, requirements=spec.requirements)
    if runtimes or spec != plain:
        raise SpecInvalid(
            "--device takes a model, --options and --require: a hub's device chooses runtime, inputs and repeats itself",
            hint="without --device, on that machine, all of them can be given",
        )
    with _hub.client() as client:
        job: ProfileJob = client.submit_profile_job(spec.model, Device(device), options=spec.options)
        with _progress.follow(replace(spec, runtime=device)) as progress:
            for name, event in job.follow():
                if name == "progress" and event.get("stage") != "fetch":
                    progress(event)
        profile = job.measured()
    return replace(profile, request=replace(profile.request, requirements=spec.requirements))


def _measure(spec: ProfileSpec, runtimes: tuple[str | None, ...]) -> tuple[list[Profile], bool]:
    """A profile for each runtime; one that fails is told and the others go on. One runtime's failure is raised."""
    from dataclasses import replace

    from dynolab import errors
    from dynolab.cli import _progress, main
    from dynolab.connections.local import plugin as local
    from dynolab.jobs.base import Context
    from dynolab.jobs.profile import plugin as job

    specs = [job.validate(replace(spec, runtime=runtime)) for runtime in runtimes]
    profiles, failed = [], False
    for one in specs:
        try:
            with _progress.follow(one, several=len(specs) > 1) as progress:
                profiles.append(job.run(one, Context(local, progress)))
        except errors.WorkerError as error:
            if len(specs) == 1:
                raise
            error.message = f"{one.runtime}: {error.message}"
            main.show(error)
            failed = True
    return profiles, failed
