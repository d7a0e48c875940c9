"""What the hub's devices can run."""

from __future__ import annotations

from fastapi import APIRouter

from dynolab.hub.api.common import Caller, TheHub
from dynolab.hub.api.schemas import Framework, Frameworks
from dynolab.hub.usecases.find_frameworks import find_frameworks

router = APIRouter(prefix="/frameworks", tags=["devices"])


@router.get("")
async def listing(hub: TheHub, account: Caller) -> Frameworks:
    """Name and version of every runtime that some board has."""
    return Frameworks(
        frameworks=[Framework(name=name, version=version) for name, version in await find_frameworks(hub, account)]
    )
