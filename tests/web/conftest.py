"""A real hub and a real Chromium, for tests of the pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from dynolab.agent.http import HubDoor
from dynolab.jobs.compare import plugin as compare_job
from dynolab.jobs.compile import plugin as compile_job
from dynolab.jobs.profile import plugin as profile_job
from dynolab.jobs.quantize import plugin as quantize_job
from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, MadeModel, Outcome, Tensors
from dynolab.spec.compiles import Compiled
from dynolab.spec.duets import Duet
from dynolab.spec.profiles import Profile
from dynolab.spec.quantizes import Quantized
from dynolab.spec.toolchain_support import LINKED_KIND
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.sample import sample_profile
from dynolab.testing.sample_compiled import sample_compiled
from dynolab.testing.sample_duet import sample_duet
from dynolab.testing.sample_linked import sample_linked
from dynolab.testing.sample_quantized import sample_quantized

BROWSERS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
"""The first that is there. Both have the same engine; a whole browser has windows too, and takes three times as long for each page."""
DEVICE = "Bench Phone"
WITHIN_MS = 30_000
"""A busy machine takes its time; only what fails waits for so long."""
TOLD_ANYWAY = ("[DOM] Password forms", "Failed to load resource: ", "htmx: htmx:error: Failed to fetch")
"""What Chromium says on its console about sign-in forms without a user's name, and about pages that refuse or are away."""


COMPILER = "compiler-1"
MAKES = (
    "toolchain:qnn_dlc/exported_program",
    "toolchain:link/qnn_dlc",
    "toolchain:onnx/exported_program",
    "toolchain:onnx/torchscript",
    "toolchain:openvino/onnx",
    "toolchain:quantize/onnx",
)
"""What the machine that only compiles tells of its toolchains."""
FIRST = {"priority": 10}
"""Of jobs that an agent is to be given before those that other tests left waiting."""


