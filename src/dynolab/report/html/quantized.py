"""A quantised model worked out for a page: the answer, what changed, its tensors with their scales and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynolab.report.base import Say
from dynolab.report.html.compiled import Change, changes, decibels
from dynolab.spec.compiles import OutputCheck
from dynolab.spec.measurements import Notice
from dynolab.spec.quantizes import POOR_FILE, POOR_HERE, POOR_PSNR_DB, Accuracy, Quantized
from dynolab.spec.show import show_bytes, show_time
from dynolab.spec.tensors import Quantization, TensorSpec

_POOR = (POOR_FILE, POOR_HERE)


@dataclass(frozen=True, slots=True)
class Figures:
    """How far a quantised model is from the float model. ``word`` is ``equal``, ``psnr`` or ``none``: that of its worst output."""

    word: str
    psnr: str
    answers: int | None
    agreeing: int | None
    is_poor: bool


@dataclass(frozen=True, slots=True)
class QuantizedRow:
    """An input or output: its integers, where it has some, and of an output how far it is from the float model's."""

    is_output: bool
    name: str
    dtype: str
    shape: str
    integer: str | None
    scale: str | None
    zero_point: int | None
    error: str | None
    """The largest one; empty: there is none, the numbers are the same."""
    psnr: str | None
    is_poor: bool
    reason: str | None
    """Why its numbers were not compared, in English."""


@dataclass(frozen=True, slots=True)
class QuantizedView:
    """What a page says of a quantised model."""

    name: str
    entry: str
    sizes: tuple[str, str]
    weights: str
    activations: str
    range_scheme: str
    samples: int
    check_samples: int
    held_out: bool
    exact: Figures | None
    """As the file defines the numbers; None: for the ``reason`` they were not compared."""
    here: Figures | None
    """As the processor that quantised computes them."""
    reason: str | None
    poor: tuple[Notice, ...]
    """What is said aloud of poor numbers; the other ``notices`` are without these."""
    changes: list[Change]
    tensors: list[QuantizedRow]
    time: str
    peak: str
    tools: dict[str, str]
    notices: tuple[Notice, ...]


def quantized_view(made: Quantized, say: Say) -> QuantizedView:
    """The view of what a quantize job left."""
    return QuantizedView(
        name=made.name,
        entry=made.entry,
        sizes=(show_bytes(made.source.file_bytes), show_bytes(made.quantized.file_bytes)),
        weights=made.weights,
        activations=made.activations,
        range_scheme=made.range_scheme,
        samples=made.calibration_samples,
        check_samples=made.check_samples,
        held_out=made.held_out,
        exact=_figures(made.accuracy),
        here=_figures(made.accuracy_here),
        reason=made.check_reason,
        poor=tuple(one for one in made.notices if one.code in _POOR),
        changes=changes(made.source, made.quantized, say),
        tensors=_rows(made),
        time=show_time(made.time_ns),
        peak=show_bytes(made.peak_bytes),
        tools=dict(made.tools),
        notices=tuple(one for one in made.notices if one.code not in _POOR),
    )


def _figures(accuracy: Accuracy | None) -> Figures | None:
    if accuracy is None:
        return None
    worst = accuracy.worst
    psnr = None if worst is None else decibels(worst.psnr_db)
    word = "none" if worst is None else "psnr" if psnr else "equal"
    return Figures(word, psnr or "", accuracy.answers, accuracy.agreeing, accuracy.is_poor)


def _rows(made: Quantized) -> list[QuantizedRow]:
    integers = {one.name: one for one in made.quantizations}
    checks = {one.name: one for one in made.accuracy.outputs} if made.accuracy is not None else {}

    def rows(specs: Sequence[TensorSpec], *, is_output: bool) -> list[QuantizedRow]:
        return [
            _row(one, integers.get(one.name), checks.get(one.name) if is_output else None, is_output=is_output)
            for one in specs
        ]

    return [*rows(made.inputs, is_output=False), *rows(made.outputs, is_output=True)]


def _row(spec: TensorSpec, integer: Quantization | None, check: OutputCheck | None, *, is_output: bool) -> QuantizedRow:
    error = None if check is None or check.max_abs_error is None else f"{check.max_abs_error:.2g}"
    return QuantizedRow(
        is_output=is_output,
        name=spec.name,
        dtype=spec.dtype,
        shape=spec.shape_text,
        integer=None if integer is None else integer.dtype,
        scale=None if integer is None else f"{integer.scale:.4g}",
        zero_point=None if integer is None else integer.zero_point,
        error="" if check is not None and check.is_equal else error,
        psnr=None if check is None else decibels(check.psnr_db),
        is_poor=check is not None and check.psnr_db is not None and check.psnr_db < POOR_PSNR_DB,
        reason=None if check is None else check.reason,
    )
