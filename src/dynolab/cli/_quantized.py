"""A quantised model, as the commands that make one print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynolab.spec.quantizes import Accuracy, Quantized


def show(made: Quantized) -> None:
    """Print it: the answer first, then what changed, then its tensors."""
    from rich.console import Console
    from rich.markup import escape

    from dynolab.cli import _made
    from dynolab.spec.show import show_bytes, show_time

    console = Console(highlight=False)
    size = f"{show_bytes(made.source.file_bytes)} -> {show_bytes(made.quantized.file_bytes)}"
    title = f"[bold]{escape(made.name)} -> {escape(made.entry)}[/bold]  {size}, {_numbers(made)}"
    console.print(title, soft_wrap=True)
    for notice in made.notices:
        if notice.level != "info":
            console.print(f"[bold red]warning:[/bold red] {escape(notice.text)}", soft_wrap=True)
    kinds = f"weights {made.weights}, activations {made.activations} ({made.range_scheme} of {_samples(made.calibration_samples)})"
    console.print(
        f"[dim]{kinds}, {show_time(made.time_ns)}, at most {show_bytes(made.peak_bytes)} of memory[/dim]",
        soft_wrap=True,
    )
    if made.accuracy is not None:
        kept = "kept from the calibration" if made.held_out else "of the calibration: others may come out worse"
        console.print(
            f"[dim]compared with the float model on {_samples(made.check_samples)} {kept}[/dim]", soft_wrap=True
        )
    console.print()
    console.print(_made.changes(made.source, made.quantized))
    console.print()
    console.print(_made.tensors(made.inputs, made.outputs, _columns(made)))
    _made.notices(console, [one for one in made.notices if one.level == "info"], made.tools)


def _samples(count: int) -> str:
    return f"{count} sample{'' if count == 1 else 's'}"


def _numbers(made: Quantized) -> str:
    """How the quantised model's numbers stand to the float model's, in a line."""
    from rich.markup import escape

    from dynolab.spec.quantizes import figures

    if made.accuracy is None:
        return f"[yellow]its numbers were not compared: {escape(made.check_reason or 'no reason')}[/yellow]"
    text = f"[{_colour(made.accuracy)}]{figures(made.accuracy)}[/]"
    here = made.accuracy_here
    if here is None or figures(here) == figures(made.accuracy):
        return text
    return f"{text}; as this processor computes it [{_colour(here)}]{figures(here)}[/]"


def _colour(accuracy: Accuracy) -> str:
    return "red" if accuracy.is_poor else "green"


def _columns(made: Quantized) -> dict[str, dict[str, str]]:
    """Scale and zero point of inputs and outputs, and of each output how far it is from the float model's."""
    from dynolab.cli import _made

    columns = {
        "Quantised": {one.name: one.dtype for one in made.quantizations},
        "Scale": {one.name: f"{one.scale:.4g}" for one in made.quantizations},
        "Zero": {one.name: str(one.zero_point) for one in made.quantizations},
    }
    if made.accuracy is not None:
        columns["Largest error"], columns["PSNR"] = (
            _made.errors(made.accuracy.outputs),
            _made.psnrs(made.accuracy.outputs),
        )
    return columns
