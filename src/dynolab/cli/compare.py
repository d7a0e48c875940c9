"""``dynolab compare``: do two models or profiles differ, or is it noise?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynolab.cli import _duet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dynolab.spec.compare import Comparison, Ratio
    from dynolab.spec.compare_layers import LayerComparison, LayerRatio
    from dynolab.spec.compare_memory import MemoryComparison
    from dynolab.spec.profiles import Profile, Stage

_COLOURS = {"changed": "yellow", "unchanged": "green", "cannot tell": "cyan"}
SHOWN_LAYERS = 10


@click.command("compare")
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option("--floor", metavar="PERCENT", help="Differences below it count as none, such as 5%; default: 2%.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_duet.options
def command(before: Path, after: Path | None, floor: str | None, as_json: bool, **asked: Any) -> int:
    """Compare two models, A and B, that take turns on this machine, or two saved profiles.

    \b
    dynolab compare main.onnx branch.onnx
    dynolab compare model.onnx --runtime-a onnxruntime --runtime-b openvino
    dynolab compare main/profile.json branch/profile.json
    \b
    Models: B's time over A's, with its interval, until it is decided or the budget is spent; and memory.
    Profiles (a profile.json, or a folder with one): stage by stage, memory, and layer by layer.
    Exit status 1 when a stage became slower.
    """  # noqa: D301 - click wants the backspace character itself
    import json

    from dynolab.cli.report import read
    from dynolab.spec import codec
    from dynolab.spec.compare import compare
    from dynolab.spec.percent import read_percent

    share = None if floor is None else read_percent(floor, "--floor")
    if not _duet.are_profiles(before, after, asked):
        return _duet.compare(before, after, share, as_json, asked)
    after = after or before
    profiles, names = (read(before), read(after)), short_names(before, after)
    found = compare(*profiles, share, names=names)
    if as_json:
        click.echo(json.dumps(codec.encode(found), indent=1))
    else:
        _show(found, profiles, names)
    return int(any(stage.direction > 0 for stage in found.stages))


def short_names(before: Path, after: Path) -> tuple[str, str]:
    """The parts of two paths that tell them apart: ``main`` and ``branch`` for ``main/profile.json``, ``branch/profile.json``."""
    folders = (path.parent if path.name == "profile.json" else path for path in (before.absolute(), after.absolute()))
    one, other = ([*folder.parts] for folder in folders)
    while one and other and one[-1] == other[-1]:
        one.pop(), other.pop()
    while one and other and one[0] == other[0]:
        one.pop(0), other.pop(0)
    if not one or not other:
        return "before", "after"
    return str(Path(*one)), str(Path(*other))


def _show(found: Comparison, profiles: tuple[Profile, Profile], names: tuple[str, str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from dynolab.report.base import line

    console = Console(highlight=False)
    for told in found.unlike:
        console.print(f"[bold red]!! {escape(line(told))}[/bold red]")
    if profiles[0].model.sha256 != profiles[1].model.sha256:
        console.print("[bold yellow]These are profiles of two different models.[/bold yellow]")
    for difference in found.differences:
        console.print(f"[yellow]{escape(line(difference))}[/yellow]")
    if found.differences:
        console.print()
    console.print(_stages(found, profiles, names))
    console.print()
    for stage in found.stages:
        for told in (stage.sentence, *(one.sentence for one in stage.memory)):
            console.print(escape(line(told)))
    if found.process_total is not None:
        console.print(escape(line(found.process_total.sentence)))
    console.print(f"[dim]{escape(found.basis)}[/dim]")
    _show_layers(console, found.layers, profiles, names)


def _stages(found: Comparison, profiles: tuple[Profile, Profile], names: tuple[str, str]) -> Table:
    """Each stage's answer, then its figures: both values, and the ratio of times or the difference of memory."""
    from rich.table import Table
    from rich.text import Text

    from dynolab.report.base import crop, stage_title
    from dynolab.spec.show import show_time

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", *(crop(name, 16) for name in names), "Change"):
        table.add_column(Text(column), no_wrap=True)
    pairs = zip(*(profile.stages for profile in profiles), strict=True)
    for stage, (before, after) in zip(found.stages, pairs, strict=True):
        answer = Text(stage.answer.value, style=_COLOURS[stage.answer.value])
        table.add_row(Text(stage_title(before), style="bold"), "", "", answer)
        if stage.minimum is not None:
            table.add_row("  Time", _range(before), _range(after), _ratio(stage.minimum))
        if stage.median is not None:
            table.add_row("  Median", show_time(stage.median.a_ns), show_time(stage.median.b_ns), _ratio(stage.median))
        for one in stage.memory:
            table.add_row(f"  Memory {one.figure}", *_memory(one))
    if found.process_total is not None:
        table.add_row(Text("Peak of the process", style="bold"), *_memory(found.process_total))
    return table


def _range(stage: Stage) -> str:
    from dynolab.spec.compare import show_ends, time_range

    ends = time_range(stage)
    return "" if ends is None else show_ends(ends)


def _memory(found: MemoryComparison) -> tuple[str, str, str]:
    """Both ranges, and the answer with what either end differs by."""
    from dynolab.spec.show import show_range, show_range_change

    told = f"{found.answer.value}: {show_range_change(found.a, found.b)}"
    return show_range(found.a), show_range(found.b), told


def _ratio(ratio: Ratio) -> str:
    """A ratio with its interval: ``x 1.032 (1.011 - 1.050)``."""
    interval = (
        f" ({ratio.lower:.3f} - {ratio.upper:.3f})" if ratio.lower is not None and ratio.upper is not None else ""
    )
    return f"x {ratio.value:.3f}{interval}"


def _show_layers(
    console: Console, found: LayerComparison, profiles: tuple[Profile, Profile], names: tuple[str, str]
) -> None:
    """The layers that moved most, and how many only one side has."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from dynolab.report.base import crop, layer_name, line
    from dynolab.spec.show import show_stepped

    moved = [layer for layer in found.layers if layer.a_ns != layer.b_ns and not found.is_disturbed]
    moved.sort(key=lambda layer: -abs(layer.b_ns - layer.a_ns))
    steps = [profile.layers.resolution_ns for profile in profiles]
    if moved:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column(Text("Layers that moved most"), no_wrap=True)
        for name in names:
            table.add_column(Text(crop(name, 20)), justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        room = max(console.width - 46, 16)
        for layer in moved[:SHOWN_LAYERS]:
            times = (show_stepped(ns, step) for ns, step in zip((layer.a_ns, layer.b_ns), steps, strict=True))
            table.add_row(Text(crop(layer_name(layer.name), room)), *times, _layer_ratio(layer))
        console.print()
        console.print(table)
    only = [
        f"{len(left):,} only in {name}" for left, name in zip((found.only_a, found.only_b), names, strict=True) if left
    ]
    if only:
        console.print(escape(f"Layers: {len(found.layers):,} in both, {', '.join(only)}"))
    console.print(f"[dim]{escape(line(found.note))}[/dim]")


def _layer_ratio(layer: LayerRatio) -> str:
    return "" if layer.ratio is None else f"x {layer.ratio:.2f}"
