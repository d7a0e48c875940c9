"""What a request for a model that no agent makes is answered."""

from __future__ import annotations

import pytest

from dynolab.spec.toolchain_support import no_toolchain

MEASURING_ONLY = ()
WITHOUT_TORCH = ("onnx/onnx", "quantize/onnx")
ALL = ("onnx/onnx", "onnx/torchscript", "tflite/torchscript", "tflite/tflite", "quantize/onnx", "quantize/tflite")


@pytest.mark.parametrize(
    ("wanted", "offered", "hint"),
    [
        ("onnx/onnx", MEASURING_ONLY, "pip install 'dynolab[compile]'"),
        ("onnx/torchscript", MEASURING_ONLY, "pip install 'dynolab[compile,torch]'"),
        ("onnx/exported_program", WITHOUT_TORCH, "pip install 'dynolab[compile,torch]'"),
        ("onnx/exported_program", ALL, "onnx is made from: onnx, torchscript"),
        ("onnx/tflite", WITHOUT_TORCH, "onnx is made from: onnx"),
        ("qnn_dlc/onnx", WITHOUT_TORCH, "there are: onnx"),
        ("quantize/torchscript", ALL, "compile it for onnx or tflite first, and quantise what is made"),
        ("quantize/torchscript", WITHOUT_TORCH, "kinds that are: onnx"),
        ("quantize/tflite", WITHOUT_TORCH, "kinds that are: onnx"),
        ("link/onnx", ("link/qnn_dlc",), "kinds that are: qnn_dlc"),
    ],
)
def test_the_way_out_is_told(wanted: str, offered: tuple[str, ...], hint: str) -> None:
    error = no_toolchain(wanted, offered)
    assert hint in str(error.hint)
