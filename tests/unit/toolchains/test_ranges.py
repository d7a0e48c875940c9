"""Ranges of activations: the ends move inwards where that lessens the error of all values."""

from __future__ import annotations

import numpy as np
import pytest

from dynolab.toolchains._ranges import BINS, narrowed


def ends(values: np.ndarray, levels: int = 255) -> tuple[float, float]:
    low, high = np.float32(values.min()), np.float32(values.max())
    counts, _ = np.histogram(values, BINS, range=(low, high))
    bottom, top = narrowed(counts.astype(float), low, high, levels)
    return float(bottom), float(top)


def test_values_without_far_ones_keep_their_range() -> None:
    values = np.random.default_rng(0).uniform(-1, 3, 100_000)
    assert ends(values) == pytest.approx((-1, 3), rel=0.06)


def test_a_few_far_values_are_given_up_at_their_end_alone() -> None:
    values = np.append(np.random.default_rng(0).uniform(-1, 1, 1_000_000), [4.0])
    bottom, top = ends(values)
    assert bottom == pytest.approx(-1, rel=0.06)
    assert 1 < top < 3


def test_sixteen_bits_give_up_nothing() -> None:
    values = np.append(np.random.default_rng(0).uniform(-1, 1, 100_000), [4.0])
    assert ends(values, 65535) == pytest.approx((values.min(), 4.0), rel=1e-6)


def test_zero_is_inside_whatever_the_values() -> None:
    values = np.random.default_rng(0).uniform(2, 3, 10_000)
    bottom, top = ends(values)
    assert (bottom, top > 2.5) == (0.0, True)


def test_one_value_or_none_has_the_range_that_was_found() -> None:
    one = np.float32(2.0)
    assert narrowed(np.zeros(BINS), np.float32(0), one, 255) == (0.0, 2.0)
    assert narrowed(np.ones(BINS), one, one, 255) == (2.0, 2.0)
