"""The report for a terminal: everything that matters on one screen, in colour where there is any."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dynolab.report._answer import answer, listed
from dynolab.report._strip import NOTICE, TRUST, Notes, decisions, notice_cells, pairs, rank, strip
from dynolab.report._sustained import rows, sparkline
from dynolab.report.base import (
    Report,
    basis_text,
    condensed,
    crop,
    device_text,
    is_fallback,
    labels,
    layer_name,
    line,
    ranked,
    runtime_text,
    show_stage_time,
    some,
    stage_title,
    threads_text,
)
from dynolab.spec import precision
from dynolab.spec.facts import Fact, accelerator_fact, fact, unit_totals
from dynolab.spec.measurements import Notice
from dynolab.spec.profiles import Profile, Stage, Trust
from dynolab.spec.show import show_bytes, show_range, show_share, show_stepped, show_time

TOP = 15
PLAIN_WIDTH = 100
_BAR_WIDTH = 14
_NARROW = 100  # below it bars and types give room to the names
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class TextReport(Report):
    """Plain text 100 columns wide; :meth:`renderable` is for a console of any width, and coloured where it can be."""

    name = "text"
    file_name = "report.txt"
    description = "the report as text, for a terminal"
    several = True

    def render(self, profiles: Sequence[Profile], width: int = PLAIN_WIDTH) -> str:
        text = io.StringIO()
        console = Console(file=text, width=width, no_color=True, force_terminal=False, highlight=False)
        console.print(self.renderable(profiles))
        return "\n".join(row.rstrip() for row in text.getvalue().splitlines()) + "\n"

    def renderable(self, profiles: Sequence[Profile]) -> Page:
        """What ``rich`` prints: ``console.print(plugin.renderable(profiles))``."""
        return Page(some(profiles, self.name))


class Page:
    """A report of one or several profiles, fitted to the console that it is printed on."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.profiles = profiles
        self.names = labels(profiles)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        many = len(self.profiles) > 1
        answers = [answer(profile) for profile in self.profiles]
        notes = Notes(most=1 if many else 2, told=() if many else (answers[0].reason,))
        told = precision.first_word(self.profiles, self.names)
        if told is not None:
            yield Text(f"!! {line(told)}", style=NOTICE["loud"][1])
        yield from _heading(self.profiles)
        yield strip(self.names, answers, notes)
        if not many:
            yield from decisions(answers[0])
        yield Padding(_stages(self.profiles, self.names, notes), (1, 0, 0, 0))
        yield Padding(_others(self.profiles, self.names, notes), (1, 0, 0, 0))
        yield from notes.rows()
        for name, profile in zip(self.names, self.profiles, strict=True):
            yield from _sustained(profile, name if many else "")
        for name, found, profile in zip(self.names, answers, self.profiles, strict=True):
            notices = listed(found) if many else found.notices
            parts = [*(decisions(found) if many else ()), *_notices(notices), *_layers(profile, options.max_width)]
            if many and parts:
                yield Text(f"\n── {name} ", style="bold")
            yield from parts


def _heading(profiles: Sequence[Profile]) -> Iterator[RenderableType]:
    """Model, runtime, device, threads, and a sandbox that was none; what several profiles share is said once."""
    models = {(crop(profile.model.name, 60), profile.model.sha256): profile.model for profile in profiles}
    for (name, _), model in models.items():
        yield Text(name, style="bold").append(f"  {model.format}, {show_bytes(model.file_bytes)}", style="dim not bold")
    rows: dict[str, None] = {}
    for profile in profiles:
        units = "+".join(profile.runtime.requested_units)
        rows[", ".join(part for part in (runtime_text(profile), units, threads_text(profile)) if part)] = None
    rows.update(dict.fromkeys(crop(device_text(profile), 110) for profile in profiles))
    loose = (told for profile in profiles if (told := profile.environment.get("sandbox", "")).startswith("none"))
    rows.update(dict.fromkeys(f"sandbox: {told}" for told in loose))
    yield Text("\n".join(rows) + "\n", style="dim")


def _table(columns: Sequence[tuple[str, JustifyMethod]], *, head: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=head, header_style="dim")
    for title, justify in columns:
        table.add_column(Text(title), justify=justify, no_wrap=True)
    return table


