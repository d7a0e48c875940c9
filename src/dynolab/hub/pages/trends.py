"""One model's or one device's figures over time, changes marked by the rule that compares two profiles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import SpecInvalid
from dynolab.hub.pages.compare import address
from dynolab.hub.pages.jobs import JobLine, line
from dynolab.hub.pages.paging import read_page
from dynolab.hub.pages.rendering import page, say
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.find_trend import POINTS, Line, Point, Wanted, find_lines, measured_names, page_measured
from dynolab.report.base import Say, crop
from dynolab.report.html.figures import Figure, doubt, figure
from dynolab.report.html.sides import Change, change, run_minima
from dynolab.report.html.tables import Badge
from dynolab.report.html.trend import Mark, TrendChart, trend_chart
from dynolab.spec.answers import Answer
from dynolab.spec.compare import time_verdict
from dynolab.spec.facts import Fact, fact
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import Profile, Stage, Trust
from dynolab.spec.show import show, show_range, show_range_change, show_time
from dynolab.spec.stats import median

TIMES = ("estimated_inference_time", "inference_time_median", "first_load_time", "warm_load_time", "compile_time")
MEMORY = tuple(f"{stage}_memory_{part}_range" for stage in StageName for part in ("peak", "increase"))
FIGURES = (*TIMES, *MEMORY, "process_total_peak_range")
LINES_MOST = 12
"""Lines with a picture of their own; the others are linked to."""


@dataclass(frozen=True, slots=True)
class PointView:
    """A job of a line as it is shown; ``change`` is the answer for a time, ``difference`` that of memory."""

    job: JobLine
    figure: Figure
    extent: str
    doubt: Badge | None
    change: Change | None
    difference: str | None
    differing: tuple[str, ...]
    against: str | None
    """Where the two jobs are compared."""
    held_to: str
    """What a time is held against: ``clean``, ``not-clean``, or nothing."""


@dataclass(frozen=True, slots=True)
class LineView:
    """A line of comparable jobs: its picture, its jobs newest first, and what changed."""

    line: Line
    address: str
    chart: TrendChart | None
    start: str | None
    points: list[PointView]
    changes: int
    comparisons: int
    """Jobs whose time was held against another's, and how many of these could not be decided."""
    undecided: int
    overall: Change | None


async def show_trends(request: Request) -> Response:
    """``GET /trends?model=NAME-or-ID&device=NAME&figure=...``: the newest hundred jobs; a form where nothing is named."""
    hub, account = await current_account(request)
    model, device = (_plain(request, name) for name in ("model", "device"))
    wanted = _figure(request.query_params.get("figure") or TIMES[0])
    shown: dict[str, Any] = {
        "model": model,
        "device": device,
        "wanted": wanted,
        "figures": [fact(key) for key in FIGURES],
    }
    shown["known"] = await measured_names(hub, account)
    if not model and not device:
        return await page(request, "trends_choose.html.j2", account, **shown, link=_address)
    stage = wanted.stage if wanted.kind == "time_ns" else None
    asked = Wanted(model, device, stage)
    found = await read_page(request, partial(page_measured, hub, account, asked), POINTS)
    lines, unreadable = await find_lines(hub, found.rows, stage)
    views = await asyncio.to_thread(lambda: [_view(one, wanted, say(request)) for one in lines[:LINES_MOST]])
    return await page(
        request,
        "trends.html.j2",
        account,
        **shown,
        found=found,
        lines=views,
        others=[(one, _address(one.model, one.device, wanted.key)) for one in lines[LINES_MOST:]],
        unreadable=unreadable,
        title=" · ".join(part for part in (_named(lines, model), device) if part),
        timed=wanted.kind == "time_ns",
    )


def _plain(request: Request, name: str) -> str:
    return request.query_params.get(name, "").replace("\x00", "").strip()[:256]


def _figure(key: str) -> Fact:
    if key not in FIGURES:
        raise SpecInvalid(f"there is no trend of {key[:100]!r}", hint=f"there are: {', '.join(FIGURES)}")
    return fact(key)


def _address(model: str, device: str, key: str = "") -> str:
    given = {"model": model, "device": device, "figure": "" if key == TIMES[0] else key}
    return "/trends?" + urlencode({name: value for name, value in given.items() if value})


