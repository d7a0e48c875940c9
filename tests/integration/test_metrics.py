"""A hub's metrics, read by Prometheus' own parser and by a real Prometheus; and who may read them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from prometheus_client.parser import text_string_to_metric_families

from dynolab.agent.http import HubDoor
from dynolab.client.client import Client
from dynolab.errors import DeviceLost
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.waiting import until

get = partial(httpx.get, timeout=60)
post = partial(httpx.post, timeout=60)
request = partial(httpx.request, timeout=60)
TOKEN = "a-token-of-these-tests"
ENVIRONMENT = {"DYNOLAB_METRICS_TOKEN": TOKEN, "DYNOLAB_LEASE_S": "1"}
BOARD = DeviceOffer(id="board-1", name="board", os="1", attributes=("os:linux", "framework:onnx"))
ROOT = Path(__file__).parents[2]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(hub: RunningHub) -> Samples:
    """All samples, by name and labels."""
    answer = get(f"{hub.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    answer.raise_for_status()
    families = text_string_to_metric_families(answer.text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


def await_figure(hub: RunningHub, name: str, wanted: float, **labels: str) -> None:
    """Wait until the figure is at least this high."""
    until(lambda: value(scraped(hub), name, **labels) >= wanted, f"{name} {labels} of {wanted}")


@pytest.fixture(scope="module")
def model(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("models") / "net.onnx"
    path.write_bytes(b"\x3a\0")  # an empty graph
    return client.upload_model(path)


def submit(hub: RunningHub, model: Any, name: str = BOARD.name) -> str:
    body = {"model_id": model.model_id, "device": {"name": name}}
    answer = post(f"{hub.url}/api/hub/v1/jobs", json=body, headers={"Authorization": f"Bearer {hub.token}"})
    answer.raise_for_status()
    return str(answer.json()["id"])


@pytest.mark.parametrize("sent", ["", "Bearer", "Bearer wrong-token-of-those", f"Basic {TOKEN}", "user", "agent"])
def test_only_the_scrape_token_opens_them(hub: RunningHub, sent: str) -> None:
    given = {"user": f"Bearer {hub.token}", "agent": f"Bearer {hub.agent_token}"}.get(sent, sent)
    answer = get(f"{hub.url}/metrics", headers={"Authorization": given} if given else {})
    assert (answer.status_code, answer.json()["code"]) == (401, "Unauthorized")
    assert "dynolab_" not in answer.text


def test_a_jobs_way_is_counted(hub: RunningHub, door: HubDoor, client: Client, model: Any, tmp_path: Path) -> None:
    door.claim(ClaimRequest(AGENT_PROTOCOL, BOARD, 0.0))
    before = scraped(hub)
    submit(hub, model)
    first = door.claim(ClaimRequest(AGENT_PROTOCOL, BOARD, 10.0))
    assert first is not None
    door.renew(first.attempt, Renewal(progress={"event": "stage", "stage": "inference"}))
    door.renew(first.attempt, Renewal(progress={"event": "stage", "stage": "inference"}))
    door.finish(first.attempt, Outcome(error=DeviceLost("it fell").to_dict()))
    second = door.claim(ClaimRequest(AGENT_PROTOCOL, BOARD, 10.0))
    assert second is not None
    (tmp_path / "result").write_bytes(b"{}")
    door.store(second.attempt, "result", tmp_path / "result")
    door.finish(second.attempt, Outcome())
    after = scraped(hub)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    moves = {
        state: grown("dynolab_job_transitions_total", kind="profile", state=state)
        for state in ("queued", "preparing", "running", "done", "failed")
    }
    assert moves == {"queued": 2, "preparing": 2, "running": 1, "done": 1, "failed": 0}
    assert grown("dynolab_attempts_total", outcome="failed", reason="DeviceLost") == 1
    assert grown("dynolab_attempts_total", outcome="done", reason="") == 1
    assert grown("dynolab_job_dispatch_duration_seconds_count", kind="profile") == 2
    claims = {"route": "/api/agent/v1/claim", "method": "POST"}
    assert grown("dynolab_http_requests_total", status="200", **claims) == 2
    assert grown("dynolab_http_request_duration_seconds_count", **claims) == 2
    assert grown("dynolab_blob_bytes_total", direction="written") == 2
    assert grown("dynolab_blob_operation_duration_seconds_count", operation="put") == 1
    assert grown("dynolab_database_statement_duration_seconds_count", statement="with") > 0, "the driver's"
    assert grown("dynolab_database_statement_duration_seconds_count", statement="insert") > 0, "SQLAlchemy's"
    assert grown("dynolab_database_connection_wait_seconds_count") > 0


def test_uploads_are_counted_with_their_bytes(hub: RunningHub, client: Client, tmp_path: Path) -> None:
    before = scraped(hub)
    (tmp_path / "more.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(992))
    client.upload_model(tmp_path / "more.tflite")
    after = scraped(hub)
    for name, wanted in (("dynolab_uploads_total", 1), ("dynolab_upload_bytes_total", 1000)):
        assert value(after, name, what="model") - value(before, name, what="model") == wanted


def test_an_agent_that_is_lost_is_counted(hub: RunningHub, door: HubDoor, client: Client, model: Any) -> None:
    door.claim(ClaimRequest(AGENT_PROTOCOL, BOARD, 0.0))
    lost = value(scraped(hub), "dynolab_leases_expired_total")
    job = submit(hub, model)
    assert door.claim(ClaimRequest(AGENT_PROTOCOL, BOARD, 10.0)) is not None
    await_figure(hub, "dynolab_leases_expired_total", lost + 1)
    await_figure(hub, "dynolab_attempts_total", 1, outcome="lost", reason="DeviceLost")
    post(f"{hub.url}/api/hub/v1/jobs/{job}/cancel", headers={"Authorization": f"Bearer {hub.token}"})
    await_figure(hub, "dynolab_job_transitions_total", 1, kind="profile", state="cancelled")


def test_what_waits_and_what_the_boards_are_at_is_told(hub: RunningHub, door: HubDoor, model: Any) -> None:
    other = DeviceOffer(id="board-2", name="other board", os="1", attributes=("os:linux", "framework:onnx"))
    door.claim(ClaimRequest(AGENT_PROTOCOL, other, 0.0))
    door.claim(ClaimRequest(AGENT_PROTOCOL, other, 0.0, unfit="no disk"))
    jobs = [submit(hub, model, other.name) for _ in range(3)]
    await_figure(hub, "dynolab_queue_jobs", 3, pool="other board")
    found = scraped(hub)
    assert 0 < value(found, "dynolab_queue_oldest_seconds", pool="other board") < 600
    assert value(found, "dynolab_devices", state="free", health="unfit") == 1
    assert value(found, "dynolab_fleet_known") == 1
    for job in jobs:
        post(f"{hub.url}/api/hub/v1/jobs/{job}/cancel", headers={"Authorization": f"Bearer {hub.token}"})
    series = ("dynolab_queue_jobs", (("pool", "other board"),))
    until(lambda: series not in scraped(hub), "the end of the series of a pool in which nobody waits")


def test_the_replica_tells_of_itself(hub: RunningHub) -> None:
    found = scraped(hub)
    assert value(found, "process_resident_memory_bytes") > 1e6
    assert value(found, "process_open_fds") > 3
    assert value(found, "dynolab_database_listen_connected") == 1
    assert value(found, "dynolab_database_connections_max") == 10
    assert any(name == "dynolab_build_info" for name, _ in found)
    sweeps = {dict(labels)["sweep"] for name, labels in found if name == "dynolab_sweep_last_success_timestamp_seconds"}
    assert {"leases", "deadlines", "toolchains", "files", "sessions", "probes", "objects"} <= sweeps
    await_figure(hub, "dynolab_sweep_duration_seconds_count", 1, sweep="leases")


def test_labels_hold_no_id_address_or_path_of_anybody(hub: RunningHub, model: Any) -> None:
    secret = {"Authorization": f"Bearer {hub.token}"}
    for path in ("/nothing/here/at-all", f"/api/hub/v1/models/{model.model_id}", f"/models/{model.model_id}/",
                 f"/api/hub/v1/nothing/{model.model_id}", f"/api/v1/models/{model.model_id}/"):  # fmt: skip
        get(hub.url + path, headers=secret)
    request("BREW", hub.url + "/healthz")
    scraped(hub)  # which counts from the next time on
    found = scraped(hub)
    texts = {text for _, labels in found for _, text in labels}
    assert not [text for text in texts if model.model_id in text or "@" in text or "at-all" in text or "BREW" in text]
    routes = {dict(labels)["route"] for name, labels in found if name == "dynolab_http_requests_total"}
    assert {"unmatched", "/api/hub/v1/models/{id}", "/models/{id}/", "/api/v1/models/{id}/", "/metrics"} <= routes


def test_without_a_token_there_are_none(tmp_path: Path, postgres: Any, hub: RunningHub) -> None:
    from dynolab.testing.running_hub import running_hub

    shared = {"DYNOLAB_DATABASE_URL": postgres.dsn, "DYNOLAB_BLOBS_URL": (hub.data / "blobs").as_uri()}
    with running_hub(tmp_path / "hub", "--no-agent", environment={**shared, "DYNOLAB_METRICS_TOKEN": ""}) as closed:
        answer = get(f"{closed.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 404
        assert "DYNOLAB_METRICS_TOKEN" in answer.json()["hint"]


@pytest.fixture(scope="module")
def prometheus(hub: RunningHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that scrapes the hub by the configuration in the docs, every second; its address."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus on this machine: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    for given, here in (
        ("hub.example:8000", hub.url.removeprefix("http://")),
        ("scheme: https", "scheme: http"),
        ("/etc/prometheus/dynolab.token", str(folder / "token")),
        ("/etc/prometheus/dynolab-alerts.yaml", str(ROOT / "deploy" / "prometheus" / "dynolab-alerts.yaml")),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
    ):
        assert given in text
        text = text.replace(given, here)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    (folder / "token").write_text(TOKEN + "\n", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={address}"], stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: process.poll() is not None or asked(f"http://{address}", "up == 1"), "Prometheus")
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def asked(address: str, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to a query."""
    try:
        answer = get(f"{address}/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    document = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    assert document.get("status", "success") == "success", document
    return list(document.get("data", {}).get("result", []))


def test_a_real_prometheus_scrapes_the_hub_as_the_docs_say(prometheus: str) -> None:
    [build] = asked(prometheus, "dynolab_build_info")
    assert build["metric"]["schema"]
    rules = get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
    assert sum(len(group["rules"]) for group in rules) >= 8


def test_a_real_prometheus_takes_every_query_of_docs_dashboard_and_alerts(prometheus: str) -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    queries = [one.partition("\n```")[0] for one in page.split("```promql\n")[1:]]
    board = json.loads((ROOT / "deploy" / "grafana" / "dynolab.json").read_text(encoding="utf-8"))
    queries += [one["expr"] for panel in board["panels"] for one in panel.get("targets", [])]
    assert len(queries) > 15
    for query in queries:
        asked(prometheus, query.replace("$__rate_interval", "1m").replace("$pool", ".*"))
