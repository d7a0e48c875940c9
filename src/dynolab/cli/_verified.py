"""What was found of two models, as ``dynolab verify`` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.table import Table

    from dynolab.spec.compared_outputs import ComparedOutputs
    from dynolab.spec.verifies import AtLeast, Verdict, Verified, VerifiedSide, VerifySpec
    from dynolab.spec.verify_layers import LayerChecks


def places(device: str | None, a: str | None, b: str | None, *, looks_inside: bool) -> tuple[str | None, str | None]:
    """Where A and B run; None: here. Raises :class:`~dynolab.errors.SpecInvalid`."""
    from dynolab.cli import _device
    from dynolab.errors import SpecInvalid

    if device is not None and (a, b) != (None, None):
        raise SpecInvalid(
            "--device says where both run, and --device-a or --device-b is given, too", hint="leave one out"
        )
    found = [None if _device.is_here(one) else one for one in ((device, device) if device else (a, b))]
    for one in found:
        _device.check(one)
    if looks_inside and any(found):
        raise SpecInvalid(
            "--layers, --times and --profile look into models that run here, and a device is given",
            hint="leave one out: the outputs are compared wherever they were computed",
        )
    return found[0], found[1]


def run(spec: VerifySpec, where: tuple[str | None, str | None], wait_s: float | None) -> Verified:
    """What is found of both, run where they are to be; a device that somebody has is waited for."""
    from contextlib import ExitStack

    from dynolab.cli import _device, _notes
    from dynolab.connections.base import this_machine
    from dynolab.jobs.base import Asking, Context
    from dynolab.jobs.verify import plugin as job
    from dynolab.jobs.verify import verify_models
    from dynolab.spec.progress import describe

    job.validate(spec, here=(where[0] is None, where[1] is None))
    with ExitStack() as stack:
        known = {one: stack.enter_context(_device.opened(one)) for one in dict.fromkeys(where) if one is not None}
        a, b = (None if one is None else known[one] for one in where)
        note = stack.enter_context(_notes.follow(f"verifying {spec.b.model.name}"))
        context = Context(this_machine(), lambda event: note(describe(event)), Asking(wait_s=wait_s))
        return verify_models(spec, context, (a, b))


def show(found: Verified) -> None:
    """Print it: the answer first, then what was run on what, then inputs and outputs."""
    from rich.console import Console
    from rich.markup import escape

    from dynolab.spec.show import show_bytes, show_time

    console = Console(highlight=False)
    colour = _colour(found.verdict)
    answer = f"{found.headline}{_missed(found)}"
    console.print(f"[bold]{escape(_names(found))}[/bold]  [{colour}]{escape(answer)}[/{colour}]", soft_wrap=True)
    for name, told in (("A", found.a), ("B", found.b)):
        console.print(f"[dim]{name}: {escape(_side(told))}[/dim]", soft_wrap=True)
    spent = f"{show_time(found.time_ns)}, at most {show_bytes(found.peak_bytes)} of memory"
    console.print(f"[dim]{escape(_inputs(found))}, {spent}[/dim]\n", soft_wrap=True)
    console.print(_tensors(found))
    _show_only(console, found)
    for notice in found.notices:
        console.print(f"[{'dim' if notice.level == 'info' else 'yellow'}]{escape(notice.text)}[/]", soft_wrap=True)
    _show_layers(console, found)


def _colour(verdict: Verdict) -> str:
    return {"poor": "red", "not-compared": "yellow"}.get(verdict, "green")


def _show_only(console: Console, found: Verified | ComparedOutputs) -> None:
    """Outputs that one side lacks."""
    from rich.markup import escape

    for name, only in (("A", found.only_a), ("B", found.only_b)):
        if only:
            console.print(f"[yellow]only {name} has: {escape(', '.join(only))}[/yellow]")


def _names(found: Verified) -> str:
    a, b = found.a, found.b
    if a.name != b.name or a.sha256 != b.sha256:
        return f"{a.name} and {b.name}"
    if a.runtime == b.runtime and a.device != b.device:
        return f"{a.name} on {a.device or 'this machine'} and on {b.device or 'this machine'}"
    return f"{a.name} on {a.runtime} and {b.runtime}"


def _missed(found: Verified | ComparedOutputs) -> str:
    """What was asked for, where it was not reached."""
    from dynolab.spec.verifies import Verdict

    if found.verdict is not Verdict.POOR:
        return ""
    limit, worst, agreement = found.at_least, found.accuracy.worst, found.accuracy.agreement
    psnr_db = None if worst is None else worst.psnr_db
    told = []
    if limit.psnr_db is not None and psnr_db is not None and psnr_db < limit.psnr_db:
        told.append(f"{limit.psnr_db:g} dB")
    if limit.agreement is not None and (agreement or 0.0) < limit.agreement:
        told.append(f"{limit.agreement * 100:g} % of the answers")
    return f": below {' and '.join(told)}"


def _side(told: VerifiedSide) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in told.versions.items())
    options = f", {told.options}" if told.options else ""
    if (precision := told.effective.get("inference_precision")) is not None:
        options += f", computed in {precision}"
    where = "" if told.device is None else f", on {told.device}"
    return f"{told.name}, {told.format}, on {told.runtime} ({versions}){where}{options}"


def _inputs(found: Verified) -> str:
    kind = f"of {found.data}" if found.data is not None else f"of random values, seed {found.seed}"
    return f"on {found.samples} sample{'' if found.samples == 1 else 's'} {kind}"


def _tensors(found: Verified) -> Table:
    """Inputs and outputs by A's names, and what of B's was taken for the same."""
    from rich.table import Table
    from rich.text import Text

    from dynolab.cli import _made

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "A", "B", "Matched", "Type", "Shape", "Largest error", "PSNR"):
        table.add_column(title, overflow="fold", no_wrap=title not in ("A", "B", "Matched", "Shape", "Largest error"))
    errors, psnrs = _made.errors(found.accuracy.outputs), _made.psnrs(found.accuracy.outputs)
    for kind, pairs in (("input", found.inputs), ("output", found.outputs)):
        for one in pairs:
            told = (errors.get(one.a, ""), psnrs.get(one.a, "")) if kind == "output" else ("", "")
            texts = (one.a, "" if one.b == one.a else one.b, one.how, one.dtype_a, found.shapes[f"{kind}:{one.a}"])
            table.add_row(kind, *map(Text, (*texts, *told)))
    return table


SHOWN_LAYERS = 20


def _show_layers(console: Console, found: Verified) -> None:
    """Where the numbers part, and the layers that add most noise, in the order of computing."""
    from rich.markup import escape

    layers = found.layers
    if layers is None:
        if found.layers_reason is not None:
            console.print(f"\n[yellow]layers were not compared: {escape(found.layers_reason)}[/yellow]", soft_wrap=True)
        return
    console.print(f"\n[bold]{escape(layers.headline)}[/bold]", soft_wrap=True)
    chosen = {one.tensor for one in layers.noisiest[:SHOWN_LAYERS]} | (
        {layers.first.tensor} if layers.first is not None else set()
    )
    if chosen:
        console.print()
        console.print(_layer_table(layers, chosen, console.width))
    shown = f"{len(chosen)} of {len(layers.layers)} layers, those that add most noise; " if chosen else ""
    told = [f"{shown}on {layers.samples} sample{'' if layers.samples == 1 else 's'}, {_computed(found)}"]
    told += [f"{layers.left} tensors of A have no like in B"] if layers.left else []
    told += [] if layers.is_complete else ["the rest was left out, for want of time"]
    console.print(f"[dim]{escape('; '.join(told))}[/dim]", soft_wrap=True)


def _computed(found: Verified) -> str:
    """What the numbers inside are of: OpenVINO's own, else the file's."""
    here = [name for name, side in (("A", found.a), ("B", found.b)) if side.runtime == "openvino"]
    return f"{' and '.join(here)} as OpenVINO computes it" if here else "as the files define the numbers"


def _layer_table(layers: LayerChecks, chosen: set[str], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    from dynolab.report.base import crop
    from dynolab.spec.verify_layers import shown

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    known = {
        "Time A": {one.tensor: one.time_a_ns for one in layers.layers},
        "Time B": {one.tensor: one.time_b_ns for one in layers.layers},
    }
    times = {title: of for title, of in known.items() if any(of.values())}
    for title in ("Layer", "Type", "In", "Out", "Error", *times):
        table.add_column(title, justify="left" if title in ("Layer", "Type") else "right", no_wrap=True)
    room = max(14, width - 52 - 11 * len(times))
    for one in layers.layers:
        if one.tensor in chosen:
            ends = (shown(one.inputs_psnr_db), shown(one.psnr_db), f"{one.max_abs_error:.2g}")
            texts = (crop(one.node, room), crop(one.type, 14), *ends, *(_time(of[one.tensor]) for of in times.values()))
            table.add_row(*map(Text, texts), style="bold red" if one == layers.first else "")
    return table


def _time(time_ns: int | None) -> str:
    from dynolab.spec.show import show_time

    return "" if time_ns is None else show_time(time_ns)


def show_jobs(ids: tuple[str, str], at_least: AtLeast, given: Mapping[str, object], as_json: bool) -> int:
    """What the hub finds of two inference jobs' outputs; 1 where they do not pass. Raises :class:`SpecInvalid` for options of models."""
    from dataclasses import replace

    from dynolab.cli import _hub
    from dynolab.client.inference_jobs import InferenceJob
    from dynolab.errors import SpecInvalid
    from dynolab.spec import codec

    if option := next((name for name, value in given.items() if value), None):
        raise SpecInvalid(f"{option} is for models that are run here, and --jobs names jobs", hint="leave one out")
    if not all(ids):
        raise SpecInvalid("--jobs takes the ids of two jobs", hint="dynolab verify --jobs JOB_A JOB_B")
    with _hub.client() as client:
        jobs = [client.get_job(one) for one in ids]
        a, b = jobs
        if not isinstance(a, InferenceJob) or not isinstance(b, InferenceJob):
            odd = next(one for one in jobs if not isinstance(one, InferenceJob))
            raise SpecInvalid(f"the job {odd.job_id} is of the kind {odd.job_type}, and has no outputs to compare")
        found = replace(a.compare_outputs(b), at_least=at_least)
    if as_json:
        _hub.print_json(codec.encode(found))
    else:
        _show_outputs(found, (f"{a.name} ({a.job_id})", f"{b.name} ({b.job_id})"))
    return int(not found.passes)


