"""The process that quantises one model, confined: it calibrates, quantises, and runs both models on the same samples.

Started by ``quantize``; ``order.json`` in its folder says what is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic_ns

from dynolab.jobs import _samples as data
from dynolab.jobs import _toolchain_child as shared
from dynolab.jobs import _verify_layers as layers
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.quantize_options import parse
from dynolab.spec.quantizes import (
    FEW_SAMPLES,
    POOR_FILE,
    POOR_HERE,
    POOR_PSNR_DB,
    QUANTIZED_SCHEMA,
    Accuracy,
    Quantized,
    figures,
)
from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains._layer_values.base import layer_values_of
from dynolab.toolchains._quantizers.base import Model, QuantizedModel, QuantizeOrder, Quantizer, Sample, quantizer_of
from dynolab.toolchains.base import RUNTIMES

HELD_OUT_FROM, HELD_OUT_EVERY, CHECKED_MOST = 20, 5, 100
"""Of so many samples or more, every fifth is kept from the calibration for the comparison, which runs on at most a hundred."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the process is asked for."""

    name: str
    model: str
    format: ModelFormat
    file_bytes: int
    weights: str
    activations: str
    options: str
    data: tuple[data.DataFile, ...]


def quantize_one(folder: Path, wanted: Wanted, begun_ns: int) -> Quantized:
    """The quantised model's document; its files are left in the folder. Raises what the quantizer raises."""
    quantizer = quantizer_of(wanted.format)
    made_folder, scratch = shared.folders(folder)
    order = QuantizeOrder(
        model=Path(wanted.model),
        format=wanted.format,
        file_bytes=wanted.file_bytes,
        folder=made_folder,
        scratch=scratch,
        weights=wanted.weights,
        activations=wanted.activations,
        options=parse(wanted.options),
    )
    samples = data.load(wanted.data, quantizer.inputs(order))
    calibration, checked, held_out = divided(samples)
    made = quantizer.quantize(order, calibration)
    time_ns, peak_bytes = shared.spent(begun_ns)
    quantized = Quantized(
        schema=QUANTIZED_SCHEMA,
        name=wanted.name,
        entry=made.entry,
        files=shared.files(made_folder),
        weights=wanted.weights,
        activations=wanted.activations,
        range_scheme=made.range_scheme,
        inputs=made.inputs,
        outputs=made.outputs,
        quantizations=made.quantizations,
        source=made.source,
        quantized=made.quantized,
        tools=quantizer.versions(),
        options=wanted.options,
        calibration_samples=len(calibration),
        time_ns=time_ns,
        peak_bytes=peak_bytes,
        check_samples=len(checked),
        held_out=held_out,
        notices=made.notices,
    )
    found, reason = shared.compared(lambda: _accuracies(quantizer, order, made, checked))
    exact, here = found or (None, None)
    quantized = replace(quantized, accuracy=exact, accuracy_here=here, check_reason=reason)
    notices = (*quantized.notices, *warnings(quantized))
    if exact is not None and exact.is_poor:
        parting, _ = shared.compared(lambda: _parting(order, made, checked))
        notices = (*notices, parting) if parting is not None else notices
    return replace(quantized, notices=notices)


def _parting(order: QuantizeOrder, made: QuantizedModel, samples: Sequence[Sample]) -> Notice | None:
    """Where the numbers part."""
    values = layer_values_of(RUNTIMES[order.format], order.format)
    if values is None:
        return None
    source, quantized = (
        values.open(path, order.format, Options()) for path in (order.model, order.folder / made.entry)
    )
    return layers.parting((source, quantized), samples, POOR_PSNR_DB)


def divided(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample], bool]:
    """Those to calibrate with, those to compare on, and whether the latter are others than the former."""
    if len(samples) < HELD_OUT_FROM:
        return samples, samples[:CHECKED_MOST], False
    kept = [sample for number, sample in enumerate(samples) if number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1]
    rest = [sample for number, sample in enumerate(samples) if number % HELD_OUT_EVERY != HELD_OUT_EVERY - 1]
    return rest, kept[:CHECKED_MOST], True


def _accuracies(
    quantizer: Quantizer, order: QuantizeOrder, made: QuantizedModel, samples: Sequence[Sample]
) -> tuple[Accuracy, Accuracy]:
    exact = quantizer.open_quantized(order, made, exact=True)
    here = quantizer.open_quantized(order, made, exact=False)
    return accuracies(made.output_names, quantizer.open_float(order), (exact, here), samples)


def accuracies(
    names: Sequence[str], model: Model, quantized: tuple[Model, Model], samples: Sequence[Sample]
) -> tuple[Accuracy, Accuracy]:
    """How far each of two quantised models is from the float one."""
    sums = [(one, numbers.Comparison(names), numbers.Agreement()) for one in quantized]
    for sample in samples:
        before = model(sample)
        for one, running, ranks in sums:
            after = one(sample)
            running.add(before, after)
            ranks.add(before, after)
    first, second = (numbers.accuracy(running, ranks) for _, running, ranks in sums)
    return first, second


def warnings(made: Quantized) -> list[Notice]:
    """What is to be said aloud of a quantised model."""
    found = []
    poor = made.accuracy is not None and made.accuracy.is_poor
    if poor and made.accuracy is not None:
        found.append(Notice("warning", POOR_FILE, f"the quantised model is hardly the float one any more: {figures(made.accuracy)}; {_way_out(made)}"))  # fmt: skip
    if not poor and made.accuracy_here is not None and made.accuracy_here.is_poor:
        found.append(Notice("warning", POOR_HERE, f"on this processor the quantised model computes other numbers than its file defines: {figures(made.accuracy_here)}; processors without VNNI let sums of 8-bit products overflow, others do not"))  # fmt: skip
    if made.calibration_samples < FEW_SAMPLES:
        found.append(Notice("warning", "few-samples", f"{made.calibration_samples} calibration samples hardly show the ranges of the activations: give {FEW_SAMPLES} or more"))  # fmt: skip
    return found


def _way_out(made: Quantized) -> str:
    """What may be done about poor numbers."""
    if made.weights == "int4":
        return "8-bit weights lose less"
    if made.activations == "int8":
        return "16-bit activations lose less"
    return "are the calibration data such as the model is made for?"


if __name__ == "__main__":
    begun_ns = monotonic_ns()
    sys.exit(shared.main(sys.argv[1:], Wanted, lambda folder, wanted: quantize_one(folder, wanted, begun_ns)))
