"""ONNX Runtime: traps of published models, and what its trace says of layers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from dynolab.errors import InferenceFailed
from dynolab.measure import layer_table, layer_times
from dynolab.measure.protocol import InputWishes, Measure, RunKind
from dynolab.runtimes.base import LayerRecording, Target
from dynolab.runtimes.onnxruntime import plugin, trace
from dynolab.spec import options
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import TensorSpec
from dynolab.testing import models
from dynolab.testing.harness import Harness

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FLOAT, INT64 = 1, 7


def harness(folder: Path, model: Path, options: str = "") -> Harness:
    made = Harness(folder / "harness", model, ModelFormat.ONNX, "onnxruntime", options)
    made.inspect()
    return made


def test_weights_repeated_as_inputs_are_none(tmp_path: Path) -> None:
    """IR 3 lists weights as inputs; ONNX Runtime's saved model keeps inputs of weights that it folded away."""
    helper = onnx.helper
    shape = onnx.numpy_helper.from_array(np.array([4], np.int64), "shape")
    fill = helper.make_tensor("fill", FLOAT, [1], [2.0])
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["w"], value=fill),
            helper.make_node("Mul", ["x", "w"], ["y"]),
        ],
        "old",
        [helper.make_tensor_value_info("x", FLOAT, [4]), helper.make_tensor_value_info("shape", INT64, [1])],
        [helper.make_tensor_value_info("y", FLOAT, [4])],
        [shape],
    )
    path = tmp_path / "old.onnx"
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=3), str(path))
    made = harness(tmp_path, path)
    assert made.inspection is not None
    assert [item.spec.name for item in made.inspection.inputs] == ["x"]
    made.good(RunKind.COMPILE)
    assert made.good(RunKind.INFERENCE, Measure.TIME).stages[StageName.INFERENCE].values_ns


def test_layers_of_a_branch_are_not_counted_twice(tmp_path: Path) -> None:
    helper = onnx.helper
    made_of = {
        name: helper.make_graph(
            [helper.make_node("MatMul", ["x", "x"], [f"{name}_y"], f"{name}_product")],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", FLOAT, [300, 300])],
        )
        for name in ("then", "other")
    }
    node = helper.make_node("If", ["c"], ["y"], "choice", then_branch=made_of["then"], else_branch=made_of["other"])
    path = models.onnx_nodes(tmp_path / "if.onnx", [node], {"x": (FLOAT, (300, 300)), "c": (9, ())}, ["y"])
    result = harness(tmp_path, path).good(RunKind.LAYERS, Measure.TIME, iterations=5)
    assert result.layer_pass is not None
    times = {layer.type: layer.time_ns for layer in result.layer_pass.layers}
    assert times["MatMul"] > times["If"], "the If's own time is what its branch leaves"


