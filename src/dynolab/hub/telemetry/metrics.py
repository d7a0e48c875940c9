"""Every metric of a replica, in one registry. Names follow Prometheus' conventions (base units, ``_total``, ``_seconds``).

A label's values are few and known before: route templates, states, codes of errors; never an id, an address or a path.
The one that people choose, ``pool``, is bounded (see :mod:`dynolab.hub.usecases.find_fleet`). ``docs/observability.md`` names
all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from dynolab.errors import DeviceError, DeviceLost, WorkerError

disable_created_metrics()  # type: ignore[no-untyped-call]  # else each series comes twice in the text format
REGISTRY = CollectorRegistry()
"""Ours alone: what other libraries count by themselves is not told."""
NAMESPACE = "dynolab"
QUICK_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 25.0)
"""Of statements and connections; the database ends statements after 25 s."""
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DISPATCH_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""From at once to as long as a job waits for boards that are all busy."""


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, namespace=NAMESPACE, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, namespace=NAMESPACE, registry=REGISTRY)


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, text, labels, namespace=NAMESPACE, registry=REGISTRY, buckets=buckets)


ProcessCollector(registry=REGISTRY)
BUILD = _gauge("build_info", "Version of dynolab and of the schema that it knows; always 1.", "version", "schema")

REQUESTS = _counter("http_requests", "Requests that were answered.", "route", "method", "status")
REQUEST_SECONDS = _histogram(
    "http_request_duration_seconds",
    "From the whole head of a request to the head of its answer.",
    "route",
    "method",
    buckets=REQUEST_S,
)
REQUESTS_OPEN = _gauge("http_requests_in_progress", "Requests whose answers are not complete.")

JOB_STATES = _counter("job_transitions", "Jobs that came into a state.", "kind", "state")
DISPATCH_SECONDS = _histogram(
    "job_dispatch_duration_seconds", "From a job's place in the queue to its claim.", "kind", buckets=DISPATCH_S
)
ATTEMPTS = _counter("attempts", "Attempts that ended, by outcome and the code of the error.", "outcome", "reason")
LEASES_EXPIRED = _counter("leases_expired", "Attempts whose agents were not heard of for a lease.")
AGENTS_WAITING = _gauge("agents_waiting", "Agents that ask this replica for a job at this moment.")

UPLOADS = _counter("uploads", "Uploads that were completed.", "what")
UPLOAD_BYTES = _counter("upload_bytes", "Bytes of uploads that were completed.", "what")

SWEEP_SECONDS = _histogram("sweep_duration_seconds", "How long a sweep took.", "sweep", buckets=REQUEST_S)
SWEEP_FAILURES = _counter("sweep_failures", "Sweeps that failed; the next one tries again.", "sweep")
SWEEP_DONE = _gauge(
    "sweep_last_success_timestamp_seconds", "When a sweep ended well last, or when the replica started.", "sweep"
)
LOOP_LAG_SECONDS = _histogram(
    "event_loop_lag_seconds", "How much later than asked for the replica came to its next second.", buckets=QUICK_S
)

STATEMENT_SECONDS = _histogram(
    "database_statement_duration_seconds", "Statements, as the replica waited for them.", "statement", buckets=QUICK_S
)
STATEMENT_ERRORS = _counter("database_statement_errors", "Statements that failed.", "statement")
CONNECTION_SECONDS = _histogram(
    "database_connection_wait_seconds", "How long a connection to the database was waited for.", buckets=QUICK_S
)
CONNECTIONS = _gauge("database_connections", "Connections of the replica's pool.", "state")
CONNECTIONS_MOST = _gauge("database_connections_max", "Connections that the pool may have.")
LISTENING = _gauge("database_listen_connected", "1 while notices of the database reach this replica (LISTEN).")

