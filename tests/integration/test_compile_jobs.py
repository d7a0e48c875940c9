"""Compile jobs against a real hub with this machine as its device: compiled, chained, shared, repeated, refused."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

import numpy as np
import onnx

from dynolab.client.client import Client, Device
from dynolab.client.quantize_jobs import QuantizeDtype
from dynolab.client.settings import ClientConfig
from dynolab.client.status import JobArtifactType, JobType, State
from dynolab.errors import Conflict, DependencyFailed, NotFound, SpecInvalid
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.testing import known_runtimes
from dynolab.testing.commands import command
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
SPECS = {"x": (1, 3, 48, 192)}
TO_ONNX = "--target_runtime onnx --output_names classes"
LEAST = "--max_profiler_iterations 1 --repeats 1"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def new_agent_token(client: Client) -> str:
    return str(client.api.send("POST", "tokens", {"kind": "agent", "label": "another"})["secret"])


def announced(client: Client, named: Path) -> str:
    """The id of the machine that only compiles, once the hub knows it; its agent's own id is in a file."""

    def found() -> str:
        with suppress(OSError, NotFound):
            return str(client.api.get(f"devices/{named.read_text().split()[0]}-toolchains")["id"])
        return ""

    return until(found, "the machine that only compiles")


@pytest.fixture(scope="module")
def pair(client: Client, device: Device) -> tuple[Any, Any]:
    """A compile job and the profile job of what it makes, both submitted before either began."""
    return client.submit_compile_and_profile_jobs(MODEL, device, "cls", SPECS, TO_ONNX, LEAST)


@pytest.fixture(scope="module")
def compiled(pair: tuple[Any, Any]) -> Any:
    job = pair[0]
    assert job.wait(400).success, job.log()
    return job


def test_the_target_model_is_known_before_it_is_made(client: Client, device: Device) -> None:
    job = client.submit_compile_job(MODEL, device, "early", SPECS, TO_ONNX)
    seeded = job.target_model
    assert (seeded.name, seeded.model_type, seeded.document["has_bytes"]) == ("early-onnx", "onnx", False)
    assert seeded.producer.job_id == job.job_id
    with pytest.raises(Conflict, match=f"the job {job.job_id} still makes the model"):
        seeded.delete()
    job.cancel()
    assert job.wait(400).failure
    with pytest.raises(DependencyFailed, match=job.job_id):
        client.submit_profile_job(seeded, device)


def test_what_is_made_is_what_was_asked_for(compiled: Any, tmp_path: Path) -> None:
    assert compiled.shapes == {"x": ((1, 3, 48, 192), "float32")}
    assert compiled.target_shapes == {"x": ((1, 3, 48, 192), "float32")}
    made = onnx.load(compiled.download_target_model(tmp_path))
    assert [one.name for one in made.graph.output] == ["classes"]
    assert len(made.graph.node) < len(onnx.load(MODEL).graph.node)
    found = compiled.compiled
    assert found.target == "onnx"
    assert {one.name for one in found.checks} == {"classes"}
    assert not found.checks[0].is_poor
    assert compiled.document["summary"]["file_bytes"] == found.compiled.file_bytes
    assert f"{found.entry}: " in compiled.log()


def test_a_job_on_it_waits_for_it_and_runs_it(pair: tuple[Any, Any], compiled: Any) -> None:
    profiled = pair[1]
    assert profiled.document["waits_for"] == [compiled.job_id]
    assert profiled.wait(400).success, profiled.log()
    assert [one.spec.name for one in profiled.profile.outputs] == ["classes"]
    assert profiled.model.model_id == compiled.target_model.model_id


def test_the_same_numbers_come_out(client: Client, device: Device, compiled: Any) -> None:
    data = {"x": [np.random.default_rng(7).random((1, 3, 48, 192), dtype=np.float32)]}
    dataset = client.upload_dataset(data)
    jobs = [
        client.submit_inference_job(model, device, dataset, profile=False, name=name)
        for name, model in (("made", compiled.target_model), ("source", compiled.model))
    ]
    made, source = (job.download_output_data() for job in jobs)
    np.testing.assert_allclose(made["classes"][0], next(iter(source.values()))[0], rtol=1e-4, atol=1e-5)


def test_a_model_that_fails_to_compile_takes_with_it_what_waits(client: Client, device: Device) -> None:
    compiling, profiling = client.submit_compile_and_profile_jobs(
        MODEL, device, "no such input", {"y": (1, 3, 48, 192)}, TO_ONNX
    )
    assert compiling.wait(400).failure
    assert "'y'" in compiling.get_status().message
    assert profiling.wait(400).failure
    assert compiling.job_id in profiling.get_status().message
    assert compiling.get_target_model() is None
    with pytest.raises(NotFound, match="left no compiled model"):
        _ = compiling.compiled


