"""Compiling, through the confined process: the model is the source's in other files, and what cannot be done is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from dynolab import errors, plugins
from dynolab.connections.base import this_machine
from dynolab.jobs.base import Context
from dynolab.jobs.compile import RESULT_FILE, compile_model
from dynolab.jobs.profile import profile
from dynolab.spec import codec
from dynolab.spec.compiles import Compiled, CompileSpec, InputSpec, Numbers
from dynolab.spec.models import ModelFormat
from dynolab.spec.show import show_bytes
from dynolab.testing import tflite
from dynolab.testing.commands import command
from dynolab.toolchains.base import PACKAGE, toolchain_named

OCR = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()


def compiled(model: Path, folder: Path, options: str = "", **more: Any) -> Compiled:
    spec = CompileSpec(model=model, folder=folder, options=options, **more)
    made = compile_model(spec, Context(this_machine(), lambda _: None))
    assert not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("compile-*")), "nothing is left behind"
    return made


def small(path: Path, **changes: Any) -> Path:
    """Two layers, the second of which a constant folds into the first's place: ids and a picture in, two outputs."""
    weights = numpy_helper.from_array(np.random.default_rng(0).random((4, 3, 1, 1), dtype=np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["picture", "w"], ["c"]),
        helper.make_node("Identity", ["c"], ["same"]),
        helper.make_node("Relu", ["same"], ["features"]),
        helper.make_node("Add", ["ids", "ids"], ["twice"]),
    ]
    values = {
        "picture": (TensorProto.FLOAT, ["n", 3, "h", "w"]),
        "ids": (TensorProto.INT64, ["n"]),
        "features": (TensorProto.FLOAT, ["n", 4, "h", "w"]),
        "twice": (TensorProto.INT64, ["n"]),
    }
    infos = {name: helper.make_tensor_value_info(name, *one) for name, one in values.items()}
    graph = helper.make_graph(
        nodes, "g", [infos["picture"], infos["ids"]], [infos["features"], infos["twice"]], [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, str(path), **changes)
    return path


SPECS = {"picture": InputSpec((1, 3, 8, 6)), "ids": InputSpec((1,), "int64")}


def test_a_real_model_gets_smaller_and_computes_the_same(tmp_path: Path) -> None:
    made = compiled(OCR, tmp_path / "out", input_specs={"x": InputSpec((1, 3, 48, 192))})
    assert made.numbers in (Numbers.EQUAL, Numbers.CLOSE)
    assert made.lowest_psnr_db is None or made.lowest_psnr_db > 100
    assert made.compiled.operators is not None
    assert made.source.operators is not None
    assert made.compiled.operators < made.source.operators
    assert [one.shape for one in made.inputs] == [(1, 3, 48, 192)]
    assert made.time_ns > 0
    assert 10**7 < made.peak_bytes < 10**9
    model = onnx.load(str(tmp_path / "out" / made.entry))
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain for entry in model.opset_import} == {""}, "another runtime knows all of its operators"
    document = json.loads((tmp_path / "out" / RESULT_FILE).read_text())
    assert codec.decode(Compiled, document) == made


def test_options_have_their_effect(tmp_path: Path) -> None:
    options = (
        "--output_names map,doubled --truncate_64bit_io --force_channel_last_input picture"
        " --force_channel_last_output map"
    )
    made = compiled(small(tmp_path / "net.onnx"), tmp_path / "out", options, input_specs=SPECS)
    assert [(one.name, one.dtype, one.shape) for one in (*made.inputs, *made.outputs)] == [
        ("picture", "float32", (1, 8, 6, 3)),
        ("ids", "int32", (1,)),
        ("map", "float32", (1, 8, 6, 4)),
        ("doubled", "int32", (1,)),
    ]
    assert [one.is_equal for one in made.checks] == [True, True]
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "net.onnx"))
    found = session.run(None, {"picture": np.ones((1, 8, 6, 3), np.float32), "ids": np.array([21], np.int32)})
    assert (found[0].shape, found[1].tolist()) == ((1, 8, 6, 4), [42])


