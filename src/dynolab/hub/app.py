"""The hub's application: its doors wired to its parts."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from dynolab import errors
from dynolab.hub.aihub import datasets, devices, jobs, models, replies, sharing, users
from dynolab.hub.api import agents, files
from dynolab.hub.api import metrics as metrics_door
from dynolab.hub.api.errors import answer, hung_up
from dynolab.hub.middleware.lazy import LazyApp
from dynolab.hub.middleware.post_rate_limit import PostRateLimit
from dynolab.hub.middleware.request_checks import PathRules, RequestChecks
from dynolab.hub.middleware.request_metrics import RequestMetrics
from dynolab.hub.middleware.request_traces import RequestTraces
from dynolab.hub.middleware.shortcut import Shortcut
from dynolab.hub.oidc_settings import oidc_settings
from dynolab.hub.scheduling.queue import PgQueue
from dynolab.hub.scheduling.wakeups import Wakeups
from dynolab.hub.settings import Settings
from dynolab.hub.store.blobs import Blobs
from dynolab.hub.store.database import Database, newest
from dynolab.hub.store.direct import DirectTransfers
from dynolab.hub.store.links import Links
from dynolab.hub.store.oidc_flow import Flows
from dynolab.hub.store.tables import setting
from dynolab.hub.telemetry import metrics
from dynolab.hub.usecases.announce_device import note_seen
from dynolab.hub.usecases.audit import ITSELF, note, sweep_refusals
from dynolab.hub.usecases.base import Hub, Limits, SignInProvider
from dynolab.hub.usecases.end_attempt import sweep_leases
from dynolab.hub.usecases.quotas import sweep_device_use, sweep_stored_bytes
from dynolab.hub.usecases.sweep_audit import sweep_audit
from dynolab.hub.usecases.sweep_deadlines import sweep_deadlines
from dynolab.hub.usecases.sweep_digests import sweep_digests
from dynolab.hub.usecases.sweep_files import sweep_files
from dynolab.hub.usecases.sweep_objects import sweep_objects
from dynolab.hub.usecases.sweep_probes import sweep_probes
from dynolab.hub.usecases.sweep_queues import sweep_queues
from dynolab.hub.usecases.sweep_retention import sweep_retention
from dynolab.hub.usecases.sweep_sessions import sweep_sessions
from dynolab.hub.usecases.sweep_toolchains import sweep_toolchains
from dynolab.hub.usecases.time_away import note_sweep

SWEEP_EVERY_S = 1.0
SWEEP_TOOLCHAINS_EVERY_S = SWEEP_DIGESTS_EVERY_S = 10.0
NOTE_SEEN_EVERY_S = SWEEP_QUEUES_EVERY_S = 5.0
SWEEP_FILES_EVERY_S = SWEEP_SESSIONS_EVERY_S = 60.0
SWEEP_PROBES_EVERY_S = SWEEP_RETENTION_EVERY_S = 3600.0
HEALTH_WITHIN_S = 1.0
"""Who asks whether the hub is well is answered within this time, also when the database does not answer."""
JSON_MAX_BYTES = 1 << 20
"""A request to complete an upload of thousands of parts stays far below."""
PROTOBUF_MAX_BYTES = 1 << 20
"""A job with the shapes of thousands of inputs stays far below."""
AGENT_MAX_BYTES = PAGE_MAX_BYTES = 1 << 20
LOGOUT_MAX_BYTES = 64 << 10
"""A logout token is one kilobyte or two."""
RESULT_MAX_BYTES = 256 << 20
"""The whole document of a profile with tens of thousands of layers stays far below."""
LOG_MAX_BYTES = 64 << 20
FORM_MORE_BYTES = 1 << 20
"""What a form holds besides its file."""
DOORS = (devices, models, datasets, jobs, sharing, users)
"""The official protocol's resources."""
SERVED = "served_from_a_store"
"""The setting that is there once a replica has served, from a store that it had marked."""
CANCEL_EVERY_S = 0.5
NOTED = (sweep_files, sweep_sessions, sweep_probes, sweep_objects, sweep_retention, sweep_audit)
"""Sweeps that note when they ended well, which ``dynolab hub check`` reads; the others are too many to note each."""
log = logging.getLogger(__name__)


