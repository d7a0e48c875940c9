"""Submitting from the browser, with and without its scripts; and what a job says while it waits and runs."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing.waiting import until

from .conftest import FIRST

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install dynolab[test]")
Visit = Callable[..., Any]
MOST_BYTES = 100_000_000
ENVIRONMENT = {"DYNOLAB_DATA_MAX_BYTES": str(MOST_BYTES)}
PLAIN = {"java_script_enabled": False}
UNHURRIED = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
"""A line as fast as it can be, in the words of the browser's protocol."""


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"not real")
    return content.getvalue()


def given(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def choose(page: Any, field: str, name: str, content: bytes) -> None:
    page.get_by_label(field).set_input_files(given(name, content))


def shown(page: Any, field: str, value: str) -> None:
    """Wait until the field holds the value."""
    playwright.expect(page.get_by_label(field)).to_have_value(value)


def send(page: Any) -> None:
    page.get_by_role("button", name="Submit", exact=True).click()


def job_of(page: Any, seeded: Any) -> Any:
    """What the hub says of the job on whose page the browser is now."""
    page.wait_for_url("**/jobs/j*/")
    return seeded.api("GET", f"jobs/{urlsplit(page.url).path.split('/')[2]}")


def bytes_of(seeded: Any, kind: str, target_id: str) -> bytes:
    return seeded.http.get(seeded.api("GET", f"{kind}/{target_id}/download")["url"]).content


@pytest.fixture
def second(seeded: Any) -> None:
    """A second device model, which was there a moment ago."""
    seeded.door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer("other-1", "Other <Board>", "3")))
    until(
        lambda: seeded.api("GET", "boards", params={"name": "Other <Board>"})["boards"][0]["state"] == "free",
        "the hub to note that it is there",
    )


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_a_file_and_options_become_a_job(browser: dict[str, Any], seeded: Any, second: None, visit: Visit) -> None:
    page = visit("/submit", **browser)
    content = b"x" * 300_000
    choose(page, "Model file", "my net.tflite", content)
    if browser:
        page.locator("summary", has_text="LiteRT options").click()
    page.get_by_label("Bench Phone").check()
    page.get_by_label("max_profiler_iterations").fill("7")
    page.get_by_label("number_of_threads").fill("2")
    page.get_by_label("Name").fill("From the browser")
    page.locator("summary", has_text="More").click()
    page.get_by_label("Priority", exact=True).fill("3")
    page.get_by_label("Deadline in seconds").fill("90")
    send(page)
    job = job_of(page, seeded)
    assert (job["name"], job["kind"], job["priority"], job["deadline_s"]) == ("From the browser", "profile", 3, 90)
    assert job["options"] == "--max_profiler_iterations 7 --tflite_options number_of_threads=2"
    assert job["device"]["name"] == "Bench Phone"
    model = seeded.api("GET", f"models/{job['model_id']}")
    assert (model["name"], model["kind"], model["is_directory"]) == ("my net", "tflite", False)
    assert bytes_of(seeded, "models", model["id"]) == content


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_requirements_and_what_else_a_job_may_be_told(browser: dict[str, Any], seeded: Any, visit: Visit) -> None:
    needed = seeded.submit("needed first")
    page = visit("/submit", **browser)
    page.get_by_text("Accepts: integer >= 1.").first.wait_for()
    choose(page, "Model file", "limited.onnx", b"limited")
    page.get_by_label("Bench Phone").check()
    required = page.get_by_label("One requirement per line")
    if browser:
        required.fill("estimated_inference_time <= 33 ms\nmodel_size <= 1 MB")
    else:
        page.get_by_label("Add a figure").select_option(label="Inference time (estimated_inference_time)")
        assert required.input_value() == ""
        page.get_by_role("button", name="Add", exact=True).click()
        required.press_sequentially("33 ms")
        page.get_by_label("Add a figure").select_option("model_size")
        page.get_by_label("Add a figure").press("Enter")
        required.press_sequentially("1")
    page.get_by_label("One input per line").fill("x=1,3,-1\n")
    page.locator("summary", has_text="More").click()
    page.get_by_label("Waits for").fill(f"{needed}, jnothing")
    page.get_by_label("Keep the compiled artifact").check()
    send(page)
    if not browser:
        page.get_by_text("requirement 'model_size <= 1': the limit 1 needs a unit").first.wait_for()
        required.press_sequentially(" MB")
        send(page)
    page.get_by_text("input shape x=1,3,-1: the size -1 must be 0 or more").first.wait_for()
    page.get_by_label("One input per line").fill("x=1,3,48,192")
    send(page)
    page.get_by_text("input shape x=1,3,-1").first.wait_for(state="hidden")
    page.get_by_text("there is no job 'jnothing' to wait for").first.wait_for()
    shown(page, "One requirement per line", "estimated_inference_time <= 33 ms\nmodel_size <= 1 MB")
    page.get_by_label("Waits for").fill(needed)
    send(page)
    job = job_of(page, seeded)
    assert job["requirements"] == ["estimated_inference_time <= 33 ms", "model_size <= 1 MB"]
    assert (job["waits_for"], job["keeps_artifact"]) == ([needed], True)
    assert job["input_shapes"] == {"x": [1, 3, 48, 192]}
    page.get_by_text("Waiting for another job").wait_for()
    page.get_by_text("model_size <= 1 MB").wait_for()
    seeded.api("POST", f"jobs/{needed}/cancel")


