"""How far two models' outputs are apart."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dynolab.spec.compiles import OutputCheck
from dynolab.spec.tensors import TensorSpec
from dynolab.toolchains._numbers import compare, seeded


def one(before: object, after: object) -> OutputCheck:
    (found,) = compare(["y"], [np.asarray(before)], [np.asarray(after)])
    return found


def test_the_same_are_equal() -> None:
    found = one([1.0, np.nan, np.inf], [1.0, np.nan, np.inf])
    assert (found.is_equal, found.max_abs_error, found.psnr_db, found.is_poor) == (True, 0.0, None, False)


def test_psnr_is_of_the_largest_value() -> None:
    found = one([10.0, 0.0], [10.0, 0.1])
    assert found.max_abs_error == pytest.approx(0.1)
    assert found.psnr_db == pytest.approx(20 * np.log10(10 / (0.01 / 2) ** 0.5))
    assert not found.is_poor
    assert one([1.0, 0.0], [1.0, 0.5]).is_poor


def test_an_error_where_all_should_be_zero_is_poor() -> None:
    found = one([0.0, 0.0], [0.0, 1.0])
    assert (found.psnr_db, found.is_poor) == (0.0, True)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([[1.0]], [1.0], r"shape is \[1, 1\]"),
        (["a"], ["a"], "no numbers"),
        ([1.0], [np.inf], "infinities"),
    ],
)
def test_what_cannot_be_compared_has_a_reason(before: object, after: object, told: str) -> None:
    found = one(before, after)
    assert found.max_abs_error is None
    assert found.reason is not None
    assert re.search(told, found.reason)


def test_inputs_are_the_seeds_and_valid_almost_everywhere() -> None:
    specs = [TensorSpec("x", "float32", (2, "n")), TensorSpec("ids", "int64", (50,)), TensorSpec("flag", "bool", ())]
    made, again, other = seeded(specs, 1), seeded(specs, 1), seeded(specs, 2)
    assert {name: (array.dtype.name, array.shape) for name, array in made.items()} == {
        "x": ("float32", (2, 1)),
        "ids": ("int64", (50,)),
        "flag": ("bool", ()),
    }
    assert set(made["ids"].tolist()) == {0, 1}
    assert all(np.array_equal(made[name], again[name]) for name in made)
    assert not np.array_equal(made["x"], other["x"])
