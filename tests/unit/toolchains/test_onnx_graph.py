"""Changes to an ONNX graph's inputs and outputs: each by its effect on what the model computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper

from dynolab.errors import SpecInvalid
from dynolab.spec.compiles import InputSpec
from dynolab.toolchains import _onnx_graph as graphs


def model(nodes: Sequence[Any], inputs: dict[str, Any], outputs: dict[str, Any], weights: Sequence[Any] = ()) -> Any:
    """A checked model; inputs and outputs are (type, shape) by name."""
    values = [[helper.make_tensor_value_info(name, *one) for name, one in side.items()] for side in (inputs, outputs)]
    made = helper.make_model(
        helper.make_graph(list(nodes), "g", *values, list(weights)),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(made)
    return made


def run(made: Any, **inputs: Any) -> list[Any]:
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def names(made: Any) -> tuple[list[str], list[str]]:
    return [value.name for value in made.graph.input], [value.name for value in made.graph.output]


def shapes(made: Any) -> dict[str, list[int | str]]:
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*made.graph.input, *made.graph.output)
    }


@pytest.fixture
def picture() -> Any:
    """Doubles a picture and finds its brightest channel."""
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["y"]),
        helper.make_node("ArgMax", ["y"], ["top"], axis=1, keepdims=0),
    ]
    return model(
        nodes,
        {"x": (TensorProto.FLOAT, ["n", 3, "h", "w"])},
        {"y": (TensorProto.FLOAT, ["n", 3, "h", "w"]), "top": (TensorProto.INT64, ["n", "h", "w"])},
        [two],
    )


def test_a_dimensions_name_stands_for_one_size_everywhere(picture: Any) -> None:
    graphs.fix_shapes(picture, {"x": InputSpec((1, 3, 4, 5))})
    assert shapes(picture) == {"x": [1, 3, 4, 5], "y": [1, 3, 4, 5], "top": [1, 4, 5]}


def test_open_dimensions_without_a_name_are_no_dimension_of_one_name() -> None:
    made = model(
        [helper.make_node("Relu", ["x"], ["y"])],
        {"x": (TensorProto.FLOAT, ["?", "?"])},
        {"y": (TensorProto.FLOAT, ["?", "?"])},
    )
    graphs.fix_shapes(made, {"x": InputSpec((2, 3))})
    assert shapes(made)["x"] == [2, 3]


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        ({"z": InputSpec((1,))}, "no input named 'z'"),
        ({"x": InputSpec((1, 3, 4))}, r"has the shape \[\?, 3, \?, \?\], and \[1, 3, 4\]"),
        ({"x": InputSpec((1, 4, 4, 4))}, r"and \[1, 4, 4, 4\] does not fit"),
        ({"x": InputSpec((1, 3, 4, 4), "float16")}, "is float32, and float16 was asked for"),
    ],
)
def test_specs_that_do_not_fit_are_refused(picture: Any, specs: dict[str, InputSpec], told: str) -> None:
    with pytest.raises(SpecInvalid, match=told):
        graphs.check_specs(picture.graph, specs)


def test_one_name_for_two_sizes_is_refused() -> None:
    made = model(
        [helper.make_node("MatMul", ["x", "x"], ["y"])],
        {"x": (TensorProto.FLOAT, ["n", "n"])},
        {"y": (TensorProto.FLOAT, ["n", "n"])},
    )
    with pytest.raises(SpecInvalid, match="'n' is given both 2 and 3"):
        graphs.fix_shapes(made, {"x": InputSpec((2, 3))})


def test_inputs_and_outputs_get_other_names_and_compute_the_same(picture: Any) -> None:
    x = np.random.default_rng(0).random((1, 3, 2, 2), dtype=np.float32)
    before = run(picture, x=x)
    graphs.name_inputs(picture, ["image"])
    graphs.name_outputs(picture, ["top", "y"])  # each the other's
    assert names(picture) == (["image"], ["top", "y"])
    for a, b in zip(before, run(picture, image=x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_output_that_is_an_input_as_well_can_be_named() -> None:
    made = model(
        [helper.make_node("Relu", ["x"], ["y"])],
        {"x": (TensorProto.FLOAT, [2])},
        {"x": (TensorProto.FLOAT, [2]), "y": (TensorProto.FLOAT, [2])},
    )
    graphs.name_outputs(made, ["same", "relu"])
    assert names(made) == (["x"], ["same", "relu"])
    same, relu = run(made, x=np.array([-1, 1], np.float32))
    assert (same.tolist(), relu.tolist()) == ([-1, 1], [0, 1])


def test_names_in_branches_follow() -> None:
    branch = [
        helper.make_graph([helper.make_node(op, ["x"], ["out"])], op, [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [2])])
        for op in ("Relu", "Neg")
    ]  # fmt: skip
    made = model(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch[0], else_branch=branch[1])],
        {"c": (TensorProto.BOOL, []), "x": (TensorProto.FLOAT, [2])},
        {"y": (TensorProto.FLOAT, [2])},
    )
    graphs.name_inputs(made, ["flag", "value"])
    value = np.array([-1, 1], np.float32)
    assert run(made, flag=np.array(False), value=value)[0].tolist() == [1, -1]


@pytest.mark.parametrize(
    ("given", "told"),
    [(["one"], "holds 1 names, and the model has 2 outputs"), (["two", "b"], "'two' is another tensor's")],
)
def test_output_names_that_cannot_be_given_are_refused(picture: Any, given: list[str], told: str) -> None:
    with pytest.raises(SpecInvalid, match=told):
        graphs.name_outputs(picture, given)


def test_another_number_of_inputs_is_refused(picture: Any) -> None:
    with pytest.raises(SpecInvalid, match="2 inputs have specs, and the model has 1"):
        graphs.name_inputs(picture, ["a", "b"])


def test_64_bit_integers_are_32_bit_ones_outside_and_themselves_inside() -> None:
    big = helper.make_tensor("big", TensorProto.INT64, [], [2**40])
    made = model(
        [
            helper.make_node("Add", ["ids", "big"], ["sum"]),
            helper.make_node("Sub", ["sum", "big"], ["back"]),
        ],
        {"ids": (TensorProto.INT64, [3])},
        {"back": (TensorProto.INT64, [3])},
        [big],
    )
    graphs.narrow_64_bits(made)
    (back,) = run(made, ids=np.array([1, 2, 3], np.int32))
    assert (back.dtype, back.tolist()) == (np.int32, [1, 2, 3])


def test_channels_come_last_and_go_last(picture: Any) -> None:
    x = np.random.default_rng(0).random((1, 3, 4, 5), dtype=np.float32)
    y, top = run(picture, x=x)
    graphs.channel_last(picture, ["x"], ["y"])
    assert shapes(picture)["x"] == ["n", "h", "w", 3]
    assert shapes(picture)["y"] == ["n", "h", "w", 3]
    after, same = run(picture, x=np.moveaxis(x, 1, -1))
    np.testing.assert_array_equal(np.moveaxis(y, 1, -1), after)
    np.testing.assert_array_equal(top, same)


def test_an_output_comes_out_of_a_flat_tensor_and_so_does_what_uses_it(picture: Any) -> None:
    x = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    before = run(picture, x=x)
    graphs.keep_order(picture, "y", [-1, 3, 4, 5])
    assert [node.op_type for node in picture.graph.node] == ["Mul", "Reshape", "Reshape", "ArgMax"]
    assert picture.graph.node[3].input[0] == "y"
    for a, b in zip(before, run(picture, x=x), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        (["z"], [], "--force_channel_last_input names 'z'"),
        ([], ["x"], "--force_channel_last_output names 'x'"),
    ],
)
def test_channels_of_nothing_are_refused(picture: Any, inputs: list[str], outputs: list[str], told: str) -> None:
    with pytest.raises(SpecInvalid, match=told):
        graphs.channel_last(picture, inputs, outputs)


def test_two_dimensions_have_no_channels() -> None:
    made = model(
        [helper.make_node("Relu", ["x"], ["y"])],
        {"x": (TensorProto.FLOAT, [2, 3])},
        {"y": (TensorProto.FLOAT, [2, 3])},
    )
    with pytest.raises(SpecInvalid, match="'x' has 2 dimensions"):
        graphs.channel_last(made, ["x"], [])
