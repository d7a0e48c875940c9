"""The OpenVINO plug-in against direct runs, broken files, open shapes, options and its own counters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynolab.errors import Error, InferenceFailed, LoadFailed, ModelInvalid, ModelNotSupported, SpecInvalid
from dynolab.measure.protocol import RunKind
from dynolab.runtimes._elements import element_name
from dynolab.runtimes.base import Target
from dynolab.runtimes.openvino import OpenVino, OpenVinoSession
from dynolab.spec.measurements import ComputeUnit
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

ov = pytest.importorskip("openvino", reason="openvino is not installed: pip install 'dynolab[openvino]'")

runtime = OpenVino()


def save(path: Path, inputs: list[Any], outputs: list[Any]) -> Path:
    ov.save_model(ov.Model(outputs, inputs, "net"), path, compress_to_fp16=False)
    return path


def weights(*shape: int) -> Any:
    return ov.opset13.constant(np.random.default_rng(1).standard_normal(shape).astype(np.float32))


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """``x`` [1, 16] times a matrix, scaled by the scalar ``k``; relu."""
    ops = ov.opset13
    x, k = ops.parameter([1, 16], np.float32, name="x"), ops.parameter([], np.float32, name="k")
    y = ops.relu(ops.multiply(ops.matmul(x, weights(16, 4), False, False), k))
    for node, name in ((x, "x"), (k, "k"), (y, "y")):
        node.output(0).set_names({name})
    return save(tmp_path / "net.xml", [x, k], [y])


@pytest.fixture
def open_net(tmp_path: Path) -> Path:
    """``x`` [?, 3, ?, ?] through a convolution."""
    ops = ov.opset13
    x = ops.parameter([-1, 3, -1, -1], np.float32, name="x")
    x.output(0).set_names({"x"})
    y = ops.convolution(x, weights(8, 3, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    return save(tmp_path / "open.xml", [x], [ops.relu(y)])


def arrays(session: OpenVinoSession) -> dict[str, Any]:
    random = np.random.default_rng(2)
    return {spec.name: np.asarray(random.random(spec.sizes), np.dtype(spec.dtype)) for spec in session.inputs}


def test_outputs_equal_a_direct_run(net: Path, target: Callable[..., Target]) -> None:
    session = runtime.load(target(net, x=(1, 16), k=()))
    values = arrays(session)
    session.bind(values, {})
    session.runner()()
    direct = ov.Core().compile_model(net, "CPU")(values)
    np.testing.assert_allclose(session.fetch()["y"], direct["y"], rtol=1e-6)
    assert [(spec.name, spec.shape) for spec in session.inputs] == [("x", (1, 16)), ("k", ())]
    session.close()


def test_inputs_are_bound_without_a_copy(net: Path, target: Callable[..., Target]) -> None:
    session = runtime.load(target(net))
    values = arrays(session)
    session.bind(values, {})
    run = session.runner()
    run()
    first = session.fetch()["y"]
    values["k"][...] *= 2
    run()
    np.testing.assert_allclose(session.fetch()["y"], first * 2, rtol=1e-6)


def test_a_wrong_tensor_is_an_inference_error(net: Path, target: Callable[..., Target]) -> None:
    session = runtime.load(target(net))
    with pytest.raises(InferenceFailed, match="f64"):
        session.bind({"x": np.zeros((1, 16)), "k": np.zeros((), np.float32)}, {})


@pytest.mark.parametrize("unit", [ComputeUnit.GPU, ComputeUnit.NPU])
def test_a_unit_that_is_not_there_is_an_error(net: Path, target: Callable[..., Target], unit: ComputeUnit) -> None:
    if any(device.startswith(unit) for device in ov.Core().available_devices):
        pytest.skip(f"there is a {unit} here")
    with pytest.raises(ModelNotSupported, match=unit) as caught:
        runtime.load(target(net, f"--compute_unit {unit.lower()}"))
    assert "CPU" in str(caught.value)


def broken(tmp_path: Path, suffix: str, content: bytes) -> Path:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".tflite"])
@pytest.mark.parametrize("content", [b"", b"\x91\x17 no model \xff" * 9, b"<?xml version='1.0'?><net"])
def test_a_broken_file_is_named(tmp_path: Path, target: Callable[..., Target], suffix: str, content: bytes) -> None:
    asked = target(broken(tmp_path, suffix, content))
    for act in (runtime.describe, runtime.load):
        with pytest.raises(ModelInvalid, match=f"broken{suffix}") as caught:
            act(asked)
        assert "Exception from" not in str(caught.value)
        assert ".cpp" not in str(caught.value)


def test_weights_that_are_missing_or_cut_are_named(net: Path, target: Callable[..., Target]) -> None:
    binary = net.with_suffix(".bin")
    binary.write_bytes(binary.read_bytes()[:20])
    with pytest.raises(ModelInvalid, match="weights"):
        runtime.describe(target(net))
    binary.unlink()
    with pytest.raises(ModelInvalid, match="bin file"):
        runtime.load(target(net))


def test_an_operator_that_is_not_supported_is_named(tmp_path: Path, target: Callable[..., Target]) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx makes this model")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Weird", ["x"], ["y"], domain="nowhere")],
        "g",
        [value("x", 1, [1])],
        [value("y", 1, [1])],
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("nowhere", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "weird.onnx")
    for act in (runtime.describe, runtime.load):
        with pytest.raises(ModelNotSupported, match=r"nowhere\.Weird"):
            act(target(tmp_path / "weird.onnx"))


def test_open_dimensions_are_bound_before_loading(open_net: Path, target: Callable[..., Target]) -> None:
    declared = runtime.describe(target(open_net))
    assert declared.inputs[0].shape == (None, 3, None, None)
    assert declared.multiply_accumulates is None
    assert "not bound" in (declared.unknown or {})["multiply_accumulates"]
    session = runtime.load(target(open_net, x=(1, 3, 16, 8)))
    assert session.inputs[0].shape == (1, 3, 16, 8)
    assert session.outputs[0].shape == (1, 8, 16, 8)


def test_shapes_that_do_not_fit_fail_the_load(open_net: Path, target: Callable[..., Target]) -> None:
    with pytest.raises(LoadFailed, match=r"x=\[1, 4, 8, 8\]") as caught:
        runtime.load(target(open_net, x=(1, 4, 8, 8)))
    assert "Exception from" not in str(caught.value)


def test_an_input_of_unknown_rank_needs_its_shape(tmp_path: Path, target: Callable[..., Target]) -> None:
    x = ov.opset13.parameter(ov.PartialShape.dynamic(), np.float32, name="x")
    x.output(0).set_names({"x"})
    path = save(tmp_path / "rank.xml", [x], [ov.opset13.relu(x)])
    with pytest.raises(SpecInvalid, match="'x'") as caught:
        runtime.describe(target(path))
    assert "--input-shape x=" in str(caught.value.hint)
    assert runtime.describe(target(path, x=(2, 3))).inputs[0].shape == (2, 3)
    assert runtime.load(target(path, x=(2, 3))).outputs[0].shape == (2, 3)


def test_options_reach_openvino_and_are_read_back(net: Path, target: Callable[..., Target]) -> None:
    asked = '--openvino_options "inference_num_threads=1;performance_hint=throughput;inference_precision=f32"'
    effective = runtime.load(target(net, asked)).effective()
    assert effective["inference_num_threads"] == "1"
    assert effective["performance_hint"] == "THROUGHPUT"
    assert effective["inference_precision"] == "f32"
    assert effective["execution_devices"] == "CPU"
    assert runtime.load(target(net)).effective()["performance_hint"] == "LATENCY"


def test_the_first_load_leaves_what_the_warm_load_imports(open_net: Path, target: Callable[..., Target]) -> None:
    asked = target(open_net, x=(1, 3, 16, 16))
    assert runtime.load(asked).effective()["loaded_from_cache"] == "False"
    left = sorted(asked.cache_dir.iterdir())
    assert left
    assert runtime.load(asked).effective()["loaded_from_cache"] == "True"
    assert sorted(asked.cache_dir.iterdir()) == left


@pytest.mark.parametrize("shapes", [{}, {"x": (1, 16), "k": ()}])
def test_a_model_with_declared_shapes_loads_by_path_after_compile(
    net: Path, target: Callable[..., Target], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    asked = target(net, **shapes)
    runtime.compile(asked)
    assert [path.name.split("-")[0] for path in asked.artifact_dir.iterdir()] == ["declared"]
    assert not list(asked.cache_dir.iterdir())
    values = arrays(runtime.load(asked))
    results = []
    for _ in range(2):
        session = runtime.load(asked)
        session.bind(values, {})
        session.runner()()
        results.append(session.fetch()["y"])
    assert session.effective()["loaded_from_cache"] == "True"
    np.testing.assert_array_equal(*results)


def test_a_model_with_other_shapes_says_so_in_its_artifact(open_net: Path, target: Callable[..., Target]) -> None:
    asked = target(open_net, x=(1, 3, 16, 16))
    runtime.compile(asked)
    (artifact,) = asked.artifact_dir.iterdir()
    assert artifact.name.startswith("reshaped-")
    assert artifact.stat().st_size > 8 * 3 * 3 * 3 * 4
    assert runtime.load(asked).inputs[0].shape == (1, 3, 16, 16)


def test_layers_are_those_that_ran_in_order(open_net: Path, target: Callable[..., Target]) -> None:
    asked = target(open_net, "--openvino_options inference_num_threads=1", x=(1, 3, 128, 128))
    values = arrays(runtime.load(asked))
    recording = runtime.layers(asked, values, 4)
    warm_ups, found = recording.iterations[::2], recording.iterations[1::2]
    assert list(map(list, warm_ups)) == [[]] * 4, "the first run after each load"
    assert len(found) == 4
    assert len({tuple(layer.name for layer in layers) for layers in found}) == 1
    convolution = next(layer for layer in found[0] if layer.type == "Convolution")
    assert convolution.compute_unit is ComputeUnit.CPU
    assert convolution.output_bytes == 8 * 128 * 128 * 4
    assert convolution.delegate
    assert all(layer.time_ns % 1000 == 0 and layer.time_ns >= 0 for layers in found for layer in layers)
    assert sum(layer.time_ns for layer in found[0]) > 0
    assert convolution.precision in ("float32", "bfloat16"), "the CPU's own choice"
    assert "means" in (recording.note or "")
    assert "left out" in (recording.note or "")


def test_the_facts_count_weights_and_multiply_accumulates(tmp_path: Path, target: Callable[..., Target]) -> None:
    ops = ov.opset13
    x = ops.parameter([1, 4, 10, 10], np.float32, name="x")
    plain = ops.convolution(x, weights(8, 4, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    grouped = ops.group_convolution(plain, weights(8, 1, 1, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
    back = ops.convolution_backprop_data(grouped, weights(8, 6, 2, 2), [2, 2])
    product = ops.matmul(ops.reshape(back, ops.constant(np.array([6, 100])), False), weights(100, 5), False, False)
    found = runtime.describe(target(save(tmp_path / "facts.xml", [x], [product])))
    macs = 8 * 100 * 4 * 9 + 8 * 25 * 9 + 8 * 25 * 6 * 4 + 6 * 100 * 5
    assert found.multiply_accumulates == macs
    floats = 8 * 4 * 9 + 8 * 9 + 8 * 6 * 4 + 500
    assert found.parameters == floats + 2
    assert found.parameter_bytes == floats * 4 + 2 * 8
    assert found.precision == "float32"
    assert (found.schema or "").startswith("OpenVINO IR 1")
    assert found.operators == 5


def sequence(cell: str, gates: int, states: int) -> Any:
    """A recurrent layer of 4 on ``x`` [2, 7, 5]."""
    ops = ov.opset13
    x = ops.parameter([2, 7, 5], np.float32, name="x")
    start = [ops.constant(np.zeros((2, 1, 4), np.float32)) for _ in range(states)]
    lengths = ops.constant(np.array([7, 7]))
    matrices = weights(1, gates * 4, 5), weights(1, gates * 4, 4), weights(1, gates * 4)
    more = {"linear_before_reset": False, "clip": 0.0} if cell == "gru" else {}
    node = getattr(ops, f"{cell}_sequence")(x, *start, lengths, *matrices, 4, "forward", **more)
    return [x], [node.output(0)]


def einsum() -> Any:
    x = ov.opset13.parameter([2, 7, 5], np.float32, name="x")
    return [x], [ov.opset13.einsum([x, weights(5, 3)], "bsi,ij->bsj")]


def attention() -> Any:
    query, key, value = (
        ov.opset13.parameter([2, 3, *sizes], np.float32, name=name)
        for name, sizes in (("q", (7, 8)), ("k", (9, 8)), ("v", (9, 4)))
    )
    return [query, key, value], [ov.opset13.scaled_dot_product_attention(query, key, value)]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: sequence("lstm", 4, 2), 2 * 7 * 16 * (5 + 4)),
        (lambda: sequence("gru", 3, 1), 2 * 7 * 12 * (5 + 4)),
        (lambda: sequence("rnn", 1, 1), 2 * 7 * 4 * (5 + 4)),
        (einsum, 2 * 7 * 5 * 3),
        (attention, 2 * 3 * 7 * 9 * (8 + 4)),
    ],
    ids=["lstm", "gru", "rnn", "einsum", "attention"],
)
def test_products_inside_of_operations_are_counted(
    tmp_path: Path, target: Callable[..., Target], made: Callable[[], Any], expected: int
) -> None:
    found = runtime.describe(target(save(tmp_path / "m.xml", *made())))
    assert found.unknown is None
    assert found.multiply_accumulates == expected


def test_what_nobody_counts_is_none_with_the_reason(tmp_path: Path, target: Callable[..., Target]) -> None:
    ops = ov.opset13
    x = ops.parameter([4, 8, 2], np.float32, name="x")
    found = runtime.describe(target(save(tmp_path / "m.xml", [x], [ops.dft(x, ops.constant(np.array([1])))])))
    assert found.multiply_accumulates is None
    assert "DFT" in (found.unknown or {})["multiply_accumulates"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("face_landmark_with_attention.tflite", "Landmarks2TransformMatrix"),
        ("microwakeword_okay_nabu.tflite", "RESOURCE"),
        ("silero_vad_v6.onnx", "Conv"),
    ],
)
def test_real_models_that_openvino_cannot_convert(
    target: Callable[..., Target], real_model: Callable[[str], Path], name: str, problem: str
) -> None:
    with pytest.raises(Error, match=problem) as caught:
        runtime.describe(target(real_model(name)))
    assert isinstance(caught.value, ModelNotSupported)


def test_a_real_int8_model(target: Callable[..., Target], real_model: Callable[[str], Path]) -> None:
    path = real_model("mlperf_tiny_resnet8_int8.tflite")
    found = runtime.describe(target(path, input_1_int8=(1, 32, 32, 3)))
    assert found.inputs[0].dtype == "int8"
    assert found.inputs[0].shape == (None, 32, 32, 3)
    assert (found.multiply_accumulates or 0) == 12_501_632
    assert "int8" in (found.precision or "")


def test_the_import_sends_no_telemetry() -> None:
    code = """