def test_lists_tell_its_kind(client: Client, compiled: Any) -> None:
    listed = {one.job_id: one for one in client.get_job_summaries(type=JobType.COMPILE)}
    assert listed[compiled.job_id].status.state is State.SUCCESS
    assert compiled.job_id not in {one.job_id for one in client.get_job_summaries(type=JobType.INFERENCE)}
    assert client.get_job(compiled.job_id).target_shapes == compiled.target_shapes


def test_it_runs_again_as_it_was_asked_for(compiled: Any) -> None:
    again = compiled.rerun()
    assert again.wait(400).success, again.log()
    assert (again.shapes, again.options) == (compiled.shapes, compiled.options)
    assert again.target_model.model_id != compiled.target_model.model_id
    again.delete()
    assert again.target_model.document["has_bytes"], "what a job made stays"
    again.target_model.delete()


def test_with_the_job_goes_its_target_to_others(hub: RunningHub, client: Client, compiled: Any) -> None:
    made = command("hub", "account", "--data", hub.data, "add", "friend@example.org")
    other = made.stdout.split()[-1]
    compiled.modify_sharing(add_emails=["friend@example.org"])
    with closing(Client(ClientConfig(other, hub.url, verbose=False))) as friend:
        assert friend.get_job(compiled.job_id).target_model.document["has_bytes"]
    compiled.disable_sharing()


def test_what_no_toolchain_makes_is_refused_with_what_there_is(client: Client, device: Device) -> None:
    with pytest.raises(SpecInvalid, match="tells of no Hexagon NPU"):
        client.submit_compile_job(MODEL, device, options="--target_runtime qnn_dlc")
    with pytest.raises(SpecInvalid, match="no toolchain of this hub makes the target coreml") as refused:
        client.submit_compile_job(MODEL, device, options="--target_runtime coreml")
    assert "there are: " in str(refused.value.hint)
    assert "onnx" in str(refused.value.hint)
    with pytest.raises(SpecInvalid, match="target_runtme"):
        client.submit_compile_job(MODEL, device, options="--target_runtme onnx")
    with pytest.raises(SpecInvalid, match="there is no element type 'float33'"):
        client.submit_compile_job(MODEL, device, input_specs={"x": ((1, 3), "float33")})
    with pytest.raises(NotFound, match="no device matches"):
        client.submit_compile_job(MODEL, Device("No Such Phone"))


@pytest.fixture(scope="module")
def quantized(client: Client, compiled: Any) -> Any:
    """A quantize job of the compiled model, submitted without a device."""
    random = np.random.default_rng(3)
    samples = {"x": [random.random((1, 3, 48, 192), dtype=np.float32) for _ in range(5)]}
    job = client.submit_quantize_job(compiled.target_model, samples, QuantizeDtype.INT8, QuantizeDtype.INT16, "small")
    assert job.wait(400).success, job.log()
    return job


def test_a_model_is_quantised_at_the_hub(client: Client, quantized: Any, tmp_path: Path) -> None:
    made = onnx.load(quantized.download_target_model(tmp_path))
    assert "QuantizeLinear" in {node.op_type for node in made.graph.node}
    assert (quantized.weights_dtype, quantized.activations_dtype) == (QuantizeDtype.INT8, QuantizeDtype.INT16)
    found = quantized.quantized
    assert (found.calibration_samples, found.check_samples, found.held_out) == (5, 5, False)
    assert found.accuracy.worst.psnr_db > 15
    assert quantized.target_model.name == "small-w8a16"
    assert set(quantized.calibration_dataset.download()) == {"x"}
    assert quantized.document["device"]["name"] == ""
    listed = {one.job_id: one for one in client.get_job_summaries(type=JobType.QUANTIZE)}
    assert listed[quantized.job_id].device_name is None


def test_a_quantised_model_is_profiled_and_quantised_again_as_asked(
    client: Client, device: Device, quantized: Any
) -> None:
    data = {"x": [np.zeros((1, 3, 48, 192), dtype=np.float32)]}
    inferred = client.submit_inference_job(quantized.target_model, device, data, profile=False)
    assert inferred.wait(400).success, inferred.log()
    again = quantized.rerun()
    assert again.wait(400).success, again.log()
    assert again.document["activations_dtype"] == "int16"