async def open_hub(settings: Settings, database_url: str, dsn: str, *, serves: bool = False) -> Hub:
    """The hub's parts, with the schema brought up to date. ``dsn``: the plain address of the database itself.

    ``serves``: that it is a replica, which must have the store of those that served from this database before.
    """
    blobs = Blobs(settings.blobs_url or settings.data / "blobs")
    database = Database(database_url, direct_url=dsn if settings.database_direct_url else None)
    direct = None
    if settings.transfers == "direct":
        direct = await asyncio.to_thread(DirectTransfers, settings.blobs_url or "", settings.transfers_endpoint)
    try:
        before = await database.upgrade(patience_s=0.0 if serves else None)  # who serves waits, and says so: opened()
        async with database.single() as connection:
            known = await connection.scalar(select(setting.c.value).where(setting.c.name == "hub_id"))
        owner = await _kept(database, "hub_id")
        await blobs.claim(owner, expected=serves and await _is_kept(database, SERVED))
        if serves:
            await _kept(database, SERVED)
        secret = await _kept(database, "link_secret")
        if before is not None and known is not None:  # at a first start, another replica may have made the first tables
            async with database.begin() as connection:
                await note(connection, "hub.upgrade", "schema", newest(), who=ITSELF, details={"from": before})
    except BaseException:
        await database.close()
        raise
    return Hub(
        database=database,
        queue=PgQueue(),
        wakeups=Wakeups(dsn),
        blobs=blobs,
        direct=direct,
        links=Links(secret),
        oidc=_provider(settings, secret),
        limits=Limits(
            lease_s=settings.lease_s,
            part_bytes=settings.part_bytes,
            model_max_bytes=settings.model_max_bytes,
            dataset_life_days=settings.dataset_life_days,
            data_max_bytes=settings.data_max_bytes,
            quota_bytes=settings.quota_bytes,
            quota_jobs=settings.quota_jobs,
            quota_minutes=settings.quota_minutes,
            orphan_age_s=settings.orphan_age_s,
            digest_bytes_per_s=settings.digest_bytes_per_s,
            run_s=settings.run_s,
            audit_kept=_kept_for(settings.audit_days),
            token_life=_days(settings.token_life_days),
            token_life_max=_days(settings.token_life_max_days),
            token_overlap=timedelta(seconds=settings.token_overlap_s),
        ),
    )


def _kept_for(days: float | None) -> timedelta | None:
    """How long the audit log is kept: the database refuses to remove what is younger than 30 days."""
    return None if days is None else timedelta(days=max(days, 30.0))


def _days(count: float | None) -> timedelta | None:
    return None if count is None else timedelta(days=count)


def _provider(settings: Settings, secret: str) -> SignInProvider | None:
    there = oidc_settings(settings)
    if there is None:
        return None
    from dynolab.hub.store.oidc import Provider  # its libraries take several MB

    return SignInProvider(Provider(there), Flows(secret))


async def _is_kept(database: Database, name: str) -> bool:
    async with database.single() as connection:
        return bool(await connection.scalar(select(exists().where(setting.c.name == name))))


async def _kept(database: Database, name: str) -> str:
    """A random text that is made once and shared by all replicas: the secret of addresses, the hub's own id."""
    values = {"name": name, "value": secrets.token_urlsafe(32)}
    async with database.begin() as connection:
        await connection.execute(insert(setting).values(values).on_conflict_do_nothing())
        found: str | None = await connection.scalar(select(setting.c.value).where(setting.c.name == name))
    if found is None:
        raise errors.Bug(f"the setting {name} was not kept")
    return found


