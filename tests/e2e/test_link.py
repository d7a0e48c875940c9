"""Linking, by Qualcomm's real compiler, through the confined process and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip(
    "onnxruntime_qnn", reason="onnxruntime-qnn is not installed (extra qnn, x86_64 Linux): nothing is linked"
)

import onnx
from onnx import TensorProto, helper

from dynolab import errors
from dynolab.connections.base import this_machine
from dynolab.jobs.base import Context
from dynolab.jobs.compile import compile_model
from dynolab.jobs.link import RESULT_FILE, link_models
from dynolab.spec import codec
from dynolab.spec.compiles import CompileSpec, InputSpec
from dynolab.spec.links import Linked, LinkSource, LinkSpec
from dynolab.testing.commands import command

OCR = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
CONTEXT = Context(this_machine(), lambda _: None)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One real network for two sizes of its input, each as `dynolab compile` leaves it."""
    root = tmp_path_factory.mktemp("compiled")
    for name, width in (("narrow", 32), ("wide", 64)):
        options = f"--target_runtime qnn_dlc --output_names {name}"
        specs = {"x": InputSpec((1, 3, 32, width))}
        compile_model(CompileSpec(OCR, root / name, options, specs, chipset="sm8550"), CONTEXT)
    return [root / "narrow", root / "wide"]


def linked(folder: Path, *models: Path, chipset: str = "sm8550", options: str = "") -> Linked:
    return link_models(LinkSpec(tuple(map(LinkSource, models)), folder, chipset, options), CONTEXT)


def test_common_weights_stand_once(tmp_path: Path, sizes: list[Path]) -> None:
    done = command("link", *sizes, "--chipset", "v73", "-o", tmp_path / "both")
    assert done.returncode == 0, done.stderr
    assert "2 graphs" in done.stdout
    assert "its numbers were not compared" in " ".join(done.stdout.split())
    made = codec.decode(Linked, json.loads((tmp_path / "both" / RESULT_FILE).read_text()))
    assert made.separate_bytes is not None
    assert made.file_bytes < 0.8 * made.separate_bytes
    binary = (tmp_path / "both" / made.entry).read_bytes()
    assert len(binary) == made.file_bytes
    assert [one.outputs[0].name for one in made.graphs] == ["narrow", "wide"]
    assert [one.inputs[0].shape for one in made.graphs] == [(1, 3, 32, 32), (1, 3, 32, 64)]
    assert made.npu.graphs == tuple(one.name for one in made.graphs)
    assert len(set(made.npu.graphs)) == 2
    assert all(one.encode() in binary for one in made.npu.graphs)
    assert (made.npu.soc_model, made.npu.hexagon) == (43, "v73")
    assert {"not-run-on-a-device", "not-compared"} <= {notice.code for notice in made.notices}


def test_one_model_is_a_file_of_its_own(tmp_path: Path, sizes: list[Path]) -> None:
    (dlc,) = sizes[0].glob("*.dlc")
    made = linked(tmp_path / "one", dlc, options="--qnn_options context_enable_graphs=net --qairt_version default")
    assert len(made.graphs) == 1
    assert made.separate_bytes is None
    assert {notice.code for notice in made.notices} == {"not-run-on-a-device", "option-without-effect"}


def test_the_model_at_fault_is_named(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, [2, 4, 4])],
        [value("y", TensorProto.FLOAT, [2])],
    )
    onnx.save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(tmp_path / "det.onnx")
    )
    with pytest.raises(errors.ModelNotSupported, match=r"^det\.onnx: the NPU of SM8550"):
        linked(tmp_path / "out", tmp_path / "det.onnx")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_linked_is_refused(tmp_path: Path, sizes: list[Path]) -> None:
    lone = tmp_path / "lone.dlc"
    lone.write_bytes(b"PK")
    with pytest.raises(errors.ModelNotSupported, match=r"lone\.dlc cannot be linked: graphs are linked while"):
        linked(tmp_path / "out", lone, sizes[0])
    with pytest.raises(errors.SpecInvalid, match="none is named"):
        linked(tmp_path / "out", *sizes, chipset="")
    with pytest.raises(errors.SpecInvalid, match="0 models are to be linked"):
        linked(tmp_path / "out")
    with pytest.raises(errors.SpecInvalid, match=r"--qairt_version 2\.40"):
        linked(tmp_path / "out", *sizes, options="--qairt_version 2.40")
    assert not (tmp_path / "out").exists()
