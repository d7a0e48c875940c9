"""No request costs a hub a second of processor time, whatever it carries, and none of these is a bug of ours (5xx)."""

from __future__ import annotations

import html
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("google.protobuf")

from dynolab import plugins
from dynolab.agent.http import HubDoor
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases import bounds
from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.sample import layer_table, sample_profile

DEVICE = DeviceOffer(id="board", name="board", os="1", attributes=("os:linux",))
MIB = 1 << 20


class Doors:
    """One account's doors of a hub, and a model and a job to ask about."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.client = httpx.Client(base_url=hub.url, headers={"Authorization": f"Bearer {hub.token}"}, timeout=120)
        self.agents = httpx.Client(
            base_url=hub.url, headers={"Authorization": f"Bearer {hub.agent_token}"}, timeout=120
        )
        self.door = HubDoor(hub.url, hub.agent_token)
        self.door.claim(ClaimRequest(AGENT_PROTOCOL, DEVICE, 0.0))
        sign_in = self.client.post("/sign-in", data={"token": hub.token}, headers={"Sec-Fetch-Site": "same-origin"})
        assert sign_in.status_code == 303
        self.model = self.upload(b"bytes")

    def cpu_s(self) -> float:
        text = Path(f"/proc/{self.hub.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")

    def json(self, method: str, path: str, document: object) -> httpx.Response:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        return self.client.request(method, f"/api/hub/v1{path}", content=content, headers=headers)

    def made(self, path: str, document: object) -> Any:
        answer = self.json("POST", path, document)
        assert answer.is_success, answer.text
        return answer.json()

    def upload(self, content: bytes) -> str:
        model = str(self.made("/models", {"name": "net", "kind": "onnx"})["id"])
        begun = self.made(f"/models/{model}/uploads", {"size": len(content)})
        etags = [httpx.put(url, content=content, timeout=60).headers["etag"] for url in begun["urls"]]
        self.made(f"/models/{model}/uploads/{begun['upload_id']}/complete", {"etags": etags})
        return model

    def job(self, profile: bytes, folder: Path) -> str:
        """A job that is done with this document for its profile."""
        job = str(self.made("/jobs", {"model_id": self.model, "device": {"name": "board"}})["id"])
        claimed = self.door.claim(ClaimRequest(AGENT_PROTOCOL, DEVICE, 10.0))
        assert claimed is not None
        (folder / "profile").write_bytes(profile)
        self.door.store(claimed.attempt, "result", folder / "profile")
        self.door.finish(claimed.attempt, Outcome())
        return job

    def official(self, path: str, message: object, method: str = "POST") -> httpx.Response:
        content = message if isinstance(message, bytes) else message.SerializeToString()  # type: ignore[attr-defined]  # protobuf's
        return self.client.request(method, f"/api/v1{path}", content=content)

    def agent(self, path: str, document: object) -> httpx.Response:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        return self.agents.post(f"/api/agent/v1{path}", content=content, headers=headers)


@pytest.fixture(scope="module")
def doors(hub: RunningHub) -> Iterator[Doors]:
    found = Doors(hub)
    found.client.get("/jobs/").raise_for_status()  # pages and API are made by now
    yield found
    found.client.close()
    found.agents.close()
    found.door.close()


def profile_job(**changes: Any) -> pb.Job:
    job = pb.Job()
    job.profile_job.model.model_id = "m" + "0" * 12
    for name, value in changes.items():
        setattr(job.profile_job, name, value)
    return job


def on_devices(**changes: Any) -> pb.Job:
    job = profile_job()
    job.profile_job.device.CopyFrom(pb.Device(**changes))
    return job


ADDRESSES = [f"somebody{number}@example.org" for number in range(20_000)]
DEEP = b"[" * (MIB - 10)
ATTEMPT = "/attempts/00000000-0000-0000-0000-000000000000"
OFFER = {"id": "other", "name": "other", "os": "1"}
REQUESTS: dict[str, Callable[[Doors], httpx.Response]] = {
    "share with 20,000": lambda d: d.json("PATCH", f"/models/{d.model}/sharing", {"add": ADDRESSES}),
    "share with 20,000, officially": lambda d: d.official(
        f"/models/{d.model}/shared_access/", pb.SharedAccessChange(add_email=ADDRESSES), "PATCH"
    ),
    "unshare 20,000, officially": lambda d: d.official(
        f"/models/{d.model}/shared_access/", pb.SharedAccessChange(remove_email=ADDRESSES), "PATCH"
    ),
    "share with a long address": lambda d: d.json("PATCH", f"/models/{d.model}/sharing", {"add": ["@" * 250]}),
    "deep JSON": lambda d: d.json("POST", "/jobs", DEEP),
    "deep objects": lambda d: d.json("POST", "/jobs", b'{"a":' * 200_000),
    "wide JSON": lambda d: d.json("POST", "/jobs", b"[" + b"1," * 500_000 + b"1]"),
    "JSON of a long number": lambda d: d.json("POST", "/jobs", b'{"priority": ' + b"9" * 1_000_000 + b"}"),
    "many shapes": lambda d: d.json("POST", "/jobs", {"model_id": d.model, "input_shapes": {"x": [1] * 300_000}}),
    "many jobs to wait for": lambda d: d.json("POST", "/jobs", {"model_id": d.model, "waits_for": ["j"] * 100_000}),
    "many requirements": lambda d: d.json("POST", "/jobs", {"model_id": d.model, "requirements": ["a<1"] * 100_000}),
    "long options": lambda d: d.json("POST", "/jobs", {"model_id": d.model, "options": "--a=b " * 3_300}),
    "long options, officially": lambda d: d.official("/jobs/", profile_job(options="--a=b " * 150_000)),
    "quotes in options": lambda d: d.json("POST", "/jobs", {"model_id": d.model, "options": "\"'" * 9_999}),
    "many attributes, officially": lambda d: d.official("/jobs/", on_devices(attributes=["a:b"] * 150_000)),
    "long system, officially": lambda d: d.official("/jobs/", on_devices(name="board", os="[" + "9" * 900_000)),
    "long name, officially": lambda d: d.official("/jobs/", profile_job(name="x" * 900_000)),
    "nested protobuf": lambda d: d.official("/jobs/", b"\x0a\x80\x80\x20" * 200_000),
    "many tags": lambda d: d.json("POST", f"/models/{d.model}/uploads/u/complete", {"etags": ["x"] * 200_000}),
    "long offset": lambda d: d.client.get("/api/v1/job_summaries/", params={"offset": "9" * 5000}),
    "many states": lambda d: d.client.get("/api/v1/job_summaries/", params={"state": ",".join("1" * 10_000)}),
    "search for signs": lambda d: d.json("GET", "/jobs?text=" + "%25_" * 60, {}),
    "long cursor": lambda d: d.client.get("/api/hub/v1/jobs", params={"before": "A" * 499}),
    "long interval": lambda d: d.client.get("/api/hub/v1/devices", params={"os": "[" + "1." * 127}),
    "system of a long number": lambda d: d.client.get("/api/v1/devices/", params={"os": "9" * 5000}),
    "offer of many attributes": lambda d: d.agent(
        "/claim", {"protocol": AGENT_PROTOCOL, "device": OFFER | {"attributes": ["a:b"] * 100_000}}
    ),
    "offer with a long number": lambda d: d.agent(
        "/claim", {"protocol": AGENT_PROTOCOL, "device": OFFER | {"os": "9" * 5000}}
    ),
    "deep claim": lambda d: d.agent("/claim", DEEP),
    "large progress": lambda d: d.agent(f"{ATTEMPT}/renew", {"progress": {str(n): n for n in range(60_000)}}),
    "large summary": lambda d: d.agent(f"{ATTEMPT}/finish", {"summary": {str(n): n for n in range(60_000)}}),
    "many tensors": lambda d: d.agent(
        f"{ATTEMPT}/finish", {"tensors": {"inputs": [{"name": "x", "dtype": "float32", "shape": []}] * 20_000}}
    ),
    "many fields": lambda d: d.client.post(
        "/sign-in", content="a=1&" * 200_000, headers={"Content-Type": "application/x-www-form-urlencoded",
                                                      "Sec-Fetch-Site": "same-origin"},
    ),
    "many jobs to compare": lambda d: d.client.get("/compare", params={"job": ["j" * 13] * 3000}),
    "many filters": lambda d: d.client.get("/jobs/", params={"state": ["queued"] * 3000, "text": "%" * 5000}),
    "long text of devices": lambda d: d.client.get("/devices/", params={"text": "x" * 30_000}),
    "odd multipart": lambda d: d.client.post(
        "/submit", content=b"--b\r\n" + b"a: b\r\n" * 100_000,
        headers={"Content-Type": "multipart/form-data; boundary=b", "Sec-Fetch-Site": "same-origin"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_costs_less_than_a_second_whatever_it_carries(doors: Doors, name: str) -> None:
    before = doors.cpu_s()
    answer = REQUESTS[name](doors)
    assert doors.cpu_s() - before < 1.0
    assert answer.status_code < 500, answer.text


REFUSED = [
    name for name in REQUESTS
    if name.startswith(("share with 2", "unshare", "many ", "deep", "large", "offer", "long opt", "long sys"))
    and name not in ("many filters", "many states", "many jobs to compare")
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_too_much_is_refused(doors: Doors, name: str) -> None:
    assert REQUESTS[name](doors).status_code in (400, 413, 422), "before anything is done"


@pytest.fixture(scope="module")
def heavy(doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Jobs whose profiles are as large as an agent may leave them, and of every odd form."""
    folder = tmp_path_factory.mktemp("profiles")
    large = json.dumps(codec.encode(sample_profile(layers=layer_table(40_000)))).encode()
    return [
        doors.job(content, folder) for content in (large, large, DEEP * 5, b"{" + b'"a":1,' * 2_000_000 + b'"b":1}')
    ]


