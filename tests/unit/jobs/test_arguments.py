"""What a profile is asked for from Python: anything is taken or refused, nothing ends as a bug."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynolab
from dynolab.errors import SpecInvalid
from dynolab.jobs import _arguments as arguments

MODEL = Path(__file__).parents[3] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"input_shapes": {"x": "1,50"}}, "the shape of input 'x' is '1,50'"),
        ({"input_shapes": {"x": (1, "a")}}, "whole numbers are needed"),
        ({"input_shapes": {"x": (1, 2.5)}}, "whole numbers are needed"),
        ({"input_shapes": {"x": 5}}, "whole numbers are needed"),
        ({"input_shapes": {"x": (1, -1)}}, "0 or more"),
        ({"input_ranges": {"x": "0,1"}}, "two numbers are needed"),
        ({"input_ranges": {"x": (0, "b")}}, "'b': a number is needed"),
        ({"input_ranges": {"x": (0, float("nan"))}}, "finite"),
        ({"input_files": {"x": 3}}, "a path is needed"),
        ({"repeats": "3"}, "--repeats '3': a whole number is needed"),
        ({"repeats": True}, "a whole number is needed"),
        ({"repeats": 2, "options": "--repeats 4"}, "--repeats 4 of the options contradicts --repeats 2"),
        ({"options": "--repeats 0"}, "0"),
        ({"seed": -5}, "0 or more"),
        ({"timeout_s": "1"}, "a number is needed"),
        ({"timeout_s": float("nan")}, "above 0"),
        ({"memory_limit_bytes": "1GB"}, "a whole number is needed"),
        ({"requirements": "a <= 5 ms"}, "requirement 'a <= 5 ms'"),
        ({"requirements": [3]}, "requirement '3'"),
        ({"options": 3}, "options 3: a text is needed"),
        ({"runtime": 5}, "runtime 5: a text is needed"),
    ],
)
def test_what_cannot_be_is_named(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        dynolab.profile(MODEL, **asked)
    assert words in caught.value.message


def test_numpy_s_numbers_are_numbers() -> None:
    assert arguments.shapes({"x": [np.int64(2), 3], "s": ()}) == {"x": (2, 3), "s": ()}
    assert arguments.ranges({"x": (np.float32(0), 1)}) == {"x": (0.0, 1.0)}


def test_one_requirement_is_a_list_of_one() -> None:
    assert arguments.texts("a <= 5 ms") == ("a <= 5 ms",)
    assert arguments.texts(["a", "b"]) == ("a", "b")
