"""What surprises in the official protocol, in order of damage; each was found by running its clients. Raw HTTP, as they send it.

Surprises of the client alone (its polling, its proxies) and of kinds of jobs that this hub refuses (seeded targets) have no test.
That a POST which is sent again makes no second job is tested in ``test_job_rules.py``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("pgqueuer")

from google.protobuf.message import Message

from dynolab.agent.http import HubDoor
from dynolab.hub.aihub.profiles import UNITS
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome, Renewal, Tensors
from dynolab.spec.measurements import ComputeUnit
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.testing.running_hub import RunningHub

CONTENT = b"bytes of a model"
OLD, NEW = "0.55.0", "0.56.0"


@pytest.fixture
def http(hub: RunningHub) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {hub.token}", "Client-Version": NEW}
    with httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers, timeout=30) as client:
        yield client


def ask(door: HubDoor, name: str, os: str = "1.0") -> ClaimRequest:
    """A claim for a device of that name; it announces the device as well."""
    offer = DeviceOffer(id=f"{name} {os}", name=name, os=os, attributes=("framework:onnx",))
    return ClaimRequest(AGENT_PROTOCOL, offer)


def model(http: httpx.Client, name: str = "net") -> str:
    asked = pb.Model(name=name, model_type=pb.MODEL_TYPE_ONNX)
    model_id = pb.CreateUpdateResponse.FromString(http.post("models/", content=asked.SerializeToString()).content).id
    answer = http.get(f"models/{model_id}/multipart_upload/", params={"file_size": len(CONTENT)})
    begun = pb.FileMultipartUploadURL.FromString(answer.content)
    etag = httpx.put(begun.urls[0], content=CONTENT, timeout=30).headers["etag"]
    complete = pb.FileMultipartUploadComplete(upload_id=begun.upload_id, etags=[etag])
    assert http.post(f"models/{model_id}/multipart_upload/", content=complete.SerializeToString()).is_success
    return model_id


def submit(http: httpx.Client, device: str, *, old: bool = False) -> str:
    asked = pb.Job()
    inner = asked.profile_job if old else asked.inference_job
    inner.model.model_id, inner.device.name, inner.name = model(http), device, "job"
    if not old:
        asked.inference_job.is_profiling_on = True
    answer = http.post("jobs/", content=asked.SerializeToString())
    assert answer.is_success, answer.text
    return pb.CreateUpdateResponse.FromString(answer.content).id


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        ("datasets/", pb.Dataset(name="data", project_id="\0\0"), "project_id"),
        ("models/", pb.Model(name="a\0b", model_type=pb.MODEL_TYPE_ONNX), "name"),
        ("jobs/", pb.Job(profile_job=pb.ProfileJob(name="job", model=pb.Model(model_id="m\0"))), "model_id"),
    ],
)
def test_a_text_that_no_database_takes_is_refused_by_its_field(
    http: httpx.Client, path: str, asked: Message, field: str
) -> None:
    answer = http.post(path, content=asked.SerializeToString())
    assert answer.status_code == 400, answer.text
    assert f"the field '{field}' holds a NUL character" in answer.json()["detail"]


def test_a_datasets_reply_tells_its_end(http: httpx.Client) -> None:
    """Without it, a client takes the dataset for expired since 1970."""
    reply = http.post("datasets/", content=pb.Dataset(name="data").SerializeToString())
    made = pb.CreateUpdateResponse.FromString(reply.content)
    assert made.expiration_time.seconds > made.creation_time.seconds > 0
    kept = http.post("datasets/", content=pb.Dataset(name="data", permanent=True).SerializeToString())
    shown = pb.Dataset.FromString(http.get(f"datasets/{pb.CreateUpdateResponse.FromString(kept.content).id}/").content)
    assert shown.permanent
    assert not shown.HasField("expiration_time")


@pytest.mark.parametrize("path", ["models/", "datasets/"])
def test_the_status_of_a_good_reply_is_empty(http: httpx.Client, path: str) -> None:
    """A client takes any text there for a refusal, and skips the upload without a word."""
    message = pb.Model(name="n", model_type=pb.MODEL_TYPE_ONNX) if path == "models/" else pb.Dataset(name="n")
    made = pb.CreateUpdateResponse.FromString(http.post(path, content=message.SerializeToString()).content)
    assert made.id
    assert made.status == ""


@pytest.mark.parametrize(("version", "kind"), [(OLD, "profile_job"), (NEW, "inference_job")])
@pytest.mark.parametrize("submitted_old", [False, True])
def test_a_profile_job_is_shown_as_the_viewers_version_knows_it(
    http: httpx.Client, door: HubDoor, version: str, kind: str, submitted_old: bool
) -> None:
    """Under the other name a client waits for ever, or cannot find the job."""
    door.claim(ask(door, "either"))
    job_id = submit(http, "either", old=submitted_old)
    headers = {"Client-Version": version}
    job = pb.Job.FromString(http.get(f"jobs/{job_id}/", headers=headers).content)
    assert job.WhichOneof("job") == kind
    word = {"profile_job": "profile", "inference_job": "inference"}[kind]
    for wanted in ("profile", "inference"):
        answer = http.get("job_summaries/", params={"type": wanted, "limit": 1000}, headers=headers)
        found = pb.JobSummaryList.FromString(answer.content).job_summaries
        ids = {getattr(one, one.WhichOneof("job")).job_id for one in found}
        assert (job_id in ids) == (wanted == word)


@pytest.mark.parametrize(("version", "kind"), [(OLD, "profile_job"), (NEW, "inference_job")])
def test_states_are_those_that_the_kind_of_job_has(http: httpx.Client, door: HubDoor, version: str, kind: str) -> None:
    """Any other crashes the client's wait()."""
    request = ask(door, f"states {version}")
    door.claim(request)
    job_id = submit(http, request.device.name)
    seen = []

    def look() -> None:
        job = pb.Job.FromString(http.get(f"jobs/{job_id}/", headers={"Client-Version": version}).content)
        seen.append(getattr(job, kind).job_state)

    look()
    found = door.claim(request)
    assert found is not None
    look()
    door.renew(found.attempt, Renewal({"event": "stage"}))
    look()
    door.finish(found.attempt, Outcome())
    look()
    assert seen == [1, 60, 70, 10]


