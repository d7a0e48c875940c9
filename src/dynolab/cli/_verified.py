"""What was found of two models, as ``dynolab verify`` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from dynolab.spec.verifies import Verified, VerifiedSide


def show(found: Verified) -> None:
    """Print it: the answer first, then what was run on what, then inputs and outputs."""
    from rich.console import Console
    from rich.markup import escape

    from dynolab.spec.show import show_bytes, show_time
    from dynolab.spec.verifies import Verdict

    console = Console(highlight=False)
    colour = {Verdict.POOR: "red", Verdict.NOT_COMPARED: "yellow"}.get(found.verdict, "green")
    answer = f"{found.headline}{_missed(found)}"
    console.print(f"[bold]{escape(_names(found))}[/bold]  [{colour}]{escape(answer)}[/{colour}]", soft_wrap=True)
    for name, told in (("A", found.a), ("B", found.b)):
        console.print(f"[dim]{name}: {escape(_side(told))}[/dim]", soft_wrap=True)
    spent = f"{show_time(found.time_ns)}, at most {show_bytes(found.peak_bytes)} of memory"
    console.print(f"[dim]{escape(_inputs(found))}, {spent}[/dim]\n", soft_wrap=True)
    console.print(_tensors(found))
    for name, only in (("A", found.only_a), ("B", found.only_b)):
        if only:
            console.print(f"[yellow]only {name} has: {escape(', '.join(only))}[/yellow]")
    for notice in found.notices:
        console.print(f"[{'dim' if notice.level == 'info' else 'yellow'}]{escape(notice.text)}[/]", soft_wrap=True)


def _names(found: Verified) -> str:
    a, b = found.a, found.b
    if a.name != b.name or a.sha256 != b.sha256:
        return f"{a.name} and {b.name}"
    return f"{a.name} on {a.runtime} and {b.runtime}"


def _missed(found: Verified) -> str:
    """What was asked for, where it was not reached."""
    from dynolab.spec.verifies import Verdict

    if found.verdict is not Verdict.POOR:
        return ""
    limit = found.at_least
    told = [f"{limit.psnr_db:g} dB"] if limit.psnr_db is not None else []
    told += [f"{limit.agreement * 100:g} % of the answers"] if limit.agreement is not None else []
    return f": below {' or '.join(told)}"


def _side(told: VerifiedSide) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in told.versions.items())
    options = f", {told.options}" if told.options else ""
    if (precision := told.effective.get("inference_precision")) is not None:
        options += f", computed in {precision}"
    return f"{told.name}, {told.format}, on {told.runtime} ({versions}){options}"


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
