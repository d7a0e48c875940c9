"""What is put right in a TFLite file after its conversion: each by its effect on what LiteRT computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from ai_edge_litert.interpreter import Interpreter

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.litert import schema
from dynolab.testing.tflite import Part, write
from dynolab.toolchains import _tflite_model as tflite


def ids(path: Path) -> Any:
    """Adds a number to ids of 64 bits, and finds the largest of a row: outputs of 64 and of 32 bits, cast from one another."""
    part = Part()
    fed = part.tensor("dynolab_input_0", "INT64", [3])
    much = part.tensor("much", "INT64", [1], value=np.array([2**40], np.int64))
    total = part.tensor("dynolab_output_0", "INT64", [3])
    small = part.tensor("dynolab_output_1", "INT32", [3])
    part.operator("ADD", [fed, much], [total], table="AddOptions")
    part.operator("CAST", [total], [small], table="CastOptions", inDataType=4, outDataType=2)
    part.inputs, part.outputs = [fed], [small, total]
    return tflite.read(write(path, part))


def named(model: Any) -> Any:
    tflite.name_ends(model, {"dynolab_input_0": "a:0"}, {"dynolab_output_0": "sum", "dynolab_output_1": "small/sum"})
    return model


def ran(path: Path, **inputs: Any) -> dict[str, Any]:
    return dict(Interpreter(str(path)).get_signature_runner()(**inputs))


def test_ends_have_the_sources_names_in_its_order(tmp_path: Path) -> None:
    model = named(ids(tmp_path / "in.tflite"))
    assert list(tflite.ends(model)) == [("input", "a:0", (3,)), ("output", "sum", (3,)), ("output", "small/sum", (3,))]
    tflite.write(model, tmp_path / "out.tflite")
    file = schema.read(tmp_path / "out.tflite")
    assert (file.input_names, file.output_names) == (("a:0",), ("sum", "small/sum"))
    found = ran(tmp_path / "out.tflite", **{"a:0": np.array([1, 2, 3], np.int64)})
    assert found["sum"].tolist() == [2**40 + 1, 2**40 + 2, 2**40 + 3]


def test_an_end_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelNotSupported, match="leaves out mask of the model's inputs"):
        tflite.name_ends(ids(tmp_path / "in.tflite"), {"dynolab_input_9": "mask"}, {})


def test_64_bits_become_32_and_casts_between_them_go(tmp_path: Path) -> None:
    model = named(ids(tmp_path / "in.tflite"))
    assert tflite.narrow(model) == 1, "one constant is beyond 32 bits"
    tflite.write(model, tmp_path / "out.tflite")
    file = schema.read(tmp_path / "out.tflite")
    assert {tensor.dtype for tensor in file.main.tensors} == {"int32"}
    assert [one.name for one in file.main.operations] == ["ADD", "MAXIMUM"], "two outputs, each with its name"
    assert file.output_names == ("sum", "small/sum")
    found = ran(tmp_path / "out.tflite", **{"a:0": np.array([-1, -2, -3], np.int32)})
    assert found["sum"].tolist() == found["small/sum"].tolist() == [2**31 - 2, 2**31 - 3, 2**31 - 4]


def test_a_cast_between_other_tensors_is_left_out(tmp_path: Path) -> None:
    part = Part()
    fed, small, total = (
        part.tensor("fed", "INT64", [2]),
        part.tensor("small", "INT32", [2]),
        part.tensor("total", "INT32", [2]),
    )
    part.operator("CAST", [fed], [small], table="CastOptions", inDataType=4, outDataType=2)
    part.operator("ADD", [small, small], [total], table="AddOptions")
    part.inputs, part.outputs = [fed], [total]
    model = tflite.read(write(tmp_path / "in.tflite", part))
    tflite.name_ends(model, {"fed": "fed"}, {"total": "total"})
    tflite.narrow(model)
    tflite.write(model, tmp_path / "out.tflite")
    assert [one.name for one in schema.read(tmp_path / "out.tflite").main.operations] == ["ADD"]
    assert ran(tmp_path / "out.tflite", fed=np.array([4, 5], np.int32))["total"].tolist() == [8, 10]


def test_to_the_end_is_no_constant_that_is_cut(tmp_path: Path) -> None:
    part = Part()
    end = part.tensor("end", "INT64", [2], value=np.array([7, 2**63 - 1], np.int64))
    fed, total = part.tensor("fed", "INT64", [2]), part.tensor("total", "INT64", [2])
    part.operator("ADD", [fed, end], [total], table="AddOptions")
    part.inputs, part.outputs = [fed], [total]
    model = tflite.read(write(tmp_path / "in.tflite", part))
    tflite.name_ends(model, {"fed": "fed"}, {"total": "total"})
    assert tflite.narrow(model) == 0
    tflite.write(model, tmp_path / "out.tflite")
    assert ran(tmp_path / "out.tflite", fed=np.zeros(2, np.int32))["total"].tolist() == [7, 2**31 - 1]


def test_outputs_that_became_32_bits_are_widened_with_a_warning(tmp_path: Path) -> None:
    model = named(ids(tmp_path / "in.tflite"))
    notices = tflite.keep_types(model, ["int64"], ["int64", "int64"])
    assert [(one.level, one.code) for one in notices] == [("warning", "integers-of-32-bits")]
    assert "small/sum" in notices[0].text
    tflite.write(model, tmp_path / "out.tflite")
    found = ran(tmp_path / "out.tflite", **{"a:0": np.array([1, 2, 3], np.int64)})
    assert (found["small/sum"].dtype, found["small/sum"].tolist()) == (np.int64, [1, 2, 3])
    again = named(ids(tmp_path / "in.tflite"))
    assert tflite.keep_types(again, ["int64"], ["int64", "int32"]) == ()
    with pytest.raises(ModelNotSupported, match="makes 'a:0' int64, and it is float32 in the source"):
        tflite.keep_types(again, ["float32"], ["int64", "int32"])


def test_variables_without_an_operator_that_keeps_a_state_are_zeros(tmp_path: Path) -> None:
    part = Part()
    fed, state, total = (part.tensor(name, "FLOAT32", [2]) for name in ("fed", "state", "total"))
    part.operator("ADD", [fed, state], [total], table="AddOptions")
    part.inputs, part.outputs = [fed], [total]
    model = tflite.read(write(tmp_path / "in.tflite", part))
    model.subgraphs[0].tensors[state].isVariable = True
    tflite.settle(model)
    assert not model.subgraphs[0].tensors[state].isVariable
    tflite.name_ends(model, {"fed": "fed"}, {"total": "total"})
    tflite.write(model, tmp_path / "out.tflite")
    assert ran(tmp_path / "out.tflite", fed=np.array([1, 2], np.float32))["total"].tolist() == [1, 2]


def test_weights_lie_where_a_multiple_of_16_bytes_stands_before_them(tmp_path: Path) -> None:
    part = Part()
    fed = part.tensor("fed", "FLOAT32", [3])
    for number in range(5):
        weight = part.tensor(f"w{number}", "FLOAT32", [3], value=np.full(3, 7777 + number, np.float32))
        made = part.tensor(f"y{number}", "FLOAT32", [3])
        part.operator("ADD", [fed, weight], [made], table="AddOptions")
        fed = made
    part.inputs, part.outputs = [0], [fed]
    tflite.write(tflite.read(write(tmp_path / "in.tflite", part)), tmp_path / "out.tflite")
    content = (tmp_path / "out.tflite").read_bytes()
    assert [content.index(np.full(3, 7777 + number, np.float32).tobytes()) % 16 for number in range(5)] == [0] * 5


def test_operators_that_no_runtime_has_are_named(tmp_path: Path) -> None:
    part = Part()
    fed, made = part.tensor("fed", "FLOAT32", [2]), part.tensor("made", "FLOAT32", [2])
    part.operator("custom:ONNX_SLICE", [fed], [made])
    part.inputs, part.outputs = [fed], [made]
    with pytest.raises(ModelNotSupported, match=r"no operators of TFLite for SLICE .*\(ONNX_SLICE\)"):
        tflite.refuse_unknown(tflite.read(write(tmp_path / "in.tflite", part)))


@pytest.mark.parametrize(
    ("source", "made"), [([1, 3, 8, 6], [1, 8, 6, 3]), ([2, "n"], [2]), ([None, 3], [-1, 4]), ([], [2])]
)
def test_other_shapes_than_the_sources_are_refused(source: list[Any], made: list[int]) -> None:
    with pytest.raises(ModelNotSupported, match=r"onnx2tf makes the shape .* of output 'y'"):
        tflite.check_shape("output", "y", source, made)


def test_shapes_that_are_the_sources_pass_and_a_scalar_is_told() -> None:
    assert tflite.check_shape("input", "x", ["n", 3, None], [-1, 3, 1]) == ()
    (notice,) = tflite.check_shape("input", "x", [], [1])
    assert notice.code == "scalar-became-list"