def test_a_post_that_is_sent_again_is_quick_to_answer(http: httpx.Client, door: HubDoor) -> None:
    """A client that waits 28 s asks again, so nothing is carried out inside the request."""
    door.claim(ask(door, "quick"))
    job_id = submit(http, "quick")
    state = pb.Job.FromString(http.get(f"jobs/{job_id}/").content).inference_job.job_state
    assert state == pb.JOB_STATE_CREATED, "it is queued, not run"


def test_replies_are_of_exactly_the_type_that_the_client_compares(http: httpx.Client) -> None:
    for path in ("devices/", "frameworks/", "models/", "datasets/", "job_summaries/", "users/auth/user/"):
        answer = http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf"), path


def test_a_part_is_answered_with_its_tag_and_its_address_needs_no_token(hub: RunningHub, http: httpx.Client) -> None:
    made = http.post("models/", content=pb.Model(name="n", model_type=pb.MODEL_TYPE_ONNX).SerializeToString())
    model_id = pb.CreateUpdateResponse.FromString(made.content).id
    answer = http.get(
        f"models/{model_id}/multipart_upload/", params={"file_size": 3, "supports_s3_credentials": "true"}
    )
    wrapped = pb.FileUploadResponse.FromString(answer.content)
    assert wrapped.WhichOneof("method") == "multipart_url"
    [url] = wrapped.multipart_url.urls
    assert url.startswith(hub.url), "the same origin, or the client calls every failure a fault of the service"
    assert httpx.put(url, content=b"123", timeout=30).headers["etag"].strip('"')


def test_errors_come_with_a_status_whose_text_the_client_shows(http: httpx.Client, door: HubDoor) -> None:
    """It shows the text of 400, 403, 404, 409, 413, 426 and 429; never that of 422."""
    door.claim(ask(door, "errors"))
    model_id = model(http)

    def job(name: str = "n", options: str = "") -> bytes:
        message = pb.InferenceJob(name=name, options=options, is_profiling_on=True)
        message.model.model_id, message.device.name = model_id, "errors"
        return pb.Job(inference_job=message).SerializeToString()

    for path, content in (
        ("jobs/", job(options="--unknown 1")),
        ("jobs/", job(name="a/b")),
        ("jobs/", b"\xff"),
        ("models/", pb.Model(name="n", model_type=99).SerializeToString()),  # type: ignore[arg-type]  # a type of later days
        ("jobs/", pb.Job(quantize_job=pb.QuantizeJob()).SerializeToString()),
    ):
        answer = http.post(path, content=content)
        assert answer.status_code == 400
        assert answer.json()["detail"]
    assert http.get("models/", params={"limit": "many"}).status_code == 400
    assert http.get("devices/", params={"os": "[1,"}).status_code == 400


