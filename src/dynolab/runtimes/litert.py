"""LiteRT: ``.tflite`` models on the CPU, by the API that apps use (CompiledModel) with XNNPACK."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from dynolab.errors import Error, InferenceFailed, LoadFailed, ModelNotSupported, PluginMissing
from dynolab.runtimes import _litert_c, _tflite_facts, _tflite_schema, _xnnpack
from dynolab.runtimes._litert_c import Event
from dynolab.runtimes.base import Array, LayerRecording, Runtime, Session, Target, check_units
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.profiles import ComputeUnit, Layer, RuntimeRow
from dynolab.spec.tensors import TensorSpec

WEIGHT_CACHE = "xnnpack_weights.bin"
DELEGATES = ("xnnpack",)
WARM_UP_RUNS = 20
WARM_UP_S = 1.0
"""Warm-up of the layer pass: at most so many runs, and no new one after so many seconds."""


class LiteRtSession(Session):
    """A CompiledModel with all its tensors allocated, and after :meth:`bind` with a buffer for each input and output."""

    def __init__(self, model: Any, facts: Mapping[str, str]) -> None:
        self._model, self._facts = model, facts
        self._key = str(model.get_signature_by_index(0)["key"])
        self.inputs, self.outputs = self._specs()
        self._fed: list[Any] = []
        self._filled: list[Any] = []

    def _specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Inputs and outputs as they are now. Asking for the outputs' shapes makes LiteRT allocate all tensors."""
        details = self._model.get_input_tensor_details(self._key), self._model.get_output_tensor_details(self._key)
        inputs, outputs = (
            tuple(TensorSpec(name, str(item["dtype"]), tuple(item["shape"])) for name, item in side.items())
            for side in details
        )
        return inputs, outputs

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Give inputs the shapes that differ from the file's."""
        for index, spec in enumerate(self.inputs):
            if shapes.get(spec.name, spec.shape) != spec.shape:
                self._model.resize_input_tensor(index, list(shapes[spec.name]))
        self.inputs, self.outputs = self._specs()

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        """LiteRT's own buffers, which it uses in place. Written as bytes: ``TensorBuffer`` knows few element types."""
        self._fed, self._filled = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        for spec, buffer in zip(self.inputs, self._fed, strict=True):
            array = np.ascontiguousarray(inputs[spec.name])
            if array.shape != spec.shape:
                raise InferenceFailed(f"input {spec.name!r} is {spec.shape_text}, it was given {list(array.shape)}")
            buffer.write(array.reshape(-1).view(np.uint8))