def test_a_sheet_that_does_not_measure_takes_no_requirement(seeded: Any, visit: Visit) -> None:
    page = visit(f"/submit?dataset={seeded.dataset()}", **PLAIN)
    choose(page, "Model file", "idle.onnx", b"idle")
    page.get_by_label("Also profile").uncheck()
    page.get_by_label("One requirement per line").fill("model_size <= 1 MB")
    send(page)
    page.get_by_text("a job that does not measure meets no requirement").first.wait_for()


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    browser: dict[str, Any], seeded: Any, visit: Visit
) -> None:
    page = visit("/submit", **browser)
    choose(page, "Model file", "kept.onnx", b"kept")
    page.get_by_label("max_profiler_iterations").fill("many")
    page.get_by_label("Name").fill("Kept as typed")
    page.get_by_label("Bench Phone").uncheck()  # chosen where it is the only one
    send(page)
    page.get_by_text("--max_profiler_iterations does not take 'many' (it takes: integer >= 1)").first.wait_for()
    page.get_by_text("no device is chosen").last.wait_for()
    assert page.get_by_label("max_profiler_iterations").input_value() == "many"
    assert page.get_by_label("Name").input_value() == "Kept as typed"
    page.get_by_label("max_profiler_iterations").fill("12")
    page.get_by_label("Bench Phone").check()
    send(page)
    job = job_of(page, seeded)
    assert (job["name"], job["options"]) == ("Kept as typed", "--max_profiler_iterations 12")
    assert bytes_of(seeded, "models", job["model_id"]) == b"kept"


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_all_mistakes_are_told_at_once_on_top_and_beside_their_fields(browser: dict[str, Any], visit: Visit) -> None:
    page = visit("/submit", **browser)
    page.get_by_label("Bench Phone").check()
    choose(page, "Model file", "notes.txt", b"no model")
    page.get_by_label("One requirement per line").fill("model_size <= 1\nno_figure <= 3\nmodel_size <= 1 MB")
    page.locator("summary", has_text="More").click()
    page.get_by_label("Priority", exact=True).fill("11")
    page.get_by_label("Deadline in seconds").fill("-1")
    page.get_by_label("Waits for").fill("jnothing, jnobody")
    send(page)
    top = page.get_by_role("alert")
    top.get_by_text("5 problems").wait_for()
    said = {
        "model_file": ["notes.txt is no model by its name"],
        "requirements": ["the limit 1 needs a unit", "no_figure"],
        "priority": ["priority 11 is not in -10 to 10"],
        "deadline_s": ["a deadline of -1 s"],
        "waits_for": ["there is no job 'jnothing' to wait for", "there is no job 'jnobody' to wait for"],
    }
    for name, words in said.items():
        beside = page.locator(f"#problem-{name}").inner_text().replace("\N{NO-BREAK SPACE}", " ")
        assert [one for one in words if one not in beside] == [], beside
        link = top.get_by_role("link").and_(page.locator(f"[href='#problem-{name}']"))
        assert link.inner_text().replace("\N{NO-BREAK SPACE}", " ") == beside
    assert "there is no model" not in page.inner_text("main")


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_a_folder_comes_as_a_zip_and_a_dataset_as_a_file(browser: dict[str, Any], seeded: Any, visit: Visit) -> None:
    page = visit("/submit", **browser)
    choose(page, "Model file", "folder.zip", zipped("net/model.onnx", "net/weights.data"))
    page.get_by_role("radio", name="Inference").check()
    choose(page, "Dataset file", "inputs.h5", b"not a real dataset")
    page.get_by_label("Bench Phone").check()
    send(page)
    job = job_of(page, seeded)
    assert (job["kind"], job["measures"]) == ("inference", True)
    model = seeded.api("GET", f"models/{job['model_id']}")
    assert (model["name"], model["kind"], model["is_directory"]) == ("folder", "onnx", True)
    assert bytes_of(seeded, "datasets", job["dataset_id"]) == b"not a real dataset"


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_a_file_that_is_no_model_is_refused(browser: dict[str, Any], seeded: Any, visit: Visit) -> None:
    page = visit("/submit", **browser)
    choose(page, "Model file", "two.zip", zipped("a.onnx", "b.tflite"))
    page.get_by_label("Bench Phone").check()
    send(page)
    page.locator("#problem-model_file").get_by_text("two.zip holds models of 2 formats").wait_for()
    assert page.get_by_label("Bench Phone").is_checked()
    assert seeded.api("GET", "models?name=two")["models"] == []


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    browser: dict[str, Any], seeded: Any, visit: Visit, tmp_path: Path
) -> None:
    large = tmp_path / "large.onnx"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    page = visit("/submit", **browser)
    page.get_by_label("Model file").set_input_files(large)
    page.get_by_label("Bench Phone").check()
    page.get_by_label("Name").fill("Too much")
    send(page)
    page.locator("#problem-model_file").get_by_text("do not fit").wait_for()
    assert page.get_by_label("Name").input_value() == "Too much"
    assert seeded.api("GET", "models?name=large")["models"] == []