@pytest.mark.parametrize("name", ["net_v1.2", "../../evil", "a b", "x" * 200, "名前"])
def test_file_names_hold_nothing_that_a_client_stumbles_over(http: httpx.Client, name: str) -> None:
    """A slash locks its downloads for ever, a dot before the ending changes the user's own name."""
    safe = name.replace("/", "_")
    answer = http.get(f"models/{model(http, safe)}/download/", params={"supports_s3_credentials": "true"})
    found = pb.FileDownloadResponse.FromString(answer.content).url
    stem, _, ending = found.filename.partition(".")
    assert ending == "onnx"
    assert stem.replace("_", "a").replace("-", "a").isalnum()
    assert stem.isascii()
    assert httpx.get(found.url, timeout=30).content == CONTENT
    plain = pb.FileDownloadURL.FromString(http.get(f"models/{model(http, safe)}/download/").content)
    assert plain.url, "without the flag, the plain message"


def test_selecting_gives_one_device_at_most_the_newest(http: httpx.Client, door: HubDoor) -> None:
    for os in ("9", "10", "10.1"):
        door.claim(ask(door, "phone", os))

    def select(**query: str) -> list[str]:
        answer = http.get("devices/", params={"name": "phone", "os": "", "select": "True", **query})
        return [one.os for one in pb.DeviceList.FromString(answer.content).devices]

    assert select() == ["10.1"]
    assert select(os="9") == ["9"]
    assert select(os="[9,10)") == ["9"]
    assert select(os="[10,)") == ["10.1"]
    headers = {"Client-Version": "0.47.0"}
    answer = http.get("devices/", params={"name": "no such phone", "os": "", "select": "True"}, headers=headers)
    assert list(pb.DeviceList.FromString(answer.content).devices) == [], "it shows no text of an answer 404"
    answer = http.get("devices/", params={"name": "phone", "os": "[10,11)", "select": "False"})
    assert len(pb.DeviceList.FromString(answer.content).devices) == 2


def test_every_attribute_has_exactly_one_colon(hub: RunningHub, http: httpx.Client, door: HubDoor) -> None:
    """Another number of them ends the client's list-devices with a traceback."""
    headers = {"Authorization": f"Bearer {hub.agent_token}"}
    offer = {"id": "odd", "name": "odd", "os": "1", "attributes": ["a:b:c"]}
    body = {"protocol": AGENT_PROTOCOL, "device": offer, "wait_s": 0}
    answer = httpx.post(f"{hub.url}/api/agent/v1/claim", json=body, headers=headers, timeout=30)
    assert answer.status_code == 422
    assert "a:b:c" in answer.json()["message"]
    for one in pb.DeviceList.FromString(http.get("devices/").content).devices:
        assert all(attribute.count(":") == 1 for attribute in one.attributes)


def test_a_result_is_not_there_before_its_job_is_done(http: httpx.Client, door: HubDoor, tmp_path: Path) -> None:
    request = ask(door, "result")
    door.claim(request)
    job_id = submit(http, "result")
    assert http.get(f"jobs/{job_id}/result/").status_code == 404
    found = door.claim(request)
    assert found is not None
    (tmp_path / "log").write_text("what happened")
    door.store(found.attempt, "log", tmp_path / "log")
    assert not pb.Job.FromString(http.get(f"jobs/{job_id}/").content).available_artifacts, "with the end, not before it"
    door.finish(found.attempt, Outcome())
    assert list(pb.Job.FromString(http.get(f"jobs/{job_id}/").content).available_artifacts) == [1]
    answer = http.get(f"jobs/{job_id}/device_runs/latest/artifact_list/1/")
    [artifact] = pb.NamedArtifactDownloadURLList.FromString(answer.content).artifacts
    assert httpx.get(artifact.url, timeout=30).text == "what happened"
    assert http.get(f"jobs/{job_id}/result/").status_code == 200


def done(http: httpx.Client, door: HubDoor, name: str, outcome: Outcome) -> str:
    """A job that ended with this outcome."""
    door.claim(ask(door, name))
    job_id = submit(http, name)
    found = door.claim(ask(door, name))
    assert found is not None
    assert found.job == job_id
    door.finish(found.attempt, outcome)
    return job_id


