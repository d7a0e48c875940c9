"""Our client against a real hub with this machine as its device: AI Hub's names, and what goes beyond them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pgqueuer")

import dynolab
from dynolab import Client, Device, InferenceJob, ProfileJob, UserError, errors
from dynolab.client import client as client_module
from dynolab.client.settings import HubAddress
from dynolab.spec.profiles import Profile
from dynolab.testing.running_hub import RunningHub, running_hub

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
    end = time.monotonic() + 60
    while not (found := client.get_devices(attributes="framework:onnx")) and time.monotonic() < end:
        time.sleep(0.2)
    return found[0]


def test_a_script_for_ai_hub_runs_with_another_import(client: Client, device: Device, tmp_path: Path) -> None:
    job = dynolab.submit_profile_job(
        model=MODEL, device=Device(device.name), name="ours", options="--max_profiler_iterations 20"
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
    assert set(job.download_results(tmp_path)) == {"log", "profile"}
    assert "inference: time" in job.log()
    job.set_name("renamed")
    assert dynolab.get_job(job.job_id).name == "renamed"
    assert job.job_id in [one.job_id for one in dynolab.get_job_summaries()]
    job.modify_sharing(add_emails=["friend@example.org"])
    assert job.get_sharing() == ["friend@example.org"]
    job.disable_sharing()
    assert job.get_sharing() == []
    copy = job.model.download(tmp_path)
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
    with pytest.raises(UserError, match="no profile"):
        job.download_profile()
    assert str(job.download_output_data(tmp_path)).endswith(".h5")
    again = job.rerun()
    assert again.wait().success


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
        (HubAddress("http://127.0.0.1:9", "dl_x"), "cannot be reached"),
        (HubAddress(hub.url, "dl_wrong"), "token"),
    ):
        client = Client(address)
        with pytest.raises(errors.Error, match=text):
            client.get_devices()
        client.close()
    monkeypatch.delenv("DYNOLAB_HUB_URL", raising=False)
    monkeypatch.setenv("DYNOLAB_CLIENT_INI", str(tmp_path / "none.ini"))
    with pytest.raises(UserError, match="no hub is configured"):
        Client()
