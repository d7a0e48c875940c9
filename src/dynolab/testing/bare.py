"""A model run by its runtime's own library, with nothing of dynolab in between: what a refusal or an odd value is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dynolab.runtimes._elements import EXTRA, element_name, packed, plain, unpacked
from dynolab.runtimes.base import Array
from dynolab.testing.operator_cases import Case

Outputs = Mapping[str, Array]


def _inputs(case: Case) -> dict[str, Array]:
    """The tensors as the model has them, those of types that numpy lacks too."""
    import onnx
    from onnx import helper

    kinds = {value.name: value.type.tensor_type.elem_type for value in onnx.load(str(case.model)).graph.input}
    found = {}
    for name, file in case.inputs.items():
        if file is not None:
            array = np.load(case.folder / file)
            wanted = helper.tensor_dtype_to_np_dtype(kinds[name]) if kinds[name] else array.dtype
            found[name] = array.astype(wanted) if array.dtype != wanted else array
    return found


def onnxruntime(case: Case) -> Outputs:
    """The outputs of a plain InferenceSession; its Python interface takes types that numpy lacks by their bytes only."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(str(case.model), providers=["CPUExecutionProvider"])
    inputs = _inputs(case)
    if all(array.dtype.isbuiltin or array.dtype.kind in "OU" for array in inputs.values()):
        outputs = session.run(None, inputs)
    else:
        outputs = [
            value.numpy()
            for value in session.run_with_ort_values(None, {name: _value(array) for name, array in inputs.items()})
        ]
    names = [node.name for node in session.get_outputs()]
    return {name: value for name, value in zip(names, outputs, strict=True) if isinstance(value, np.ndarray)}


def _value(array: Array) -> Any:
    import onnxruntime
    from onnx import helper

    if array.dtype.isbuiltin:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    plain = array.view({1: np.uint8, 2: np.uint16}[array.dtype.itemsize])
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(plain, kind)


def openvino(case: Case) -> Outputs:
    """The outputs of a plain compiled model, computed in the model's own precision."""
    import openvino

    core = openvino.Core()
    model = core.read_model(case.model)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    arrays = _inputs(case)
    names = [port.get_node().get_friendly_name() for port in model.inputs]
    request = compiled.create_infer_request()
    ports = zip(names, compiled.inputs, strict=True)
    request.infer({index: _tensor(arrays[name], port) for index, (name, port) in enumerate(ports)})
    return {name: _read(request.get_output_tensor(index), case, name) for index, name in enumerate(case.outputs)}


def _tensor(array: Array, port: Any) -> Any:
    import openvino

    if element_name(array) not in EXTRA:
        return openvino.Tensor(array)
    tensor = openvino.Tensor(port.element_type, list(array.shape))
    tensor.data.reshape(-1).view(np.uint8)[:] = packed(array)
    return tensor


def _read(tensor: Any, case: Case, name: str) -> Array:
    """OpenVINO shows types that numpy lacks as others of their size: the bytes are told what they are."""
    expected = case.outputs[name]
    if expected is None or expected[0] not in EXTRA:
        return np.array(tensor.data)
    content = np.ascontiguousarray(tensor.data).reshape(-1).view(np.uint8)
    return plain(unpacked(content, expected[0], tuple(tensor.shape)))


RUNNERS: Mapping[str, Callable[[Case], Any]] = {"onnxruntime": onnxruntime, "openvino": openvino}


def failures(runtime: str) -> tuple[type[Exception], ...]:
    """What the library raises where it refuses a model."""
    known: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError, NotImplementedError)
    if runtime == "onnxruntime":
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        found = [getattr(state, name) for name in dir(state)]
        known += tuple(one for one in found if isinstance(one, type) and issubclass(one, Exception))
    return known