@pytest.mark.parametrize(("version", "kind"), [(OLD, "profile_job"), (NEW, "inference_job")])
def test_a_jobs_messages_tell_shapes_and_memory(http: httpx.Client, door: HubDoor, version: str, kind: str) -> None:
    x, y = TensorSpec("x", "float32", (1, 3, 8, 8)), TensorSpec("y", "int64", (1, 10))
    figures = {"estimated_inference_time_ns": 1_499_600, "inference_memory_peak_bytes": [1 << 20, 3 << 20]}
    job_id = done(http, door, "shapes", Outcome(summary=figures, tensors=Tensors((x,), (y,), fixed=True)))
    headers = {"Client-Version": version}
    inner = getattr(pb.Job.FromString(http.get(f"jobs/{job_id}/", headers=headers).content), kind)
    [fed] = inner.tensor_type_list.types
    assert (fed.name, list(fed.tensor_type.shape), fed.tensor_type.dtype) == ("x", [1, 3, 8, 8], 1)
    assert (inner.execution_peak_memory.lower, inner.execution_peak_memory.upper) == (1 << 20, 3 << 20)
    found = pb.JobSummaryList.FromString(http.get("job_summaries/", headers=headers).content).job_summaries
    [head] = [one for one in (getattr(one, f"{kind}_summary") for one in found) if one.job_id == job_id]
    assert (head.execution_time, head.execution_peak_memory.upper) == (1500, 3 << 20)
    model = pb.Model.FromString(http.get(f"models/{inner.model.model_id}/").content)
    [given] = model.output_spec.types
    assert (given.name, list(given.tensor_type.shape), given.tensor_type.dtype) == ("y", [1, 10], 3)
    assert model.input_spec.types[0].name == inner.model.input_spec.types[0].name == "x"


def test_a_models_integers_have_scale_and_zero_point(http: httpx.Client, door: HubDoor) -> None:
    x, told = TensorSpec("x", "int8", (1,)), Quantization("x", "int8", 0.5, -3)
    job_id = done(http, door, "integers", Outcome(tensors=Tensors((x,), (x,), fixed=True, quantizations=(told,))))
    inner = pb.Job.FromString(http.get(f"jobs/{job_id}/").content).inference_job
    kind = inner.model.input_spec.types[0].tensor_type
    assert (kind.scale, kind.zero_point) == (0.5, -3)


def test_shapes_that_were_chosen_for_a_run_are_the_jobs_and_not_the_models(http: httpx.Client, door: HubDoor) -> None:
    x = TensorSpec("x", "float32", (1, 224))
    job_id = done(http, door, "chosen", Outcome(tensors=Tensors((x,), (x,), fixed=False)))
    inner = pb.Job.FromString(http.get(f"jobs/{job_id}/").content).inference_job
    assert inner.tensor_type_list.types[0].tensor_type.shape == [1, 224]
    assert not pb.Model.FromString(http.get(f"models/{inner.model.model_id}/").content).HasField("input_spec")
    assert not inner.HasField("execution_peak_memory"), "what was not measured stays unset"
    assert not inner.HasField("execution_time")


@pytest.mark.parametrize("odd", [TensorSpec("x", "float64", (1,)), TensorSpec("x", "complex64", (1,))])
def test_tensors_that_a_client_does_not_know_are_left_out(http: httpx.Client, door: HubDoor, odd: TensorSpec) -> None:
    """One unknown element type in one model breaks the client's whole list."""
    known = TensorSpec("y", "float32", (1,))
    job_id = done(http, door, "odd-tensors", Outcome(tensors=Tensors((odd,), (known,), fixed=True)))
    inner = pb.Job.FromString(http.get(f"jobs/{job_id}/").content).inference_job
    assert not inner.HasField("tensor_type_list")
    shown = pb.ModelList.FromString(http.get("models/").content).models
    [model] = [one for one in shown if one.model_id == inner.model.model_id]
    assert not model.HasField("input_spec")
    assert not model.HasField("output_spec")
    assert all(one.tensor_type.dtype for other in shown for one in other.input_spec.types)


