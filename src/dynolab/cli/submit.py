"""``dynolab submit``: jobs for a hub's devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynolab.cli import _hub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dynolab.client.jobs import Job

_SHAPES = click.option("--input-shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of one input.")
_WHICH = (
    click.option("--device", required=True, help="The device's name: see `dynolab devices`."),
    click.option("--os", default="", help="Its system version, where a name has several."),
    click.option(
        "--attribute", "attributes", multiple=True, metavar="KEY:VALUE", help="One that it has; may be repeated."
    ),
)
_ON_DEVICES = (
    *_WHICH,
    click.option("--name", help="The job's name. Default: the model's."),
    click.option(
        "--priority", type=click.IntRange(-10, 10), help="Of the jobs that wait, the highest go first. Default: 0."
    ),
    click.option("--waits-for", multiple=True, metavar="ID", help="Queue it when this job is done; may be repeated."),
    click.option(
        "--deadline",
        "deadline_s",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="How long an attempt may run.",
    ),
    _SHAPES,
    _hub.PROJECT,
    click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for the end; exit 1 when it fails."),
    click.option("--json", "as_json", is_flag=True, help="As JSON: the job."),
)
_COMMON = (
    click.argument("model", type=click.Path(exists=True, path_type=Path)),
    *_ON_DEVICES,
    click.option("--options", default="", help='In AI Hub\'s grammar, such as "--max_profiler_iterations 500".'),
    click.option(
        "--require", "requirements", multiple=True, metavar='"FIGURE <= VALUE"', help="Decide; exit 1 unless met."
    ),
    click.option(
        "--keep-artifact", is_flag=True, help="Keep what compile makes: `dynolab jobs artifact ID` fetches it."
    ),
)


def _with(options: Sequence[Callable[..., Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.group("submit")
def command() -> None:
    """Submit a job to the hub: profile, inference, compile, quantize, link, or compare.

    \b
    dynolab submit profile model.onnx --device workstation
    dynolab submit inference model.onnx --device workstation --inputs inputs.h5 -o outputs.h5
    dynolab submit compile model.pt2 --device workstation -o compiled.onnx
    dynolab submit compare old.onnx new.onnx --device workstation
    """  # noqa: D301 - click wants the backspace character itself


@command.command("profile")
@_with(_COMMON)
def profile(model: Path, project: str | None, wait: bool, as_json: bool, **asked: Any) -> int:
    """Profile MODEL on a device of the hub, and print the profile."""
    from dynolab.cli import _output

    with _hub.client_in(project) as client:
        job = client.submit_profile_job(model, **_wanted(asked))
        if not _through(job, wait, as_json):
            return int(wait)
        if not wait:
            return 0
        if not as_json:
            _output.show([job.profile], "text")
        return int(not _output.decide([job.profile], "json" if as_json else "text"))


@command.command("inference")
@_with(_COMMON)
@click.option("--inputs", required=True, help="An .h5 file of AI Hub's form, or the id of a dataset at the hub.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where the outputs' .h5 file goes.")
@click.option("--profile/--no-profile", "measures", default=True, show_default=True, help="Whether to measure as well.")
def inference(
    model: Path,
    project: str | None,
    wait: bool,
    as_json: bool,
    inputs: str,
    output: Path | None,
    measures: bool,
    **asked: Any,
) -> int:
    """Run MODEL on a dataset on a device of the hub."""
    from dynolab.cli import _output

    with _hub.client_in(project) as client:
        job = client.submit_inference_job(
            model, inputs=_hub.dataset(client, inputs), profile=measures, **_wanted(asked)
        )
        if not _through(job, wait, as_json):
            return int(wait)
        if wait and output is not None:
            click.echo(f"outputs: {job.download_output_data(output)}", err=True)
        return int(wait and measures and not _output.decide([job.profile], "json"))


@command.command("compile")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@_with([one for one in _ON_DEVICES if one is not _SHAPES])
@click.option(
    "--options", default="", help='In AI Hub\'s grammar, such as "--target_runtime onnx --output_names logits".'
)
@click.option(
    "--input-specs",
    "specs",
    multiple=True,
    metavar="NAME=1,3,224,224[:TYPE]",
    help="Shape and type of one input; float32 if no type is given.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where the compiled model goes.")
def compile_(
    model: Path,
    project: str | None,
    wait: bool,
    as_json: bool,
    specs: tuple[str, ...],
    output: Path | None,
    **asked: Any,
) -> int:
    """Compile MODEL for a device of the hub; exit 1 when its numbers are not those of MODEL any more."""
    from dynolab.cli import _compiled, _parse

    wanted = {name: (one.shape, one.dtype) for name, one in _parse.specs(specs).items()}
    with _hub.client_in(project) as client:
        job = client.submit_compile_job(model, input_specs=wanted, **_wanted(asked))
        click.echo(f"target model {job.target_model.model_id}", err=True)
        if not _through(job, wait, as_json):
            return int(wait)
        if not wait:
            return 0
        made = job.compiled
        if not as_json:
            _compiled.show(made)
        if output is not None:
            click.echo(f"compiled model: {job.download_target_model(output)}", err=True)
        return int(any(one.is_poor for one in made.checks))


@command.command("quantize")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--data", required=True, help="Calibration data: an .h5 file of AI Hub's form, or the id of a dataset.")
@click.option("--weights", type=click.Choice(["int8", "int4"]), default="int8", show_default=True)
@click.option("--activations", type=click.Choice(["int8", "int16"]), default="int8", show_default=True)
@click.option("--options", default="", help='In AI Hub\'s grammar, such as "--range_scheme min_max".')
@_with([one for one in _ON_DEVICES if one not in (_SHAPES, *_WHICH)])
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where the quantised model goes.")
def quantize(
    model: Path,
    data: str,
    weights: str,
    activations: str,
    project: str | None,
    wait: bool,
    as_json: bool,
    output: Path | None,
    **asked: Any,
) -> int:
    """Quantise MODEL with calibration data, at the hub, on no device; exit 1 when its numbers are poor."""
    from dynolab.cli import _quantized
    from dynolab.client.quantize_jobs import QuantizeDtype

    widths = QuantizeDtype[weights.upper()], QuantizeDtype[activations.upper()]
    named = {name: value for name, value in asked.items() if value is not None}
    with _hub.client_in(project) as client:
        job = client.submit_quantize_job(model, _hub.dataset(client, data), *widths, **named)
        click.echo(f"target model {job.target_model.model_id}", err=True)
        if not _through(job, wait, as_json):
            return int(wait)
        if not wait:
            return 0
        made = job.quantized
        if not as_json:
            _quantized.show(made)
        if output is not None:
            click.echo(f"quantised model: {job.download_target_model(output)}", err=True)
        return int(made.is_poor)


@command.command("link")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@_with([one for one in _ON_DEVICES if one is not _SHAPES])
@click.option("--options", default="", help='In AI Hub\'s grammar, such as "--qairt_version default".')
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where the linked model goes.")
def link(
    models: tuple[str, ...], project: str | None, wait: bool, as_json: bool, output: Path | None, **asked: Any
) -> int:
    """Link MODELs, files or ids of models at the hub, into one file for a device."""
    from dynolab.cli import _linked

    with _hub.client_in(project) as client:
        given = [Path(one) if Path(one).exists() else client.get_model(one) for one in models]
        job = client.submit_link_job(given, **_wanted(asked))
        click.echo(f"target model {job.target_model.model_id}", err=True)
        if not _through(job, wait, as_json):
            return int(wait)
        if wait and not as_json:
            _linked.show(job.linked)
        if wait and output is not None:
            click.echo(f"linked model: {job.download_target_model(output)}", err=True)
        return 0


@command.command("compare")
@click.argument("a", type=click.Path(exists=True, path_type=Path))
@click.argument("b", type=click.Path(exists=True, path_type=Path))
@_with(_ON_DEVICES)
@click.option("--options-a", default="", help="Options of A, in AI Hub's grammar.")
@click.option("--options-b", default="", help="Options of B.")
@click.option("--floor", metavar="PERCENT", help="Differences below it count as none, such as 5%; default: 2%.")
@click.option("--budget", type=float, metavar="SECONDS", help="Stop after this long, decided or not; default: 60.")
@click.option("--stage", "stages", multiple=True, help="What is to be decided; may be repeated. Default: inference.")
@click.option("--no-memory", is_flag=True, help="Leave out the memory passes.")
def compare(a: Path, b: Path, project: str | None, wait: bool, as_json: bool, **asked: Any) -> int:
    """Have A and B take turns on a device of the hub, and decide which is slower; exit 1 when B is."""
    from dynolab.cli import _duet
    from dynolab.spec.duets import DEFAULT_BUDGET_S, DEFAULT_FLOOR
    from dynolab.spec.percent import read_percent

    floor, budget = asked.pop("floor"), asked.pop("budget")
    terms = {
        "floor": DEFAULT_FLOOR if floor is None else read_percent(floor, "--floor"),
        "budget_s": DEFAULT_BUDGET_S if budget is None else budget,
        "stages": [str(one) for one in _duet.stages(asked.pop("stages"))],
        "memory": not asked.pop("no_memory"),
        "options": asked.pop("options_b"),
        "baseline_options": asked.pop("options_a"),
    }
    with _hub.client_in(project) as client:
        job = client.submit_compare_job(b, a, **terms, **_wanted(asked))
        if not _through(job, wait, as_json):
            return int(wait)
        if not wait:
            return 0
        found = job.comparison
        if not as_json:
            _duet.show(found)
        return int(found.direction > 0)


def _wanted(asked: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a submission: what was not said is left out."""
    from dynolab.client.devices import Device
    from dynolab.spec.input_shapes import parse_shapes

    device = Device(asked.pop("device"), asked.pop("os"), list(asked.pop("attributes")))
    if "shapes" in asked:
        asked["input_shapes"] = parse_shapes(asked.pop("shapes"), "--input-shape")
    return {"device": device} | {name: value for name, value in asked.items() if value is not None}


def _through(job: Job, wait: bool, as_json: bool) -> bool:
    """Tell the job's id, and wait for it if that is wanted; whether it went well, as far as that is known.

    The id of one that nobody waits for is all that standard output holds, for ``ID=$(dynolab submit ... --no-wait)``.
    """
    click.echo(f"job {job.job_id}: {job.url}", err=True)
    if not wait and not as_json:
        click.echo(job.job_id)
    status = job.wait() if wait else job.get_status()
    if as_json:
        _hub.print_json(job.document)
    if status.failure:
        _hub.tell_failure(job)
    return not status.failure