def test_shapes_that_are_not_given_stay_open(tmp_path: Path) -> None:
    made = compiled(small(tmp_path / "net.onnx"), tmp_path / "out")
    assert [one.shape for one in made.inputs] == [("n", 3, "h", "w"), ("n",)]
    assert all(one.is_equal for one in made.checks)


def test_weights_that_are_listed_as_inputs_are_none(tmp_path: Path) -> None:
    model = onnx.load(str(small(tmp_path / "net.onnx")))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]))
    model.graph.node.append(helper.make_node("Add", ["features", "zeros"], ["sum"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 4, 1, 1], np.int64), "sizes"))
    model.graph.input.append(helper.make_tensor_value_info("sizes", TensorProto.INT64, [4]))
    model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 4, "h", "w"]))
    onnx.save_model(model, str(tmp_path / "old.onnx"))
    made = compiled(tmp_path / "old.onnx", tmp_path / "out", input_specs=SPECS)
    assert [one.name for one in made.inputs] == ["picture", "ids"]
    assert all(one.is_equal for one in made.checks)
    assert len(made.checks) == 3


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_weights_outside_the_file_come_along(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    small(folder / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=0)
    model = Path(shutil.make_archive(str(folder), "zip", folder)) if packed else folder
    made = compiled(model, tmp_path / "out", input_specs=SPECS)
    assert all(one.is_equal for one in made.checks)
    assert made.entry == "model.onnx"


def test_what_the_official_client_always_sends_is_a_notice(tmp_path: Path) -> None:
    made = compiled(small(tmp_path / "net.onnx"), tmp_path / "out", "--quantize_io --compute_unit npu")
    told = [notice.text for notice in made.notices]
    assert told == [
        "--compute_unit has no effect on the target onnx: an ONNX file is the same for each",
        "--quantize_io leaves picture, features as they are: the model does not quantise them",
    ]


def torch_model(folder: Path, kind: ModelFormat) -> Path:
    if "torch" not in REQUIRED:
        pytest.importorskip("torch")
    if (reason := toolchain_named("onnx").unavailable(kind)) is not None and "torch" not in REQUIRED:
        pytest.skip(reason)
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)

        def forward(self, image: Any, scale: Any) -> Any:
            found = torch.relu(self.norm(self.conv(image))) * scale.float()
            return found, found.mean((2, 3)).argmax(1)

    net, example = Net().eval(), (torch.rand(1, 3, 8, 8), torch.ones(1, dtype=torch.int64))
    if kind == ModelFormat.TORCHSCRIPT:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit, which is what this is about
            torch.jit.save(torch.jit.trace(net, example), str(folder / "net.pt"))
        return folder / "net.pt"
    torch.export.save(torch.export.export(net, example), str(folder / "net.pt2"))
    return folder / "net.pt2"


def test_a_script_that_was_not_traced_needs_shapes(tmp_path: Path) -> None:
    torch_model(tmp_path, ModelFormat.TORCHSCRIPT)
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit, which is what this is about
        torch.jit.save(torch.jit.script(torch.nn.Linear(4, 2).eval()), str(tmp_path / "script.pt"))
    refused(errors.SpecInvalid, "does not record the shape", tmp_path / "script.pt", tmp_path / "no")
    made = compiled(tmp_path / "script.pt", tmp_path / "out", input_specs={"x": InputSpec((3, 4))})
    assert [(one.name, one.shape) for one in made.inputs] == [("x", (3, 4))]
    assert (made.check_reason, made.source.file_bytes > 0) == (None, True)


@pytest.mark.parametrize("kind", [ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM])
def test_pytorchs_models_become_onnx_with_the_names_that_are_asked_for(tmp_path: Path, kind: ModelFormat) -> None:
    made = compiled(
        torch_model(tmp_path, kind),
        tmp_path / "out",
        "--output_names map,top --truncate_64bit_io --force_channel_last_input picture --force_channel_last_output map",
        input_specs={"picture": InputSpec((1, 3, 8, 8)), "factor": InputSpec((1,), "int64")},
    )
    assert [(one.name, one.dtype, one.shape) for one in (*made.inputs, *made.outputs)] == [
        ("picture", "float32", (1, 8, 8, 3)),
        ("factor", "int32", (1,)),
        ("map", "float32", (1, 6, 6, 4)),
        ("top", "int32", (1,)),
    ]
    assert made.check_reason is None
    assert all(one.is_equal or (one.psnr_db or 0) > 100 for one in made.checks)
    assert made.source.operators is not None
    assert made.tools.keys() == dict.fromkeys(toolchain_named("onnx").sources[kind]).keys()


