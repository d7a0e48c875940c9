"""Device models and boards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from dynolab.hub.api.common import Caller, Filter, TheHub
from dynolab.hub.api.schemas import Board, DeviceModel, DeviceModels, Framework
from dynolab.hub.usecases.find_boards import find_board, find_load

router = APIRouter(prefix="/devices", tags=["devices"])


@router.get("")
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
                seen_at=one.seen_at,
            )
            for one in found
        ]
    )


@router.get("/{id}")
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
        created_at=row.created_at,
        seen_at=row.last_seen_at,
    )
