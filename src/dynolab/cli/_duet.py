"""``dynolab compare`` of two model files: options, progress and the answer of a duet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dynolab.cli import _device

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from dynolab.spec.answers import Answer
    from dynolab.spec.duets import Duet, DuetSpec, MemoryDuet, Ratio, StageDuet
    from dynolab.spec.measurements import StageName
    from dynolab.spec.progress import Event

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    _device.option("The device on which they take turns"),
    click.option("--runtime-a", help="Runtime of model A; default: the format's own."),
    click.option("--runtime-b", help="Runtime of model B."),
    click.option("--options-a", default="", help="Options of A, in AI Hub's grammar."),
    click.option("--options-b", default="", help="Options of B."),
    click.option("--budget", type=float, metavar="SECONDS", help="Stop after this long, decided or not; default: 60."),
    click.option(
        "--stage", "stages", multiple=True, help="What is to be decided; may be repeated. Default: inference."
    ),
    click.option("--no-memory", is_flag=True, help="Leave out the memory passes."),
    click.option("--input-shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of one input."),
    click.option("--input-range", "ranges", multiple=True, metavar="NAME=LOW,HIGH", help="Range of random values."),
    click.option("--input-file", "files", multiple=True, metavar="NAME=FILE.npy", help="Values of one input."),
    click.option("--seed", type=int, help="Seed of the random inputs and of the intervals; default: 20250."),
    click.option("--timeout", type=float, metavar="SECONDS", help="End everything after this long, with an error."),
    click.option("--memory-limit", metavar="SIZE", help="Bound of a worker's memory, such as 512MB."),
    click.option("--wait", metavar="30m", help="Wait at most so long until nobody else measures there."),
    click.option("--require-sandbox", is_flag=True, help="Refuse where nothing confines the models."),
)
_COLOURS = {"changed": "yellow", "unchanged": "green", "cannot tell": "cyan"}
_LOUD = ("precision", "inputs", "runtime")


def options(command: Command) -> Command:
    """The command with the options of a duet."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def are_profiles(a: Path, b: Path | None, asked: Mapping[str, Any]) -> bool:
    """Whether saved profiles are meant. Raises :class:`~dynolab.errors.SpecInvalid` for a mixture, or options of a duet."""
    from dynolab.errors import SpecInvalid

    found = [path for path in (a, b) if path is not None and is_profile(path)]
    if not found:
        return False
    if b is None:
        raise SpecInvalid(f"{a} is a profile, and there is nothing to compare it with", hint="name a second profile")
    if len(found) == 1:
        other = b if found[0] == a else a
        raise SpecInvalid(
            f"{found[0]} is a saved profile, and {other} a model: they never took turns",
            hint=f"name two models, or profile it first: dynolab profile {other} -o OUT",
        )
    given = [name for name, value in asked.items() if value]
    if given:
        raise SpecInvalid(
            f"{_written(given[0])} is for models that are run: two saved profiles are compared as they are",
            hint="name two model files, or leave it out",
        )
    return True


def is_profile(path: Path) -> bool:
    """Whether a saved profile is meant: a .json file, or a folder that holds one."""
    return path.suffix == ".json" or (path.is_dir() and (path / "profile.json").exists())


def _written(name: str) -> str:
    """An option as it is typed."""
    singular = {"stages": "stage", "shapes": "input-shape", "ranges": "input-range", "files": "input-file"}
    return "--" + singular.get(name, name.replace("_", "-"))


def compare(a: Path, b: Path | None, floor: float | None, as_json: bool, asked: Mapping[str, Any]) -> int:
    """Run the duet, here or on the device at an address, and show it; 1 when a stage became slower."""
    import json

    from dynolab.jobs.compare import plugin as job
    from dynolab.spec import codec

    _device.check(asked["device"], require_sandbox=asked["require_sandbox"])
    spec = job.validate(_spec(a, b, floor, asked), here=_device.is_here(asked["device"]))
    found = take_turns(spec, asked)
    if as_json:
        click.echo(json.dumps(codec.encode(found), indent=1))
    else:
        show(found)
    return int(found.direction > 0)


