"""A job's life as one trace, over hub, queue and agent, sent to a real OTLP receiver; and logs that carry its ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from dynolab.client.client import Client
from dynolab.client.settings import ClientConfig
from dynolab.spec.agents import OFFER_NULL
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

get = partial(httpx.get, timeout=60)
post = partial(httpx.post, timeout=60)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
"""What the caller of these tests is doing: the example of W3C Trace Context."""
OFFICIALS = "4bf92f3577b34da6a3ce929d0e0e4736"
"""What asks at AI Hub's door."""


@dataclass(frozen=True)
class Told:
    """A span that was received."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    begun_ns: int
    ended_ns: int
    attributes: dict[str, Any] = field(compare=False, hash=False)


class Receiver:
    """A server for OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Told] = []
        receiver = self

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                receiver.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Take)

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            of = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    told = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    times = span.start_time_unix_nano, span.end_time_unix_nano
                    self.spans.append(Told(span.name, of["service.name"], *ids, *times, told))

    def of(self, trace: str) -> dict[str, list[Told]]:
        """The trace's spans by name."""
        found: dict[str, list[Told]] = {}
        for one in list(self.spans):
            if one.trace == trace:
                found.setdefault(one.name, []).append(one)
        return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    serving = threading.Thread(target=receiver.server.serve_forever)
    serving.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        serving.join()
        receiver.server.server_close()


@dataclass
class Traced:
    """What a job left: the spans, and the hub's and the agent's log lines."""

    receiver: Receiver
    job: str
    lines: list[str]


