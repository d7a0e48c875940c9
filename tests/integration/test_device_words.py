"""What published recipes ask of a hub before they send anything: attributes of the device, and the frameworks. Raw HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.agent.http import HubDoor
from dynolab.client.client import Client
from dynolab.client.settings import ClientConfig
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.testing.running_hub import RunningHub

FLOATS = "htp-supports-fp16:true"
ANNOUNCED = ("os:linux", "framework:onnx", "toolchain:onnx/onnx")


@pytest.fixture
def http(hub: RunningHub) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {hub.token}", "Client-Version": "0.56.0"}
    with httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def client(hub: RunningHub) -> Iterator[Client]:
    found = Client(ClientConfig(hub.token, hub.url, verbose=False))
    yield found
    found.close()


def announce(door: HubDoor, name: str, *attributes: str) -> None:
    offer = DeviceOffer(id=name, name=name, os="1.0", attributes=attributes)
    door.claim(ClaimRequest(AGENT_PROTOCOL, offer))


def devices(http: httpx.Client, name: str, *attributes: str, select: bool = False) -> list[pb.Device]:
    asked = {"name": name, "os": "", "attributes": list(attributes), "select": str(select)}
    answer = http.get("devices/", params=asked)
    if select and answer.status_code == 404:
        return []
    return list(pb.DeviceList.FromString(answer.content).devices)


@pytest.mark.parametrize(
    ("name", "attributes", "runs_floats"),
    [
        ("a board", ANNOUNCED, True),
        ("an old phone", (*ANNOUNCED, "hexagon:v66"), False),
        ("a new phone", (*ANNOUNCED, "hexagon:v73", FLOATS), True),
    ],
)
def test_float_models_run_unless_a_hexagons_agent_leaves_it_out(
    http: httpx.Client, door: HubDoor, name: str, attributes: tuple[str, ...], runs_floats: bool
) -> None:
    announce(door, name, *attributes)
    [found] = devices(http, name)
    assert list(found.attributes).count(FLOATS) == runs_floats
    assert {*found.attributes} - {FLOATS} == {*attributes} - {FLOATS}, "nothing else is added"
    assert len(devices(http, name, FLOATS, select=True)) == runs_floats
    assert len(devices(http, name, *found.attributes, select=True)) == 1, "what was told finds it again"


def test_a_job_for_a_device_with_all_that_it_told_is_taken_and_tells_the_same(
    client: Client, http: httpx.Client, door: HubDoor, tmp_path: Path
) -> None:
    announce(door, "told", *ANNOUNCED)
    [device] = devices(http, "told", FLOATS, select=True)
    (tmp_path / "net.onnx").write_bytes(b"\x3a\0")
    source = pb.Model(model_id=client.upload_model(tmp_path / "net.onnx").model_id)
    profile = pb.InferenceJob(model=source, device=device, is_profiling_on=True)
    compiling = pb.CompileJob(model=source, devices=pb.DeviceList(devices=[device]), options="--target_runtime onnx")
    for asked in (pb.Job(inference_job=profile), pb.Job(compile_job=compiling)):
        answer = http.post("jobs/", content=asked.SerializeToString())
        assert answer.is_success, answer.text
        made = pb.CreateUpdateResponse.FromString(answer.content)
        job = pb.Job.FromString(http.get(f"jobs/{made.id}/").content)
        told = getattr(job, asked.WhichOneof("job") or "").device
        assert (told.name, list(told.attributes)) == ("told", list(device.attributes))


def test_what_is_told_for_recipes_is_told_to_them_alone(client: Client, door: HubDoor) -> None:
    announce(door, "alone", *ANNOUNCED)
    [found] = client.get_devices("alone")
    assert set(found.attributes) == set(ANNOUNCED)
    assert "QAIRT" not in {one.name for one in client.get_frameworks()}


def test_recipes_find_the_version_whose_options_they_send_and_people_that_it_is_not_here(http: httpx.Client) -> None:
    listed = pb.FrameworkList.FromString(http.get("frameworks/").content).frameworks
    [found] = [one for one in listed if one.name == "QAIRT"]
    assert (found.api_version, list(found.api_tags)) == ("2.50", ["default", "latest"])
    assert found.full_version == "2.50.0-not-installed"


def test_a_device_that_is_not_there_is_answered_with_those_that_are(http: httpx.Client, door: HubDoor) -> None:
    announce(door, "here", *ANNOUNCED)
    asked = {"name": "Samsung Galaxy S25 (Family)", "os": "", "attributes": [FLOATS]}
    answer = http.get("devices/", params={**asked, "select": "True"})
    assert answer.status_code == 404
    told = answer.json()["detail"]
    assert "no device matches 'Samsung Galaxy S25 (Family) htp-supports-fp16:true'" in told
    assert "here" in told.partition("there are: ")[2]
    assert devices(http, "Samsung Galaxy S25 (Family)") == [], "who lists gets a list"


def test_a_family_is_any_of_its_members_and_the_one_that_is_chosen_is_told(http: httpx.Client, door: HubDoor) -> None:
    for name, os in (("Samsung Galaxy S21", "12"), ("Samsung Galaxy S21 Ultra", "14"), ("Samsung Galaxy S210", "15")):
        door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer(id=name, name=name, os=os, attributes=ANNOUNCED)))
    family = "Samsung Galaxy S21 (Family)"
    assert {one.name for one in devices(http, family)} == {"Samsung Galaxy S21", "Samsung Galaxy S21 Ultra"}
    [chosen] = devices(http, family, select=True)
    assert (chosen.name, chosen.os) == ("Samsung Galaxy S21 Ultra", "14"), "the newest system"
    asked = {"name": family, "os": "[12,13]", "attributes": [], "select": "True"}
    [older] = pb.DeviceList.FromString(http.get("devices/", params=asked).content).devices
    assert (older.name, older.os) == ("Samsung Galaxy S21", "12")


def test_boards_of_one_model_are_one_device_to_ask_for(http: httpx.Client, door: HubDoor) -> None:
    for number in ("a", "b"):
        offer = DeviceOffer(id=f"pi-{number}", name="Raspberry Pi 5 Model B", os="12", attributes=ANNOUNCED)
        door.claim(ClaimRequest(AGENT_PROTOCOL, offer))
    [found] = devices(http, "Raspberry Pi 5 (Family)")
    assert found.name == "Raspberry Pi 5 Model B"
