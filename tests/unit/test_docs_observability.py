"""Every metric is named in the docs and conversely; dashboard and alerts ask for metrics that are there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")

from dynolab.hub.telemetry.metrics import REGISTRY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
ALERTS = ROOT / "deploy" / "prometheus" / "dynolab-alerts.yaml"
BOARD = ROOT / "deploy" / "grafana" / "dynolab.json"
SUFFIXES = ("_bucket", "_count", "_sum")
PREFIX = "dynolab_"


def told() -> dict[str, tuple[str, ...]]:
    """The metrics that a replica has, as Prometheus names them, with their labels."""
    found: dict[str, tuple[str, ...]] = {}
    for family in REGISTRY.collect():
        collector = REGISTRY._names_to_collectors.get(family.name)  # its only list that holds what has no series yet
        labels = tuple(getattr(collector, "_labelnames", ()))
        found[family.name + ("_total" if family.type == "counter" else "")] = labels
    return found


def documented() -> dict[str, tuple[str, ...]]:
    table = re.findall(rf"^\| `({PREFIX}\w+)` \|([^|]*)\| \S", PAGE, re.MULTILINE)
    return {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in table}


def asked(text: str) -> set[str]:
    """The metrics that queries ask for."""
    names = re.findall(rf"\b((?:{PREFIX}|process_)\w+)", text)
    return {re.sub(rf"({'|'.join(SUFFIXES)})$", "", name) for name in names}


def test_every_metric_is_named_with_its_labels_and_no_other() -> None:
    ours = {name: labels for name, labels in told().items() if name.startswith(PREFIX)}
    assert documented() == ours
    others = {name for name in told() if not name.startswith(PREFIX)}
    assert others == set(re.findall(r"`(process_\w+)`", PAGE))


def test_names_follow_prometheus_conventions() -> None:
    for name in told():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert not re.search(r"_(ms|us|ns|milliseconds|minutes|kb|mb|mib)(_|$)", name), "base units"


def queries() -> dict[str, str]:
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    found = {panel["title"]: " ".join(one["expr"] for one in panel["targets"]) for panel in board["panels"]}
    rules = re.split(r"^      - alert: ", ALERTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found |= {rule.split("\n")[0]: rule.partition("expr:")[2].partition("labels:")[0] for rule in rules}
    found |= {f"docs {n}": one for n, one in enumerate(re.findall(r"```promql\n(.*?)```", PAGE, re.DOTALL))}
    return found


@pytest.mark.parametrize("title", queries())
def test_what_dashboard_alerts_and_docs_ask_for_is_there(title: str) -> None:
    text = queries()[title]
    assert asked(text) <= told().keys()
    assert asked(text) or "up{" in text


def test_every_panel_has_a_place_of_its_own() -> None:
    panels = json.loads(BOARD.read_text(encoding="utf-8"))["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    assert len({(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels}) == len(panels)


def test_promtool_takes_the_alerts_and_they_do_what_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine: apt-get install prometheus")
    for command in (["check", "rules", ALERTS.name], ["test", "rules", "dynolab-alerts-test.yaml"]):
        done = subprocess.run([promtool, *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_counters_whose_labels_are_known_begin_at_zero() -> None:
    """Prometheus sees no increase in a series that begins at 1, and a panel without a series is empty."""
    from dynolab.hub.api import metrics as door

    assert door.metrics.REGISTRY is REGISTRY
    for name, labels in (
        ("dynolab_job_transitions_total", {"kind": "link", "state": "cancelled"}),
        ("dynolab_attempts_total", {"outcome": "failed", "reason": "DeviceUnstable"}),
        ("dynolab_blob_operation_errors_total", {"operation": "delete"}),
        ("dynolab_database_statement_errors_total", {"statement": "other"}),
    ):
        assert REGISTRY.get_sample_value(name, labels) is not None, name


def test_each_alert_says_what_to_do() -> None:
    rules = ALERTS.read_text(encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+)", rules)
    section = PAGE.partition("\n### When an alert fires\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == alerts
    assert rules.count('runbook: "docs/observability.md#when-an-alert-fires"') == len(alerts)