@pytest.fixture(scope="module")
def traced(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    with receiving() as receiver:
        environment = {
            "DYNOLAB_DATABASE_URL": postgres.dsn,
            OFFER_NULL: "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "DYNOLAB_LOG_FORMAT": "json",
        }
        with running_hub(tmp_path_factory.mktemp("hub"), environment=environment) as hub:
            job = submitted(hub, tmp_path_factory.mktemp("model") / "model.null")
            get(f"{hub.url}/healthz")
            until(lambda: is_done(hub, job), "the job's end", within_s=120)
        yield Traced(receiver, job, hub.lines)  # both have ended, and sent what they had


def submitted(hub: RunningHub, path: Path) -> str:
    """A job of a null model on this machine, submitted by our client in a span of a caller's own OpenTelemetry."""
    with closing(Client(ClientConfig(hub.token, hub.url, verbose=False))) as client:
        path.write_text("{}", encoding="utf-8")
        device = until(client.get_devices, "this machine's agent")[0]
        model, told = client.upload_model(path), InMemorySpanExporter()
        provider = TracerProvider(id_generator=Known())
        provider.add_span_processor(SimpleSpanProcessor(told))
        with provider.get_tracer("a caller's").start_as_current_span("caller"):
            job = client.submit_profile_job(model, device)
    assert [f"{one.context.span_id:016x}" for one in told.get_finished_spans()] == [SPAN], (
        "nothing is traced for the caller"
    )
    headers = {
        "Authorization": f"token {hub.token}",
        "Client-Version": "0.56.0",
        "traceparent": f"00-{OFFICIALS}-{SPAN}-01",
    }
    assert get(f"{hub.url}/api/v1/devices/", headers=headers).is_success
    return str(job.job_id)


class Known(IdGenerator):
    """The ids of these tests, for one span."""

    def generate_trace_id(self) -> int:
        return int(TRACE, 16)

    def generate_span_id(self) -> int:
        return int(SPAN, 16)


def is_done(hub: RunningHub, job: str) -> bool:
    headers = {"Authorization": f"Bearer {hub.token}"}
    found = get(f"{hub.url}/api/hub/v1/jobs/{job}", headers=headers).json()
    assert found["state"] in ("queued", "preparing", "running", "done"), found
    return bool(found["state"] == "done")


def test_a_jobs_life_is_one_trace_over_hub_and_agent(traced: Traced) -> None:
    spans = traced.receiver.of(TRACE)
    services = {name: {one.service for one in found} for name, found in spans.items()}
    for name, service in {
        "POST /api/hub/v1/jobs": "dynolab-hub",
        "queue profile": "dynolab-hub",
        "attempt profile": "dynolab-agent",
        "fetch": "dynolab-agent",
        "GET /api/agent/v1/files/{what}/{attempt}": "dynolab-hub",
        "run": "dynolab-agent",
        "leave": "dynolab-agent",
        "PUT /api/agent/v1/files/{what}/{attempt}": "dynolab-hub",
        "POST /api/agent/v1/attempts/{attempt}/finish": "dynolab-hub",
        "blob put": "dynolab-hub",
        "job profile": "dynolab-hub",
    }.items():
        assert services.get(name) == {service}, (name, sorted(services))
    stages = {name.removeprefix("stage ") for name in spans if name.startswith("stage ")}
    assert "inference" in stages
    assert {f"database {one}" for one in ("insert", "select")} <= services.keys()


def test_every_span_stands_below_another_of_its_trace(traced: Traced) -> None:
    spans = [one for found in traced.receiver.of(TRACE).values() for one in found]
    by_id = {one.id: one for one in spans}
    assert len(by_id) == len(spans)
    assert [one.name for one in spans if one.parent not in by_id and one.parent != SPAN] == []
    parents = {one.name: by_id[one.parent].name for one in spans if one.parent in by_id}
    assert parents["queue profile"] == parents["attempt profile"] == parents["job profile"] == "POST /api/hub/v1/jobs"
    assert parents["run"] == parents["fetch"] == parents["leave"] == "attempt profile"
    assert parents["stage inference"] == "run"
    assert parents["GET /api/agent/v1/files/{what}/{attempt}"] == "fetch"
    assert parents["database insert"] in ("POST /api/hub/v1/jobs", "PUT /api/agent/v1/files/{what}/{attempt}")


def test_a_trace_goes_on_at_each_door_and_only_where_there_is_one(traced: Traced) -> None:
    [asked] = traced.receiver.of(OFFICIALS)["GET /api/v1/devices/"]
    assert asked.parent == SPAN
    uploads = [one for one in traced.receiver.spans if one.name == "POST /api/hub/v1/models"]
    assert [one.parent for one in uploads] == [""], "the client sends nothing outside of a span"


def test_spans_tell_what_they_are_about_and_how_long_it_took(traced: Traced) -> None:
    spans = traced.receiver.of(TRACE)
    [attempt], [job], [submit] = spans["attempt profile"], spans["job profile"], spans["POST /api/hub/v1/jobs"]
    assert attempt.attributes["dynolab.job.id"] == job.attributes["dynolab.job.id"] == traced.job
    assert attempt.attributes["dynolab.attempt.number"] == 1
    assert job.attributes["dynolab.job.state"] == "done"
    assert submit.attributes["http.route"] == "/api/hub/v1/jobs"
    assert submit.attributes["http.response.status_code"] == 201
    assert all(one.ended_ns >= one.begun_ns for found in spans.values() for one in found)
    assert job.ended_ns - job.begun_ns >= attempt.ended_ns - attempt.begun_ns - 1_000_000_000
    texts = [one.attributes["db.query.text"] for one in spans["database insert"]]
    assert texts
    assert not [text for text in texts if traced.job in text], "statements are told without their values"


def test_what_is_asked_again_and_again_is_in_no_trace(traced: Traced) -> None:
    routes = {one.attributes.get("http.route") for one in traced.receiver.spans}
    assert not {"/healthz", "/api/agent/v1/claim", "/api/agent/v1/attempts/{attempt}/renew"} & routes
    assert not [one for one in traced.receiver.spans if one.name.startswith("database") and not one.parent]


def test_log_lines_are_json_with_the_ids_of_trace_and_job(traced: Traced) -> None:
    lines = [json.loads(line) for line in traced.lines]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    about = [line for line in lines if line.get("job_id") == traced.job]
    assert {line["logger"] for line in about} == {"dynolab.agent.loop"}
    assert {line["trace_id"] for line in about} == {TRACE}
    assert all(line["attempt_id"] and line["span_id"] for line in about)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    whole = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | environment
    return subprocess.run([sys.executable, "-c", code], env=whole, capture_output=True, text=True, check=False)


def test_while_they_are_off_nothing_of_opentelemetry_is_loaded() -> None:
    done = python(
        "import sys, dynolab.hub.launch, dynolab.agent.loop, dynolab.client.client\n"
        "from dynolab import tracing\n"
        "tracing.start('x', '1')\n"
        "with tracing.carrying('00-" + TRACE + "-" + SPAN + "-01'), tracing.span('a') as span:\n"
        "    tracing.record('b', 1.0)\n"
        "    print(span, tracing.place(), [tracing.callers_place()], 'opentelemetry' in sys.modules)"
    )
    assert done.stdout.strip() == f"None 00-{TRACE}-{SPAN}-01 [''] False", done.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "SpecInvalid OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ({"OTEL_SDK_DISABLED": "true"}, "False"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "False"),
        ({}, "True"),
    ],
)
def test_the_usual_variables_say_whether_and_how(environment: dict[str, str], said: str) -> None:
    code = (
        "from dynolab import errors, tracing\n"
        "try:\n    tracing.start('x', '1'); print(tracing.is_on())\n"
        "except errors.Error as error: print(error.code, error)\n"
    )
    done = python(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **environment)
    assert done.stdout.startswith(said), done.stdout + done.stderr


def test_without_the_extra_the_way_out_is_told() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from dynolab import errors, tracing\n"
        "try: tracing.start('x', '1')\n"
        "except errors.PluginMissing as error: print(error.hint)\n"
    )
    done = python(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert "pip install 'dynolab[otel]'" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "wrong", ["", "x", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01\n", "9" * 9999]
)
def test_what_is_no_traceparent_is_not_carried(wrong: str) -> None:
    from dynolab import tracing

    with tracing.carrying(wrong):
        assert tracing.place() == ""
        assert tracing.ids() == {}
