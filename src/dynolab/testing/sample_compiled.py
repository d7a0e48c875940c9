"""The document of a compile job, made up."""

from __future__ import annotations

from dynolab.spec.compiles import COMPILED_SCHEMA, Compiled, OutputCheck, Side
from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact, ModelFormat
from dynolab.spec.tensors import Quantization, TensorSpec

CLOSE = (OutputCheck("classes", 1.2e-6, 121.3), OutputCheck("features", 3.4e-5, 98.76))
EQUAL = (OutputCheck("classes", 0.0, None), OutputCheck("features", 0.0, None))
POOR = (OutputCheck("classes", 0.31, 17.2), OutputCheck("features", 3.4e-5, 98.76))


def sample_compiled(
    checks: tuple[OutputCheck, ...] = CLOSE,
    check_reason: str | None = None,
    quantizations: tuple[Quantization, ...] = (),
) -> Compiled:
    """What a toolchain made of an exported program."""
    source = Side(ModelFormat.EXPORTED_PROGRAM, 15_012_345, None, 3_700_000, "float32", "PyTorch 2.12")
    compiled = Side(ModelFormat.ONNX, 14_890_000, 214, 3_690_000, "float32", "IR 10, ai.onnx 18")
    notice = "--compute_unit has no effect on the target onnx: an ONNX file is the same for each"
    return Compiled(
        schema=COMPILED_SCHEMA,
        target="onnx",
        name="net.pt2",
        entry="net.onnx",
        files=(FileFact("net.onnx", 14_890_000),),
        inputs=(TensorSpec("image", "float32", (1, 3, 224, 224)),),
        outputs=(TensorSpec("classes", "float32", (1, 1000)), TensorSpec("features", "float32", (1, 512, 7, 7))),
        source=source,
        compiled=compiled,
        tools={"onnx": "1.20.0", "onnxruntime": "1.23.2", "torch": "2.9.1"},
        options="--target_runtime onnx --output_names classes,features --compute_unit cpu",
        time_ns=4_210_000_000,
        peak_bytes=812_000_000,
        checks=checks,
        check_reason=check_reason,
        notices=(Notice("info", "option-without-effect", notice),),
        quantizations=quantizations,
    )
