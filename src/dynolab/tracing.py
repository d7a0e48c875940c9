"""Traces by OpenTelemetry: of a job, from its submission to its end, over hub and agent. Off unless ``OTEL_*`` says where they go.

While they are off nothing of OpenTelemetry is imported, and all of this does next to nothing. A trace's place is carried on all the
same, as W3C's ``traceparent``: an agent without traces of its own hands on what its hub gave it.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

from dynolab import errors

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | bool | int | float
HEADER = "traceparent"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
PREFIX = "OTEL_"
_FORM = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2: version, trace, span, flags."""
_carried: ContextVar[str] = ContextVar("traceparent", default="")
_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def is_wanted() -> bool:
    """Whether the environment says where traces go, by OpenTelemetry's own names."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter == "otlp" or (exporter == "" and any(os.environ.get(name) for name in ENDPOINTS))


def start(service: str, version: str) -> None:
    """Begin to send traces, if they are wanted. ``service`` is the usual name; ``OTEL_SERVICE_NAME`` gives another.

    Raises :class:`PluginMissing` without the extra ``otel``, and :class:`SpecInvalid` for a protocol that is not spoken here.
    """
    global _provider, _tracer
    if not is_wanted():
        return
    protocol = next((found for name in PROTOCOLS if (found := os.environ.get(name))), PROTOCOL)
    if protocol != PROTOCOL:
        raise errors.SpecInvalid(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: traces are sent by {PROTOCOL} only",
            hint="a collector takes that at port 4318; unset the variable",
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise errors.PluginMissing(
            f"traces are asked for by {PREFIX}* variables, and {error.name} is not installed",
            hint="pip install 'dynolab[otel]', or OTEL_SDK_DISABLED=true",
        ) from error
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)  # of each batch that is lost, not of each try
    told = {"service.version": version}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        told["service.name"] = service
    _provider = TracerProvider(resource=Resource.create(told))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("dynolab", version)


def stop() -> None:
    """Send what is left, and end."""
    global _provider, _tracer
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


def is_on() -> bool:
    """Whether traces are sent."""
    return _tracer is not None


def checked(text: str) -> str:
    """A ``traceparent`` that was given, if it is one; else nothing."""
    return text if _FORM.fullmatch(text) else ""


def place() -> str:
    """The ``traceparent`` of where we are: of the span at hand, or of what is carried on; empty: of no trace."""
    return (_at_hand() if _tracer is not None else "") or _carried.get()


def callers_place() -> str:
    """The ``traceparent`` of the span at hand in a process that is not ours, whichever OpenTelemetry made it; empty: there is none."""
    return _at_hand() if "opentelemetry.trace" in sys.modules else ""


def _at_hand() -> str:
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def ids() -> dict[str, str]:
    """The trace and span of where we are, as logs tell them; empty: of no trace."""
    found = place().split("-")
    return {"trace_id": found[1], "span_id": found[2]} if len(found) == 4 else {}


@contextmanager
def carrying(traceparent: str) -> Iterator[None]:
    """What is done in this block belongs to a trace that others began."""
    token = _carried.set(checked(traceparent))
    try:
        yield
    finally:
        _carried.reset(token)


@contextmanager
def span(name: str, kind: Kind = "internal", *, alone: bool = True, **attributes: Value) -> Iterator[Span | None]:
    """A span around the block, below the one at hand or what is carried on. An error that leaves it is noted.

    ``alone``: whether it may begin a trace of its own; else it is only made within one. None: no traces are sent.
    """
    if _tracer is None or (not alone and not place()):
        yield None
        return
    with _tracer.start_as_current_span(
        name, _parent(), _kind(kind), attributes=_dotted(attributes), set_status_on_exception=True
    ) as made:
        yield made


def record(name: str, duration_s: float, *, parent: str = "", kind: Kind = "internal", **attributes: Value) -> None:
    """A span that ends now and began so long ago, below ``parent``, or where we are; without either none is made."""
    if _tracer is None or not (parent or place()):
        return
    now = time.time_ns()
    with carrying(parent or place()):
        context = _parent(own=not parent)
    begun = now - round(max(0.0, duration_s) * 1e9)
    _tracer.start_span(name, context, _kind(kind), attributes=_dotted(attributes), start_time=begun).end(now)


def _parent(*, own: bool = True) -> Context | None:
    """The context below which a span is made: the one at hand, if it has a span (``own``), else what is carried on."""
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if own and trace.get_current_span().get_span_context().is_valid:
        return None
    return TraceContextTextMapPropagator().extract({HEADER: _carried.get()}, None if own else _empty())


def _empty() -> Context:
    from opentelemetry.context import Context

    return Context()


def _kind(kind: Kind) -> SpanKind:
    from opentelemetry.trace import SpanKind

    return SpanKind[kind.upper()]


def _dotted(attributes: dict[str, Value]) -> dict[str, Value]:
    """OpenTelemetry's attributes have dots in their names: ``http__route`` is ``http.route``."""
    return {name.replace("__", "."): value for name, value in attributes.items() if value != ""}
