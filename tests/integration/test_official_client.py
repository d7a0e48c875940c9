"""The official client, unmodified, against a hub with this machine as its device: what an engineer's script would do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pgqueuer")

from dynolab.jobs._datasets import h5
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.tflite import Part, write

from .official import environment

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
PUBLISHED = [
    "estimated_inference_time",
    "first_load_time",
    "warm_load_time",
    "compile_time",
    *(
        f"{stage}_memory_{part}_range"
        for stage in ("compile", "first_load", "warm_load", "inference")
        for part in ("increase", "peak")
    ),
]
"""The twelve keys that AI Hub documents."""


INPUT, OUTPUT = "x", "save_infer_model/scale_0.tmp_1"
"""The example model's tensors."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def script(hub: RunningHub, version: str, name: str, question: Any) -> Any:
    """What a script of this folder prints in its last line, run with the official client of a version."""
    child = subprocess.run(
        [environment(version), Path(__file__).parent / name],
        input=json.dumps(question),
        env={**os.environ, "QAIHUB_CLIENT_INI": str(hub.ini), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def device(hub: RunningHub) -> str:
    """The name of this machine, as the hub lists it."""
    listed = script(hub, "0.56.0", "official_devices.py", None)  # it waits for the agent to announce it
    assert len(listed) == 1, "this machine is the hub's one device"
    return str(listed[0])


VERSIONS = ["0.56.0", *(pytest.param(version, marks=pytest.mark.slow) for version in ("0.55.0", "0.46.0"))]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small traced module, as AI Hub's first example makes one of a larger."""
    torch = pytest.importorskip("torch")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        module = torch.nn.Sequential(*layers, torch.nn.Linear(8, 10)).eval()
    path = tmp_path_factory.mktemp("traced") / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # scripts that are out there trace
        torch.jit.save(torch.jit.trace(module, torch.rand(1, 3, 32, 32)), path)
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_ai_hubs_first_example(hub: RunningHub, device: str, traced: Path, tmp_path: Path, version: str) -> None:
    pytest.importorskip("onnxscript")
    torch = pytest.importorskip("torch")
    options = "--target_runtime onnx --output_names logits"
    asked = {"model": str(traced), "device": device, "folder": str(tmp_path), "options": options}
    seen = script(hub, version, "official_compile.py", {**asked, "seeds": version != "0.46.0"})
    code, told = seen["compile"]
    assert code == "SUCCESS"
    assert told.startswith("compiled to onnx in ")
    assert seen["early"] is (version != "0.46.0")
    assert seen["target"] == ["first example-onnx", "ONNX"]
    assert seen["specs"] == [{"image": [[1, 3, 32, 32], "float32"]}] * 2
    assert (seen["producer"], seen["types"], seen["listed"]) == (True, ["CompileJob"], True)
    assert (seen["profile"], seen["inference"], seen["output"]) == ("SUCCESS", "SUCCESS", "logits")
    assert seen["time"] > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(traced)
    wanted = module(torch.from_numpy(np.load(tmp_path / "image.npy"))).detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), wanted, rtol=1e-4, atol=1e-5)
    assert onnx.load(seen["file"]).graph.output[0].name == "logits"
    assert seen["quantize"] == ["SUCCESS", "INT8", "INT16"]
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(seen["quantized"]).graph.node}
    assert seen["broken"][0] == "FAILED"
    assert "image" in seen["broken"][1] or "channels" in seen["broken"][1]
    if version != "0.46.0":
        assert "has no bytes" in seen["nothing"]
    assert "tells of no Hexagon NPU" in seen["refused"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_profile_job_end_to_end(hub: RunningHub, device: str, version: str) -> None:
    seen = script(hub, version, "official_profile.py", {"model": str(MODEL), "device": device})
    assert seen["version"] == version
    assert seen["devices"] == seen["filtered"] == [device]
    assert seen["nowhere"] == 0
    assert seen["wait"] == "SUCCESS"
    assert re.match(r"inference [\d.,]+ (- [\d.,]+ )?(ns|µs|ms|s)(; WARNING: (noisy|invalid), .+)?$", seen["message"])
    assert "failure_reason" not in seen["repr"], "it is no failure"
    summary = seen["profile"]["execution_summary"]
    for key in PUBLISHED:
        assert summary[key], f"{key} was measured here"
    assert len(summary["all_inference_times"]) == 20
    assert min(summary["all_inference_times"]) == summary["estimated_inference_time"]
    layers = seen["profile"]["execution_detail"]
    assert len(layers) > 100
    assert {layer["compute_unit"] for layer in layers} == {"CPU"}
    assert seen["again"][1:] == ["a profile", "SUCCESS"]
    shape, dtype = seen["shapes"][INPUT]
    assert (len(shape), shape[:2], dtype) == (4, [1, 3], "float32"), "what the agent fed"
    assert seen["renamed"] == "renamed"
    assert seen["summaries"][0] == [seen["again"][0], "renamed"]
    assert seen["sharing"] == [["friend@example.org"], []]
    assert ("inference: time" in seen["log"]) == (version != "0.46.0"), "logs are fetched from 0.47 on"
    assert seen["same"], "the model comes back as it went"
    errors = seen["errors"]
    assert "could not be found" in errors["job"]
    assert "could not be found" in errors["model"]
    if version == "0.46.0":
        assert "not available" in errors["device"]
    else:
        assert f"no device matches 'no such device' (there are: {device})" in errors["device"]
    assert "no_such_option" in errors["options"]
    assert "tells of no Hexagon NPU" in errors["compile"]


@pytest.mark.parametrize("version", VERSIONS)
def test_datasets_and_an_inference_job_end_to_end(hub: RunningHub, device: str, version: str, tmp_path: Path) -> None:
    """The outputs are those of ONNX Runtime, called here without any hub."""
    question = {"model": str(MODEL), "input": INPUT, "device": device, "folder": str(tmp_path)}
    seen = script(hub, version, "official_inference.py", question)
    assert seen["dataset"] == ["three batches", "Not Expired"]
    assert seen["same"]
    assert seen["listed"]
    assert seen["wait"] == "SUCCESS"
    assert seen["outputs"] == {OUTPUT: 3}
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    for number in range(3):
        expected = session.run([OUTPUT], {INPUT: np.load(tmp_path / f"input-{number}.npy")})[0]
        np.testing.assert_allclose(np.load(tmp_path / f"output-{number}.npy"), expected, rtol=1e-5, atol=1e-6)
    assert seen["wrong"][0] == "FAILED"
    assert "nonsense" in seen["wrong"][1]


def texts(folder: Path) -> dict[str, Any]:
    """Words for words; as the client itself takes no arrays of text, a file of them."""
    node = onnx.helper.make_node(
        "LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_strings=["big", "größer"], values_strings=["groß", "bigger"], default_string="?"
    )  # fmt: skip
    model = saved(folder / "text.onnx", [node], onnx.TensorProto.STRING, ["n"], onnx.TensorProto.STRING)
    h5.write(folder / "words.h5", {"x": [np.array(["big", "größer"]), np.array(["a"]), np.array(["a", "b", "big"])]})
    expected = [np.char.encode(np.array(batch), "utf-8") for batch in (["groß", "bigger"], ["?"], ["?", "?", "groß"])]
    return {"model": model, "inputs": str(folder / "words.h5"), "expected": expected}


def cast(folder: Path, name: str, source: int, target: int, dtype: str, runtime: str = "onnxruntime") -> dict[str, Any]:
    """Batches of several lengths, cast to another type; expected as ``dtype``."""
    node = onnx.helper.make_node("Cast", ["x"], ["y"], to=target)
    model = saved(folder / f"{name}.onnx", [node], source, ["n", 2], target)
    batches = [np.arange(2 * length, dtype=np.float32).reshape(length, 2) / 2 for length in (3, 1, 3, 5)]
    expected = [batch.astype(dtype) for batch in batches]
    return {"model": model, "batches": batches, "options": f"--runtime {runtime}", "expected": expected}


def added(folder: Path) -> dict[str, Any]:
    part = Part()
    source = part.tensor("x", "FLOAT32", [1, 3], declared=[-1, 3])
    one = part.tensor("one", "FLOAT32", [1, 3], value=np.ones((1, 3), np.float32))
    part.inputs, part.outputs = [source], [part.tensor("y", "FLOAT32", [1, 3], declared=[-1, 3])]
    part.operator("ADD", [source, one], [*part.outputs], table="AddOptions")
    batches = [np.full((length, 3), length, np.float32) for length in (2, 1, 4)]
    return {
        "model": str(write(folder / "added.tflite", part)),
        "batches": batches,
        "expected": [b + 1 for b in batches],
    }


def saved(path: Path, nodes: list[Any], source: int, shape: list[Any], target: int) -> str:
    helper = onnx.helper
    x, y = helper.make_tensor_value_info("x", source, shape), helper.make_tensor_value_info("y", target, shape)
    graph = helper.make_graph(nodes, "g", [x], [y])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)


