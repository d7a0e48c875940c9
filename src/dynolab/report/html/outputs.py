"""Two jobs' outputs worked out for a page: the answer, each output's errors, and a picture of how they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from dynolab.report.html.compiled import decibels
from dynolab.report.html.svg import element, percent, picture
from dynolab.spec.compared_outputs import EDGES, ComparedOutputs, OutputErrors
from dynolab.spec.show import show_count, show_share


@dataclass(frozen=True, slots=True)
class ErrorBar:
    """The values of one output whose errors lie between two shares of its largest value."""

    kind: str
    """``same``, ``up-to`` or ``above``."""
    edge: str
    """The share; empty for those without an error."""
    bar: Markup
    share: str
    count: str


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One output; ``reason``, in English, why it could not be compared."""

    a: str
    b: str
    shape: str
    matched: tuple[str, ...]
    """What was done to hold B's against it, in English; empty: nothing but by the name."""
    types: tuple[str, str] | None
    """Both element types, where they are not the same."""
    error: str | None
    """The largest one; empty: there is none, the numbers are the same."""
    largest: str | None
    """A's largest absolute value."""
    psnr: str | None
    worst_sample: int | None
    worst_psnr: str | None
    is_poor: bool
    reason: str | None
    bars: list[ErrorBar]


@dataclass(frozen=True, slots=True)
class OutputsView:
    """What a page says of two jobs' outputs. ``word`` is the verdict."""

    word: str
    psnr: str | None
    """Of the output that is furthest off."""
    worst: str | None
    """Its name, where there are several."""
    error: str | None
    answers: int | None
    agreeing: int | None
    samples: int
    rows: list[OutputRow]
    not_compared: list[str]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def outputs_view(found: ComparedOutputs) -> OutputsView:
    """The view of what was found."""
    checks, worst = found.accuracy.outputs, found.accuracy.worst
    errors = [one.max_abs_error for one in checks if one.max_abs_error is not None]
    return OutputsView(
        word=found.verdict.value,
        psnr=None if worst is None else decibels(worst.psnr_db),
        worst=worst.name if worst is not None and len(checks) > 1 else None,
        error=f"{max(errors):.2g}" if errors else None,
        answers=found.accuracy.answers,
        agreeing=found.accuracy.agreeing,
        samples=found.samples,
        rows=list(_rows(found)),
        not_compared=[one.name for one in checks if one.max_abs_error is None],
        only_a=found.only_a,
        only_b=found.only_b,
    )


def _rows(found: ComparedOutputs) -> Iterator[OutputRow]:
    limit_db = found.at_least.psnr_db
    for pair, check in zip(found.outputs, found.accuracy.outputs, strict=True):
        lie = found.errors.get(check.name)
        yield OutputRow(
            a=pair.a,
            b=pair.b,
            shape=found.shapes.get(pair.a, ""),
            matched=pair.words,
            types=None if pair.dtype_a == pair.dtype_b else (pair.dtype_a, pair.dtype_b),
            error=None if check.max_abs_error is None else "" if check.is_equal else f"{check.max_abs_error:.2g}",
            largest=None if lie is None else f"{lie.largest:.3g}",
            psnr=decibels(check.psnr_db),
            worst_sample=None if lie is None else lie.worst_sample,
            worst_psnr=None if lie is None else decibels(lie.worst_psnr_db),
            is_poor=check.psnr_db is not None and limit_db is not None and check.psnr_db < limit_db,
            reason=check.reason,
            bars=[] if lie is None or check.is_equal else list(_bars(lie)),
        )


def _bars(lie: OutputErrors) -> Iterator[ErrorBar]:
    """From the first class of errors that occurs to the last, those between them, too."""
    kinds = ["same", *("up-to" for _ in EDGES), "above"]
    edges = ["", *map(_edge, EDGES), _edge(EDGES[-1])]
    counts = [lie.same, *lie.counts]
    held = [place for place, count in enumerate(counts) if count and place]
    most = max(counts)
    for place, (kind, edge, count) in enumerate(zip(kinds, edges, counts, strict=True)):
        if place == 0 or held[0] <= place <= held[-1]:
            rect = element("rect", x=0, y=2, width=percent(count / most), height=12, class_=f"load {kind}")
            share = show_share(count / lie.values)
            yield ErrorBar(kind, edge, picture(16, [rect], label=share), share, show_count(count))


def _edge(share: float) -> str:
    return f"{share * 100:.6g} %".replace("1e-05", "0.00001")
