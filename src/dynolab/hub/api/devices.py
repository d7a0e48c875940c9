"""Device models and boards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from dynolab.hub.api.common import Before, Caller, Filter, TheHub
from dynolab.hub.api.schemas import (
    BandOf,
    Board,
    BoardHealth,
    BoardsHealth,
    DeviceModel,
    DeviceModels,
    Framework,
    HealthAsked,
    NewestProbe,
    Probes,
    ProbeShown,
)
from dynolab.hub.usecases.change_health import quarantine_board, release_board
from dynolab.hub.usecases.cursors import decode_pair, encode_pair
from dynolab.hub.usecases.find_board_states import BoardFilter, find_board_states
from dynolab.hub.usecases.find_boards import find_board, find_load
from dynolab.hub.usecases.find_probes import find_probes

router = APIRouter(tags=["devices"])
BOARDS_MOST = 500
"""On a page, and as many as come where no number is named: few have more."""


@router.get("/devices")
async def listing(
    hub: TheHub,
    account: Caller,
    name: Filter = "",
    os: Annotated[str, Query(max_length=256, description="A version, or an interval such as `[14,15)`.")] = "",
    attribute: Annotated[list[str], Query(max_length=100, description="All of them must be there.")] = [],  # noqa: B006 - FastAPI copies it
) -> DeviceModels:
    """The device models that a job with these wishes may go to, and how busy they are."""
    found = await find_load(hub, account, name=name, os=os, attributes=attribute)
    return DeviceModels(
        devices=[
            DeviceModel(
                name=one.model.name,
                os=one.model.os,
                attributes=list(one.model.told),
                description=one.model.description,
                owner=one.model.owner,
                boards=one.boards,
                busy=one.busy,
                queued=one.queued,
                unfit=list(one.unfit),
                quarantined=list(one.quarantined),
                drifts=list(one.drifts),
                seen_at=one.seen_at,
            )
            for one in found
        ]
    )


@router.get("/boards")
async def boards(
    hub: TheHub,
    account: Caller,
    name: Filter = "",
    limit: Annotated[
        int, Query(ge=1, le=BOARDS_MOST, description="How many there are to be on the page.")
    ] = BOARDS_MOST,
    before: Before = None,
) -> BoardsHealth:
    """A page of the boards that you are told of, or of those of a name, by name and id: free or not, well or not."""
    wanted, after = BoardFilter(name=name), decode_pair(before)
    found = await find_board_states(hub, account, wanted, limit=limit + 1, after=after)
    following = encode_pair(found[limit - 1].name, found[limit - 1].id) if len(found) > limit else None
    return BoardsHealth(boards=[BoardHealth.model_validate(one) for one in found[:limit]], next=following)


@router.put("/devices/{id}/health")
async def change_health(hub: TheHub, account: Caller, id: str, asked: HealthAsked) -> BoardHealth:
    """Quarantine a board, or release it; for its pool's owner and administrators. What runs on it goes on."""
    if asked.quarantine:
        await quarantine_board(hub, account, id, reason=asked.reason)
    else:
        await release_board(hub, account, id, relearn=asked.relearn)
    [found] = await find_board_states(hub, account, BoardFilter(id=id), limit=1)
    return BoardHealth.model_validate(found)


@router.get("/devices/{id}/probes")
async def probes(hub: TheHub, account: Caller, id: str) -> Probes:
    """What a board's health probes showed over the last 28 days, and its bands."""
    await find_board(hub, account, id)
    found = await find_probes(hub, id)
    return Probes(
        newest=None if found.newest is None else NewestProbe.model_validate(found.newest),
        bands={
            name: BandOf(middle_ns=one.middle, upper_ns=one.upper, probes=one.probes)
            for name, one in found.bands.items()
        },
        course=[ProbeShown.model_validate(one) for one in found.course],
        out_of_band=[ProbeShown.model_validate(one) for one in found.marks],
    )


@router.get("/devices/{id}")
async def show(hub: TheHub, account: Caller, id: str) -> Board:
    """One board, by the id that its agent announced it with."""
    row = await find_board(hub, account, id)
    return Board(
        id=row.id,
        name=row.name,
        os=row.os,
        attributes=row.attributes,
        description=row.description,
        frameworks=[Framework(**one) for one in row.frameworks],
        busy=row.busy,
        unfit=row.unfit or None,
        health="unfit" if row.unfit else row.health,
        why=row.unfit or ("" if row.health == "good" else row.health_why),
        health_by=row.health_by,
        health_since=row.health_since,
        drift=row.drift,
        created_at=row.created_at,
        seen_at=row.last_seen_at,
    )