def test_text_odd_types_and_batches_of_several_lengths(hub: RunningHub, device: str, tmp_path: Path) -> None:
    """What numpy or the client lacks comes back in the nearest type that they have; nothing of it ends in a bug."""
    types = onnx.TensorProto
    cases = {
        "text": texts(tmp_path),
        "bfloat16": cast(tmp_path, "bfloat16", types.BFLOAT16, types.BFLOAT16, "float32"),
        "float64": cast(tmp_path, "float64", types.FLOAT, types.DOUBLE, "float64"),
        "uint32": cast(tmp_path, "uint32", types.FLOAT, types.UINT32, "uint32"),
        "openvino": cast(tmp_path, "openvino", types.FLOAT, types.INT32, "int32", "openvino"),
        "litert": added(tmp_path),
    }
    asked = {}
    for name, case in cases.items():
        files = [str(tmp_path / f"{name}-in-{number}.npy") for number, _ in enumerate(case.get("batches", ()))]
        for path, batch in zip(files, case.get("batches", ()), strict=True):
            np.save(path, batch)
        asked[name] = {
            "model": case["model"],
            "inputs": case.get("inputs", {"x": files}),
            "options": f"--repeats 1 --max_profiler_iterations 1 {case.get('options', '')}",
        }
    question = {"device": device, "folder": str(tmp_path), "jobs": asked}
    seen = script(hub, "0.56.0", "official_tensors.py", question)
    for name, case in cases.items():
        code, message, outputs = seen[name]
        assert code == "SUCCESS", (name, message)
        found = [np.load(path) for path in outputs["y"]]
        for ours, expected in zip(found, case["expected"], strict=True):
            assert (ours.dtype.kind, ours.shape) == (expected.dtype.kind, expected.shape), name
            assert ours.dtype == expected.dtype or ours.dtype.kind == "S", name
            np.testing.assert_array_equal(ours, expected, err_msg=name)
