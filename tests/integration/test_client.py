"""Our client against a real hub with this machine as its device: AI Hub's names, and what goes beyond them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pgqueuer")

import dynolab
from dynolab import (
    Client,
    Device,
    InferenceJob,
    JobArtifactType,
    JobStatus,
    JobType,
    ProfileJob,
    SourceModelType,
    UserError,
    errors,
)
from dynolab.agent.http import HubDoor
from dynolab.client import client as client_module
from dynolab.client.settings import ClientConfig
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.spec.profiles import Profile
from dynolab.testing.commands import command
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from .proxy import passing

onnxruntime = pytest.importorskip("onnxruntime")

MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
INPUT, OUTPUT = "x", "save_infer_model/scale_0.tmp_1"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def client(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The client that the settings describe, so that AI Hub's functions use it too."""
    monkeypatch.setenv("DYNOLAB_HUB_URL", hub.url)
    monkeypatch.setenv("DYNOLAB_HUB_TOKEN", hub.token)
    client_module.default.cache_clear()
    client = client_module.default()
    yield client
    client.close()
    client_module.default.cache_clear()


@pytest.fixture
def device(client: Client) -> Device:
    """This machine, which its agent announces a moment after the hub is ready."""
    return until(lambda: client.get_devices(attributes="framework:onnx"), "this machine's agent")[0]


def test_a_script_for_ai_hub_runs_with_another_import(client: Client, device: Device, tmp_path: Path) -> None:
    job = dynolab.submit_profile_job(
        model=MODEL, device=Device(device.name), name="ours", options="--max_profiler_iterations 20 --repeats 1"
    )
    assert isinstance(job, ProfileJob)
    seen = [event for event, _ in job.follow()]
    assert (seen[0], seen[-1]) == ("state", "end")
    assert "progress" in seen
    status = job.wait()
    assert (status.code, status.success) == ("SUCCESS", True)
    found = job.download_profile()
    assert isinstance(found, dict)
    assert found["execution_summary"]["estimated_inference_time"] > 0
    assert len(found["execution_detail"]) > 100
    assert isinstance(job.profile, Profile)
    assert job.profile.inference.time is not None
    results = job.download_results(str(tmp_path))
    assert (results.status.success, results.artifacts_dir) == (True, str(tmp_path))
    assert results.profile == found
    assert {path.suffix for path in tmp_path.iterdir()} == {".log", ".json"}
    assert "inference: time" in job.log()
    job.set_name("renamed")
    assert dynolab.get_job(job.job_id).name == "renamed"
    [shown] = [one for one in dynolab.get_job_summaries() if one.job_id == job.job_id]
    assert (shown.name, shown.status.code, shown.device_name, shown.url) == ("renamed", "SUCCESS", device.name, job.url)
    assert shown.estimated_inference_time == found["execution_summary"]["estimated_inference_time"]
    job.modify_sharing(add_emails=["friend@example.org"])
    assert job.get_sharing() == ["friend@example.org"]
    job.disable_sharing()
    assert job.get_sharing() == []
    model = job.model
    model.set_name("renamed.onnx")
    assert (model.name, dynolab.get_model(model.model_id).name) == ("renamed.onnx",) * 2
    copy = model.download(tmp_path)
    assert Path(copy).read_bytes() == MODEL.read_bytes()
    with pytest.raises(errors.Conflict, match="over"):
        job.cancel()
    job.delete()
    with pytest.raises(UserError):
        dynolab.get_job(job.job_id)