def test_a_scalar_and_a_length_do_not_crash_it(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Gather", ["x", "i"], ["y"], axis=0)
    path = models.onnx_nodes(tmp_path / "g.onnx", [node], {"x": (FLOAT, (2, 3)), "i": (INT64, ())}, ["y"])
    found = harness(tmp_path, path).inspection
    assert found is not None
    assert {item.spec.name: item.spec.shape for item in found.inputs} == {"x": (2, 3), "i": ()}


def test_options_are_in_effect(tmp_path: Path) -> None:
    path = models.onnx_net(tmp_path / "net.onnx")
    options = '--onnx_options "intra_op_num_threads=1;graph_optimization_level=ENABLE_BASIC;allow_spinning=false"'
    effective = harness(tmp_path, path, options).good(RunKind.FIRST_LOAD, Measure.TIME).effective
    assert effective["intra_op_num_threads"].startswith("1")
    assert effective["graph_optimization_level"] == "ORT_ENABLE_BASIC"


def test_an_unknown_provider_is_an_error(tmp_path: Path) -> None:
    path = models.onnx_net(tmp_path / "net.onnx")
    made = Harness(tmp_path / "h", path, ModelFormat.ONNX, "onnxruntime", "--onnx_execution_providers directml")
    error = made.run(RunKind.INSPECT).result.error
    assert error is not None
    assert error["code"] == "ModelNotSupported"
    assert "directml" in str(error["message"])


def whole(folder: Path, model: Path) -> Harness:
    """Every kind of run that a profile consists of must end well."""
    made = harness(folder, model)
    made.good(RunKind.COMPILE, Measure.TIME)
    made.good(RunKind.FIRST_LOAD, Measure.TIME)
    assert made.good(RunKind.INFERENCE, Measure.TIME).stages[StageName.INFERENCE].values_ns
    made.good(RunKind.LAYERS, Measure.TIME)
    return made


def infer(made: Harness, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs for one batch, as an inference job gets them."""
    files = {}
    for name, array in arrays.items():
        files[name] = str(made.folder / f"{name}.npy")
        np.save(files[name], array)
        Path(files[name]).chmod(0o644)
    outputs = made.good(RunKind.INFER, batches=(files,)).outputs[0]
    return {name: np.load(path) for name, path in outputs.items()}


def save(path: Path, nodes: list, inputs: list, outputs: list, weights: dict | None = None, *, opset: int = 21) -> Path:
    """A model of the nodes given; inputs and outputs as (name, ONNX element type, shape)."""
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "g",
        [value if not isinstance(value, tuple) else helper.make_tensor_value_info(*value) for value in inputs],
        [value if not isinstance(value, tuple) else helper.make_tensor_value_info(*value) for value in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    return path


def test_small_tensors_stay_in_a_saved_model_that_keeps_its_weights_outside(tmp_path: Path) -> None:
    helper = onnx.helper
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Reshape", ["a", "shape"], ["b"]),
        helper.make_node("Slice", ["b", "zero", "eight", "two"], ["y"]),
    ]
    weights = {
        "w": np.ones((64, 64), np.float32),
        "shape": np.array([0, 0, 4, 16], np.int64),
        **{name: np.array([value], np.int64) for name, value in (("zero", 0), ("eight", 8), ("two", 2))},
    }
    path = save(tmp_path / "m.onnx", nodes, [("x", FLOAT, ["b", "s", 64])], [("y", FLOAT, None)], weights)
    model = onnx.load(str(path))
    onnx.save_model(model, str(path), save_as_external_data=True, location="m.bin", size_threshold=1024)
    made = whole(tmp_path, path)
    assert (made.folder / "artifact" / "optimized.bin").stat().st_size >= 64 * 64 * 4


def test_an_output_of_another_size_than_the_file_declares_is_not_bound(tmp_path: Path) -> None:
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs, outputs = [("x", FLOAT, ["batch", 4])], [("y", FLOAT, [2, 3])]
    path = save(tmp_path / "m.onnx", [node], inputs, outputs, {"w": np.ones((4, 3), np.float32)})
    made = whole(tmp_path, path)
    assert made.inspection is not None
    assert made.inspection.outputs[0].shape == (1, 3)
    assert infer(made, x=np.ones((5, 4), np.float32))["y"].shape == (5, 3)


def test_an_output_whose_size_varies_from_run_to_run_is_not_bound(tmp_path: Path) -> None:
    helper = onnx.helper
    nodes = [
        helper.make_node("RandomUniformLike", ["x"], ["r"]),
        helper.make_node("Greater", ["r", "x"], ["more"]),
        helper.make_node("NonZero", ["more"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, [("x", FLOAT, [100])], [("y", INT64, [1, "n"])])
    whole(tmp_path, path)


def test_an_output_that_leaves_its_declared_size_ends_with_a_way_out(tmp_path: Path) -> None:
    """A size that the file declares, and that the first runs had, is bound; then another one comes."""
    helper = onnx.helper
    nodes = [helper.make_node("Greater", ["x", "zero"], ["more"]), helper.make_node("NonZero", ["more"], ["y"])]
    inputs, outputs = [("x", FLOAT, [4])], [("y", INT64, [1, 2])]
    path = save(tmp_path / "m.onnx", nodes, inputs, outputs, {"zero": np.zeros((), np.float32)})
    plugin.import_library()
    target = Target(
        path, ModelFormat.ONNX, tmp_path / "none", tmp_path / "none", options.parse(""), tmp_path, {"x": (4,)}
    )
    session = plugin.load(target)
    values = np.array([1, 0, 1, 0], np.float32)
    session.bind({"x": values}, {"y": TensorSpec("y", "int64", (1, 2))})
    run = session.runner()
    run()
    assert session.fetch()["y"].tolist() == [[0, 2]]
    values[1] = 1
    with pytest.raises(InferenceFailed, match="inference failed") as caught:
        run()
    assert "leave it open" in (caught.value.hint or "")


def test_text_that_is_no_utf_8_ends_with_a_reason(tmp_path: Path) -> None:
    text = onnx.helper.make_tensor("v", onnx.TensorProto.STRING, [2], [b"\xff", b"\xfe"])
    nodes = [
        onnx.helper.make_node("Constant", [], ["c"], value=text),
        onnx.helper.make_node("Gather", ["c", "x"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, [("x", INT64, [1])], [("y", onnx.TensorProto.STRING, [1])])
    error = Harness(tmp_path / "h", path, ModelFormat.ONNX, "onnxruntime").run(RunKind.INSPECT).result.error
    assert error is not None
    assert (error["code"], "no UTF-8" in str(error["message"])) == ("InferenceFailed", True)


def test_onnx_runtimes_own_format_is_run_as_it_is(tmp_path: Path) -> None:
    made = Harness(tmp_path / "h", models.ort(tmp_path / "net.ort"), ModelFormat.ORT, "onnxruntime")
    made.inspect()
    assert made.inspection is not None
    assert not made.inspection.compiles
    found = made.inspection.description
    assert [(spec.name, spec.shape) for spec in (*found.inputs, *found.outputs)] == [
        ("x", (1, 3, 16, 16)),
        ("y", (1, 4)),
    ]
    assert found.multiply_accumulates is None
    assert ".ort" in (found.unknown or {})["multiply_accumulates"]
    (tmp_path / "plain").mkdir()
    plain = models.onnx_net(tmp_path / "plain" / "net.onnx")
    x = np.random.default_rng(3).random((1, 3, 16, 16), np.float32)
    other = Harness(tmp_path / "p", plain, ModelFormat.ONNX, "onnxruntime")
    other.inspect()
    np.testing.assert_allclose(infer(made, x=x)["y"], infer(other, x=x)["y"], rtol=1e-5)


def cast(folder: Path, kinds: Iterable[str], source: str, to: str) -> Harness:
    """Through every kind of run: a model that casts, for each kind, an input of one type to an output of another ("": the kind)."""
    names = [(kind, *(getattr(onnx.TensorProto, one or kind) for one in (source, to))) for kind in kinds]
    nodes = [onnx.helper.make_node("Cast", [f"x{kind}"], [f"y{kind}"], to=to) for kind, _, to in names]
    inputs = [(f"x{kind}", source, [1, 5]) for kind, source, _ in names]
    outputs = [(f"y{kind}", to, [1, 5]) for kind, _, to in names]
    return whole(folder, save(folder / "m.onnx", nodes, inputs, outputs))


def test_types_that_numpy_lacks_go_in(tmp_path: Path) -> None:
    given = dict.fromkeys(("BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2"), np.float32)
    given |= {"INT4": np.int8, "UINT4": np.uint8, "BOOL": np.bool_, "FLOAT16": np.float16}
    values = {kind: np.array([[1, 0, 1, 1, 0]], one) for kind, one in given.items()}
    made = cast(tmp_path, given, "", "FLOAT")
    found = infer(made, **{f"x{kind}": one for kind, one in values.items()})
    assert {name: one.tolist() for name, one in found.items()} == {
        f"y{kind}": one.astype(float).tolist() for kind, one in values.items()
    }


def test_types_that_numpy_lacks_come_out(tmp_path: Path) -> None:
    sizes = {"yBFLOAT16": 10, "yFLOAT8E4M3FN": 5, "yINT4": 3, "yUINT4": 3}
    kinds = [name.removeprefix("y") for name in sizes]
    made = cast(tmp_path, kinds, "FLOAT", "")
    assert made.inspection is not None
    assert {one.name: one.bytes for one in made.inspection.outputs} == sizes
    found = infer(made, **{f"x{kind}": np.array([[1, 2, 3, 4, 5]], np.float32) for kind in kinds})
    assert {name: one.tolist() for name, one in found.items()} == {key: [[1, 2, 3, 4, 5]] for key in sizes}


def classifier(path: Path, **labels: list) -> Path:
    """As scikit-learn's converter writes one: a label, and a sequence of maps."""
    helper, text = onnx.helper, "classlabels_strings" in labels
    kind = onnx.TensorProto.STRING if text else INT64
    nodes = [
        helper.make_node(
            "LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", coefficients=[1.0, 2.0, 3.0, 4.0],
            intercepts=[0.0, 0.0], multi_class=0, post_transform="SOFTMAX", **labels,
        ),
        helper.make_node(
            "ZipMap", ["p"], ["probabilities"], domain="ai.onnx.ml",
            **{f"classlabels_{'strings' if text else 'int64s'}": next(iter(labels.values()))},
        ),
    ]  # fmt: skip
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(kind, helper.make_tensor_type_proto(FLOAT, None)))
    outputs = [("label", kind, [None]), helper.make_value_info("probabilities", maps)]
    return save(path, nodes, [("x", FLOAT, [None, 2])], outputs, opset=15)


@pytest.mark.parametrize("labels", [{"classlabels_ints": [3, 4]}, {"classlabels_strings": ["cat", "dog"]}])
def test_outputs_that_are_text_or_no_tensors(tmp_path: Path, labels: dict[str, list]) -> None:
    made = whole(tmp_path, classifier(tmp_path / "m.onnx", **labels))
    assert made.inspection is not None
    assert [spec.name for spec in made.inspection.outputs] == ["label"]
    texts = [notice.text for notice in made.inspection.notices]
    assert any("'probabilities'" in note and "seq(map" in note for note in texts)
    assert infer(made, x=np.array([[0, 1]], np.float32))["label"].tolist() == [next(iter(labels.values()))[1]]


def test_text_goes_in(tmp_path: Path) -> None:
    node = onnx.helper.make_node(
        "LabelEncoder", ["text"], ["y"], domain="ai.onnx.ml", keys_strings=["red", "grün"], values_int64s=[5, 6], default_int64=-1
    )  # fmt: skip
    inputs, outputs = [("text", onnx.TensorProto.STRING, [None, 1])], [("y", INT64, [None, 1])]
    made = whole(tmp_path, save(tmp_path / "m.onnx", [node], inputs, outputs, opset=15))
    assert infer(made, text=np.array([["grün"], ["red"], ["other"]]))["y"].tolist() == [[6], [5], [-1]]


def test_text_that_a_model_does_not_know_is_asked_for(tmp_path: Path) -> None:
    node = onnx.helper.make_node(
        "OneHotEncoder", ["city"], ["y"], domain="ai.onnx.ml", cats_strings=["Rome", "Oslo"], zeros=0
    )
    inputs, outputs = [("city", onnx.TensorProto.STRING, [None, 1])], [("y", FLOAT, None)]
    path = save(tmp_path / "m.onnx", [node], inputs, outputs, opset=15)
    error = Harness(tmp_path / "h", path, ModelFormat.ONNX, "onnxruntime").run(RunKind.INSPECT).result.error
    assert error is not None
    assert error["code"] == "InferenceFailed"
    assert "--input-file city=FILE.npy" in str(error["hint"])
    np.save(tmp_path / "city.npy", np.array([["Oslo"]]))
    wishes = InputWishes(files={"city": str(tmp_path / "city.npy")})
    made = Harness(tmp_path / "known", path, ModelFormat.ONNX, "onnxruntime", wishes=wishes)
    made.inspect()
    assert made.good(RunKind.INFERENCE, Measure.TIME).stages[StageName.INFERENCE].values_ns


def test_an_input_that_is_no_tensor_is_refused_by_name(tmp_path: Path) -> None:
    helper = onnx.helper
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, [2]))
    node = helper.make_node("SequenceLength", ["parts"], ["y"])
    path = save(tmp_path / "m.onnx", [node], [helper.make_value_info("parts", sequence)], [("y", INT64, [])])
    error = Harness(tmp_path / "h", path, ModelFormat.ONNX, "onnxruntime").run(RunKind.INSPECT).result.error
    assert error is not None
    assert error["code"] == "ModelNotSupported"
    assert "'parts' is a sequence" in str(error["message"])
    assert error["hint"]


