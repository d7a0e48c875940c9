"""The Helm chart: linted and rendered by Helm's own library, and held against Kubernetes' schemas."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dynolab.hub.settings import SETTINGS

from . import official

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.slow  # its environment takes a minute to make, of 100 MB

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "dynolab"
WANTED = ("helm-python-sdk==0.2.2", "kubernetes-validate==1.37.0")
"""Helm 4.2.3 as a library, in an environment of its own; and the schemas that Kubernetes publishes."""
KUBERNETES = "1.36"
PROGRAM = """
import json, sys
import helm_python, kubernetes_validate, yaml
asked = json.load(sys.stdin)
answer = {"lint": helm_python.lint(asked["chart"]), "error": "", "documents": {}}
with helm_python.Chart.load(asked["chart"]) as chart:
    try:
        rendered = chart.render(chart.merge_values(asked["values"]), name="demo", namespace="prod")
    except Exception as error:
        answer["error"], rendered = str(error), {}
for name, text in rendered.items():
    if name.endswith(".yaml"):
        for document in yaml.safe_load_all(text):
            if document:
                kubernetes_validate.validate(document, asked["kubernetes"], strict=True)
                answer["documents"][document["kind"]] = document
json.dump(answer, sys.stdout)
"""
LEAST: dict[str, Any] = {"settings": {"blobs_url": "s3://bucket/prefix"}, "existingSecret": "dynolab"}


def rendered(values: dict[str, Any]) -> Any:
    asked = {"chart": str(CHART), "values": values, "kubernetes": KUBERNETES}
    done = subprocess.run(
        [official._ready(*WANTED), "-c", PROGRAM], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_chart_is_clean_and_renders_what_kubernetes_takes() -> None:
    found = rendered(LEAST)
    assert found["error"] == ""
    assert found["lint"]["errors"] == []
    assert [one["error"] for one in found["lint"]["messages"]] == ["icon is recommended"]
    assert set(found["documents"]) == {"ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"}
    pod = found["documents"]["Deployment"]["spec"]["template"]["spec"]
    (hub,) = pod["containers"]
    assert pod["enableServiceLinks"] is False, "a service named dynolab would set DYNOLAB_PORT"
    assert hub["envFrom"] == [{"secretRef": {"name": "dynolab"}}]
    assert hub["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert hub["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert pod["terminationGracePeriodSeconds"] > 40, "longer than drain_s and grace_s"


def test_its_file_of_settings_is_one_that_a_hub_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynolab.hub.configuration import load

    for one in SETTINGS:
        monkeypatch.delenv(one.variable, raising=False)
    own = {**LEAST["settings"], "part_bytes": 134217728, "lease_s": 20.5, "public_url": "https://hub.example/"}
    text = rendered({**LEAST, "settings": own})["documents"]["ConfigMap"]["data"]["hub.toml"]
    file = tmp_path / "hub.toml"
    file.write_text(text, encoding="utf-8")
    settings = load(file).settings
    assert (settings.host, settings.port, settings.agent) == ("0.0.0.0", 8000, False)
    assert (settings.part_bytes, settings.lease_s, settings.public_url) == (134217728, 20.5, "https://hub.example/")
    assert settings.trusted_proxies == ("10.0.0.0/8",)


def test_every_part_that_may_be_asked_for_renders() -> None:
    values = {
        **LEAST, "existingSecret": "", "secrets": {"DYNOLAB_DATABASE_URL": "postgresql://db/hub"}, "replicaCount": 1,
        "ingress": {"enabled": True, "className": "nginx", "host": "hub.example", "tlsSecret": "tls", "annotations": {"a": "b"}},
        "serviceAccount": {"annotations": {"role": "r"}}, "imagePullSecrets": [{"name": "registry"}], "podAnnotations": {"a": "b"},
        "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "hub", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}}, "service": {"type": "LoadBalancer", "port": 80, "annotations": {"a": "b"}},
    }  # fmt: skip
    found = rendered({**values, "existingFiles": "files"})
    assert found["error"] == ""
    pod = found["documents"]["Deployment"]["spec"]["template"]["spec"]
    (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["mountPath"] == "/etc/dynolab/files")
    assert {"name": mount["name"], "secret": {"secretName": "files", "defaultMode": 0o440}} in pod["volumes"]
    assert set(found["documents"]) == {"ConfigMap", "Deployment", "Ingress", "Secret", "Service", "ServiceAccount"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "is needed"),
        ({"existingSecret": "dynolab"}, "settings.blobs_url is needed"),
        ({"settings": {"blobs_url": "s3://b/p"}}, "a database is needed"),
    ],
)
def test_what_is_missing_is_told(values: dict[str, Any], said: str) -> None:
    assert said in rendered(values)["error"]


def test_compose_and_chart_name_settings_that_there_are() -> None:
    known = {one.name for one in SETTINGS}
    compose = CHART.parents[1] / "compose"
    assert set(tomllib.loads((compose / "hub.toml").read_text(encoding="utf-8"))) <= known
    assert set(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["settings"]) <= known
    variables = yaml.safe_load((compose / "compose.yaml").read_text(encoding="utf-8"))["x-hub"]["environment"]
    assert {name for name in variables if name.startswith("DYNOLAB_")} <= {one.variable for one in SETTINGS} | {
        "DYNOLAB_CONFIG"
    }