@dataclass
class Seeded:
    """A running hub without a measuring agent, and ways to fill it as users and agents would."""

    hub: RunningHub
    http: httpx.Client
    """Shared: to make one takes longer than most of what is asked with it."""
    door: HubDoor

    @property
    def url(self) -> str:
        return self.hub.url

    def api(self, method: str, path: str, **options: Any) -> Any:
        """An answer of the JSON API, as its first user."""
        headers = {"Authorization": f"Bearer {self.hub.token}"}
        answer = self.http.request(method, f"{self.url}/api/hub/v1/{path}", headers=headers, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def account(self, email: str, *more: str) -> str:
        """The API token of another, new user; ``more``: as ``dynolab hub account add`` takes it."""
        return self.hub.command("account", "add", email, *more)

    def model(self, name: str = "net", content: bytes = b"not a real model", kind: str = "onnx") -> str:
        """The id of an uploaded model."""
        return self._uploaded("models", {"name": name, "kind": kind, "is_directory": False}, content)

    def dataset(self, name: str = "data", content: bytes = b"not real data") -> str:
        """The id of an uploaded dataset."""
        return self._uploaded("datasets", {"name": name}, content)

    def _uploaded(self, where: str, asked: dict[str, Any], content: bytes) -> str:
        made = self.api("POST", where, json=asked)
        begun = self.api("POST", f"{where}/{made['id']}/uploads", json={"size": len(content)})
        etags = [self.http.put(url, content=content).headers["etag"] for url in begun["urls"]]
        self.api("POST", f"{where}/{made['id']}/uploads/{begun['upload_id']}/complete", json={"etags": etags})
        return str(made["id"])

    def announce(self, door: HubDoor, wait_s: float = 0.0, device_id: str = "bench-1", name: str = DEVICE) -> Any:
        """What an agent with a device is given to do, if anything."""
        offer = DeviceOffer(device_id, name, "14", ("framework:onnx", "vendor:bench", "sandbox:test"))
        return door.claim(ClaimRequest(AGENT_PROTOCOL, offer, wait_s))

    def announce_device(self, device_id: str, name: str, *attributes: str) -> None:
        """Make another device known, with attributes of its own."""
        offer = DeviceOffer(device_id, name, "14", ("sandbox:test", *attributes))
        self.door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 0.0))

    def take(self, door: HubDoor, job_id: str) -> Any:
        """What an agent is given for this job, which was submitted to go ``FIRST``."""
        given = self.announce(door, 10.0)
        assert given is not None, f"the board was not free for {job_id}"
        assert given.job == job_id
        return given

    def submit(self, name: str, model_id: str | None = None, **asked: Any) -> str:
        """The id of a new job."""
        device = {"name": DEVICE, "os": "14", "attributes": []}
        body = {"kind": "profile", "model_id": model_id or self.model(), "name": name, "device": device, **asked}
        return str(self.api("POST", "jobs", json=body)["id"])

    def done(
        self,
        name: str,
        profile: Profile | None = None,
        *,
        fixed: bool = True,
        output: bytes | None = None,
        **asked: Any,
    ) -> str:
        """The id of a job that an agent has carried out, with this profile for its result.

        ``fixed``: the model fixes its shapes itself; ``output``: what an inference job leaves.
        """
        job_id = self.submit(name, **FIRST, **asked)
        given = self.take(self.door, job_id)
        found = profile or sample_profile()
        content = json.dumps(codec.encode(found)).encode()
        left = {"result": content, "log": f"{name}: done\n".encode()} | ({"output": output} if output else {})
        for verb, sent in left.items():
            self.hub.leave(given.attempt, verb, sent)
        specs = (tuple(one.spec for one in tensors) for tensors in (found.inputs, found.outputs))
        self.door.finish(given.attempt, Outcome(summary=profile_job.summary(found), tensors=Tensors(*specs, fixed)))
        return job_id

    def compared(self, name: str, found: Duet | None = None, **asked: Any) -> str:
        """The id of a comparison job that an agent has carried out, with this answer."""
        baseline = {"model_id": self.model("the baseline"), "budget_s": 60.0}
        job_id = self.submit(name, kind="compare", comparison=baseline, **FIRST, **asked)
        given = self.take(self.door, job_id)
        found = found or sample_duet()
        self.hub.leave(given.attempt, "result", json.dumps(codec.encode(found)).encode())
        self.hub.leave(given.attempt, "log", f"{name}: done\n".encode())
        self.door.finish(given.attempt, Outcome(summary=compare_job.summary(found)))
        return job_id

    def announce_compiler(self, wait_s: float = 0.0) -> Any:
        """What the agent of a machine that only compiles is given to do, if anything."""
        offer = DeviceOffer(COMPILER, "Compile server", "6.1", (*MAKES, "format:toolchains", "sandbox:test"))
        return self.door.claim(ClaimRequest(AGENT_PROTOCOL, offer, wait_s))

    def compiling(self, name: str, **asked: Any) -> str:
        """The id of a job that is to compile an exported program, which waits for an agent."""
        self.announce_compiler()
        model_id = asked.pop("model_id", None) or self.model(name, kind="exported_program")
        options = "--target_runtime onnx --output_names classes,features"
        specs = [{"name": "image", "shape": [1, 3, 224, 224], "dtype": "float32"}]
        asked = {"kind": "compile", "options": options, "input_specs": specs, **FIRST, **asked}
        return self.submit(name, model_id, **asked)

    def compiled(self, name: str, found: Compiled | None = None, **asked: Any) -> str:
        """The id of a compile job that an agent has carried out, with this result."""
        job_id = self.compiling(name, **asked)
        given = self.announce_compiler(10.0)
        assert given is not None, f"the toolchains were not free for {job_id}"
        assert given.job == job_id
        made = found or sample_compiled()
        content = json.dumps(codec.encode(made)).encode()
        for verb, sent in {"result": content, "log": f"{name}: done\n".encode(), "output": b"an ONNX model"}.items():
            self.hub.leave(given.attempt, verb, sent)
        outcome = Outcome(
            summary=compile_job.summary(made),
            tensors=Tensors(made.inputs, made.outputs, fixed=True),
            made=MadeModel(made.compiled.format, is_directory=False),
        )
        self.door.finish(given.attempt, outcome)
        return job_id

    def quantized(self, name: str, found: Quantized | None = None) -> str:
        """The id of a quantize job that an agent has carried out, with this result; it has no device."""
        self.announce_compiler()
        body = {"kind": "quantize", "model_id": self.model(name), "dataset_id": self.dataset(), "name": name}
        widths = {"weights_dtype": "int8", "activations_dtype": "int16"}
        job_id = str(self.api("POST", "jobs", json={**body, **widths, **FIRST})["id"])
        given = self.announce_compiler(10.0)
        assert given is not None, f"the toolchains were not free for {job_id}"
        assert given.job == job_id
        made = found or sample_quantized()
        content = json.dumps(codec.encode(made)).encode()
        for verb, sent in {"result": content, "log": b"done\n", "output": b"a quantised model"}.items():
            self.hub.leave(given.attempt, verb, sent)
        outcome = Outcome(
            summary=quantize_job.summary(made),
            tensors=Tensors(made.inputs, made.outputs, fixed=True),
            made=MadeModel(made.quantized.format, is_directory=False),
        )
        self.door.finish(given.attempt, outcome)
        return job_id

    def linked(self, name: str) -> str:
        """The id of a link job that an agent has carried out, of two models that compile jobs for an NPU made."""
        self.announce_device("phone", "Phone", "soc-model:43")
        device = {"name": "Phone", "os": "14", "attributes": []}
        made = []
        for source in ("narrow", "wide"):
            model_id = self.model(source, kind="exported_program")
            asked = {"options": "--target_runtime qnn_dlc", "input_specs": [], "device": device}
            job_id = self.compiling(source, model_id=model_id, **asked)
            self._finish(job_id, sample_compiled(), b"a DLC", "qnn_dlc")
            made.append(self.api("GET", f"jobs/{job_id}")["target_model_id"])
        job_id = self.submit(name, made[0], kind="link", linked_ids=made[1:], device=device, **FIRST)
        self._finish(job_id, sample_linked(), b"a linked model", LINKED_KIND)
        return job_id

    def _finish(self, job_id: str, found: Any, output: bytes, kind: str) -> None:
        """The next job of the toolchains is this one, and is carried out with this result."""
        given = self.announce_compiler(10.0)
        assert given is not None, f"the toolchains were not free for {job_id}"
        assert given.job == job_id
        for verb, sent in {
            "result": json.dumps(codec.encode(found)).encode(),
            "log": b"done\n",
            "output": output,
        }.items():
            self.hub.leave(given.attempt, verb, sent)
        self.door.finish(given.attempt, Outcome(made=MadeModel(kind, is_directory=False)))