@pytest.mark.parametrize(
    "figures",
    [
        {"estimated_inference_time_ns": "fast", "inference_memory_peak_bytes": [1]},
        {"estimated_inference_time_ns": -1, "inference_memory_peak_bytes": [-1, 1]},
        {"estimated_inference_time_ns": [[1]], "inference_memory_peak_bytes": {"lower": 0}},
        {"estimated_inference_time_ns": True, "inference_memory_peak_bytes": [0.5, "much"]},
    ],
)
def test_figures_that_are_none_stay_unset(http: httpx.Client, door: HubDoor, figures: dict[str, object]) -> None:
    job_id = done(http, door, "no-figures", Outcome(summary=figures))
    inner = pb.Job.FromString(http.get(f"jobs/{job_id}/").content).inference_job
    assert inner.job_state == pb.JOB_STATE_DONE
    assert not inner.HasField("execution_time")
    assert not inner.HasField("execution_peak_memory")
    assert http.get("job_summaries/").is_success


@pytest.mark.parametrize("name", ["n\x00l", "half\ud800"])
def test_names_of_tensors_that_no_text_can_hold_end_no_job(
    hub: RunningHub, http: httpx.Client, door: HubDoor, name: str
) -> None:
    door.claim(ask(door, "odd-names"))
    job_id = submit(http, "odd-names")
    found = door.claim(ask(door, "odd-names"))
    assert found is not None
    x = TensorSpec(name, "float32", (1,))
    body = json.dumps(codec.encode(Outcome(tensors=Tensors((x,), (x,), fixed=True))))
    headers = {"Authorization": f"Bearer {hub.agent_token}", "Content-Type": "application/json"}
    url = f"{hub.url}/api/agent/v1/attempts/{found.attempt}/finish"
    assert httpx.post(url, content=body, headers=headers, timeout=30).is_success
    job = pb.Job.FromString(http.get(f"jobs/{job_id}/").content)
    assert job.inference_job.job_state == pb.JOB_STATE_DONE
    assert all(one.name != name for one in job.inference_job.tensor_type_list.types)


def test_every_layer_has_a_compute_unit() -> None:
    """The client's table raises at 0, which is "unspecified"."""
    assert set(UNITS) == set(ComputeUnit)
    assert all(UNITS.values())


def test_a_part_that_comes_slowly_holds_nobody_up(http: httpx.Client) -> None:
    """A client gives up on a hub that does not read for 3 s."""
    asked = pb.Model(name="net", model_type=pb.MODEL_TYPE_ONNX)
    model_id = pb.CreateUpdateResponse.FromString(http.post("models/", content=asked.SerializeToString()).content).id
    answer = http.get(f"models/{model_id}/multipart_upload/", params={"file_size": 2})
    [url] = pb.FileMultipartUploadURL.FromString(answer.content).urls
    begun, go_on = threading.Event(), threading.Event()
    tags = []

    def bytes_of_it() -> Iterator[bytes]:
        yield b"1"
        begun.set()
        assert go_on.wait(30)
        yield b"2"

    def send() -> None:
        tags.append(httpx.put(url, content=bytes_of_it(), headers={"Content-Length": "2"}, timeout=60).headers["etag"])

    sending = threading.Thread(target=send)
    sending.start()
    assert begun.wait(30)
    for path in ("devices/", "models/", "job_summaries/"):
        assert http.get(path).is_success
    go_on.set()
    sending.join(30)
    assert tags


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_datasets_addresses_come_plain_or_wrapped_as_the_flag_says(http: httpx.Client, wrapped: bool) -> None:
    """0.56 asks for both, and cannot read the one that it did not ask for."""
    made = http.post("datasets/", content=pb.Dataset(name="data").SerializeToString())
    dataset_id = pb.CreateUpdateResponse.FromString(made.content).id
    flag = {"supports_s3_credentials": "true"} if wrapped else {}
    answer = http.get(f"datasets/{dataset_id}/upload_url/", params={"file_size": 3, **flag})
    upload = (
        pb.FileUploadResponse.FromString(answer.content).url if wrapped else pb.FileUploadURL.FromString(answer.content)
    )
    assert upload.file_field_name
    form = httpx.post(
        upload.url, data=dict(upload.fields), files={upload.file_field_name: ("model", b"123")}, timeout=30
    )
    assert form.is_success
    confirmed = http.patch(f"datasets/{dataset_id}/", content=pb.Dataset(file_upload_complete=True).SerializeToString())
    assert confirmed.is_success
    answer = http.get(f"datasets/{dataset_id}/download_data/", params=flag)
    found = (
        pb.FileDownloadResponse.FromString(answer.content).url
        if wrapped
        else pb.FileDownloadURL.FromString(answer.content)
    )
    assert found.filename.endswith(".h5")
    assert httpx.get(found.url, timeout=30).content == b"123"