@pytest.mark.parametrize(
    "kind", [pytest.param(ModelFormat.TORCHSCRIPT, marks=pytest.mark.slow), ModelFormat.EXPORTED_PROGRAM]
)  # each runs g++ for most of a minute
def test_aotinductor_makes_a_package_that_computes_the_same_and_is_loaded_by_nobody_here(
    tmp_path: Path, kind: ModelFormat
) -> None:
    pytest.importorskip("torch")
    specs = {"picture": InputSpec((1, 3, 8, 8)), "factor": InputSpec((1,), "int64")}
    source = torch_model(tmp_path, kind)
    made = compiled(source, tmp_path / "out", "--target_runtime torch --compute_unit cpu", input_specs=specs)
    assert [(one.name, one.dtype, one.shape) for one in made.inputs] == [
        ("picture", "float32", (1, 3, 8, 8)),
        ("factor", "int64", (1,)),
    ]
    assert made.check_reason is None
    assert len(made.checks) == 2
    assert all(one.is_equal or (one.psnr_db or 0) > 100 for one in made.checks)
    assert "AOTInductor, PyTorch" in (made.compiled.schema or "")
    assert [one.code for one in made.notices] == ["option-without-effect", "native-code"]
    with pytest.raises(errors.ModelNotSupported, match="nothing on this machine measures aot_inductor models"):
        profile(tmp_path / "out" / made.entry)
    if kind == ModelFormat.EXPORTED_PROGRAM:  # a script takes what it is given
        wrong = {**specs, "picture": InputSpec((1, 3, 9, 9), "float64")}
        refused(errors.SpecInvalid, "float64", source, tmp_path / "no", "--target_runtime torch", input_specs=wrong)


def refused(kind: type[errors.Error], told: str, model: Path, folder: Path, options: str = "", **more: Any) -> None:
    with pytest.raises(kind, match=told):
        compiled(model, folder, options, **more)
    assert not folder.exists(), "nothing is made of what is refused"


def test_bad_models_are_refused_by_name(tmp_path: Path) -> None:
    out, junk = tmp_path / "out", tmp_path / "junk.onnx"
    junk.write_bytes(b"\x08\x07 no model at all" * 40)
    refused(errors.UserError, "junk.onnx", junk, out)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(OCR.read_bytes()[:100_000])
    refused(errors.UserError, "cut.onnx", cut, out)
    outside = tmp_path / "outside.onnx"
    model = onnx.load(str(small(tmp_path / "net.onnx")))
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    outside.write_bytes(model.SerializeToString())
    refused(errors.ModelInvalid, "outside its folder", outside, out)


def test_numbers_that_take_more_memory_than_there_is_are_not_known_and_the_model_is_made(tmp_path: Path) -> None:
    model = onnx.load(str(small(tmp_path / "net.onnx")))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["big"], ["much"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 40], np.int64), "big"))
    model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, []))
    onnx.save_model(model, str(tmp_path / "huge.onnx"))
    made = compiled(tmp_path / "huge.onnx", tmp_path / "out", memory_limit_bytes=1 << 30)
    assert (tmp_path / "out" / made.entry).is_file()
    assert made.checks == ()
    assert made.check_reason is not None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--target_runtime tflight", "no toolchain makes the target 'tflight'"),
        ("--truncate_64bit_tensors", "the target onnx has no --truncate_64bit_tensors where it is made from onnx"),
        ("--output_names a", "holds 1 names, and the model has 2 outputs"),
        ("--force_channel_last_input ids", "'ids' has 1 dimensions"),
        ("--compile_for x", "there is no option --compile_for"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused(tmp_path: Path, options: str, told: str) -> None:
    refused(errors.UserError, told, small(tmp_path / "net.onnx"), tmp_path / "out", options)


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        ({"x": InputSpec((1,))}, "no input named 'x'"),
        ({"picture": InputSpec((1, 4, 8, 8))}, r"\[1, 4, 8, 8\] does not fit"),
        ({"ids": InputSpec((1,))}, "is int64, and float32 was asked for"),
        ({"ids": InputSpec((1,), "int128")}, "no element type 'int128'"),
        ({"ids": InputSpec((0,), "int64")}, "is no size of a tensor"),
    ],
)
def test_specs_that_do_not_fit_are_refused(tmp_path: Path, specs: dict[str, InputSpec], told: str) -> None:
    refused(errors.SpecInvalid, told, small(tmp_path / "net.onnx"), tmp_path / "out", input_specs=specs)