import sys
from dynolab.runtimes.openvino import plugin
plugin.import_library()
assert "openvino" in sys.modules
print(sys.modules.get("openvino_telemetry"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None"]


@pytest.mark.parametrize("operator", ["Identity", "Dropout"])
def test_an_input_keeps_the_name_that_the_file_gives_it(
    tmp_path: Path, target: Callable[..., Target], operator: str
) -> None:
    """OpenVINO takes an operator away that does nothing, and calls the input as that operator's output."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    nodes = [helper.make_node(operator, ["pixels"], ["inner"]), helper.make_node("MatMul", ["inner", "w"], ["y"])]
    weight = onnx.numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pixels", 1, ["n", 4]), helper.make_tensor_value_info("w", 1, [4, 2])],
        [helper.make_tensor_value_info("y", 1, ["n", 2])],
        [weight],
    )
    path = tmp_path / "m.onnx"
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    given = target(path, pixels=(3, 4))
    assert [spec.name for spec in runtime.describe(given).inputs] == ["pixels"]
    session = runtime.load(given)
    session.bind({"pixels": np.ones((3, 4), np.float32)}, {})
    session.runner()()
    assert session.fetch()["y"].tolist() == [[4, 4]] * 3


@pytest.mark.parametrize("name", ["bf16", "f8e4m3", "i4"])
def test_types_that_numpy_lacks_are_read_right(tmp_path: Path, target: Callable[..., Target], name: str) -> None:
    ops = ov.opset13
    x = ops.parameter([1, 5], np.float32, name="x")
    x.output(0).set_names({"x"})
    y = ops.convert(x, name)
    y.output(0).set_names({"y"})
    given = target(save(tmp_path / "m.xml", [x], [y]), x=(1, 5))
    session = runtime.load(given)
    values = np.array([[1, 2, 3, 4, 5]], np.float32)
    session.bind({"x": values}, {})
    session.runner()()
    found = session.fetch()["y"]
    assert element_name(found) == session.outputs[0].dtype
    assert found.astype(np.float32).tolist() == values.tolist()


def test_an_output_has_the_file_s_name_after_every_load(tmp_path: Path, target: Callable[..., Target]) -> None:
    """Compiling takes the two shapes out, and leaves three names on one tensor; what comes from the cache has one again."""
    helper = pytest.importorskip("onnx").helper
    shape = helper.make_node("Constant", [], ["s"], value_ints=[2, 8])
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        shape,
        helper.make_node("Reshape", ["a", "s"], ["b"]),
        helper.make_node("Reshape", ["b", "s"], ["y"]),
    ]
    float_x, float_y = (helper.make_tensor_value_info(name, 1, [2, 8]) for name in "xy")
    path = onnx_file(tmp_path / "net.onnx", nodes, [float_x], [float_y])
    wanted = target(path, x=(2, 8))
    assert [spec.name for spec in runtime.describe(wanted).outputs] == ["y"]
    runtime.compile(wanted)
    for _ in range(2):
        session = runtime.load(wanted)
        assert [spec.name for spec in session.outputs] == ["y"]
        session.close()


def onnx_file(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], opset: int = 17) -> Path:
    helper = pytest.importorskip("onnx").helper
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_output_that_is_an_input_has_its_values(tmp_path: Path, target: Callable[..., Target]) -> None:
    """OpenVINO takes a maximum of one tensor out, and writes nothing into memory that it is given for the result."""
    helper = pytest.importorskip("onnx").helper
    x, y = (helper.make_tensor_value_info(name, 1, [4]) for name in "xy")
    path = onnx_file(tmp_path / "net.onnx", [helper.make_node("Max", ["x"], ["y"])], [x], [y])
    session = runtime.load(target(path, x=(4,)))
    for value in (1.0, 2.0):
        session.bind({"x": np.full(4, value, np.float32)}, {spec.name: spec for spec in session.outputs})
        session.runner()()
        assert session.fetch()["y"].tolist() == [value] * 4


def test_an_input_that_nothing_reads_is_taken_and_told(tmp_path: Path, target: Callable[..., Target]) -> None:
    """A list of axes without an entry says nothing, so OpenVINO leaves the input out; callers of the file know it."""
    helper = pytest.importorskip("onnx").helper
    values = [helper.make_tensor_value_info("axes", 7, [0]), helper.make_tensor_value_info("x", 1, [4])]
    y = helper.make_tensor_value_info("y", 1, [1])
    path = onnx_file(tmp_path / "net.onnx", [helper.make_node("ReduceSum", ["x", "axes"], ["y"])], values, [y])
    wanted = target(path, axes=(0,), x=(4,))
    inputs = runtime.describe(wanted).inputs
    assert [(spec.name, spec.dtype, spec.shape) for spec in inputs] == [("axes", "int64", (0,)), ("x", "float32", (4,))]
    session = runtime.load(wanted)
    session.bind({"axes": np.zeros(0, np.int64), "x": np.ones(4, np.float32)}, {})
    session.runner()()
    assert session.fetch()["y"].tolist() == [4.0]
    assert "'axes' is read by nothing" in session.notices()[0].text


def test_an_input_that_is_no_tensor_is_refused_by_name(tmp_path: Path, target: Callable[..., Target]) -> None:
    helper = pytest.importorskip("onnx").helper
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [2]))
    values = [helper.make_value_info(name, kind) for name in "xy"]
    path = onnx_file(tmp_path / "net.onnx", [helper.make_node("Identity", ["x"], ["y"])], values[:1], values[1:])
    with pytest.raises(ModelNotSupported, match="input 'x' is a sequence: only tensors can be fed"):
        runtime.describe(target(path))


def test_a_type_that_openvino_lacks_is_named(tmp_path: Path, target: Callable[..., Target]) -> None:
    helper = pytest.importorskip("onnx").helper
    x, y = helper.make_tensor_value_info("x", 26, [4]), helper.make_tensor_value_info("y", 1, [4])
    path = onnx_file(tmp_path / "net.onnx", [helper.make_node("Cast", ["x"], ["y"], to=1)], [x], [y], opset=25)
    with pytest.raises(ModelNotSupported, match=r"no tensors of int2, which net\.onnx asks for"):
        runtime.describe(target(path))


def test_an_inference_job_does_not_take_its_values_from_the_cache(tmp_path: Path) -> None:
    """OpenVINO 2026.4.1 computes a rotary embedding otherwise when it imports it than when it compiles it."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    helper = onnx.helper
    shapes = {"x": [2, 4, 3, 8], "cos": [50, 4], "sin": [50, 4], "at": [2, 3]}
    values = [helper.make_tensor_value_info(name, 7 if name == "at" else 1, shape) for name, shape in shapes.items()]
    y = helper.make_tensor_value_info("y", 1, shapes["x"])
    path = onnx_file(tmp_path / "net.onnx", [helper.make_node("RotaryEmbedding", list(shapes), ["y"])], values, [y], 23)
    random = np.random.default_rng(1)
    arrays = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
    arrays["at"] = random.integers(0, 50, shapes["at"])
    files = {name: str(tmp_path / f"{name}.npy") for name in arrays}
    for name, file in files.items():
        np.save(file, arrays[name])
    exact = '--openvino_options "inference_precision=f32"'  # else a processor that has bfloat16 computes in that
    harness = Harness(tmp_path / "harness", path, ModelFormat.ONNX, "openvino", exact)
    harness.inspect()
    found = harness.good(RunKind.INFER, batches=(files,)).outputs[0]
    expected = ReferenceEvaluator(str(path)).run(None, arrays)[0]
    assert np.allclose(np.load(found["y"]), expected, rtol=1e-4, atol=1e-5)