def test_an_input_without_a_shape_asks_for_one(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Tanh", ["x"], ["y"])
    path = save(tmp_path / "m.onnx", [node], [("x", FLOAT, None)], [("y", FLOAT, None)])
    error = Harness(tmp_path / "h", path, ModelFormat.ONNX, "onnxruntime").run(RunKind.INSPECT).result.error
    assert error is not None
    assert error["code"] == "SpecInvalid"
    assert "--input-shape x=" in str(error["hint"])
    made = Harness(tmp_path / "i", path, ModelFormat.ONNX, "onnxruntime", wishes=InputWishes(shapes={"x": (2, 3)}))
    made.inspect()
    assert made.inspection is not None
    assert made.inspection.outputs[0].shape == (2, 3)
    assert made.inspection.description.multiply_accumulates == 0


def test_an_empty_input_is_legal(tmp_path: Path) -> None:
    """The cache of a decoder before its first token."""
    node = onnx.helper.make_node("Concat", ["past", "x"], ["y"], axis=1)
    path = save(
        tmp_path / "m.onnx", [node], [("past", FLOAT, [1, "n", 4]), ("x", FLOAT, [1, 1, 4])], [("y", FLOAT, None)]
    )
    made = Harness(
        tmp_path / "h", path, ModelFormat.ONNX, "onnxruntime", wishes=InputWishes(shapes={"past": (1, 0, 4)})
    )
    made.inspect()
    assert made.inspection is not None
    assert made.inspection.outputs[0].shape == (1, 1, 4)
    assert made.good(RunKind.INFERENCE, Measure.TIME).stages[StageName.INFERENCE].values_ns


def test_the_layers_of_a_loop_are_summed_and_the_trace_is_bounded(tmp_path: Path) -> None:
    helper, steps = onnx.helper, 300
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Tanh", ["s"], ["t"], "tanh")],
        "body",
        [
            helper.make_tensor_value_info(*value)
            for value in (("i", INT64, []), ("go", onnx.TensorProto.BOOL, []), ("s", FLOAT, [4]))
        ],
        [
            helper.make_tensor_value_info("goes", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("t", FLOAT, [4]),
        ],
    )
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], "steps", body=body)
    weights = {"n": np.array(steps, np.int64)}
    path = save(tmp_path / "m.onnx", [node], [("x", FLOAT, [4])], [("y", FLOAT, [4])], weights, opset=17)
    found = harness(tmp_path, path).good(RunKind.LAYERS, Measure.TIME, iterations=5).layer_pass
    assert found is not None
    assert found.iterations in (3, 4), (
        "the first after a look at the witnesses is warm-up, and five may take two windows"
    )
    assert sorted(layer.type for layer in found.layers if layer.type != "Identity") == ["Loop", "Tanh"]
    assert str(2 * steps + 1) in str(found.note)