def take_turns(spec: DuetSpec, asked: Mapping[str, Any]) -> Duet:
    """The duet of a spec that was validated, here or on the device that was asked for."""
    from dynolab.cli import _parse
    from dynolab.jobs.base import Asking, Context
    from dynolab.jobs.compare import plugin as job

    asking = Asking(wait_s=_parse.wait(asked["wait"]))
    opened = _device.opened(asked["device"], require_sandbox=asked["require_sandbox"])
    with opened as connection, follow(spec) as progress:
        return job.run(spec, Context(connection, progress, asking))


def _spec(a: Path, b: Path | None, floor: float | None, asked: Mapping[str, Any]) -> DuetSpec:
    from dataclasses import replace

    from dynolab.cli import _parse
    from dynolab.errors import SpecInvalid
    from dynolab.spec import input_shapes
    from dynolab.spec.duets import DEFAULT_BUDGET_S, DEFAULT_FLOOR, DuetSpec, DuetTerms
    from dynolab.spec.jobs import DEFAULT_SEED, ProfileSpec

    apart = (asked["runtime_a"], asked["options_a"]) != (asked["runtime_b"], asked["options_b"])
    if b is None and not apart:
        raise SpecInvalid(
            f"{a} has nothing to be compared with",
            hint="name a second model, or --runtime-a and --runtime-b, or --options-a and --options-b; "
            "the same file twice shows what the machine's noise makes of it",
        )
    side = ProfileSpec(
        model=a,
        runtime=asked["runtime_a"],
        options=asked["options_a"],
        input_shapes=input_shapes.parse_shapes(asked["shapes"], "--input-shape"),
        input_ranges=_parse.ranges(asked["ranges"]),
        input_files=_parse.files(asked["files"]),
        seed=DEFAULT_SEED if asked["seed"] is None else asked["seed"],
        timeout_s=asked["timeout"],
        memory_limit_bytes=_parse.size(asked["memory_limit"]) if asked["memory_limit"] else None,
    )
    return DuetSpec(
        a=side,
        b=replace(side, model=b or a, runtime=asked["runtime_b"], options=asked["options_b"]),
        terms=DuetTerms(
            floor=DEFAULT_FLOOR if floor is None else floor,
            budget_s=DEFAULT_BUDGET_S if asked["budget"] is None else asked["budget"],
            stages=stages(asked["stages"]),
            memory=not asked["no_memory"],
        ),
    )


def stages(names: Sequence[str]) -> tuple[StageName, ...]:
    """The stages of these names, each once; inference where none is named."""
    from dynolab.errors import SpecInvalid
    from dynolab.spec.measurements import StageName

    unknown = [name for name in names if name not in set(StageName)]
    if unknown:
        raise SpecInvalid(f"--stage {unknown[0]}: there is no such stage", hint=f"one of {', '.join(StageName)}")
    return tuple(dict.fromkeys(map(StageName, names))) or (StageName.INFERENCE,)


def loud(found: Duet) -> list[str]:
    """What makes the two sides unlike, more than their weights and layers do."""
    return [one for one in found.differences if one.split(": ")[1] in _LOUD]


# ---- progress --------------------------------------------------------------------------------------------------------


@contextmanager
def follow(spec: DuetSpec) -> Iterator[Callable[[Event], None]]:
    """A receiver of progress events: a live line on a terminal, with the budget as its bar; plain lines elsewhere."""
    from rich.console import Console

    from dynolab.client.progress import live_line
    from dynolab.report.base import line
    from dynolab.spec.progress import brief, describe

    if not sys.stderr.isatty():
        click.echo(f"comparing A {line(_named(spec, 'a'))} and B {line(_named(spec, 'b'))}", err=True)
        yield lambda event: click.echo(f"  {line(describe(event))}", err=True)
        return
    with live_line("A and B", Console(stderr=True)) as bar:

        def receive(event: Event) -> None:
            if event["event"] == "note":
                bar.console.print(f"note: {line(event['text'])}", markup=False, highlight=False)
            elif event["event"] == "duet":
                told = brief(event)
                bar.console.print(line(describe(event)), markup=False, highlight=False)
                bar.update(bar.task_ids[0], total=event["budget_s"], completed=event["elapsed_s"], now=told)
            else:
                bar.update(bar.task_ids[0], now=brief(event))

        yield receive