BLOB_SECONDS = _histogram(
    "blob_operation_duration_seconds",
    "Operations of the blob store; of `get` until its first bytes.",
    "operation",
    buckets=REQUEST_S,
)
BLOB_ERRORS = _counter("blob_operation_errors", "Operations of the blob store that failed.", "operation")
BLOB_BYTES = _counter("blob_bytes", "Bytes that this replica wrote to the blob store, or read from it.", "direction")

# The same for all replicas; asked of the database, and kept for some seconds.
FLEET_KNOWN = _gauge("fleet_known", "1 if the database told the figures of queue and devices; without them 0.")
QUEUE_JOBS = _gauge("queue_jobs", "Jobs that wait in a queue for a device of the pool.", "pool")
QUEUE_OLDEST_SECONDS = _gauge("queue_oldest_seconds", "How long the oldest of them waits.", "pool")
ATTEMPTS_RUNNING = _gauge("attempts_running", "Attempts that run.")
DEVICES = _gauge("devices", "Devices by what they are at and by health.", "state", "health")


JOB_STATE_NAMES = ("queued", "preparing", "running", "done", "failed", "cancelled")


def count_from_zero(kinds: Iterable[str]) -> None:
    """Have the counters begin at 0 whose labels are known before: Prometheus sees no increase in a series that begins at 1.

    ``kinds``: of jobs.
    """
    for kind, state in product(kinds, JOB_STATE_NAMES):
        JOB_STATES.labels(kind, state)
    for found in (DeviceError, WorkerError):
        for error in found.__subclasses__():
            ATTEMPTS.labels("failed", error.__name__)
    ATTEMPTS.labels("done", "")
    ATTEMPTS.labels("lost", DeviceLost.__name__)
    for operation in ("put", "put_stream", "get", "delete"):
        BLOB_ERRORS.labels(operation)
    for direction in ("written", "read"):
        BLOB_BYTES.labels(direction)
    for what in ("model", "dataset"):
        UPLOADS.labels(what)
        UPLOAD_BYTES.labels(what)
    for statement in (*STATEMENTS, "other"):
        STATEMENT_ERRORS.labels(statement)


@contextmanager
def blob_operation(operation: str) -> Iterator[None]:
    """Time an operation of the blob store; one that an error leaves counts as one that failed. A missing object is an answer."""
    begun = time.perf_counter()
    try:
        yield
    except Exception as error:
        if not isinstance(error, FileNotFoundError):
            BLOB_ERRORS.labels(operation).inc()
        raise
    finally:
        BLOB_SECONDS.labels(operation).observe(time.perf_counter() - begun)


def statement_kind(sql: str) -> str:
    """The first word of a statement, of those that are common; else ``other``."""
    word = sql.lstrip()[:8].partition(" ")[0].rstrip(";").lower()
    return word if word in STATEMENTS else "other"


STATEMENTS = frozenset(("select", "insert", "update", "delete", "with", "begin", "commit", "rollback"))


@cache
def _request_count(route: str, method: str, status: str) -> Counter:
    """The series of these labels, of which there are few: looking it up with each request costs more than to count."""
    return REQUESTS.labels(route, method, status)


@cache
def _request_times(route: str, method: str) -> Histogram:
    return REQUEST_SECONDS.labels(route, method)


def observe_request(route: str, method: str, status: str, answered_s: float | None) -> None:
    """Count a request, and time it; None: it was not answered."""
    _request_count(route, method, status).inc()
    if answered_s is not None:
        _request_times(route, method).observe(answered_s)


@cache
def _times(kind: str) -> Histogram:
    """Some thirty statements are observed for each job: looking their series up each time costs more than the rest."""
    return STATEMENT_SECONDS.labels(kind)


def observe_statement(sql: str, elapsed_s: float, *, failed: bool) -> None:
    """Count a statement of the database."""
    kind = statement_kind(sql)
    _times(kind).observe(elapsed_s)
    if failed:
        STATEMENT_ERRORS.labels(kind).inc()