def test_fields_and_text_follow_each_other(visit: Visit) -> None:
    page = visit("/submit")
    text, count = page.get_by_label("All options as text"), page.get_by_label("max_profiler_iterations")
    count.fill("25")
    shown(page, "All options as text", "--max_profiler_iterations 25")
    text.fill("--max_profiler_iterations 40 --compute_unit cpu")
    shown(page, "compute_unit", "cpu")
    text.fill("--max_profiler_iterations 40 --compute_unit cpu,gpu")
    shown(page, "compute_unit", "cpu,gpu")  # an order that the list does not offer
    assert count.input_value() == "40"
    text.fill("--max_profiler_iteration 40")
    page.get_by_text("there is no option --max_profiler_iteration (did you mean --max_profiler_iterations").wait_for()
    assert text.input_value() == "--max_profiler_iteration 40"


def test_what_was_typed_outlives_a_change_of_language(seeded: Any, second: None, visit: Visit) -> None:
    model_id = seeded.model("Kept net")
    page = visit("/submit", locale="en-GB")
    page.get_by_label("Or an uploaded model").select_option(model_id)
    page.get_by_label("Other <Board>").check()
    page.get_by_label("max_profiler_iterations").fill("7")
    page.get_by_label("One requirement per line").fill("model_size <= 1 MB\nmodel_size <= 2")
    send(page)
    page.get_by_text("the limit 2 needs a unit").first.wait_for()
    page.get_by_label("Name").fill("Two <tongues>")
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="提交作业").wait_for()
    for name, value in {
        "model": model_id,
        "option.max_profiler_iterations": "7",
        "options": "--max_profiler_iterations 7",
        "requirements": "model_size <= 1 MB\nmodel_size <= 2",
        "name": "Two <tongues>",
    }.items():
        playwright.expect(page.locator(f"[name='{name}']")).to_have_value(value)
    assert page.get_by_label("Other <Board>").is_checked()
    assert not page.get_by_label("Bench Phone").is_checked()
    page.reload()
    assert page.locator("[name=name]").input_value() == "", "once"


