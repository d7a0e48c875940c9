"""ONNX Runtime's execution providers and the compute units that they run on."""

from __future__ import annotations

from collections.abc import Mapping

from dynolab.spec.measurements import ComputeUnit

UNIT_OF_PROVIDER: Mapping[str, ComputeUnit] = {
    "CPUExecutionProvider": ComputeUnit.CPU,
    "DnnlExecutionProvider": ComputeUnit.CPU,
    "XnnpackExecutionProvider": ComputeUnit.CPU,
    "CUDAExecutionProvider": ComputeUnit.GPU,
    "TensorrtExecutionProvider": ComputeUnit.GPU,
    "NvTensorRTRTXExecutionProvider": ComputeUnit.GPU,
    "ROCMExecutionProvider": ComputeUnit.GPU,
    "MIGraphXExecutionProvider": ComputeUnit.GPU,
    "DmlExecutionProvider": ComputeUnit.GPU,
    "WebGpuExecutionProvider": ComputeUnit.GPU,
    "QNNExecutionProvider": ComputeUnit.NPU,
    "VitisAIExecutionProvider": ComputeUnit.NPU,
}
"""Providers that run a whole graph by themselves; others (CoreML, NNAPI, OpenVINO) are asked for by name."""