def create(settings: Settings, hub: Hub) -> ASGIApp:
    """The application over an open hub, which it closes at its end."""
    official = Starlette(
        routes=[one for room in DOORS for one in room.routes],
        exception_handlers={errors.Error: replies.answer, ClientDisconnect: hung_up, Exception: replies.answer},
    )
    agent_door, file_door = (
        Starlette(
            routes=routes, exception_handlers={errors.Error: answer, ClientDisconnect: hung_up, Exception: answer}
        )
        for routes in (agents.routes, files.routes)
    )
    rates = None if settings.posts_per_s is None else PostRateLimit(settings.posts_per_s)

    def base_url(request: Request) -> str:
        """How the client reaches the hub, ending in a slash."""
        return settings.public_url or f"{request.url.scheme}://{request.url.netloc}/"

    def wired(one: Starlette) -> Starlette:
        one.state.hub, one.state.settings, one.state.base_url = hub, settings, base_url
        return one

    paths = _path_rules(settings)
    app = Starlette(
        routes=[
            Mount("/api/v1", app=wired(official)),
            Mount("/api/hub/v1", app=LazyApp(lambda: wired(_json()))),
            Mount("/files", app=wired(file_door)),
            Route("/healthz", health),
            Route("/livez", live),
            *metrics_door.routes,
            Mount("/", app=LazyApp(lambda: wired(_pages()))),
        ],
        lifespan=_lifespan,
        middleware=[
            Middleware(RequestTraces),
            Middleware(RequestMetrics),
            Middleware(RequestChecks, paths=paths, rates=rates),
        ],
        exception_handlers={errors.Error: answer},
    )
    claims = RequestMetrics(RequestChecks(agents.ClaimDoor(), paths, rates))
    door = RequestTraces(RequestMetrics(RequestChecks(wired(agent_door), paths, rates)))
    claim = Route("/api/agent/v1/claim", claims, methods=["POST"])
    return Shortcut(wired(app), [claim], {"/api/agent/v1": door})


def _json() -> Starlette:
    from dynolab.hub.api.application import create_api

    return create_api()


def _pages() -> Starlette:
    from dynolab.hub.pages.application import create_pages

    return create_pages()


async def _page_failed(request: Request, error: Exception) -> Response:
    from dynolab.hub.pages.application import failed

    return await failed(request, error)


def _path_rules(settings: Settings) -> tuple[PathRules, ...]:
    """What is taken where, the longest path of those that begin alike first."""
    model, part = settings.model_max_bytes, settings.part_bytes
    return (
        PathRules("/api/hub/v1", answer, JSON_MAX_BYTES, json_only=True, posts_bounded=True),
        PathRules("/api/agent/v1/files/result/", answer, RESULT_MAX_BYTES),
        PathRules("/api/agent/v1/files/log/", answer, LOG_MAX_BYTES),
        PathRules("/api/agent/v1/files/", answer, model),
        PathRules("/api/agent/v1", answer, AGENT_MAX_BYTES, json_only=True),  # not bounded: claims are as many as jobs
        PathRules("/api/v1", replies.answer, PROTOBUF_MAX_BYTES, posts_bounded=True),
        # Not bounded but by failures: the provider ends many sessions at once.
        PathRules("/sign-out/oidc/back-channel", _page_failed, LOGOUT_MAX_BYTES),
        PathRules("/files/parts/", answer, part),
        PathRules("/files/forms/", answer, model + FORM_MORE_BYTES),
        PathRules("/submit/", answer, PAGE_MAX_BYTES, posts_bounded=True),
        PathRules(
            "/submit", _page_failed, 2 * model + FORM_MORE_BYTES, posts_bounded=True
        ),  # a model's file and a dataset's
        PathRules("/", _page_failed, PAGE_MAX_BYTES, posts_bounded=True),
    )


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    hub: Hub = app.state.hub
    jobs_to_do = (
        hub.wakeups.listen(),
        _again_and_again(sweep_leases, hub, SWEEP_EVERY_S),
        _again_and_again(sweep_deadlines, hub, SWEEP_EVERY_S),
        _again_and_again(note_seen, hub, NOTE_SEEN_EVERY_S),
        _again_and_again(sweep_queues, hub, SWEEP_QUEUES_EVERY_S),
        _again_and_again(sweep_toolchains, hub, SWEEP_TOOLCHAINS_EVERY_S),
        _again_and_again(sweep_files, hub, SWEEP_FILES_EVERY_S),
        _again_and_again(sweep_sessions, hub, SWEEP_SESSIONS_EVERY_S),
        _again_and_again(sweep_probes, hub, SWEEP_PROBES_EVERY_S),
        _again_and_again(sweep_device_use, hub, SWEEP_FILES_EVERY_S),
        _again_and_again(sweep_stored_bytes, hub, SWEEP_FILES_EVERY_S),
        _again_and_again(sweep_refusals, hub, SWEEP_SESSIONS_EVERY_S),
        _again_and_again(sweep_retention, hub, SWEEP_RETENTION_EVERY_S),
        _again_and_again(sweep_audit, hub, SWEEP_PROBES_EVERY_S),
        _again_and_again(sweep_digests, hub, SWEEP_DIGESTS_EVERY_S),
        _again_and_again(sweep_objects, hub, hub.limits.orphan_age_s),
    )
    tasks = [asyncio.create_task(one) for one in jobs_to_do]
    try:
        yield
    finally:
        await end_tasks(tasks)
        with suppress(errors.Error):
            await sweep_refusals(hub)
        if hub.oidc is not None:
            await hub.oidc.provider.close()
        await hub.database.close()


