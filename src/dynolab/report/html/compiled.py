"""A compiled model worked out for a page: the answer, what changed, its tensors with their numbers beside the source's."""

from __future__ import annotations

from dataclasses import dataclass

from dynolab.report.base import Say
from dynolab.spec.compiles import Compiled, Npu, OutputCheck, Side
from dynolab.spec.measurements import Notice
from dynolab.spec.show import show_bytes, show_count, show_time
from dynolab.spec.tensors import Quantization, TensorSpec


@dataclass(frozen=True, slots=True)
class Change:
    """One fact of the files: the source's, and the compiled model's where that is another."""

    title: str
    before: str
    after: str | None


@dataclass(frozen=True, slots=True)
class TensorRow:
    """An input or output; of an output that was compared, how far it is from the source's."""

    is_output: bool
    name: str
    dtype: str
    shape: str
    scale: str | None
    """Of integers that stand for real numbers, with the zero point."""
    zero_point: int | None
    error: str | None
    """The largest one; empty: there is none, the numbers are the same."""
    psnr: str | None
    is_poor: bool
    reason: str | None
    """Why its numbers were not compared, in English."""


@dataclass(frozen=True, slots=True)
class CompiledView:
    """What a page says of a compiled model. ``word`` is ``equal``, ``close``, ``poor`` or ``not-compared``."""

    name: str
    entry: str
    target: str
    word: str
    error: str
    psnr: str
    reason: str | None
    """Why the numbers, or some, were not compared, in English; None: they were, or the model has no outputs."""
    not_compared: tuple[str, ...]
    """Names of outputs that were not, where others were."""
    sizes: tuple[str, str]
    formats: tuple[str, str]
    changes: list[Change]
    tensors: list[TensorRow]
    has_integers: bool
    """Whether some of them have a scale."""
    files: list[tuple[str, str]]
    time: str
    peak: str
    tools: dict[str, str]
    notices: tuple[Notice, ...]
    npu: Npu | None


def compiled_view(made: Compiled, say: Say) -> CompiledView:
    """The view of what a compile job left."""
    return CompiledView(
        name=made.name,
        entry=made.entry,
        target=made.target,
        word=made.numbers.value,
        error="" if made.largest_error is None else f"{made.largest_error:.2g}",
        psnr=decibels(made.lowest_psnr_db) or "",
        reason=made.check_reason or next((one.reason for one in made.checks if one.reason), None),
        not_compared=made.not_compared,
        sizes=(show_bytes(made.source.file_bytes), show_bytes(made.compiled.file_bytes)),
        formats=(str(made.source.format), str(made.compiled.format)),
        changes=changes(made.source, made.compiled, say),
        tensors=_tensors(made),
        has_integers=bool(made.quantizations),
        files=[(one.path, show_bytes(one.bytes)) for one in made.files],
        time=show_time(made.time_ns),
        peak=show_bytes(made.peak_bytes),
        tools=dict(made.tools),
        notices=made.notices,
        npu=made.npu,
    )


def changes(a: Side, b: Side, say: Say) -> list[Change]:
    """What the files say; one value where they say the same, and nothing where neither does."""

    def count(number: int | None) -> str | None:
        return None if number is None else show_count(number)

    rows = {
        say("Format"): (str(a.format), str(b.format)),
        say("Size"): (show_bytes(a.file_bytes), show_bytes(b.file_bytes)),
        say("Operators"): (count(a.operators), count(b.operators)),
        say("Parameters"): (count(a.parameters), count(b.parameters)),
        say("Precision"): (a.precision, b.precision),
        say("Schema"): (a.schema, b.schema),
    }
    return [
        Change(title, before or "–", None if after == before else after or "–")
        for title, (before, after) in rows.items()
        if before is not None or after is not None
    ]


def _tensors(made: Compiled) -> list[TensorRow]:
    checks = {one.name: one for one in made.checks}
    integers = {one.name: one for one in made.quantizations}
    return [
        *(_row(one, integers.get(one.name), None, is_output=False) for one in made.inputs),
        *(_row(one, integers.get(one.name), checks.get(one.name), is_output=True) for one in made.outputs),
    ]


def _row(spec: TensorSpec, integer: Quantization | None, check: OutputCheck | None, *, is_output: bool) -> TensorRow:
    error = None if check is None or check.max_abs_error is None else f"{check.max_abs_error:.2g}"
    return TensorRow(
        is_output=is_output,
        name=spec.name,
        dtype=spec.dtype,
        shape=spec.shape_text,
        scale=None if integer is None else f"{integer.scale:.4g}",
        zero_point=None if integer is None else integer.zero_point,
        error="" if check is not None and check.is_equal else error,
        psnr=None if check is None else decibels(check.psnr_db),
        is_poor=check is not None and check.is_poor,
        reason=None if check is None else check.reason,
    )


def decibels(psnr_db: float | None) -> str | None:
    """A PSNR as it is shown; None: there is none."""
    return None if psnr_db is None else f"{psnr_db:.1f} dB"