def test_a_source_of_another_format_a_full_folder_and_too_little_time_are_refused(tmp_path: Path) -> None:
    model, out = small(tmp_path / "net.onnx"), tmp_path / "out"
    refused(errors.ModelNotSupported, "is not made from tflite", OCR.with_name("mlperf_tiny_kws_int8.tflite"), out)
    refused(errors.ModelNotSupported, "is not compiled within 0.01 s", model, out, timeout_s=0.01)
    refused(errors.SpecInvalid, "seconds above 0", model, out, timeout_s=0.0)
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(errors.Conflict, match="not an empty folder"):
        compiled(model, out)
    assert [path.name for path in out.iterdir()] == ["mine"]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def dynolab(*arguments: str | Path, cwd: Path) -> Answer:
    done = command(*arguments, cwd=cwd)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_the_command_tells_the_numbers_first_and_where_the_model_is(tmp_path: Path) -> None:
    small(tmp_path / "net.onnx")
    specs = ("--input-specs", "picture=1,3,8,6", "--input-specs", "ids=1:int64")
    done = dynolab("compile", "net.onnx", "-o", "out", *specs, cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "net.onnx -> net.onnx  the same numbers, bit by bit"
    assert lines[-1] == "compiled: out/net.onnx"
    assert "[1, 4, 8, 6]" in done.out
    default = dynolab("compile", "net.onnx", cwd=tmp_path)
    assert (default.code, default.out.splitlines()[-1]) == (0, "compiled: net-onnx/net.onnx")
    again = dynolab("compile", "net.onnx", "-o", "out", cwd=tmp_path)
    assert (again.code, "not an empty folder" in again.err) == (2, True)


def test_both_are_profiled_side_by_side_when_that_is_asked_for(tmp_path: Path) -> None:
    small(tmp_path / "net.onnx")
    specs = [word for one in ("picture=1,3,8,8", "ids=1:int64") for word in ("--input-specs", one)]
    done = dynolab("compile", "net.onnx", *specs, "-o", "made", "--measure", cwd=tmp_path)
    assert done.code == 0, done.err
    report = done.out[done.out.index("compiled: ") :]
    sizes = [(tmp_path / place / "net.onnx").stat().st_size for place in (".", "made")]
    assert all(f"net.onnx, {show_bytes(size)}" in report for size in sizes)
    both = dynolab("compile", "net.onnx", *specs, "-o", "other", "--measure", "--json", cwd=tmp_path)
    assert (both.code, (tmp_path / "other").exists()) == (2, False)


def test_the_list_of_targets_names_each(tmp_path: Path) -> None:
    done = dynolab("toolchains", "--json", cwd=tmp_path)
    rows = {row["name"]: row for row in json.loads(done.out)["targets"]}
    assert sorted(rows) == plugins.names(PACKAGE)
    assert rows["onnx"]["sources"]["onnx"] is None
    assert "onnx" in rows["onnx"]["versions"]


# ---- the target openvino ---------------------------------------------------------------------------------------------


@pytest.fixture
def openvino() -> Any:
    return pytest.importorskip("openvino")


def test_openvinos_ir_computes_the_same_and_keeps_names(tmp_path: Path, openvino: Any) -> None:
    options = "--target_runtime openvino --output_names map,doubled --force_channel_last_input picture"
    made = compiled(small(tmp_path / "net.onnx"), tmp_path / "out", options, input_specs=SPECS)
    assert (made.entry, [file.path for file in made.files]) == ("net.xml", ["net.bin", "net.xml"])
    assert [(one.name, one.dtype, one.shape) for one in (*made.inputs, *made.outputs)] == [
        ("picture", "float32", (1, 8, 6, 3)),
        ("ids", "int64", (1,)),
        ("map", "float32", (1, 4, 8, 6)),
        ("doubled", "int64", (1,)),
    ]
    assert made.check_reason is None
    assert all(one.is_equal or (one.psnr_db or 0) > 100 for one in made.checks)
    model = openvino.Core().read_model(str(tmp_path / "out" / "net.xml"))
    assert [port.any_name for port in model.outputs] == ["map", "doubled"]


def test_where_poor_numbers_part_is_said(tmp_path: Path, openvino: Any) -> None:
    """OpenVINO draws other random numbers than ONNX Runtime: nothing that follows from them could be the same."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in ("x", "y")]
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["squared"], name="square"),
        helper.make_node("RandomUniformLike", ["squared"], ["noise"], name="dice"),
        helper.make_node("Add", ["squared", "noise"], ["y"], name="blur"),
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    onnx.save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(tmp_path / "net.onnx")
    )
    made = compiled(tmp_path / "net.onnx", tmp_path / "out", "--target_runtime openvino")
    assert made.numbers is Numbers.POOR
    [told] = [notice.text for notice in made.notices if notice.code == "parts-first"]
    assert re.match(
        r"the numbers part first at (dice|blur) \(\w+\), exact in, \d+\.\d dB out; most noise comes from ", told
    )


def test_weights_in_half_the_bytes_are_nearly_the_same(tmp_path: Path, openvino: Any) -> None:
    sizes = {}
    for name, more in (("whole", ""), ("half", " --quantize_weight_type float16")):
        made = compiled(
            OCR, tmp_path / name, f"--target_runtime openvino{more}", input_specs={"x": InputSpec((1, 3, 48, 192))}
        )
        sizes[name] = next(file.bytes for file in made.files if file.path.endswith(".bin"))
        assert made.numbers in (Numbers.EQUAL, Numbers.CLOSE)
        assert made.lowest_psnr_db is None or made.lowest_psnr_db > 40
    assert sizes["half"] < 0.6 * sizes["whole"]


def test_ir_has_the_names_of_a_tflite_files_signature(tmp_path: Path, openvino: Any) -> None:
    pytest.importorskip("ai_edge_litert")
    part = tflite.Part()
    ends = [part.tensor(f"serving_default_{name}:0", "FLOAT32", [1, 4]) for name in ("right", "left", "sum")]
    part.operator("ADD", ends[:2], ends[2:], table="AddOptions")
    part.inputs, part.outputs = ends[:2], ends[2:]
    signed = {ends[1]: "left", ends[0]: "right"}, {ends[2]: "sum"}
    tflite.write(tmp_path / "net.tflite", part, names=signed)
    specs = {"left": InputSpec((1, 4))}
    made = compiled(tmp_path / "net.tflite", tmp_path / "out", "--target_runtime openvino", input_specs=specs)
    assert {one.name for one in made.inputs} == {"left", "right"}
    assert [one.name for one in made.outputs] == ["sum"]
    assert made.check_reason is None
    assert made.checks[0].is_equal


def test_tflite_becomes_ir_and_takes_no_options_of_onnx(tmp_path: Path, openvino: Any) -> None:
    pytest.importorskip("ai_edge_litert")
    model = OCR.with_name("mlperf_tiny_kws_int8.tflite")
    made = compiled(model, tmp_path / "out", "--target_runtime openvino")
    assert made.entry == "mlperf_tiny_kws_int8.xml"
    assert made.check_reason is None
    assert [one.max_abs_error is not None for one in made.checks] == [True]
    told = "the target openvino has no --output_names where it is made from tflite"
    refused(errors.ModelNotSupported, told, model, tmp_path / "no", "--target_runtime openvino --output_names a")