@pytest.fixture(scope="module")
def able(seeded: Any) -> None:
    """A device that tells what it runs."""
    offer = DeviceOffer("able-1", "Able Board", "5", ("runs:litert/tflite", "runs:torch/torchscript"))
    seeded.door.claim(ClaimRequest(AGENT_PROTOCOL, offer))


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_what_the_device_cannot_run_is_told_before_anything_is_sent(
    browser: dict[str, Any], seeded: Any, able: None, visit: Visit
) -> None:
    page = visit("/submit", **browser)
    choose(page, "Model file", "unreadable.onnx", b"x")
    page.get_by_label("Able Board").check()
    send(page)
    page.get_by_text("reads a model of the kind onnx; those there read: tflite, torchscript").first.wait_for()
    page = visit(f"/submit?model={seeded.model('Mobile', kind='tflite')}", **browser)
    page.get_by_label("Able Board").check()
    page.get_by_label("Runtime runtime").select_option("torch")
    send(page)
    beside = page.locator("[id='problem-option.runtime']")
    beside.get_by_text(
        "does not run a model of the kind tflite; on the device 'Able Board' that does: litert"
    ).wait_for()


def test_a_dropped_file_goes_up_in_parts_and_can_be_given_up(seeded: Any, visit: Visit) -> None:
    page = visit("/submit")
    page.get_by_label("Bench Phone").check()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(70e6)], "dropped.onnx"));
          document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }"""
    )
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", UNHURRIED | {"uploadThroughput": 1e6})
    send(page)
    page.get_by_role("progressbar", name="Uploading").wait_for()
    until(lambda: seeded.api("GET", "models?name=dropped")["models"], "the model")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("progressbar", name="Uploading").wait_for(state="hidden")
    until(lambda: not seeded.api("GET", "models?name=dropped")["models"], "the end of the model")
    line.send("Network.emulateNetworkConditions", UNHURRIED)
    urls = []
    page.on("request", lambda request: urls.append(request.url) if "/files/parts/" in request.url else None)
    send(page)
    job = job_of(page, seeded)
    assert len(urls) == 2
    assert seeded.api("GET", f"models/{job['model_id']}")["size_bytes"] == 70_000_000
    seeded.api("POST", f"jobs/{job['id']}/cancel")
    seeded.api("DELETE", f"models/{job['model_id']}")  # for those that come after


def test_several_devices_get_a_job_each(seeded: Any, second: None, visit: Visit) -> None:
    model_id = seeded.model("Chosen net")
    page = visit(f"/submit?model={model_id}&device=Bench+Phone")
    assert page.get_by_label("Bench Phone").is_checked()
    page.get_by_label("Other <Board>").check()
    assert "free" in page.get_by_label("Other <Board>").locator("..").inner_text()
    send(page)
    page.get_by_role("heading", name="2 jobs submitted").wait_for()
    rows = page.get_by_role("row").filter(has_text="Chosen net")
    assert sorted(row.split("\t")[1] for row in rows.all_inner_texts()) == ["Bench Phone (14)", "Other <Board> (3)"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("device=Nowhere", "there is no device 'Nowhere'"),
        ("model=mnothing", "there is no model 'mnothing'"),
        ("dataset=dnothing", "there is no dataset 'dnothing'"),
    ],
)
def test_what_the_address_names_and_is_not_there_is_told(query: str, words: str, visit: Visit) -> None:
    assert visit(f"/submit?{query}").get_by_text(words).first.is_visible()


@pytest.fixture(scope="module")
def client(seeded: Any) -> Iterator[httpx.Client]:
    """Signed in, as a page of the hub's own."""
    origin = {"Origin": seeded.url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=seeded.url, headers=origin, timeout=30) as found:
        found.post("/sign-in", data={"token": seeded.hub.token})
        yield found


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"x", "notes.txt is no model by its name"),
        ("half.xml", b"x", "half.xml is one file of two"),
        ("empty.zip", zipped("readme.md"), "empty.zip holds no model"),
        ("torn.zip", b"PK\3\4 and no more", "torn.zip is no ZIP file that can be read"),
    ],
)
def test_files_that_are_no_models_leave_none(
    name: str, content: bytes, words: str, seeded: Any, client: httpx.Client
) -> None:
    form = {"device": (None, "name=Bench+Phone&os=14"), "model_file": (name, content)}
    in_parts = client.post(f"/submit/uploads/model?name={name}&size={len(content)}", content=content)
    for answer in (client.post("/submit", files=form), in_parts):
        assert answer.status_code == 422
        assert words in answer.text
    assert seeded.api("GET", f"models?name={Path(name).stem}")["models"] == []


