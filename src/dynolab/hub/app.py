"""The hub's application: its doors wired to its parts."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from dynolab import errors
from dynolab.hub.aihub import datasets, devices, jobs, models, replies, sharing, users
from dynolab.hub.api import agents, files
from dynolab.hub.api.application import create_api
from dynolab.hub.api.errors import answer
from dynolab.hub.scheduling.queue import PgQueue
from dynolab.hub.scheduling.wakeups import Wakeups
from dynolab.hub.settings import Settings
from dynolab.hub.store.blobs import Blobs
from dynolab.hub.store.database import Database
from dynolab.hub.store.links import Links
from dynolab.hub.store.tables import setting
from dynolab.hub.usecases.base import Hub, Limits
from dynolab.hub.usecases.end_attempt import sweep_leases
from dynolab.hub.usecases.sweep_files import sweep_files

SWEEP_EVERY_S = 1.0
SWEEP_FILES_EVERY_S = 60.0
DOORS = (devices, models, datasets, jobs, sharing, users)
"""The official protocol's resources."""
log = logging.getLogger(__name__)


async def open_hub(settings: Settings, database_url: str, dsn: str) -> Hub:
    """The hub's parts, with the schema brought up to date."""
    database = Database(database_url)
    await database.upgrade()
    return Hub(
        database=database,
        queue=PgQueue(),
        wakeups=Wakeups(dsn),
        blobs=Blobs(settings.blobs_url or settings.data / "blobs"),
        links=Links(await _secret(database)),
        limits=Limits(
            lease_s=settings.lease_s,
            part_bytes=settings.part_bytes,
            model_max_bytes=settings.model_max_bytes,
            dataset_life_days=settings.dataset_life_days,
            data_max_bytes=settings.data_max_bytes,
        ),
    )


async def _secret(database: Database) -> str:
    """The secret that signs addresses: made once, shared by all replicas."""
    values = {"name": "link_secret", "value": secrets.token_urlsafe(32)}
    async with database.begin() as connection:
        await connection.execute(insert(setting).values(values).on_conflict_do_nothing())
        found: str | None = await connection.scalar(select(setting.c.value).where(setting.c.name == "link_secret"))
    if found is None:
        raise errors.Bug("the secret of the addresses was not kept")
    return found


def create(settings: Settings, hub: Hub) -> Starlette:
    """The application over an open hub, which it closes at its end."""
    official = Starlette(
        routes=[one for room in DOORS for one in room.routes],
        exception_handlers={errors.Error: replies.answer, Exception: replies.answer},
    )
    ours = Starlette(
        routes=[
            Mount("/api/agent/v1", routes=agents.routes),
            Mount("/files", routes=files.routes),
            Route("/healthz", health),
        ],
        exception_handlers={errors.Error: answer, Exception: answer},
    )
    api = create_api()
    app = Starlette(
        routes=[Mount("/api/v1", app=official), Mount("/api/hub/v1", app=api), Mount("/", app=ours)],
        lifespan=_lifespan,
    )

    def base_url(request: Request) -> str:
        """How the client reaches the hub, ending in a slash."""
        return settings.public_url or f"{request.url.scheme}://{request.url.netloc}/"

    for one in (app, official, api, ours):
        one.state.hub, one.state.settings, one.state.base_url = hub, settings, base_url
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    hub: Hub = app.state.hub
    jobs_to_do = (
        hub.wakeups.listen(),
        _again_and_again(sweep_leases, hub, SWEEP_EVERY_S),
        _again_and_again(sweep_files, hub, SWEEP_FILES_EVERY_S),
    )
    tasks = [asyncio.create_task(one) for one in jobs_to_do]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await hub.database.close()


async def _again_and_again(sweep: Callable[[Hub], Awaitable[None]], hub: Hub, every_s: float) -> None:
    """Sweep as long as the hub runs; a database that is away for a while is no end."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await sweep(hub)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises while the database is away: the next sweep tries again
            log.warning("%s failed: %s", sweep.__name__, error)


async def health(request: Request) -> Response:
    """``GET /healthz``: 200 when the database answers."""
    hub: Hub = request.app.state.hub
    try:
        await hub.database.ready()
    except Exception as error:  # noqa: BLE001 - any failure is the answer to the question
        return JSONResponse({"status": "no database", "reason": type(error).__name__}, 503)
    return JSONResponse({"status": "ok"})