def _stages(profiles: Sequence[Profile], names: Sequence[str], notes: Notes) -> Table:
    many = len(profiles) > 1
    runtime: list[tuple[str, JustifyMethod]] = [("Runtime", "left")] if many else []
    table = _table([("Stage", "left"), *runtime, *_STAGE_COLUMNS])
    for stages in zip(*(profile.stages for profile in profiles), strict=True):
        for number, (name, stage) in enumerate(zip(names, stages, strict=True)):
            title = Text(stage_title(stage) if number == 0 else "")
            table.add_row(title, *([Text(crop(name, 18))] if many else []), *_stage_cells(stage, notes))
    return table


_STAGE_COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("Time", "right"),
    ("Memory peak", "right"),
    ("Increase", "right"),
    ("Verdict", "left"),
)


def _stage_cells(stage: Stage, notes: Notes) -> list[Text]:
    if stage.reason is not None:
        return [
            *(Text("-", style="dim") for _ in range(3)),
            Text("not measured" + notes.mark(stage.reason), style="dim"),
        ]
    if stage.time is None:
        time = Text("-" + notes.mark(stage.time_reason or "not measured"))
    else:
        time = Text(show_stage_time(stage.time), style="bold")
    if stage.memory is None:
        mark = "-" + notes.mark(stage.memory_reason or "not measured")
        ranges = [Text(mark), Text(mark)]
    else:
        ranges = [Text(show_range(stage.memory.peak)), Text(show_range(stage.memory.increase))]
    return [time, *ranges, _verdict(stage, notes)]


def _verdict(stage: Stage, notes: Notes) -> Text:
    marks = ""
    if stage.verdict.trust is not Trust.CLEAN and stage.verdict.reasons:
        reasons = [reason for reason in stage.verdict.reasons if reason not in notes.told]
        marks = notes.mark("; ".join(condensed(reasons, notes.most))) if reasons else ""
    return Text(stage.verdict.trust.value, style=TRUST[stage.verdict.trust]).append(marks, style="dim")