async def end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended: a cancellation that comes as that ends which a task waits for is lost (``wait_for`` of Python 3.11)."""
    while left := [one for one in tasks if not one.done()]:
        for one in left:
            one.cancel()
        await asyncio.wait(left, timeout=CANCEL_EVERY_S)


async def _again_and_again(sweep: Callable[[Hub], Awaitable[None]], hub: Hub, every_s: float) -> None:
    """Sweep as long as the hub runs; a database that is away for a while is no end."""
    name, loop = sweep.__name__.removeprefix("sweep_"), asyncio.get_running_loop()
    metrics.SWEEP_DONE.labels(name).set(time.time())
    failures = metrics.SWEEP_FAILURES.labels(name)
    while True:
        due_s = loop.time() + every_s
        await asyncio.sleep(every_s)
        if every_s == SWEEP_EVERY_S:
            metrics.LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due_s))
        try:
            with metrics.SWEEP_SECONDS.labels(name).time():
                await sweep(hub)
            metrics.SWEEP_DONE.labels(name).set(time.time())
            if sweep in NOTED:
                async with hub.database.single() as connection:
                    await note_sweep(connection, sweep.__name__)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises while the database is away: the next sweep tries again
            failures.inc()
            log.warning("%s failed: %s", sweep.__name__, error)


async def live(request: Request) -> Response:
    """``GET /livez``: 200, whatever becomes of the database: a replica that does not answer is stuck."""
    return JSONResponse({"status": "ok"})


async def health(request: Request) -> Response:
    """``GET /healthz``: 200 when the database answers at once, and the hub is not about to end.

    One question is on its way at a time, and is let go on when it takes too long: those who ask often must not use up
    the connections while the database is away.
    """
    state = request.app.state
    if state.hub.wakeups.leaving:
        return JSONResponse({"status": "leaving"}, 503)
    asking: asyncio.Task[None] | None = getattr(state, "asking", None)
    if asking is None or asking.done():
        asking = state.asking = asyncio.create_task(state.hub.database.ready())
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be there to see it
    await asyncio.wait([asking], timeout=HEALTH_WITHIN_S)
    error = asking.exception() if asking.done() else TimeoutError()
    if error is not None:
        return JSONResponse({"status": "no database", "reason": type(error).__name__}, 503, {"Retry-After": "1"})
    return JSONResponse({"status": "ok"})