def test_scales_of_integers_that_go_in_and_out_are_told_to_every_client(
    hub: RunningHub, client: Client, device: Device, quantized: Any
) -> None:
    job = client.submit_compile_job(
        quantized.target_model, device, "integers", options="--target_runtime onnx --quantize_io"
    )
    assert job.wait(400).success, job.log()
    told = {one.name: one for one in job.compiled.quantizations}
    assert told.keys() == {"x", "classes"}
    model = _message(hub, f"models/{job.target_model.model_id}/", pb.Model)
    for one in (*model.input_spec.types, *model.output_spec.types):
        kind, own = one.tensor_type, told[one.name]
        assert (kind.dtype, own.dtype) == (pb.TENSOR_DTYPE_UINT16, "uint16")
        assert (kind.scale, kind.zero_point) == (pytest.approx(own.scale), own.zero_point)
    [fed] = _message(hub, f"jobs/{job.job_id}/", pb.Job).compile_job.target_tensor_type_list.types
    assert fed.tensor_type.scale == pytest.approx(told["x"].scale)
    # Real numbers are taken in the place of its integers, also after another job ran it, and come back as such.
    assert client.submit_profile_job(job.target_model, device, options=LEAST).wait(400).success
    sample = np.random.default_rng(5).random((1, 3, 48, 192), dtype=np.float32)
    outputs = [
        client.submit_inference_job(one, device, {"x": [sample]}, profile=False).download_output_data()
        for one in (job.target_model, quantized.target_model)
    ]
    of_integers, of_floats = (next(iter(one.values()))[0] for one in outputs)
    assert of_integers.dtype == np.float32
    assert np.abs(of_integers - of_floats).max() < 0.02
    float_model = _message(hub, f"models/{quantized.target_model.model_id}/", pb.Model)
    assert not float_model.input_spec.types[0].tensor_type.HasField("scale"), "real numbers go in and out of it"


def test_the_log_of_what_is_made_is_the_hubs(hub: RunningHub, compiled: Any, tmp_path: Path) -> None:
    assert compiled.get_available_artifacts() == [JobArtifactType.HUB_LOG]
    [log] = compiled.download_artifacts_for_type(tmp_path, JobArtifactType.HUB_LOG)
    assert Path(log).name == f"{compiled.job_id}_hub.log"
    told = _message(hub, f"jobs/{compiled.job_id}/", pb.Job)
    assert list(told.available_artifacts) == [pb.JOB_ARTIFACT_TYPE_HUB_LOG]
    place = f"jobs/{compiled.job_id}/device_runs/latest/artifact_list"
    [one] = _message(hub, f"{place}/{pb.JOB_ARTIFACT_TYPE_HUB_LOG}/", pb.NamedArtifactDownloadURLList).artifacts
    assert httpx.get(one.url, timeout=30).text == Path(log).read_text()
    assert not _message(hub, f"{place}/{pb.JOB_ARTIFACT_TYPE_DEVICE_LOG}/", pb.NamedArtifactDownloadURLList).artifacts


def test_what_was_measured_has_a_timeline(hub: RunningHub, pair: tuple[Any, Any]) -> None:
    job = pair[1]
    assert job.wait(400).success, job.log()
    kinds = [pb.JOB_ARTIFACT_TYPE_DEVICE_LOG, pb.JOB_ARTIFACT_TYPE_PROFILE_TRACE]
    assert list(_message(hub, f"jobs/{job.job_id}/", pb.Job).available_artifacts) == kinds
    place = f"jobs/{job.job_id}/device_runs/latest/artifact_list/{pb.JOB_ARTIFACT_TYPE_PROFILE_TRACE}/"
    [one] = _message(hub, place, pb.NamedArtifactDownloadURLList).artifacts
    assert one.filename == f"{job.job_id}_profile_trace.json"
    assert httpx.get(one.url, timeout=30).json()["traceEvents"]
    forged = one.url.replace("/traces/", "/files/blobs/")
    assert httpx.get(forged, timeout=30).status_code == 404


def _message(hub: RunningHub, path: str, kind: Any) -> Any:
    """What AI Hub's protocol has at an address."""
    answer = httpx.get(f"{hub.url}/api/v1/{path}", headers={"Authorization": f"token {hub.token}"}, timeout=30)
    return kind.FromString(answer.raise_for_status().content)


def test_what_cannot_be_quantised_is_refused(client: Client, compiled: Any) -> None:
    data = {"x": [np.zeros((1, 3, 48, 192), dtype=np.float32)]}
    with pytest.raises(SpecInvalid, match="weights are not quantised to 'int16'"):
        client.submit_quantize_job(compiled.target_model, data, QuantizeDtype.INT16)
    with pytest.raises(SpecInvalid, match="range_sceme"):
        client.submit_quantize_job(compiled.target_model, data, options="--range_sceme min_max")
    failing = client.submit_quantize_job(compiled.target_model, {"y": data["x"]})
    assert failing.wait(400).failure
    assert "'x'" in failing.get_status().message