def kernel(name: str, op: str, start: int, dur: int, index: int = 0, thread: int = 1) -> dict:
    args = {"op_name": op, "provider": "CPUExecutionProvider", "node_index": str(index)}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": dur, "tid": thread, "args": args}


def test_kernels_side_by_side_are_not_taken_for_one_inside_the_other() -> None:
    found = [
        kernel("short", "Conv", 10, 20, 1, thread=2),
        kernel("long", "Conv", 0, 100),
        {"cat": "Session", "name": "model_run", "ts": 0, "dur": 110},
    ]
    ((layers, overlap_ns),) = trace.iterations(found)
    assert {layer.name: layer.time_ns for layer in layers} == {"long": 100_000, "short": 20_000}
    assert overlap_ns == 20_000


@pytest.mark.parametrize("kind", ["Conv", "If", "Loop"])
def test_kernels_of_two_threads_are_not_cut_at_each_others_edges(kind: str) -> None:
    found = [
        kernel("inside", "Relu", 20, 30, 2, thread=2),
        kernel("other", "Conv", 10, 50, 1, thread=2),
        kernel("one", kind, 0, 100),
        {"cat": "Session", "name": "model_run", "ts": 0, "dur": 110},
    ]
    ((layers, overlap_ns),) = trace.iterations(found[1:])
    assert {layer.name: layer.time_ns for layer in layers} == {"one": 100_000, "other": 50_000}
    assert overlap_ns == 50_000


