"""AI Hub's functions that need a toolchain. No agent offers one yet: each says so, instead of not being there."""

from __future__ import annotations

from enum import Enum
from typing import Any, NoReturn

from dynolab.errors import ModelNotSupported


class QuantizeDtype(Enum):
    """The element types that AI Hub quantises to."""

    INT8 = 1
    INT16 = 3
    INT4 = 5


def _refuse(what: str) -> NoReturn:
    raise ModelNotSupported(
        f"this hub {what} no models: none of its agents has a toolchain yet",
        hint="submit_profile_job and submit_inference_job take .onnx, .tflite, .xml, .pt and .pt2 models as they are",
    )


class Toolchains:
    """The part of the client that answers for them. Every function raises :class:`ModelNotSupported`, a ``UserError``."""

    def submit_compile_job(
        self,
        model: Any,
        device: Any,
        name: str | None = None,
        input_specs: Any = None,
        options: str = "",
        single_compile: bool = True,
        calibration_data: Any = None,
        retry: bool = True,
        project: str | None = None,
    ) -> NoReturn:
        """Compile a model for a device."""
        _refuse("compiles")

    def submit_quantize_job(
        self,
        model: Any,
        calibration_data: Any,
        weights_dtype: QuantizeDtype = QuantizeDtype.INT8,
        activations_dtype: QuantizeDtype = QuantizeDtype.INT8,
        name: str | None = None,
        options: str = "",
        project: str | None = None,
    ) -> NoReturn:
        """Quantise a model."""
        _refuse("quantises")

    def submit_link_job(
        self, models: Any, device: Any, name: str | None = None, options: str = "", project: str | None = None
    ) -> NoReturn:
        """Link several models into one."""
        _refuse("links")

    def submit_compile_and_profile_jobs(
        self,
        model: Any,
        device: Any,
        name: str | None = None,
        input_specs: Any = None,
        compile_options: str = "",
        profile_options: str = "",
        single_compile: bool = True,
        calibration_data: Any = None,
        retry: bool = True,
        project: str | None = None,
    ) -> NoReturn:
        """Compile a model and profile the outcome."""
        _refuse("compiles")

    def submit_compile_and_link_jobs(
        self,
        models: Any,
        device: Any,
        name: str | None = None,
        input_specs: Any = None,
        graph_names: list[str] | None = None,
        compile_options: str | list[str] = "",
        link_options: str = "",
        retry: bool = True,
        embed_in_onnx: bool = False,
        project: str | None = None,
    ) -> NoReturn:
        """Compile several models and link the outcomes."""
        _refuse("compiles")
