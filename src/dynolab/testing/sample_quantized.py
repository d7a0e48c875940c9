"""The document of a quantize job, made up."""

from __future__ import annotations

from dynolab.spec.compiles import OutputCheck, Side
from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact, ModelFormat
from dynolab.spec.quantizes import POOR_HERE, QUANTIZED_SCHEMA, Accuracy, Quantized
from dynolab.spec.tensors import Quantization, TensorSpec

GOOD = Accuracy((OutputCheck("classes", 0.031, 38.24),), 100, 99)
POOR = Accuracy((OutputCheck("classes", 2.4, 11.3),), 100, 41)
WARNING = Notice(
    "warning",
    POOR_HERE,
    "on this processor the quantised model computes other numbers than its file defines: 11.3 dB, 41 of 100 answers agree; "
    "processors without VNNI let sums of 8-bit products overflow, others do not",
)


def sample_quantized(
    accuracy: Accuracy | None = GOOD,
    here: Accuracy | None = None,
    *,
    held_out: bool = True,
    check_reason: str | None = None,
    notices: tuple[Notice, ...] = (),
) -> Quantized:
    """What a quantizer made of a float ONNX model."""
    return Quantized(
        schema=QUANTIZED_SCHEMA,
        name="net.onnx",
        entry="net-w8a16.onnx",
        files=(FileFact("net-w8a16.onnx", 3_800_000),),
        weights="int8",
        activations="int16",
        range_scheme="min_max",
        inputs=(TensorSpec("image", "float32", (1, 3, 224, 224)),),
        outputs=(TensorSpec("classes", "float32", (1, 1000)),),
        quantizations=(
            Quantization("image", "uint16", 0.00001526, 0),
            Quantization("classes", "uint16", 0.000412, 21034),
        ),
        source=Side(ModelFormat.ONNX, 14_900_000, 214, 3_690_000, "float32", "IR 10, ai.onnx 18"),
        quantized=Side(ModelFormat.ONNX, 3_800_000, 402, 3_690_000, "int8", "IR 10, ai.onnx 21"),
        tools={"onnx": "1.20.0", "onnxruntime": "1.23.2"},
        options="--range_scheme auto",
        calibration_samples=120,
        time_ns=9_300_000_000,
        peak_bytes=640_000_000,
        check_samples=100,
        held_out=held_out,
        accuracy=accuracy,
        accuracy_here=here,
        check_reason=check_reason,
        notices=notices,
    )