def _others(profiles: Sequence[Profile], names: Sequence[str], notes: Notes) -> Table:
    """The figures beside the stages: one row each, a column per profile."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=len(profiles) > 1, header_style="dim")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(Text(crop(name, 24)))
    for title, keys in _ROWS:
        table.add_row(title, *(_joined([fact(key) for key in keys], profile, notes) for profile in profiles))
    extra = {(stage.name, word): None for profile in profiles for stage in profile.stages for word in stage.accelerator}
    for name, word in extra:
        found = accelerator_fact(name, word)
        table.add_row(Text(line(found.title)), *(_joined([found], profile, notes) for profile in profiles))
    return table


_ROWS = (
    ("Iterations per second", ("iterations_per_second",)),
    ("First inference", ("first_inference_time",)),
    ("Memory growth per 1,000", ("inference_memory_growth",)),
    ("Runtime import", ("runtime_import_time", "runtime_import_memory_range")),
    ("Energy per inference", ("inference_energy",)),
)


def _joined(found: Sequence[Fact], profile: Profile, notes: Notes) -> Text:
    """Several figures in one cell; one missing reason stands once."""
    shown = [figure.show(profile) for figure in found]
    reasons = dict.fromkeys(reason for figure in found if (reason := figure.reason(profile)))
    text = ", ".join(shown) if any(part != "-" for part in shown) else "-"
    return Text(text).append("".join(notes.mark(reason) for reason in reasons), style="dim")


def _sustained(profile: Profile, name: str) -> Iterator[RenderableType]:
    """The curve as a line of blocks, the figures, and what is to be held against them."""
    found = profile.sustained
    if found is None:
        if profile.sustained_reason is not None:
            yield Text(f"\n! {line(profile.sustained_reason)}", style=NOTICE["warning"][1])
        return
    table = pairs()
    (title, first), *rest = rows(found)
    trust = found.verdict.trust
    table.add_row(Text(title if not name else f"{title}, {crop(name, 24)}", style="bold"), Text(first))
    table.add_row(Text(""), Text(sparkline(found), style="blue"))
    for number, (title, text) in enumerate(rest):
        cell = Text(line(text), style="bold" if number == 0 else "")
        table.add_row(title, cell.append(f"  {trust}", style=f"not bold {TRUST[trust]}") if number == 0 else cell)
    for reason in found.verdict.reasons:
        table.add_row(Text(""), Text(line(reason), style="dim"))
    yield Padding(table, (1, 0, 0, 0))


def _notices(notices: Sequence[Notice]) -> Iterator[RenderableType]:
    if not notices:
        return
    yield Text("\nNotices", style="bold")
    table = pairs()
    for notice in sorted(notices, key=rank):
        table.add_row(*notice_cells(notice))
    yield table


def _layers(profile: Profile, width: int) -> Iterator[RenderableType]:
    table = profile.layers
    if not table.layers:
        yield Text(f"\nNo layers: {line(table.reason or 'not measured')}", style="dim")
        return
    whole = sum(layer.time_ns for layer in table.layers)
    over = "" if table.overhead is None else f", {_over(table.overhead)} the inference time"
    marked = " (disturbed)" if table.is_disturbed else ""
    yield Text(f"\nLayers{marked}: {len(table.layers):,}, together {show_time(whole)}{over}", style="bold")
    basis = basis_text(table)
    if basis is not None:
        yield Text(basis, style="dim")
    yield _units(profile)
    yield Padding(_top_layers(profile, width, whole or 1), (1, 0, 0, 0))


def _over(overhead: float) -> str:
    return f"{show_share(abs(overhead))} {'over' if overhead >= 0 else 'below'}"


def _units(profile: Profile) -> Table:
    table = _table([("", "left"), ("", "right"), ("", "right"), ("", "right"), ("", "left")], head=False)
    for total in unit_totals(profile.layers):
        counted = f"{total.layers:,} layer{'' if total.layers == 1 else 's'}"
        cells = (total.unit.value, counted, show_time(total.time_ns), show_share(total.time_share))
        drawn = "" if profile.layers.is_disturbed else bar(total.time_share)
        table.add_row(*(Text(cell) for cell in cells), Text(drawn, style="blue"))
    return table


def bar(share: float, width: int = _BAR_WIDTH) -> str:
    """A bar of block characters, an eighth of a column fine."""
    eighths = round(min(max(share, 0), 1) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def _top_layers(profile: Profile, width: int, whole: int) -> Table:
    """The heaviest layers; bars are relative to the first, and not there where the table is disturbed; the rest is summed up."""
    order = ranked(profile.layers.layers)
    top, rest = order[:TOP], order[TOP:]
    table = _table(_LAYER_COLUMNS)
    bars, longest = (8, 13) if width < _NARROW else (_BAR_WIDTH, 18)
    types = min(max(len(line(layer.type)) for _, layer in top), longest)
    digits, step = len(str(len(order))), profile.layers.resolution_ns
    room = max(
        width - digits - types - bars - 35, 12
    )  # 35: units, times and shares, and what stands between the columns
    for number, layer in top:
        style = "red" if is_fallback(profile, layer) else ""
        table.add_row(
            Text(str(number), style="dim"), Text(crop(layer_name(layer.name), room)), Text(crop(layer.type, types)),
            Text(layer.compute_unit.value, style=style), *_time_cells(layer.time_ns, step, whole),
            Text("" if profile.layers.is_disturbed else bar(layer.time_ns / max(top[0][1].time_ns, 1), bars), style=style or "blue"),
        )  # fmt: skip
    if rest:
        cells = _time_cells(sum(layer.time_ns for _, layer in rest), step and step * len(rest), whole)
        table.add_row("", Text(f"{len(rest):,} more"), "", "", *cells, style="dim")
    return table


def _time_cells(time_ns: int, step_ns: int | None, whole_ns: int) -> tuple[Text, Text]:
    """A time and its share; of a time below the clock's step no share is known."""
    known = not step_ns or time_ns >= step_ns
    return Text(show_stepped(time_ns, step_ns)), Text(show_share(time_ns / whole_ns) if known else "-")


_LAYER_COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("#", "right"),
    ("Layer", "left"),
    ("Type", "left"),
    ("Unit", "left"),
    ("Time", "right"),
    ("Share", "right"),
    ("", "left"),
)

plugin = TextReport()
