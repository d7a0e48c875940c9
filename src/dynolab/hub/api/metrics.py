"""``GET /metrics``: a replica's metrics, as Prometheus reads them; for whoever has the scrape token, and nobody else."""

from __future__ import annotations

import hmac
from importlib.metadata import version

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound, Unauthorized, Unavailable
from dynolab.hub.store.database import POOL_CONNECTIONS, newest
from dynolab.hub.telemetry import metrics
from dynolab.hub.usecases.base import Fleet, Hub
from dynolab.hub.usecases.find_fleet import find_fleet
from dynolab.hub.usecases.job_request import KINDS

metrics.count_from_zero(KINDS)


async def scrape(request: Request) -> Response:
    """The metrics. Raises :class:`NotFound` where no token is set, :class:`Unauthorized` for another one.

    While the database is away all others are told, and ``dynolab_fleet_known`` is 0.
    """
    _check(request)
    hub: Hub = request.app.state.hub
    try:
        fleet = await find_fleet(hub.database, hub.fleet)
    except Unavailable:
        fleet = None
    _note_parts(hub)
    _note_fleet(fleet)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(metrics.REGISTRY), headers={"Content-Type": content_type})


def _check(request: Request) -> None:
    token = request.app.state.settings.metrics_token
    if token is None:
        raise NotFound(
            "this hub tells no metrics", hint="start it with DYNOLAB_METRICS_TOKEN set: docs/observability.md"
        )
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Unauthorized("metrics need the scrape token", hint="Authorization: Bearer DYNOLAB_METRICS_TOKEN")


def _note_parts(hub: Hub) -> None:
    metrics.BUILD.labels(version("dynolab"), newest()).set(1)
    in_use, idle = hub.database.connections()
    metrics.CONNECTIONS.labels("in_use").set(in_use)
    metrics.CONNECTIONS.labels("idle").set(idle)
    metrics.CONNECTIONS_MOST.set(POOL_CONNECTIONS)


def _note_fleet(fleet: Fleet | None) -> None:
    """What was told before goes: a pool in which nobody waits any more has no series, nor has anything while nothing is known."""
    for gauge in (metrics.QUEUE_JOBS, metrics.QUEUE_OLDEST_SECONDS, metrics.DEVICES):
        gauge.clear()
    metrics.FLEET_KNOWN.set(fleet is not None)
    metrics.ATTEMPTS_RUNNING.set(float("nan") if fleet is None else fleet.attempts_running)
    if fleet is None:
        return
    for name, waiting in fleet.queues.items():
        metrics.QUEUE_JOBS.labels(name).set(waiting.jobs)
        metrics.QUEUE_OLDEST_SECONDS.labels(name).set(waiting.oldest_s)
    for (state, health), count in fleet.devices.items():
        metrics.DEVICES.labels(state, health).set(count)


routes = [Route("/metrics", scrape)]