LAYERS = 7_900
"""As many as a document of 2 MiB holds: see PROFILE_BYTES."""


@pytest.fixture(scope="module")
def shown(doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Jobs whose profiles are just not too large to be shown."""
    folder = tmp_path_factory.mktemp("shown")
    sizes = (LAYERS, LAYERS // 2, LAYERS // 2 - 1)
    documents = [json.dumps(codec.encode(sample_profile(layers=layer_table(count)))).encode() for count in sizes]
    assert 0.9 * bounds.PROFILE_BYTES < len(documents[0]) <= bounds.PROFILE_BYTES
    assert 0.9 * bounds.PROFILE_BYTES < len(documents[1]) + len(documents[2]) <= bounds.PROFILE_BYTES
    return [doors.job(content, folder) for content in documents]


FORMATS = plugins.names("dynolab.report")
READ = [
    "/jobs/{0}/", "/jobs/{0}/layers", "/jobs/{0}/layers?from=40", "/models/{model}/graph?job={0}", "/compare?job={1}&job={2}",
    "/compare/layers?job={1}&job={2}", "/trends?model=net", "/api/v1/jobs/{0}/result/", "/api/hub/v1/jobs/{0}/profile",
    *(f"/jobs/{{0}}/report/{name}" for name in FORMATS), "/compare/report/json?job={1}&job={2}", "/compare/report/html?job={1}&job={2}",
]  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_what_shows_the_largest_profile_costs_less_than_a_second(doors: Doors, shown: list[str], path: str) -> None:
    address, spent_s = path.format(*shown, model=doors.model), []
    for headers in ({"HX-Request": "true"} if "/layers" in path else {}, {}):  # the first one may load modules
        before = doors.cpu_s()
        answer = doors.client.get(address, headers=headers)
        assert answer.status_code in (200, 307), answer.text
        spent_s.append(doors.cpu_s() - before)
        if spent_s[-1] < 1.0:
            return
    raise AssertionError(spent_s)


def test_layers_come_in_parts_of_which_each_names_the_next(doors: Doors, shown: list[str]) -> None:
    def found(place: str, headers: dict[str, str], following: str) -> list[int]:
        """The layers' numbers on all parts, from this one on."""
        numbers: list[int] = []
        while place:
            text = doors.client.get(place, headers=headers).text
            here = [int(one) for one in re.findall(r'<tr data-[^>]*><td class="num">(\d+)<', text)]
            assert len(here) <= 2000
            numbers += here
            more = re.search(following, text)
            place = html.unescape(more[1]) if more else ""
        assert len(numbers) == len(set(numbers))
        return numbers

    for address, count in (
        (f"/jobs/{shown[0]}/layers", LAYERS),
        (f"/compare/layers?job={shown[1]}&job={shown[2]}", LAYERS // 2),
    ):
        pages = found(address, {}, r'href="([^"]+)" rel="next"')
        parts = found(address, {"HX-Request": "true"}, r'hx-get="([^"]+)"')
        assert count <= len(pages) <= count + 2
        assert parts == pages[200:], "the first are on the page that asks for them"
    for wrong in ("-1", "x", "1" * 7, "%00"):
        assert doors.client.get(f"/jobs/{shown[0]}/layers?from={wrong}").status_code == 422


@pytest.mark.parametrize("path", ["/jobs/{0}/", "/jobs/{2}/", "/jobs/{3}/", "/compare?job={0}&job={1}", "/trends?model=net",
                                  "/api/v1/jobs/{0}/result/", "/api/v1/jobs/{2}/result/"])  # fmt: skip
def test_huge_profiles_are_read_by_nobody(doors: Doors, heavy: list[str], path: str) -> None:
    before = doors.cpu_s()
    answer = doors.client.get(path.format(*heavy))
    assert doors.cpu_s() - before < 1.5, "a page takes some of that"
    assert answer.status_code < 500


def test_a_zip_of_nothing_but_names_is_looked_at_in_time() -> None:
    import time

    from dynolab.hub.usecases.tell_format import END_BYTES, format_inside

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(9_000):
            archive.writestr(f"{number}", b"")
        archive.writestr("model.onnx", b"x")
    content = packed.getvalue()
    begun = time.thread_time()
    format_inside("many.zip", content[-END_BYTES:], len(content))
    assert time.thread_time() - begun < 1.0
