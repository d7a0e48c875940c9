"""A simulated NPU as a hub's device: models are built for it, linked, run for their numbers, and never measured."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("onnx")
pytest.importorskip(
    "onnxruntime_qnn", reason="onnxruntime-qnn is not installed (extra qnn, x86_64 Linux): nothing is simulated"
)

import httpx
import numpy as np
import onnxruntime

from dynolab.client.client import Client, Device
from dynolab.errors import SpecInvalid
from dynolab.testing import known_runtimes
from dynolab.testing.commands import command
from dynolab.testing.models import onnx_net
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from .official import environment
from .test_recipe_export import exported

MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
SPECS = {"x": (1, 3, 48, 192)}
PRECOMPILED = "--target_runtime precompiled_qnn_onnx --output_names classes"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def device(hub: RunningHub, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """The simulator, beside the hub's own agent, which compiles."""
    token = str(client.api.send("POST", "tokens", {"kind": "agent", "label": "simulator"})["secret"])
    environment = {
        **os.environ,
        "DYNOLAB_STATE": str(known_runtimes.give(tmp_path_factory.mktemp("state"))),
        "DYNOLAB_AGENT_TOKEN": token,
    }
    arguments = ["agent", "--hub", hub.url, "--simulate", "hexagon-v73"]
    with subprocess.Popen([sys.executable, "-m", "dynolab.cli.main", *arguments], env=environment) as agent:
        try:
            until(lambda: len(client.get_devices()) == 2, "the hub's own agent, which compiles, and the simulator")
            [simulator] = client.get_devices("Hexagon v73 simulator")
            yield simulator
        finally:
            agent.terminate()


@pytest.fixture(scope="module")
def compiled(client: Client, device: Device) -> Any:
    job = client.submit_compile_job(MODEL, device, "cls", SPECS, PRECOMPILED)
    assert job.wait(400).success, job.log()
    return job


def test_it_says_what_it_is_and_no_other_device_claims_an_npu(client: Client, device: Device) -> None:
    told = set(device.attributes)
    assert {
        "simulated:hexagon-v73",
        "hexagon:v73",
        "soc-model:43",
        "framework:qnn",
        "format:compute",
        "os:linux",
    } <= told
    [machine] = [one for one in client.get_devices() if one.name != device.name]
    claims = ("hexagon:", "soc-model:", "framework:qnn", "simulated:", "runs:qnnsimulator")
    assert not [one for one in machine.attributes if one.startswith(claims)]


def test_what_is_built_for_it_runs_there_for_its_numbers(
    client: Client, device: Device, compiled: Any, tmp_path: Path
) -> None:
    made = compiled.compiled
    assert (made.npu.soc_model, made.npu.hexagon) == (43, "v73")
    assert compiled.target_model.model_type == "precompiled_qnn_onnx"
    assert compiled.download_target_model(tmp_path).endswith(".zip")
    image = np.random.default_rng(3).random((1, 3, 48, 192), dtype=np.float32)
    job = client.submit_inference_job(compiled.target_model, device, {"x": [image]})
    assert job.wait(400).success, job.log()
    [found] = job.download_output_data()["classes"]
    [wanted] = onnxruntime.InferenceSession(str(MODEL)).run(None, {"x": image})
    assert 0 < np.abs(found - wanted).max() < 0.02, "float16 on the NPU, not ONNX Runtime's own float32"
    assert job.document["measures"] is False


def test_nothing_is_measured_there(client: Client, device: Device, compiled: Any) -> None:
    with pytest.raises(SpecInvalid, match="Hexagon v73 simulator is a simulator: its times and memory tell nothing"):
        client.submit_profile_job(compiled.target_model, device)
    with pytest.raises(
        SpecInvalid, match="no runtime of the device 'Hexagon v73 simulator' reads a model of the kind onnx"
    ):
        client.submit_inference_job(MODEL, device, {"x": [np.zeros((1, 3, 48, 192), np.float32)]})


def test_two_models_are_linked_for_it(client: Client, device: Device, tmp_path: Path) -> None:
    model = onnx_net(tmp_path / "net.onnx", batch="n", weight_bytes=100_000)
    sizes = [{"x": (1, 3, 16, 16)}, {"x": (2, 3, 16, 16)}]
    options = "--target_runtime qnn_dlc"
    jobs = [client.submit_compile_job(model, device, f"dlc {k}", one, options) for k, one in enumerate(sizes)]
    linked = client.submit_link_job([job.target_model for job in jobs], device, "both")
    assert linked.wait(400).success, linked.log()
    made = linked.linked
    assert [one.inputs[0].shape for one in made.graphs] == [(1, 3, 16, 16), (2, 3, 16, 16)]
    assert made.file_bytes < 0.8 * made.separate_bytes
    assert Path(linked.download_target_model(tmp_path)).stat().st_size == made.file_bytes


