"""What a verification's document says of its numbers, and what passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec.compiles import OutputCheck
from dynolab.spec.quantizes import Accuracy
from dynolab.spec.verifies import AtLeast, VerifySide, headline, parse_at_least, sides_of

EQUAL, CLOSE, POOR = OutputCheck("y", 0.0, None), OutputCheck("z", 3e-5, 61.24), OutputCheck("w", 0.3, 17.0)
ODD = OutputCheck("odd", None, None, "it holds no numbers")


@pytest.mark.parametrize(
    ("accuracy", "told"),
    [
        (Accuracy((EQUAL,)), "the same numbers, bit by bit"),
        (Accuracy((CLOSE,), 30, 29), "61.2 dB, errors up to 3e-05; 29 of 30 answers agree"),
        (Accuracy((EQUAL, CLOSE, POOR)), "17.0 dB at least (w), errors up to 0.3"),
        (Accuracy((EQUAL, ODD)), "the same numbers, bit by bit; not compared: odd"),
        (Accuracy((ODD,)), "not compared: it holds no numbers"),
    ],
)
def test_the_headline_is_the_answer(accuracy: Accuracy, told: str) -> None:
    assert headline(accuracy) == told


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], AtLeast(40.0, None)),
        (["52.5 dB"], AtLeast(52.5, None)),
        (["20db", "95%"], AtLeast(20.0, 0.95)),
        (["100 %"], AtLeast(None, 1.0)),
    ],
)
def test_limits_are_decibels_or_shares(texts: list[str], found: AtLeast) -> None:
    assert parse_at_least(texts) == found


@pytest.mark.parametrize("texts", [["40"], ["high"], ["101%"], ["40dB", "30dB"], ["-3dB"]])
def test_other_limits_are_refused(texts: list[str]) -> None:
    with pytest.raises(SpecInvalid, match="--at-least"):
        parse_at_least(texts)


def test_sides_are_two_models_or_two_ways_to_run_one() -> None:
    a, b = Path("a.onnx"), Path("b.tflite")
    assert sides_of((a, b), None, (None, None), ("", "")) == (VerifySide(a), VerifySide(b))
    ways = VerifySide(a, "onnxruntime"), VerifySide(a, "openvino")
    assert sides_of((a, None), "onnxruntime, openvino", (None, None), ("", "")) == ways
    assert sides_of((a, None), None, ("onnxruntime", "openvino"), ("", "")) == ways
    for models, runtimes, each, told in (
        ((a, None), None, (None, None), "nothing to be compared with"),
        ((a, b), "onnxruntime", (None, None), "two names are needed"),
        ((a, b), "onnxruntime,litert", ("onnxruntime", None), "names both runtimes"),
    ):
        with pytest.raises(SpecInvalid, match=told):
            sides_of(models, runtimes, each, ("", ""))
