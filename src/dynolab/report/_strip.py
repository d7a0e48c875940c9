"""The answer first, for a terminal: figures, what must be known beside them, requirements; and how notices look there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dynolab.report._answer import Answer, Item, without_why
from dynolab.report.base import crop, line
from dynolab.spec.measurements import Notice
from dynolab.spec.profiles import Trust
from dynolab.spec.requirements import Outcome

TRUST = {Trust.CLEAN: "green", Trust.NOISY: "yellow", Trust.INVALID: "bold red"}
NOTICE = {"loud": ("!!", "bold red"), "warning": ("!", "yellow"), "info": ("-", "dim")}
_OUTCOME = {
    Outcome.MET: ("✓", "green"),
    Outcome.NOT_MET: ("✗", "bold red"),
    Outcome.CANNOT_TELL: ("?", "yellow"),
}


class Notes:
    """Footnotes: each reason stands once, under a number; ``most`` kinds of reason for one verdict, but those ``told`` before."""

    def __init__(self, most: int, told: Collection[str | None] = ()) -> None:
        self.most = most
        self.told = told
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        """The reason's number in brackets, after a space."""
        return f" [{self._numbers.setdefault(line(reason), len(self._numbers) + 1)}]"

    def rows(self) -> Iterator[RenderableType]:
        """The footnotes, numbered."""
        if self._numbers:
            table = pairs()
            for reason, number in self._numbers.items():
                table.add_row(Text(f"[{number}]", style="dim"), Text(reason, style="dim"))
            yield Padding(table, (1, 0, 0, 0))


def pairs() -> Table:
    """A table of two columns without lines or heading; the first does not wrap."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    return table


def rank(notice: Notice) -> int:
    """The louder, the smaller."""
    return list(NOTICE).index(notice.level) if notice.level in NOTICE else len(NOTICE)


def notice_cells(notice: Notice) -> tuple[Text, Text]:
    """A notice's sign and its text."""
    sign, style = NOTICE.get(notice.level, NOTICE["info"])
    return Text(sign, style=style), Text(line(notice.text), style=style)


def strip(names: Sequence[str], answers: Sequence[Answer], notes: Notes) -> Table:
    """A row per question, a column per profile. Of one profile, what must be known stands below the figure that it is of."""
    many = len(answers) > 1
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=many, header_style="dim")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(Text(crop(name, 24)))
    for items in zip(*(answer.items for answer in answers), strict=True):
        cells = [_cell(item, answer, notes, many=many) for item, answer in zip(items, answers, strict=True)]
        titles = dict.fromkeys(item.title for item in items)
        table.add_row(Text(list(titles)[-1] if many else items[0].title), *cells)
    return table


def _cell(item: Item, answer: Answer, notes: Notes, *, many: bool) -> Text:
    cell = Text(line(item.text), style="yellow" if item.doubtful else "bold" if item.trust else "")
    if item.reason is not None:
        cell.append(notes.mark(item.reason), style="dim not bold")
    first = item is answer.items[0]
    if item.trust is not None and (first or item.trust is not Trust.CLEAN):
        cell.append(f"  {item.trust}", style=f"not bold {TRUST[item.trust]}")
    why = answer.why if first else None
    if many:
        return cell.append(notes.mark(answer.reason), style="dim not bold") if why and answer.reason else cell
    if why:
        cell.append(f"\n{line(why)}", style="not bold yellow")
    for notice in sorted(item.notices, key=rank):
        sign, text = notice_cells(notice)
        cell.append(f"\n{sign.plain} {text.plain}", style=f"not bold {text.style}")
    return cell


def decisions(answer: Answer) -> Iterator[RenderableType]:
    """What became of the requirements; why the range is wide is not said again."""
    if not answer.decisions:
        return
    table = pairs()
    for decision in answer.decisions:
        sign, style = _OUTCOME[decision.outcome]
        table.add_row(
            Text(f"{sign} {decision.outcome}", style=style), Text(line(without_why(decision.sentence, answer.why)))
        )
    yield Padding(table, (1, 0, 0, 0))
