"""Sharing of jobs, models and datasets by e-mail address."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import Table

from dynolab.hub.api.common import Caller, TheHub
from dynolab.hub.api.schemas import Sharing, SharingAsked
from dynolab.hub.usecases.share_access import change_sharing, shared_with, stop_sharing


def sharing_routes(router: APIRouter, table: Table) -> None:
    """Give a resource's router its three routes ``/{id}/sharing``."""

    async def show(hub: TheHub, account: Caller, id: str) -> Sharing:
        """With whom it is shared."""
        return Sharing(emails=await shared_with(hub, account, table, id))

    async def change(hub: TheHub, account: Caller, id: str, asked: SharingAsked) -> Sharing:
        """Share with some, and no longer with others."""
        await change_sharing(hub, account, table, id, add=asked.add, remove=asked.remove)
        return Sharing(emails=await shared_with(hub, account, table, id))

    async def stop(hub: TheHub, account: Caller, id: str) -> None:
        """Share with nobody."""
        await stop_sharing(hub, account, table, id)

    path, named = "/{id}/sharing", f"{table.name} sharing"
    router.add_api_route(path, show, methods=["GET"], name=f"show {named}")
    router.add_api_route(path, change, methods=["PATCH"], name=f"change {named}")
    router.add_api_route(path, stop, methods=["DELETE"], status_code=204, name=f"stop {named}")