def test_inference_is_that_of_the_runtime(client: Client, device: Device, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    batches = [random.random((1, 3, 48, 192), dtype=np.float32) for _ in range(2)]
    data = client.upload_dataset({INPUT: batches}, name="two batches")
    assert data.expiration_time is not None
    back = data.download()
    assert isinstance(back, dict)
    assert all(np.array_equal(one, other) for one, other in zip(back[INPUT], batches, strict=True))
    job = client.submit_inference_job(model=MODEL, device=device, inputs=data, profile=False)
    assert isinstance(job, InferenceJob)
    outputs = job.download_output_data()
    assert isinstance(outputs, dict)
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    for found, batch in zip(outputs[OUTPUT], batches, strict=True):
        np.testing.assert_allclose(found, session.run([OUTPUT], {INPUT: batch})[0], rtol=1e-5, atol=1e-6)
    assert job.download_profile() == {}, "it was not to measure"
    assert str(job.download_output_data(tmp_path)).endswith(".h5")
    again = job.rerun()
    assert isinstance(again, InferenceJob)
    found = job.compare_outputs(again)
    assert (found.verdict, found.samples, [one.a for one in found.outputs]) == ("equal", 2, [OUTPUT])
    assert (found.accuracy.answers, found.accuracy.agreeing) == (2, 2)
    told = command("verify", "--jobs", job.job_id, again.job_id)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("the same numbers, bit by bit; 2 of 2 answers agree")
    for arguments, reason in ((["--json"], "takes the ids of two jobs"), ([again.job_id, "--data", "x.npz"], "--data is for")):  # fmt: skip
        refused = command("verify", "--jobs", job.job_id, *arguments)
        assert refused.returncode == 2
        assert reason in refused.stderr


def test_what_a_job_says_of_itself(client: Client, device: Device, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = client.upload_model(onnx.load(MODEL), name="in memory")
    assert (model.model_type, model.url) == (SourceModelType.ONNX, f"{client.config.api_url}/models/{model.model_id}/")
    first = client.submit_profile_job(model, device, "<b>first", "--max_profiler_iterations 1 --repeats 1")
    behind = client.submit_profile_job(model, [device], waits_for=[first], priority=1)[0]
    with pytest.raises(TimeoutError, match=f"dynolab jobs watch {behind.job_id}"):
        behind.wait(timeout=0.5)
    behind.cancel()
    assert behind.wait() == JobStatus.State.FAILED
    assert first.wait() == "SUCCESS"
    assert first.shapes == {INPUT: ((1, 3, 224, 224), "float32")}
    assert (first.job_type, first.profiling, first.inputs, first.owner) == ("profile", True, None, "admin@localhost")
    assert isinstance(first, InferenceJob), "since 0.56 AI Hub has one class for both"
    assert first.download_output_data() is None
    assert first.get_available_artifacts() == [JobArtifactType.DEVICE_LOG, JobArtifactType.PROFILE_TRACE]
    [timeline] = first.download_artifacts_for_type(tmp_path, JobArtifactType.PROFILE_TRACE)
    assert json.loads(Path(timeline).read_text())["traceEvents"]
    assert behind.get_available_artifacts() == []
    assert behind.download_artifacts_for_type(tmp_path, JobArtifactType.PROFILE_TRACE) == []
    [log] = first.download_artifacts_for_type(tmp_path, JobArtifactType.DEVICE_LOG)
    assert "inference: time" in Path(log).read_text()
    assert "&lt;b&gt;first" in first._repr_html_()
    assert first.url in first._repr_html_()
    assert str(first.profile).startswith("in memory") or "onnx" in str(first.profile)
    assert repr(first.profile).startswith("<Profile ")
    assert "Four stages" in first.profile._repr_html_()
    names = [one.name for one in client.get_frameworks()]
    assert "onnxruntime" in names
    mine = client.get_job_summaries(state=JobStatus.State.FAILED, type=JobType.INFERENCE)
    assert next(one.job_id for one in mine if one.name == behind.name) == behind.job_id
    assert client.get_job_summaries(offset=1, limit=1)[0].job_id == client.get_job_summaries(limit=2)[1].job_id
    assert client.get_job_summaries(type=JobType.COMPILE) == []


def announce(hub: RunningHub) -> None:
    """Have the hub know a device that does nothing."""
    door = HubDoor(hub.url, hub.agent_token)
    door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer("bench-1", "Bench", "14", ("framework:onnx",))))
    door.close()


def test_a_part_that_is_altered_on_its_way_is_sent_again_and_never_taken(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dynolab.client.http.RETRY_FIRST_S", 0.01)
    with passing(hub.url) as proxy:
        client = Client(ClientConfig(hub.token, proxy.url))
        proxy.to_alter = 1
        model = client.upload_model(MODEL)
        assert proxy.altered == 1
        assert Path(model.download(tmp_path)).read_bytes() == MODEL.read_bytes()
        proxy.to_alter = 10**9
        with pytest.raises(errors.TransferFailed, match=f"other bytes of {MODEL.name} came"):
            client.upload_model(MODEL)
        client.close()


@pytest.mark.slow
def test_a_hub_that_takes_no_more_for_now_is_asked_again(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--no-agent", environment={"DYNOLAB_POSTS_PER_S": "2"}) as hub:
        announce(hub)
        client = Client(ClientConfig(hub.token, hub.url))
        model = client.upload_model(MODEL)
        jobs = [client.submit_profile_job(model, Device("Bench")) for _ in range(6)]
        assert len({job.job_id for job in jobs}) == 6
        with pytest.raises(errors.RateLimited):
            [client.submit_profile_job(model, Device("Bench"), retry=False) for _ in range(50)]
        client.close()


@pytest.mark.slow
def test_waiting_outlasts_a_hub_that_starts_anew(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--no-agent") as first:
        announce(first)
        client = Client(ClientConfig(first.token, first.url))
        job = client.submit_profile_job(MODEL, Device("Bench"))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(job.wait)
            first.end()
            with running_hub(tmp_path, "--no-agent", port=int(first.url.rpartition(":")[2])) as second:
                assert second.url == first.url
                other = Client(ClientConfig(second.token, second.url))
                other.get_job(job.job_id).cancel()
                other.close()
                assert waiting.result(60) == JobStatus.State.FAILED
        client.close()


def test_folders_are_packed_and_what_is_no_model_is_refused_at_once(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "net.onnx").write_bytes(MODEL.read_bytes())
    model = client.upload_model(folder)
    assert (model.name, model.model_type, model.document["is_directory"]) == ("net", "onnx", True)
    (folder / "other.tflite").write_bytes(b"x")
    with pytest.raises(UserError, match="2 formats"):
        client.upload_model(folder)
    with pytest.raises(UserError, match="no model"):
        client.upload_model(tmp_path / "nothing.onnx")
    with pytest.raises(UserError, match="no_such_option"):
        client.submit_profile_job(model, Device(), options="--no_such_option 1")
    with pytest.raises(UserError, match="no device"):
        client.submit_profile_job(model, Device("no such device"))


def test_a_hub_that_is_not_there_or_does_not_know_the_token_is_named(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dynolab.client.http.TRIES", 1)
    for address, text in (
        (ClientConfig("dl_x", "http://127.0.0.1:9"), "cannot be reached"),
        (ClientConfig("dl_wrong", hub.url), "token"),
    ):
        client = Client(address)
        with pytest.raises(errors.Error, match=text):
            client.get_devices()
        client.close()
    monkeypatch.delenv("DYNOLAB_HUB_URL", raising=False)
    monkeypatch.setenv("DYNOLAB_CLIENT_INI", str(tmp_path / "none.ini"))
    with pytest.raises(UserError, match="no hub is configured"):
        Client()