def test_a_machine_without_an_npu_is_not_built_for(client: Client, device: Device) -> None:
    machine = next(one for one in client.get_devices() if one.name != device.name)
    with pytest.raises(SpecInvalid, match="tells of no Hexagon NPU"):
        client.submit_compile_job(MODEL, machine, "cls", SPECS, PRECOMPILED)


def test_its_page_says_that_it_is_a_simulator(hub: RunningHub, device: Device, compiled: Any) -> None:
    with httpx.Client(base_url=hub.url, follow_redirects=True) as http:
        http.post("/sign-in", data={"token": hub.token}, headers={"Sec-Fetch-Site": "same-origin"})
        text = http.get(f"/devices/{device.name}").text
        job = http.get(f"/jobs/{compiled.job_id}/").text
    assert "This is a simulator, not a device" in text
    assert "Hexagon v73, soc-model 43" in job
    assert "the numbers are a simulator" in job
    assert compiled.compiled.npu.graphs[0] in job.replace("<wbr>", "")


def test_what_cannot_be_simulated_is_refused(hub: RunningHub) -> None:
    environment = {**os.environ, "DYNOLAB_AGENT_TOKEN": "dla_none"}
    done = command("agent", "--hub", hub.url, "--simulate", "hexagon-v65", environment=environment)
    assert done.returncode == 2
    assert "there is no simulator of 'hexagon-v65'" in done.stderr
    assert "hexagon-v73" in done.stderr


def test_a_profile_of_what_was_built_for_it_is_refused_here_too(compiled: Any, tmp_path: Path) -> None:
    done = command("profile", compiled.download_target_model(tmp_path))
    assert done.returncode == 2
    assert "the runtime qnnsimulator measures nothing" in done.stderr


def test_the_official_client_gets_as_far_as_recipes_go_without_a_phone(
    hub: RunningHub, device: Device, tmp_path: Path
) -> None:
    model = onnx_net(tmp_path / "net.onnx")
    asked = {"model": str(model), "device": device.name, "folder": str(tmp_path)}
    child = subprocess.run(
        [environment("0.56.0"), Path(__file__).parent / "official_npu.py"],
        input=json.dumps(asked),
        env={**os.environ, "QAIHUB_CLIENT_INI": str(hub.ini), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    seen = json.loads(child.stdout.splitlines()[-1])
    wanted = {"hexagon:v73", "soc-model:43", "framework:qnn", "htp-supports-fp16:true", "format:compute", "os:linux"}
    assert wanted <= set(seen["attributes"])
    assert "QAIRT" in seen["frameworks"]
    assert seen["compile"] == ["SUCCESS", "ONNX"]
    assert "Hexagon v73 simulator is a simulator" in seen["profile"]
    assert seen["inference"] == "SUCCESS"
    image, found = np.load(tmp_path / "image.npy"), np.load(tmp_path / "output.npy")
    [wanted_output] = onnxruntime.InferenceSession(str(model)).run(None, {"x": np.moveaxis(image, -1, 1)})
    assert 0 < np.abs(found - wanted_output).max() < 0.01 * np.abs(wanted_output).max()
    assert seen["file"].endswith(".onnx.zip")
    with zipfile.ZipFile(seen["file"]) as archive:
        assert sorted(archive.namelist()) == ["model.onnx/model.bin", "model.onnx/model.onnx"]
    assert "(1, 16, 16, 3)" in seen["specs"][0]
    assert seen["link"] == ["SUCCESS", "SUCCESS"]
    assert seen["linked"] == "SUCCESS"
    assert np.array_equal(np.load(tmp_path / "linked.npy"), found), "the same graph, in another file"
    assert seen["types"] == ["QNN_DLC", "QNN_CONTEXT_BINARY"]
    assert (Path(seen["dlc"]).suffix, Path(seen["binary"]).suffix) == (".dlc", ".bin")
    assert zipfile.is_zipfile(seen["dlc"])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["precompiled_qnn_onnx", "qnn_context_binary"])
def test_an_unmodified_export_compiles_links_and_compares_numbers(
    hub: RunningHub, device: Device, tmp_path: Path, target: str
) -> None:
    text = exported(hub, tmp_path, device.name, "--target-runtime", target, "--skip-profiling")
    psnr = re.search(r"\| class_logits +\| \(1, 1000\) +\| +([\d.]+) +\|", text)
    assert psnr, text
    assert float(psnr[1]) > 35, "float16 on the simulated NPU beside PyTorch's float32"
    [bundle] = (tmp_path / "export_assets").iterdir()
    assert [one for one in bundle.rglob("*") if one.suffix in (".bin", ".onnx")]


@pytest.mark.slow
def test_an_unmodified_export_that_wants_figures_of_it_is_told_why_there_are_none(
    hub: RunningHub, device: Device, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="is a simulator: its times and memory tell nothing of a device"):
        exported(hub, tmp_path, device.name, "--target-runtime", "precompiled_qnn_onnx")