def test_a_form_that_is_sent_twice_is_one_job(seeded: Any, client: httpx.Client) -> None:
    texts = {"key": "twice", "model": seeded.model("Once"), "kind": "profile", "device": "name=Bench+Phone&os=14"}
    form = {name: (None, value) for name, value in texts.items()}
    first, again = (client.post("/submit", files=form).headers["location"] for _ in range(2))
    assert first == again
    assert client.post("/submit", files=form | {"key": (None, "other")}).headers["location"] != first


def test_forms_of_other_sites_and_strangers_are_refused(seeded: Any, client: httpx.Client) -> None:
    foreign = {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    uploads = "/submit/uploads/model?name=a.onnx&size=3"
    fields = {"kind": (None, "profile")}
    for path in ("/submit", uploads, "/submit/uploads/model/mx/complete", "/submit/uploads/model/mx/give-up"):
        assert client.post(path, files=fields, headers=foreign).status_code == 403
        stranger = httpx.post(f"{seeded.url}{path}", files=fields, headers=client.headers, timeout=30)
        assert stranger.headers["location"].startswith("/sign-in")


def test_what_no_page_of_ours_sends_is_answered_and_not_a_failure(client: httpx.Client) -> None:
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    torn = b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\nprofile'
    answers = [
        client.post("/submit", content=torn, headers=boundary),
        client.post("/submit", content=b"{}", headers={"Content-Type": "application/json"}),
        client.post("/submit", files={"kind": (None, "profile"), "device": (None, "name=Gone&os=1")}),
        client.post("/submit", files={"name": (None, "a\0b")}),
        client.post("/submit", files=[("device", (None, "x"))] * 300),
        client.post("/submit/uploads/model?name=a.onnx&size=many"),
        client.post("/submit/uploads/thing?name=a.onnx&size=1"),
        client.post("/submit/uploads/model?name=a.zip&size=3", content=b"abc"),
        client.post("/submit/uploads/model/mnothing/complete", json={"upload": "u", "etags": []}),
        client.post("/submit/uploads/model/mnothing/complete", content=b"["),
        client.get("/submit/check?options=--nothing&priority=much&whole=yes"),
        client.get("/submit/jobs?job=jnothing"),
    ]
    assert [answer.status_code for answer in answers] == [422, 415, 422, 422, 422, 422, 404, 422, 404, 422, 200, 404]
    assert "the device &#39;Gone&#39; is not there any more" in answers[2].text
    problems = answers[10].json()["problems"]
    assert problems["priority"] == [{"text": "'much' is no number", "english": False}]
    assert "--nothing" in problems["options"][0]["text"]


def _post(seeded: Any, client: httpx.Client, length: int, body: bytes) -> socket.socket:
    """A form that is begun by hand, of which so many bytes are announced."""
    at = urlsplit(seeded.url)
    cookie = client.cookies["dynolab_session"]
    head = (
        f"POST /submit HTTP/1.1\r\nHost: {at.netloc}\r\nOrigin: {seeded.url}\r\nCookie: dynolab_session={cookie}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )
    connection = socket.create_connection((at.hostname, at.port), timeout=10)
    connection.sendall(head.encode() + body)
    return connection


def test_a_form_beyond_all_bounds_is_refused_before_its_bytes(seeded: Any, client: httpx.Client) -> None:
    with _post(seeded, client, 10**13, b"") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_an_upload_that_breaks_off_leaves_nothing(seeded: Any, client: httpx.Client) -> None:
    begun = (
        b'--b\r\nContent-Disposition: form-data; name="model_file"; filename="broken off.onnx"\r\n\r\n' + b"x" * 100_000
    )
    with _post(seeded, client, 10**6, begun):
        until(lambda: seeded.api("GET", "models?name=broken")["models"], "the model")
    until(lambda: not seeded.api("GET", "models?name=broken")["models"], "the end of the model")


def test_the_log_is_followed_while_the_job_runs(seeded: Any, visit: Visit) -> None:
    door = seeded.door
    job_id = seeded.submit("Talkative", **FIRST)
    attempt = seeded.take(door, job_id)
    door.renew(attempt.attempt, Renewal({"event": "stage", "stage": "compile", "text": "time"}, "first <words>\n"))
    page = visit(f"/jobs/{job_id}/")
    page.get_by_text("first <words>").wait_for()
    lines = "".join(f"line {number}\n" for number in range(200))
    odd = json.dumps({"log": lines + "NUL \0 and \ud800\n"})  # what no text in a database can hold
    agent = {"Authorization": f"Bearer {seeded.hub.agent_token}", "Content-Type": "application/json"}
    renewing = f"{seeded.url}/api/agent/v1/attempts/{attempt.attempt}/renew"
    seeded.http.post(renewing, content=odd, headers=agent).raise_for_status()
    page.get_by_text("line 199").wait_for()
    log = page.locator("#live-log-text")
    until(lambda: log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight < 8"), "the log's end")
    log.evaluate("(log) => { log.scrollTop = 10; }")
    door.renew(attempt.attempt, Renewal(None, lines + "the last\n"))
    page.get_by_text("the last").wait_for()
    assert log.evaluate("(log) => log.scrollTop") == 10
    headers = {"Authorization": f"Bearer {seeded.hub.token}"}
    address = f"{seeded.url}/api/hub/v1/jobs/{job_id}/log"
    assert seeded.http.get(address, headers=headers).text.endswith("the last\n")
    seeded.hub.leave(attempt.attempt, "log", b"the whole log\n")
    door.finish(attempt.attempt, Outcome(error={"code": "LoadFailed", "message": "torn", "hint": None}))
    assert seeded.http.get(address, headers=headers).text == "the whole log\n"
    page.get_by_text("the whole log", exact=True).first.wait_for(state="attached")
    with pytest.raises(Exception, match="is over"):
        door.renew(attempt.attempt, Renewal(None, "a late word"))


def test_a_job_that_waits_says_when_it_begins(seeded: Any, visit: Visit) -> None:
    other = {"name": "Patient Phone", "os": "9", "attributes": []}
    door = seeded.door
    offer = ClaimRequest(AGENT_PROTOCOL, DeviceOffer("patient-1", "Patient Phone", "9"))
    door.claim(offer)
    first, second = (seeded.submit(name, device=other) for name in ("Sooner", "Later"))
    assert "Next in the queue. Starts in a few seconds." in visit(f"/jobs/{first}/").inner_text("main")
    assert "nothing has run on this device yet" in visit(f"/jobs/{second}/").inner_text("main")
    attempt = door.claim(offer)
    assert attempt is not None
    door.finish(attempt.attempt, Outcome(error={"code": "LoadFailed", "message": "torn", "hint": None}))
    third = seeded.submit("Last", device=other, waits_for=[second])
    assert second in visit(f"/jobs/{third}/").get_by_text("Waiting for another job:").inner_text()
