"""Devices: the models of devices with their boards, and a page for each model and board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dynolab import own_wheel
from dynolab.errors import NotFound
from dynolab.hub.pages.board_health import figure_views
from dynolab.hub.pages.flash import clear_flash, read_flash
from dynolab.hub.pages.live_updates import live_page
from dynolab.hub.pages.paging import numbered_page, read_page
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.base import NAME_MAX, Account, Hub
from dynolab.hub.usecases.find_board_states import BoardFilter, BoardState, find_board_states
from dynolab.hub.usecases.find_boards import Load, count_compiles, find_load
from dynolab.hub.usecases.find_device_history import find_device_history
from dynolab.hub.usecases.find_device_lines import find_device_lines
from dynolab.hub.usecases.find_organisations import find_organisations
from dynolab.hub.usecases.find_pools import find_pools
from dynolab.hub.usecases.find_probes import find_probes
from dynolab.spec.joining import upgrade_command
from dynolab.spec.toolchain_support import TOOLCHAINS_ONLY, made_from

ATTEMPTS = 25
"""On a page of what a board did."""
LINES, BOARDS, BOARDS_MOST, UNTRUSTED = 12, 8, 100, 20
"""On a page of devices: pools and systems; boards of each, and of a device's own page; pools that would take one's jobs."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A model of devices, with its boards."""

    load: Load
    boards: Sequence[BoardState]
    """The first ones."""

    @property
    def more(self) -> int:
        """How many others there are."""
        return self.load.boards - len(self.boards)

    @property
    def name(self) -> str:
        """As jobs ask for it."""
        return self.load.model.name

    @property
    def frameworks(self) -> list[tuple[str, str]]:
        """Name and version of what its boards run."""
        return sorted({one for board in self.boards for one in board.frameworks})

    @property
    def toolchains(self) -> dict[str, list[str]]:
        """What its boards compile as well: the formats of the sources by target."""
        return made_from(self.load.model.attributes)


@dataclass(frozen=True, slots=True)
class Compiler:
    """A machine that compiles and is no device that a job may ask for."""

    board: BoardState

    @property
    def toolchains(self) -> dict[str, list[str]]:
        """The formats of the sources by target."""
        return made_from(self.board.attributes)


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt of a board: the row, and how many seconds it took or takes by now."""

    row: Row[Any]
    seconds: int


async def listing(request: Request) -> Response:
    """``GET /devices/``: all models of devices, or those of whose boards something holds ``text``."""
    hub, account = await current_account(request)
    wanted = request.query_params.get("text", "").replace("\x00", "").strip()[:NAME_MAX]
    lines, states = await find_device_lines(hub, account, text=wanted)
    found = numbered_page(request, lines, LINES)
    here = BoardFilter(text=wanted, lines=[(one.pool_id, one.os) for one in found.rows])
    boards = await find_board_states(hub, account, here, limit=LINES * BOARDS_MOST, of_each_model=BOARDS)
    load = await find_load(hub, account, pools={one.pool_id for one in found.rows})
    compiling = BoardFilter(text=wanted, attribute=TOOLCHAINS_ONLY)
    shown = {
        "kinds": _kinds(load, boards),
        "compilers": _compilers(await find_board_states(hub, account, compiling, limit=BOARDS_MOST)),
        "wanted": wanted,
        "untrusted": await find_pools(hub, account, untrusted_most=UNTRUSTED),
        "flash": read_flash(request),
        "states": states,
        "found": found,
    }
    return clear_flash(request, await live_page(request, account, "devices", **shown))


async def without_slash(request: Request) -> Response:
    """``GET /devices``: what the official client links to."""
    return RedirectResponse("/devices/", 307)


async def show(request: Request) -> Response:
    """``GET /devices/ID``: a board by its id, or the models of a name. Raises :class:`NotFound`."""
    hub, account = await current_account(request)
    wanted = request.path_params["id"]
    found = await find_board_states(hub, account, BoardFilter(id=wanted), limit=1)
    if found:
        return await _board(request, hub, account, found[0])
    load = await find_load(hub, account, name=wanted)
    pools = await find_pools(hub, account, name=wanted)
    if not load and not pools:
        raise NotFound(f"there is no device {wanted!r}", hint="the list of devices has those that agents serve")
    named = BoardFilter(name=wanted)
    boards = await find_board_states(hub, account, named, limit=10 * BOARDS_MOST, of_each_model=BOARDS_MOST)
    compilers = _compilers(boards)
    flash = read_flash(request)
    shown = {"name": wanted, "kinds": _kinds(load, boards), "compilers": compilers, "pools": pools, "flash": flash}
    if any(one.is_own for one in pools):
        shown["organisations"] = [one.name for one in await find_organisations(hub, account) if one.may_manage]
    return clear_flash(request, await live_page(request, account, "device", **shown))


async def _board(request: Request, hub: Hub, account: Account, board: BoardState) -> Response:
    only_compiles = TOOLCHAINS_ONLY in board.attributes
    load = await find_load(hub, account, name=board.name, os=board.os)
    queued = load[0].queued if load else 0
    found = await read_page(request, partial(find_device_history, hub, account, board.id), ATTEMPTS)
    tries = [Try(row, _seconds(row)) for row in found.rows]
    probes = await find_probes(hub, board.id)
    shown = await live_page(
        request,
        account,
        "board",
        board=board,
        queued=await count_compiles(hub, board.pool_id) if only_compiles else queued,
        toolchains=made_from(board.attributes),
        only_compiles=only_compiles,
        found=found,
        tries=tries,
        name=board.name,
        probe=probes.newest,
        figures=figure_views(request, probes),
        flash=read_flash(request),
        upgrade=upgrade_command(str(request.app.state.base_url(request)).rstrip("/"), own_wheel.file_name()),
        hub_version=version("dynolab"),
    )
    return clear_flash(request, shown)


def _kinds(load: Sequence[Load], boards: Sequence[BoardState]) -> list[Kind]:
    """The models that have a board among these, by name, the newest system first."""
    by_model: dict[tuple[str, str, tuple[str, ...]], list[BoardState]] = {}
    for board in boards:
        by_model.setdefault(board.model, []).append(board)
    keys = [(one, one.model.key) for one in load]
    kinds = [Kind(one, by_model[key]) for one, key in keys if key in by_model]
    return sorted(kinds, key=lambda kind: kind.name.casefold())


def _compilers(boards: Sequence[BoardState]) -> list[Compiler]:
    return [Compiler(one) for one in boards if TOOLCHAINS_ONLY in one.attributes]


def _seconds(row: Row[Any]) -> int:
    took: timedelta = (row.finished_at or datetime.now(UTC)) - row.started_at
    return max(0, round(took.total_seconds()))  # the clock may have been set back meanwhile


routes = [
    Route("/devices", without_slash),
    Route("/devices/", listing),
    Route("/devices/{id:path}", show),
]
