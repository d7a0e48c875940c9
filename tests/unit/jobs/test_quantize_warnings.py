"""What is said aloud of a quantised model, and when: below 20 dB or 90 % of the answers, as the file defines it or as it is computed here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynolab.jobs._quantize_child import accuracies, warnings
from dynolab.spec.compiles import OutputCheck, Side
from dynolab.spec.models import FileFact, ModelFormat
from dynolab.spec.quantizes import QUANTIZED_SCHEMA, Accuracy, Quantized, figures
from dynolab.toolchains._quantizers.base import Model, Sample
from dynolab.toolchains.base import Array


def accuracy(psnr_db: float | None, agreeing: int | None = None) -> Accuracy:
    error = 0.0 if psnr_db is None else 0.1
    answers = None if agreeing is None else 100
    return Accuracy((OutputCheck("y", error, psnr_db),), answers, agreeing)


def made(exact: Accuracy, here: Accuracy | None = None, *, samples: int = 100) -> Quantized:
    side = Side(ModelFormat.ONNX, 1000)
    return Quantized(
        schema=QUANTIZED_SCHEMA, name="net.onnx", entry="net.onnx", files=(FileFact("net.onnx", 10),), weights="int8",
        activations="int8", range_scheme="min_max", inputs=(), outputs=(), quantizations=(), source=side, quantized=side,
        tools={}, options="", calibration_samples=samples, time_ns=1, peak_bytes=1, accuracy=exact, accuracy_here=here or exact,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("psnr_db", "agreeing", "poor"),
    [
        (20.0, None, False),
        (19.9, None, True),
        (None, None, False),
        (30.0, 90, False),
        (30.0, 89, True),
        (None, 100, False),
    ],
)
def test_poor_is_below_20_db_or_90_of_100_answers(psnr_db: float | None, agreeing: int | None, poor: bool) -> None:
    one = made(accuracy(psnr_db, agreeing))
    assert one.is_poor is poor
    assert [notice.code for notice in warnings(one)] == (["quantised-poorly"] if poor else [])
    assert all(notice.level == "warning" for notice in warnings(one))


def test_a_processor_that_computes_otherwise_is_told_of() -> None:
    one = made(accuracy(30.0, 99), accuracy(12.3, 60))
    assert one.is_poor
    (told,) = warnings(one)
    assert (told.level, told.code) == ("warning", "computed-poorly")
    assert "12.3 dB, 60 of 100 answers agree" in told.text


def test_the_way_out_is_what_has_not_been_tried() -> None:
    poor = made(accuracy(3.0))
    assert "16-bit activations" in warnings(poor)[0].text
    assert "8-bit weights" in warnings(replace(poor, weights="int4"))[0].text
    assert "calibration data" in warnings(replace(poor, activations="int16"))[0].text
    assert [one.code for one in warnings(made(accuracy(40.0), samples=29))] == ["few-samples"]


def test_figures_in_words() -> None:
    assert figures(accuracy(38.21)) == "38.2 dB"
    assert figures(accuracy(None, 7)) == "the same numbers, 7 of 100 answers agree"
    assert figures(Accuracy(())) == "no figure"


def giving(values: Array) -> Model:
    rows = iter(values)

    def run(sample: Sample) -> list[Array]:
        del sample
        return [next(rows)]

    return run


def test_outputs_are_summed_over_all_samples_and_answers_counted() -> None:
    before = np.array([[[1.0, 0.0]], [[0.0, 10.0]], [[3.0, 2.0]]])
    after = before + np.array([[[0.0, 0.5]], [[0.0, 0.0]], [[0.0, 1.5]]])  # the last answer is another
    exact, here = accuracies(["y"], giving(before), (giving(before), giving(after)), [{}] * 3)
    assert (exact.outputs[0].is_equal, exact.answers, exact.agreeing) == (True, 3, 3)
    assert (here.answers, here.agreeing, here.outputs[0].max_abs_error) == (3, 2, 1.5)
    assert here.outputs[0].psnr_db == pytest.approx(20 * np.log10(10 / ((0.25 + 2.25) / 6) ** 0.5))


def test_what_ranks_no_classes_has_no_agreement() -> None:
    for shape in ((1, 1), (1, 4, 4), (4,)):
        values = np.ones((2, *shape))
        exact, _ = accuracies(["y"], giving(values), (giving(values), giving(values)), [{}] * 2)
        assert (exact.answers, exact.agreement) == (None, None)
