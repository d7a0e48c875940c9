"""Real numbers in the place of a model's integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dynolab.jobs._quantized_values import quantized, real
from dynolab.spec.tensors import Quantization

IMAGE = Quantization("image", "uint8", 0.02, 128)


@given(st.lists(st.floats(-2.5, 2.5, width=32), min_size=1, max_size=20))
def test_there_and_back_is_within_half_a_step(values: list[float]) -> None:
    given_values = np.array(values, np.float32)
    integers, changed = quantized({"image": [given_values]}, [IMAGE])
    assert changed == ("image",)
    assert integers["image"][0].dtype == np.uint8
    back = real(integers, [IMAGE])["image"][0]
    assert back.dtype == np.float32
    assert np.abs(back - given_values).max() <= 0.0101


def test_what_does_not_fit_is_cut_off_at_the_ends() -> None:
    integers, _ = quantized({"image": [np.array([-99.0, 99.0], np.float32)]}, [IMAGE])
    assert integers["image"][0].tolist() == [0, 255]


def test_integers_and_tensors_that_nobody_quantised_are_left_alone() -> None:
    tensors = {"image": [np.array([7], np.uint8)], "other": [np.array([0.5], np.float32)]}
    found, changed = quantized(tensors, [IMAGE])
    assert changed == ()
    assert found == tensors