def test_one_preemption_in_a_trace_makes_no_hot_spot() -> None:
    """In the third of seven runs the small kernel lost its CPU for 4 ms."""
    found, now = [], 0
    for at in range(7):
        small, start = (4_010 if at == 2 else 10), now
        found += [kernel("small", "Add", now, small, 1), kernel("large", "Conv", now + small, 90)]
        now += small + 100
        found.append({"cat": "Session", "name": "model_run", "ts": start, "dur": now - start})
    recording = LayerRecording([run.layers for run in trace.iterations(found)], 1000)
    table = layer_table.table(layer_times.summed_up(recording, [True] * 7), 110_000)
    assert {layer.name: layer.time_ns for layer in table.layers} == {"small": 10_000, "large": 90_000}
    assert (table.lower_sum_ns, table.is_disturbed) == (100_000, False)


def test_a_trace_of_many_runs_in_a_loop_is_one_layer_for_each_node() -> None:
    found = [kernel("step", "Tanh", 10 * at, 5, 1) for at in range(10)]
    found += [kernel("loop", "Loop", 0, 100), {"cat": "Session", "name": "model_run", "ts": 0, "dur": 110}]
    ((layers, overlap_ns),) = trace.iterations(found)
    assert {layer.name: layer.time_ns for layer in layers} == {"loop": 50_000, "step": 50_000}
    assert overlap_ns == 0


def test_branches_that_run_side_by_side_keep_their_times(tmp_path: Path) -> None:
    """Two equal products on two threads: neither is cut by the other. (1.32 runs both on one of its threads, one after the other.)"""
    helper = onnx.helper
    nodes = [helper.make_node("MatMul", ["x", name], [f"y_{name}"], f"product_{name}") for name in ("x", "z")]
    nodes.append(helper.make_node("Max", ["y_x", "y_z"], ["y"], "most"))
    path = models.onnx_nodes(tmp_path / "two.onnx", nodes, {"x": (FLOAT, (500, 500)), "z": (FLOAT, (500, 500))}, ["y"])
    made = harness(tmp_path, path)
    made.options = "--onnx_options execution_mode=PARALLEL;inter_op_num_threads=2;intra_op_num_threads=1"
    found = made.good(RunKind.LAYERS, Measure.TIME, iterations=20).layer_pass
    assert found is not None
    assert sorted(layer.type for layer in found.layers) == ["MatMul", "MatMul", "Max"]
    products = [layer.lower_ns or 0 for layer in found.layers if layer.type == "MatMul"]
    assert min(products) > max(products) / 3, "neither is cut by the other"