@pytest.fixture(scope="module")
def seeded(hub: RunningHub) -> Iterator[Seeded]:
    """The module's hub, with a device."""
    door = HubDoor(hub.url, hub.agent_token)
    with httpx.Client(timeout=30) as http:
        found = Seeded(hub, http, door)
        found.announce(door)
        yield found
    door.close()


_running = ExitStack()
"""What ends the browser, which runs as long as tests of this folder follow each other."""
_browsers: list[Any] = []


@pytest.fixture
def chromium() -> Any:
    """A browser: tests open contexts of their own in it, which share nothing, and close them."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next((one for one in BROWSERS if one.exists()), None)
    if program is None:
        pytest.skip(f"{BROWSERS[0]} is not there: apt-get install {BROWSERS[0].name}")
    if not _browsers:
        playwright.expect.set_options(timeout=WITHIN_MS)
        started = _running.enter_context(playwright.sync_playwright())
        browser = started.chromium.launch(executable_path=str(program), args=["--no-sandbox", "--disable-gpu"])
        _running.callback(browser.close)
        _browsers.append(browser)
        _running.callback(_browsers.clear)
    return _browsers[0]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """The browser ends before tests of other folders begin: its event loop runs in this thread, where they may want their own."""
    try:
        return (yield)
    finally:
        if nextitem is None or not nextitem.path.is_relative_to(Path(__file__).parent):
            _running.close()


@pytest.fixture
def visit(chromium: Any, seeded: Seeded) -> Iterator[Callable[..., Any]]:
    """Opens a page of the hub, signed in; at the end, nothing was on the console and nothing came from another host."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_page(path: str, *, signed_in: bool = True, token: str = "", **options: Any) -> Any:
        context = chromium.new_context(base_url=seeded.url, **{"viewport": {"width": 1200, "height": 900}, **options})
        context.set_default_timeout(WITHIN_MS)
        contexts.append(context)
        if signed_in:
            origin = {"Origin": seeded.url, "Sec-Fetch-Site": "same-origin"}
            sign_in = seeded.http.post(
                f"{seeded.url}/sign-in", data={"token": token or seeded.hub.token}, headers=origin
            )
            seeded.http.cookies.clear()
            context.add_cookies(
                [{"name": "dynolab_session", "value": sign_in.cookies["dynolab_session"], "url": seeded.url}]
            )
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in said if not text.startswith(TOLD_ANYWAY)] == []
    assert [url for url in asked if not url.startswith((seeded.url, "data:", "blob:"))] == []
