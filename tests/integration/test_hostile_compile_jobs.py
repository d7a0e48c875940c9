"""Bad models as compile and quantize jobs of a real hub: each fails with the model's fault, and the agent takes the next job."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from dynolab.agent.turns import LOCK_FILE
from dynolab.client.client import Client, Device
from dynolab.client.models import Model
from dynolab.client.settings import ClientConfig
from dynolab.sandbox.base import strongest
from dynolab.testing.running_hub import running_hub
from dynolab.testing.waiting import until

from .uploads import unchecked

pytestmark = pytest.mark.skipif(not strongest().protects, reason="this system has no sandbox")
OCR = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
ROW = ("x", TensorProto.FLOAT, [1, 4])
FOREVER = 1 << 50
DEEP = 2000
"""Graphs inside each other; protobuf's own readers stop at a hundred messages."""


@dataclass
class Lab:
    """A hub with an agent, and the agent's folder for work."""

    client: Client
    device: Device
    work: Path

    def sent(self, path: Path) -> Model:
        """A model at the hub, whatever the file holds."""
        return unchecked(self.client, path, "torchscript" if path.suffix == ".pt" else "onnx")

    def left(self) -> list[str]:
        """What lies in the folder for work beside the lock by which those who measure wait for each other."""
        return [path.name for path in self.work.iterdir() if path.name != LOCK_FILE]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("hub")
    work = folder / "work"
    work.mkdir()
    with running_hub(folder / "data", environment={"DYNOLAB_WORKSPACE": str(work)}) as hub:
        client = Client(ClientConfig(hub.token, hub.url, verbose=False))
        yield Lab(client, until(client.get_devices, "this machine's agent")[0], work)
        client.close()


def net(path: Path, nodes: list[Any], *weights: Any) -> Path:
    """An ONNX file of nodes that make ``y`` of ``x``."""
    values = [helper.make_tensor_value_info(*ROW), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("odd", 1)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def cut(folder: Path) -> Path:
    path = folder / "cut.onnx"
    path.write_bytes(OCR.read_bytes()[:100_000])
    return path


def deep(folder: Path) -> Path:
    """A graph in a node's attribute in a graph, and so on."""

    def field(number: int, content: bytes) -> bytes:
        size, length = b"", len(content)
        while length > 0x7F:
            size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    graph = b""
    for _ in range(DEEP):  # GraphProto.node is 1, NodeProto.attribute 5, AttributeProto.g 6
        graph = field(1, field(5, field(6, graph)))
    (folder / "deep.onnx").write_bytes(b"\x08\x08" + field(7, graph))
    return folder / "deep.onnx"


def huge(folder: Path) -> Path:
    """A weight of a terabyte by what it says of itself, without its values."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 36, 4], raw_data=b"1234")
    return net(folder / "huge.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], weight)


def outside(folder: Path) -> Path:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../../../etc/passwd")
    return net(folder / "outside.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], weight)


def unknown(folder: Path) -> Path:
    return net(folder / "unknown.onnx", [helper.make_node("Conjure", ["x"], ["y"], domain="odd")])


def endless(folder: Path) -> Path:
    """A loop that nobody waits for."""
    turn = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_out"]), helper.make_node("Sin", ["v"], ["v_out"])],
        "turn",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", TensorProto.FLOAT, [1, 4]),
        ],
    )
    held = {"turns": np.array(FOREVER, np.int64), "go": np.array(True), "w": np.eye(4, dtype=np.float32)}
    nodes = [
        helper.make_node("Loop", ["turns", "go", "x"], ["l"], body=turn),
        helper.make_node("MatMul", ["l", "w"], ["y"]),
    ]
    return net(folder / "endless.onnx", nodes, *(numpy_helper.from_array(array, name) for name, array in held.items()))


def greedy(folder: Path) -> Path:
    """A sum over a petabyte of zeros, which has to be there at once."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Mul", ["s", "big"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return net(folder / "greedy.onnx", nodes, numpy_helper.from_array(np.array([1 << 24, 1 << 24], np.int64), "big"))


class Trap:
    """A pickle of it is a program."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.made}",)


def pickled(folder: Path) -> Path:
    """A TorchScript archive whose module is a program of pickle's."""
    files = {
        "data.pkl": pickle.dumps(Trap(folder / "made"), 2),
        "constants.pkl": pickle.dumps((), 2),
        "version": b"3\n",
    }
    with zipfile.ZipFile(folder / "pickled.pt", "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**files, "code/__torch__.py": b""}.items():
            archive.writestr(f"pickled/{name}", content)
    return folder / "pickled.pt"


COMPILED = {
    cut: "cut.onnx",
    deep: "deep.onnx",
    huge: "'w'",
    outside: "outside its folder",
    unknown: "Conjure",
    pickled: "posix.system",
}
"""What is compiled, and what the reason names at least."""
QUANTIZED = {
    cut: "cut.onnx",
    deep: "deep.onnx",
    outside: "outside its folder",
    unknown: "Conjure",
    greedy: "does not run on the calibration data",
}
"""What is quantised, likewise."""


def test_each_fails_with_its_own_fault_and_the_next_job_is_done(lab: Lab, tmp_path: Path) -> None:
    samples = lab.client.upload_dataset({"x": [np.full((1, 4), k / 8, np.float32) for k in range(4)]})
    data = lab.client.upload_dataset({"x": [np.zeros((1, 3, 48, 192), np.float32)]})
    specs = {"x": (1, 4)}
    jobs = [
        (
            lab.client.submit_compile_job(
                lab.sent(make(tmp_path)),
                lab.device,
                make.__name__,
                specs if make is pickled else None,
                "--target_runtime onnx",
            ),
            told,
        )
        for make, told in COMPILED.items()
    ]
    jobs += [
        (lab.client.submit_quantize_job(lab.sent(make(tmp_path)), samples, name=make.__name__), told)
        for make, told in QUANTIZED.items()
    ]
    late = "--target_runtime onnx"
    jobs.append(
        (lab.client.submit_compile_job(endless(tmp_path), lab.device, "endless", options=late, deadline_s=3), "3 s")
    )
    jobs.append((lab.client.submit_quantize_job(endless(tmp_path), samples, name="endless", deadline_s=3), "3 s"))
    sound = [
        lab.client.submit_compile_job(OCR, lab.device, "sound", {"x": (1, 3, 48, 192)}, "--target_runtime onnx"),
        lab.client.submit_quantize_job(OCR, data, name="sound"),
    ]
    odd = []
    for job, told in jobs:
        state = job.wait(300)
        if not state.failure or told not in state.message:
            odd.append((job.name, job.job_type, state.message))
        assert not job.target_model.document["has_bytes"]
    assert odd == []
    for job in sound:
        assert job.wait(300).success, job.log()
    assert not (tmp_path / "made").exists(), "no code of a pickle runs"
    until(lambda: not lab.left(), "the last folder's end")  # which comes after the word of the job's
