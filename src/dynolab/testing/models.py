"""Small real models for tests, made on the spot with each format's own library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.spec.models import ModelFormat


def onnx_graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    weights: Mapping[str, Any] | None = None,
) -> Path:
    """Any nodes as an ONNX file of opset 17; inputs and outputs are (type, shape) by name."""
    import onnx
    from onnx import helper, numpy_helper

    values = [[helper.make_tensor_value_info(name, *one) for name, one in side.items()] for side in (inputs, outputs)]
    tensors = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "g", *values, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, str(path))
    return path


def onnx_net(path: Path, *, weight_bytes: int = 0, external: str | None = None, batch: str | int = 1) -> Path:
    """A convolution, a pooling and a matrix product on ``x`` [batch, 3, 16, 16]; ``weight_bytes`` more in the product.

    ``external`` names a file beside the model that holds the weights.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    columns = max(4, weight_bytes // (4 * 8 * 8))
    weights = {
        "kernel": random.standard_normal((8, 3, 3, 3), dtype=np.float32),
        "matrix": random.standard_normal((8 * 8, columns), dtype=np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel"], ["c"], "conv", pads=[1, 1, 1, 1], strides=[2, 2]),
            helper.make_node("Relu", ["c"], ["r"], "relu"),
            helper.make_node("ReduceMean", ["r"], ["m"], "mean", axes=[1], keepdims=0),
            helper.make_node("Flatten", ["m"], ["f"], "flatten"),
            helper.make_node("MatMul", ["f", "matrix"], ["y"], "product"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, columns])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save_model(model, str(path), save_as_external_data=external is not None, location=external, size_threshold=0)
    return path


def ort(path: Path) -> Path:
    """The net of :func:`onnx_net` in ONNX Runtime's own format."""
    from dynolab.runtimes.onnxruntime.session import library

    options = library().SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(path), 3
    options.add_session_config_entry("session.save_model_format", "ORT")
    source = onnx_net(path.with_suffix(".onnx"))
    library().InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    source.unlink()
    return path


def onnx_nodes(
    path: Path, nodes: list[Any], inputs: Mapping[str, tuple[int, tuple[int | str | None, ...]]], outputs: list[str]
) -> Path:
    """An ONNX model of the nodes given; inputs map names to (element type, shape), outputs have no declared shape."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "nodes",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def openvino_ir(path: Path) -> Path:
    """The net of :func:`onnx_net` as OpenVINO IR."""
    import openvino

    openvino.save_model(
        openvino.convert_model(str(onnx_net(path.with_suffix(".onnx")))), str(path), compress_to_fp16=False
    )
    path.with_suffix(".onnx").unlink()
    return path


def _torch_net() -> Any:
    import torch

    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 7 * 7, 10)
    ).eval()


def torchscript(path: Path) -> Path:
    """A traced convolutional net on [1, 3, 16, 16]."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch 2.13 gives up TorchScript; its files stay
        torch.jit.save(torch.jit.trace(_torch_net(), torch.zeros(1, 3, 16, 16)), str(path))
    return path


def exported_program(path: Path) -> Path:
    """The same net as an exported program."""
    import torch

    torch.export.save(torch.export.export(_torch_net(), (torch.zeros(1, 3, 16, 16),)), str(path))
    return path


def mnn(path: Path) -> Path:
    """The net of :func:`onnx_net`, converted by MNN's own converter as a function: its command fetches a logger of usage with pip."""
    import _tools  # MNN's, in the same distribution

    source = onnx_net(path.with_suffix(".onnx"))
    asked = ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(path), "--bizCode", "dynolab"]
    _tools.mnnconvert(asked)
    source.unlink()
    return path


def ncnn(path: Path) -> Path:
    """The net of :func:`onnx_net` in ncnn's two files: a text of layers, and their weights, of which each begins with its kind."""
    random = np.random.default_rng(0)
    kernel = random.standard_normal((8, 3, 3, 3), dtype=np.float32)
    matrix = random.standard_normal((8 * 8, 4), dtype=np.float32)
    layers = (
        "Input x 0 1 x 0=16 1=16 2=3",
        f"Convolution conv 1 1 x r 0=8 1=3 3=2 4=1 6={kernel.size} 9=1",
        "Reduction mean 1 1 r m 0=3 1=0 -23303=1,0 4=0 5=1",
        "Flatten flatten 1 1 m f",
        f"InnerProduct product 1 1 f y 0=4 1=0 2={matrix.size}",
    )
    path.write_text("\n".join(["7767517", f"{len(layers)} {len(layers)}", *layers, ""]), encoding="utf-8")
    kind = bytes(4)  # float32
    path.with_suffix(".bin").write_bytes(kind + kernel.tobytes() + kind + np.ascontiguousarray(matrix.T).tobytes())
    return path


def torch_net() -> Any:
    """A convolution, a mean and a matrix product on ``x`` [1, 3, 16, 16], with the same weights each time."""
    import torch

    class Net(torch.nn.Module):  # type: ignore[misc] # torch's types are not looked at
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.product = torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.Linear(64, 4)

        def forward(self, x: Any) -> Any:
            return self.product(torch.relu(self.convolution(x)).mean(1).flatten(1))

    torch.manual_seed(0)
    return Net().eval()


def executorch(path: Path) -> Path:
    """The net of :func:`torch_net` as an ExecuTorch program, lowered to XNNPACK."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about other versions of torch
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        exported = torch.export.export(torch_net(), (torch.zeros(1, 3, 16, 16),))
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    path.write_bytes(lowered.buffer)
    return path


def null(path: Path) -> Path:
    """A model that does nothing."""
    path.write_text("{}", encoding="utf-8")
    return path


def precompiled_qnn_onnx(path: Path) -> Path:
    """The net of :func:`onnx_net`, built for a Hexagon v73."""
    from dynolab.runtimes import _htp as htp
    from dynolab.spec.chipsets import chipset_named

    source = onnx_net(path.with_name("source.onnx"))
    entries = {"ep.context_enable": "1", "ep.context_file_path": str(path), "ep.context_embed_mode": "0"}
    htp.open_session(source, chipset_named("v73"), entries)
    source.unlink()
    return path


def qnn_context_binary(path: Path) -> Path:
    """The binary of :func:`precompiled_qnn_onnx`."""
    made = precompiled_qnn_onnx(path.with_name("net.onnx"))
    made.with_name("net_qnn.bin").rename(path)
    made.unlink()
    return path


MAKERS: Mapping[ModelFormat, tuple[str, Callable[[Path], Path]]] = {
    ModelFormat.ONNX: ("net.onnx", onnx_net),
    ModelFormat.ORT: ("net.ort", ort),
    ModelFormat.OPENVINO_IR: ("net.xml", openvino_ir),
    ModelFormat.TORCHSCRIPT: ("net.pt", torchscript),
    ModelFormat.EXPORTED_PROGRAM: ("net.pt2", exported_program),
    ModelFormat.MNN: ("net.mnn", mnn),
    ModelFormat.NCNN: ("net.param", ncnn),
    ModelFormat.PRECOMPILED_QNN_ONNX: ("net.onnx", precompiled_qnn_onnx),
    ModelFormat.QNN_CONTEXT_BINARY: ("net.bin", qnn_context_binary),
    ModelFormat.EXECUTORCH: ("net.pte", executorch),
    ModelFormat.NULL: ("net.null", null),
}
"""File name and maker by format; TFLite has no small maker: a test carries a file."""