def _named(spec: DuetSpec, side: str) -> str:
    one = spec.a if side == "a" else spec.b
    return f"{one.model.name} on {one.runtime}"


# ---- the answer ------------------------------------------------------------------------------------------------------


def show(found: Duet) -> None:
    """The answer, then the figures; what makes it doubtful comes before it."""
    from rich.console import Console
    from rich.markup import escape

    from dynolab.report.base import line

    console = Console(highlight=False)
    alarming = loud(found)
    for one in alarming:
        console.print(f"[bold red]!! {escape(line(one))}[/bold red]")
    colour = _COLOURS[found.stage(found.asked[0]).answer.value]
    console.print(f"[bold {colour}]{escape(line(found.headline))}[/bold {colour}]")
    for one in found.differences:
        if one not in alarming:
            console.print(f"[yellow]{escape(line(one))}[/yellow]")
    console.print()
    console.print(_table(found))
    console.print()
    for told in (*found.notices, *_told(found)):
        console.print(f"[dim]{escape(line(told))}[/dim]")


def _told(found: Duet) -> list[str]:
    """Under what the figures were measured."""
    inputs = ", ".join(
        f"{one.spec.name} {one.spec.dtype} {one.spec.shape_text}, {one.source}" for one in found.a.inputs
    )
    windows = sum(len(pair.windows) for pair in found.pairs)
    rows = [
        f"A: {found.a.model.name} on {found.a.runtime}; B: {found.b.model.name} on {found.b.runtime}",
        f"inputs: {inputs}",
        (
            f"{len(found.pairs)} pairs of fresh processes, {windows} windows in turn; intervals hold "
            f"{100 * found.confidence:g} %, differences within {100 * found.floor:g} % count as none"
        ),
        f"sandbox: {found.environment.get('sandbox', 'unknown')}",
    ]
    return rows if found.memory_reason is None else [*rows, f"memory: {found.memory_reason}"]


def _table(found: Duet) -> Table:
    from rich.table import Table
    from rich.text import Text

    from dynolab.spec.facts import STAGE_TITLES

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", "A", "B", "Change"):
        table.add_column(column, no_wrap=True)
    for stage in found.stages:
        memory = [one for one in found.memory if one.stage is stage.name]
        if stage.ratio is not None or memory or stage.name in found.asked:
            table.add_row(Text(STAGE_TITLES[stage.name], style="bold"), "", "", _answer(stage.answer))
            table.add_row(*_time(stage))
            for one in memory:
                table.add_row(*_memory(f"  Memory {one.figure}", one))
    for one in found.memory:
        if one.stage is None:
            table.add_row(Text("Whole process", style="bold"), "", "", _answer(one.answer))
            table.add_row(*_memory("  Memory peak", one))
    return table


def _answer(answer: Answer) -> Text:
    from rich.text import Text

    return Text(answer.value, style=_COLOURS[answer.value])


def _time(stage: StageDuet) -> tuple[str, str, str, str]:
    from dynolab.spec.show import show_time

    a, b = (show_time(one) if one is not None else "" for one in (stage.a_ns, stage.b_ns))
    return "  Minimum", a, b, change(stage.ratio)


def _memory(title: str, one: MemoryDuet) -> tuple[str, str, str, Text]:
    """Both ranges, and what the upper end changed by: what is resident."""
    from rich.text import Text

    from dynolab.spec.show import show_range

    return title, show_range(one.a), show_range(one.b), Text(change(one.upper), style=_COLOURS[one.answer.value])


def change(found: Ratio | None) -> str:
    """A ratio as a change, with its interval; nothing where there is none."""
    from dynolab.spec.show import show_change

    return "" if found is None else show_change(found.value, found.lower, found.upper)