def _named(lines: Sequence[Line], model: str) -> str:
    """The model's name, where it was asked for by its id."""
    return lines[0].model if model and lines else model


# ---- what is shown of a line ----------------------------------------------------------------------------------------


def _view(found: Line, wanted: Fact, spoken: Say) -> LineView:
    points = [_point(point, wanted) for point in found.points]
    marks = [_mark(point, seen, wanted, spoken) for point, seen in zip(found.points, points, strict=True)]
    chart = trend_chart(marks, kind=wanted.kind, label=spoken("scale"))
    answers = [point.answer for point in found.points if point.answer is not None]
    start = None
    if chart is not None and chart.start is not None:
        start = show("time_ns" if wanted.kind == "time_ns" else "bytes", chart.start)
    return LineView(
        line=found,
        address=_address(found.model, found.device, wanted.key),
        chart=chart,
        start=start,
        points=points[::-1],
        changes=sum(mark.change != "" for mark in marks),
        comparisons=len(answers),
        undecided=sum(one.answer is Answer.CANNOT_TELL for one in answers),
        overall=None if found.overall is None else change(found.overall),
    )


def _point(point: Point, wanted: Fact) -> PointView:
    before = None if point.since is None else address([point.since.id, point.row.id])
    extent = _extent(point.profile, wanted)
    return PointView(
        job=line(point.row),
        figure=figure(point.profile, wanted),
        extent="" if extent is None else _shown(extent, wanted),
        doubt=doubt(point.profile, wanted),
        change=None if point.answer is None else change(point.answer),
        difference=_difference(point, wanted),
        differing=tuple(crop(text, 160) for text in point.differing),
        against=before,
        held_to=_held_to(point, wanted),
    )


def _held_to(point: Point, wanted: Fact) -> str:
    if point.earlier is None or point.answer is None or wanted.stage is None:
        return ""
    stage: Stage = getattr(point.earlier, wanted.stage.value)
    return "clean" if time_verdict(stage).trust is Trust.CLEAN else "not-clean"


def _shown(extent: Range, wanted: Fact) -> str:
    if wanted.kind != "time_ns":
        return show_range(extent, "–")
    return " – ".join(dict.fromkeys([show_time(extent.lower), show_time(extent.upper)]))


def _difference(point: Point, wanted: Fact) -> str | None:
    """What a range of memory differs by from that of the job before."""
    if point.earlier is None:
        return None
    old, new = (wanted.value(profile) for profile in (point.earlier, point.profile))
    return show_range_change(old, new) if isinstance(old, Range) and isinstance(new, Range) else None


def _mark(point: Point, seen: PointView, wanted: Fact, spoken: Say) -> Mark:
    value = wanted.value(point.profile)
    told = seen.change if seen.change is not None and seen.change.word in ("faster", "slower") else None
    return Mark(
        at=point.row.created_at,
        value=value if isinstance(value, Range) else None if value is None else Range(int(value), int(value)),
        extent=_extent(point.profile, wanted),
        trust="clean" if seen.doubt is None else seen.doubt.word,
        title=f"{seen.job.name}: {seen.figure.text}{'' if seen.doubt is None else f', {spoken(seen.doubt.word)}'}",
        place=f"/jobs/{point.row.id}/",
        change="" if told is None else told.word,
        share="" if told is None else told.share,
    )


def _extent(profile: Profile, wanted: Fact) -> Range | None:
    """How far the figure's runs lie apart: of times from process to process, of memory the upper end over the repeats."""
    if wanted.stage is None:
        return None
    stage: Stage = getattr(profile, wanted.stage.value)
    if wanted.kind == "time_ns":
        if wanted.key.endswith("_median"):
            middles = [median(run.values_ns) for run in stage.timing_runs if run.values_ns]
            return Range(min(middles), max(middles)) if middles else None
        ends = run_minima(stage)
        return None if ends is None else Range(*ends)
    if stage.memory is None:
        return None
    spread = stage.memory.spread
    return spread.peak_upper if "_peak_" in wanted.key else spread.increase_upper


routes = [Route("/trends", show_trends)]