def test_the_command_quantises(hub: RunningHub, client: Client, quantized: Any, tmp_path: Path) -> None:
    environment = {**os.environ, "DYNOLAB_CLIENT_INI": str(hub.ini)}
    target = tmp_path / "small.onnx"
    options = ("--data", quantized.calibration_dataset.dataset_id, "--activations", "int16", "-o", target)
    done = command("submit", "quantize", MODEL, *options, environment=environment)
    assert done.returncode in (0, 1), done.stderr  # random samples, and few: its numbers may be called poor
    assert "weights int8, activations int16" in done.stdout
    assert target.exists()
    shown = command("jobs", "show", quantized.job_id, environment=environment)
    assert "weights int8, activations int16" in shown.stdout


def test_the_command_compiles_and_fetches(hub: RunningHub, device: Device, tmp_path: Path) -> None:
    environment = {**os.environ, "DYNOLAB_CLIENT_INI": str(hub.ini)}
    target = tmp_path / "made.onnx"
    specs = ("--input-specs", "x=1,3,48,192")
    done = command("submit", "compile", MODEL, "--device", device.name, *specs, "-o", target, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "ch_ppocr_mobile_v2.0_cls_infer.onnx -> " in done.stdout
    assert onnx.load(target).graph.input[0].name == "x"


def test_the_api_gives_the_document(hub: RunningHub, compiled: Any) -> None:
    with httpx.Client(base_url=f"{hub.url}/api/hub/v1", headers={"Authorization": f"Bearer {hub.token}"}) as http:
        assert http.get(f"/jobs/{compiled.job_id}/compiled").json()["target"] == "onnx"
        refused = http.get(f"/jobs/{compiled.job_id}/profile")
        assert (refused.status_code, refused.json()["hint"]) == (404, "ask for its compiled model")
        twice = [{"name": "x", "shape": [1]}, {"name": "x", "shape": [2]}]
        asked = {"kind": "compile", "model_id": compiled.model.model_id, "input_specs": twice}
        refused = http.post("/jobs", json=asked)
        assert (refused.status_code, refused.json()["message"]) == (
            422,
            "the field 'input_specs' names an input twice",
        )
        refused = http.post("/jobs", json={**asked, "kind": "profile"})
        assert refused.json()["message"].startswith("the field 'input_specs'")


def test_several_files_come_as_a_zip_file(client: Client, device: Device, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    job = client.submit_compile_job(MODEL, device, "ir", SPECS, "--target_runtime openvino")
    assert job.wait(400).success, job.log()
    with zipfile.ZipFile(job.download_target_model(tmp_path)) as archive:
        assert sorted(Path(name).suffix for name in archive.namelist()) == [".bin", ".xml"]
    data = {"x": [np.zeros((1, 3, 48, 192), dtype=np.float32)]}
    inferred = client.submit_inference_job(job.target_model, device, data, profile=False)
    assert inferred.wait(400).success, inferred.log()


@pytest.fixture
def other_hub(tmp_path: Path) -> Iterator[RunningHub]:
    """One of its own: a machine that was there a moment ago would be sent the jobs of other tests."""
    with running_hub(tmp_path / "hub") as running:
        yield running


def test_a_machine_that_only_compiles_takes_the_job_and_is_no_device(other_hub: RunningHub, tmp_path: Path) -> None:
    client = Client(ClientConfig(other_hub.token, other_hub.url, verbose=False))
    device = until(client.get_devices, "this machine's agent")[0]
    environment = {
        **os.environ,
        "DYNOLAB_STATE": str(known_runtimes.give(tmp_path / "state")),
        "DYNOLAB_AGENT_TOKEN": new_agent_token(client),
    }
    arguments = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", other_hub.url, "--toolchains-only"]
    with subprocess.Popen([*arguments, "--name", "forge"], env=environment, stderr=subprocess.DEVNULL) as agent:
        try:
            board = announced(client, tmp_path / "state" / "device-id")
            assert [one.name for one in client.get_devices()] == [device.name]
            job = client.submit_compile_job(MODEL, device, "elsewhere", SPECS, TO_ONNX)
            assert job.wait(400).success, job.log()
            [attempt] = job.document["attempts"]
            assert attempt["device_id"] == board
        finally:
            agent.terminate()
    client.close()
