"""A board's health on its page: why it is what it is, its probes as pictures, and the forms that quarantine and release it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.pages.flash import Action, Flash, redirect_with_flash
from dynolab.hub.pages.posted_forms import field_text, posted_form
from dynolab.hub.pages.rendering import language
from dynolab.hub.pages.texts import texts
from dynolab.hub.usecases.change_health import quarantine_board, release_board
from dynolab.hub.usecases.find_probes import Probes, Shown
from dynolab.report.html.probe_chart import ProbeChart, ProbeMark, probe_chart
from dynolab.spec.board_health import FIGURES
from dynolab.spec.show import show_time


@dataclass(frozen=True, slots=True)
class FigureView:
    """One figure of the probes: its name, the newest time, how much of the usual that is, and the picture."""

    name: str
    newest: str
    ratio: str
    """``1.02``; empty where what is usual is not known."""
    chart: ProbeChart | None


def figure_views(request: Request, probes: Probes) -> list[FigureView]:
    """All figures of a board's probes; empty where it was never probed."""
    if probes.newest is None:
        return []
    spoken = texts(language(request))
    return [_figure(name, probes, spoken(f"probe-{name.removesuffix('_ns').replace('_', '-')}")) for name in FIGURES]


def _figure(name: str, probes: Probes, label: str) -> FigureView:
    known = probes.bands.get(name)
    newest = None if probes.newest is None else probes.newest.figures.get(name)
    chart = probe_chart(
        _marks(probes.course, name),
        _marks(probes.marks, name),
        band=None if known is None else (known.middle, known.upper),
        label=label,
    )
    ratio = "" if known is None or newest is None else f"{newest / known.middle:.2f}"
    return FigureView(label, "" if newest is None else show_time(newest), ratio, chart)


def _marks(shown: Sequence[Shown], name: str) -> list[ProbeMark]:
    return [ProbeMark(one.at, one.figures[name], one.verdict) for one in shown if name in one.figures]


async def quarantine(request: Request) -> Response:
    """``POST /devices/boards/ID/quarantine`` with ``reason``."""
    hub, account, form = await posted_form(request)
    device_id = request.path_params["id"]
    await quarantine_board(hub, account, device_id, reason=field_text(form, "reason"))
    return _back(request, device_id, Action.QUARANTINE)


async def release(request: Request) -> Response:
    """``POST /devices/boards/ID/release``, with ``relearn=yes``: its band is learned anew."""
    hub, account, form = await posted_form(request)
    device_id, relearn = request.path_params["id"], field_text(form, "relearn") == "yes"
    await release_board(hub, account, device_id, relearn=relearn)
    return _back(request, device_id, Action.RELEARN if relearn else Action.RELEASE)


def _back(request: Request, device_id: str, action: Action) -> Response:
    return redirect_with_flash(request, f"/devices/{quote(device_id, safe='')}", Flash(action, 1, device_id))


routes = [
    Route("/devices/boards/{id:path}/quarantine", quarantine, methods=["POST"]),
    Route("/devices/boards/{id:path}/release", release, methods=["POST"]),
]
