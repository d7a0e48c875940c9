"""Comparison jobs against a real hub with this machine as its device: submitted, followed, read, shared, repeated, deleted."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.client.client import Client, Device
from dynolab.client.models import Model
from dynolab.errors import Conflict, NotFound, SpecInvalid
from dynolab.spec.agents import OFFER_NULL
from dynolab.spec.answers import Answer
from dynolab.spec.measurements import StageName
from dynolab.testing.commands import command
from dynolab.testing.running_hub import RunningHub, running_hub

from .uploads import unchecked

MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
BUDGET = {"budget_s": 40.0, "memory": False}


def upload(client: Client, **content: Any) -> Model:
    """A null model in a ZIP file that the hub takes for an ONNX model: it is the agent that looks inside."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "net.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("net.null", json.dumps(content))
        return unchecked(client, packed, "onnx", is_directory=True)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub"), environment={OFFER_NULL: "1"}) as running:
        yield running


@pytest.fixture(scope="module")
def models(client: Client) -> tuple[Model, Model]:
    """A baseline, and a model that takes half as long again; both are of one name."""
    return upload(client, sleep_s=0.004, at="inference"), upload(client, sleep_s=0.006, at="inference")


@pytest.fixture(scope="module")
def decided(client: Client, device: Device, models: tuple[Any, Any]) -> Any:
    """A job that has ended."""
    baseline, model = models
    job = client.submit_compare_job(model, baseline, device, name="half as long again", **BUDGET)
    status = job.wait(180)
    assert status.success, job.log()
    return job


def test_the_slower_model_is_found_on_the_device(decided: Any, models: tuple[Any, Any]) -> None:
    found = decided.comparison
    stage = found.stage(StageName.INFERENCE)
    assert stage.answer is Answer.CHANGED
    assert 1.3 < stage.ratio.value < 1.7
    assert found.direction == 1
    assert found.memory_reason == "memory passes were not asked for"
    assert (decided.baseline.model_id, decided.model.model_id) == tuple(one.model_id for one in models)
    assert decided.document["summary"]["word"] == "slower"
    assert decided.document["summary"]["answer"] == found.headline
    assert found.headline in decided.log()
    assert "pair 5: +" in decided.log()


def test_its_result_is_a_comparison_and_no_profile(hub: RunningHub, decided: Any) -> None:
    with httpx.Client(base_url=f"{hub.url}/api/hub/v1", headers={"Authorization": f"Bearer {hub.token}"}) as http:
        assert http.get(f"/jobs/{decided.job_id}/comparison").json()["kind"] == "duet"
        refused = http.get(f"/jobs/{decided.job_id}/profile")
        assert (refused.status_code, refused.json()["hint"]) == (404, "ask for its comparison")
        listed = http.get("/jobs", params={"kind": "compare"}).json()["jobs"]
        given = next(one for one in listed if one["id"] == decided.job_id)["comparison"]
        assert (given["model_name"], given["budget_s"], given["stages"]) == ("net", 40.0, ["inference"])
        of_baseline = http.get("/jobs", params={"model": given["model_id"]}).json()["jobs"]
        assert decided.job_id in [one["id"] for one in of_baseline]


def test_ai_hubs_lists_leave_it_out(hub: RunningHub, client: Client, decided: Any) -> None:
    assert decided.job_id not in [one.job_id for one in client.get_job_summaries()]
    headers = {"Authorization": f"token {hub.token}"}
    refused = httpx.get(f"{hub.url}/api/v1/jobs/{decided.job_id}/", headers=headers)
    assert refused.status_code == 404
    assert "of the kind compare" in refused.text


def test_the_command_prints_the_answer(hub: RunningHub, device: Device) -> None:
    environment = {**os.environ, "DYNOLAB_CLIENT_INI": str(hub.ini)}
    options = ("--device", device.name, "--no-memory", "--budget", "5", "--input-shape", "x=1,3,48,192")
    done = command("submit", "compare", MODEL, MODEL, *options, environment=environment)
    assert done.returncode in (0, 1), done.stderr  # on a busy machine anything may be found
    headline = next(line for line in done.stdout.splitlines() if line.startswith("B "))
    job_id = json.loads(command("jobs", "--json", environment=environment).stdout)[0]["id"]
    assert headline in command("jobs", "show", job_id, environment=environment).stdout


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"budget_s": 0.0}, "budget_s"),
        ({"budget_s": 99_999.0}, "budget_s"),
        ({"floor": 2.0}, "floor"),
        ({"limit": -0.1}, "limit"),
        ({"stages": []}, "stages"),
        ({"stages": ["inferencing"]}, "stages"),
        ({"baseline_options": "--no_such_option"}, "no_such_option"),
    ],
)
def test_what_decides_nothing_is_refused(
    client: Client, device: Device, models: tuple[Any, Any], asked: Any, said: str
) -> None:
    with pytest.raises(SpecInvalid) as refused:
        client.submit_compare_job(models[1], models[0], device, **asked)
    assert said in f"{refused.value} {refused.value.details}"


def test_a_baseline_that_is_not_there_is_refused(
    hub: RunningHub, client: Client, device: Device, models: tuple[Any, Any]
) -> None:
    asked = {"kind": "compare", "model_id": models[1].model_id, "device": device.wanted}
    with pytest.raises(NotFound):
        client.api.send("POST", "jobs", {**asked, "comparison": {"model_id": "mnothere"}})
    with pytest.raises(SpecInvalid, match="needs a model to compare with"):
        client.api.send("POST", "jobs", asked)
    with pytest.raises(SpecInvalid, match="a job of kind profile takes no comparison"):
        client.api.send("POST", "jobs", {**asked, "kind": "profile", "comparison": {"model_id": models[0].model_id}})
    limits = {"requirements": ["model_size <= 1 kB"], "comparison": {"model_id": models[0].model_id}}
    with pytest.raises(SpecInvalid, match="takes no requirements"):
        client.api.send("POST", "jobs", {**asked, **limits})


def test_the_same_key_is_the_same_comparison(client: Client, device: Device, models: tuple[Any, Any]) -> None:
    comparison = {"model_id": models[0].model_id, "options": " --repeats 2 ", "memory": False}
    asked = {"kind": "compare", "model_id": models[1].model_id, "device": device.wanted, "comparison": comparison}
    first, again = (client.api.send("POST", "jobs", asked, **{"Idempotency-Key": "once"}) for _ in range(2))
    assert first["id"] == again["id"]
    other = {**asked, "comparison": {**comparison, "memory": True}}
    with pytest.raises(Conflict, match="stands for another request"):
        client.api.send("POST", "jobs", other, **{"Idempotency-Key": "once"})
    client.api.send("POST", f"jobs/{first['id']}/cancel")


def test_a_baseline_in_use_stays_and_its_job_can_be_repeated(
    client: Client, device: Device, models: tuple[Any, Any]
) -> None:
    slow = upload(client, sleep_s=0.5, at="inference")
    job = client.submit_compare_job(models[1], slow, device, **BUDGET)
    with pytest.raises(Conflict, match=f"the job {job.job_id} still uses"):
        slow.delete()
    again = job.rerun()
    assert again.document["comparison"] == job.document["comparison"]
    for one in (job, again):
        one.cancel()
        one.wait(60)
    slow.delete()


def test_a_failing_side_is_named(client: Client, device: Device, models: tuple[Any, Any]) -> None:
    bad = upload(client, crash=11, at="inference")
    job = client.submit_compare_job(bad, models[0], device, **BUDGET)
    status = job.wait(180)
    assert status.failure
    assert status.message.startswith("B: ")