def _show_outputs(found: ComparedOutputs, names: tuple[str, str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from dynolab.cli import _made

    console = Console(highlight=False)
    colour = _colour(found.verdict)
    console.print(f"[{colour}]{escape(found.headline + _missed(found))}[/{colour}]", soft_wrap=True)
    for letter, name in zip("AB", names, strict=True):
        console.print(f"[dim]{letter}: {escape(name)}[/dim]", soft_wrap=True)
    console.print(f"[dim]on {found.samples} sample{'' if found.samples == 1 else 's'}[/dim]\n")
    errors, psnrs = _made.errors(found.accuracy.outputs), _made.psnrs(found.accuracy.outputs)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("A", "B", "Matched", "Shape", "Largest error", "PSNR", "Worst sample"):
        table.add_column(title, overflow="fold", no_wrap=title in ("PSNR", "Worst sample"))
    for one in found.outputs:
        lie = found.errors.get(one.a)
        worst = "" if lie is None or lie.worst_psnr_db is None else f"{lie.worst_sample}: {lie.worst_psnr_db:.1f} dB"
        texts = ("" if one.a == one.b else one.b, one.how, found.shapes.get(one.a, ""))
        table.add_row(*map(Text, (one.a, *texts, errors.get(one.a, ""), psnrs.get(one.a, ""), worst)))
    console.print(table)
    _show_only(console, found)
