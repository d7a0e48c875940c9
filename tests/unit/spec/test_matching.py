"""Which inputs and outputs of two models are taken for the same."""

from __future__ import annotations

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec.matching import Layout, MatchedBy, match_inputs, match_outputs, merged
from dynolab.spec.tensors import Dimension, TensorSpec


def spec(name: str, *shape: Dimension, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, dtype, shape)


@pytest.mark.parametrize(
    ("a", "b", "by", "layout", "how"),
    [
        (spec("x", 1, 3, 8, 8), spec("x", 1, 3, 8, 8), MatchedBy.NAME, Layout.SAME, ""),
        (spec("x", "n", 3, 8, 8), spec("x", 1, 3, 8, 8), MatchedBy.NAME, Layout.SAME, ""),
        (spec("x", 1, 3, 8, 8), spec("i", 1, 8, 8, 3), MatchedBy.SHAPE, Layout.CHANNELS_LAST, "by shape, channels last in B"),
        (spec("x", 1, 8, 8, 3), spec("x", 1, 3, 8, 8), MatchedBy.NAME, Layout.CHANNELS_FIRST, "channels first in B"),
        (spec("x", 1, 3, None, None), spec("x", 1, None, None, 3), MatchedBy.NAME, Layout.CHANNELS_LAST, "channels last in B"),
        (spec("x", 1, 3, 3, 3), spec("x", 1, 3, 3, 3), MatchedBy.NAME, Layout.SAME, ""),
        (spec("x", 1, 9), spec("y", 1, 1, 9), MatchedBy.SHAPE, Layout.ONES, "by shape, other dimensions of 1 in B"),
        (spec("x"), spec("x", 1), MatchedBy.NAME, Layout.ONES, "other dimensions of 1 in B"),
        (spec("x", 4, dtype="int64"), spec("x", 4, dtype="int32"), MatchedBy.NAME, Layout.SAME, "int32 in B"),
    ],
)  # fmt: skip
def test_one_tensor_is_found_in_its_layout(
    a: TensorSpec, b: TensorSpec, by: MatchedBy, layout: Layout, how: str
) -> None:
    (pair,) = match_inputs([a], [b]).pairs
    assert (pair.a, pair.b, pair.by, pair.layout, pair.how) == (a.name, b.name, by, layout, how)


def test_names_come_before_shapes_and_shapes_before_order() -> None:
    a = [spec("image", 1, 3, 8, 8), spec("mask", 1, 8), spec("ids", 1, 8, dtype="int64")]
    b = [spec("arg2", 1, 8, dtype="int32"), spec("mask", 1, 8), spec("arg0", 1, 8, 8, 3)]
    assert [(one.a, one.b, one.by) for one in match_inputs(a, b).pairs] == [
        ("image", "arg0", "shape"),
        ("mask", "mask", "name"),
        ("ids", "arg2", "shape"),
    ]
    alike = [spec("left", 1, 8), spec("right", 1, 8)], [spec("0", 1, 8), spec("1", 1, 8)]
    assert [(one.a, one.b, one.by) for one in match_inputs(*alike).pairs] == [
        ("left", "0", "order"),
        ("right", "1", "order"),
    ]


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ([spec("x", 1, 3)], [spec("x", 1, 4)], r"input 'x' is float32 \[1, 3\] in A, and float32 \[1, 4\] in B"),
        ([spec("x", 3)], [spec("x", 3, dtype="int32")], "no data fit both"),
        ([spec("x", 3)], [spec("x", 3), spec("y", 3)], r"A has x float32 \[3\]; B has x float32 \[3\], y float32 \[3\]"),
        ([spec("x", 3), spec("y", 4)], [spec("p", 4), spec("q", 5)], "cannot be told from"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_belong_together_are_refused(a: list[TensorSpec], b: list[TensorSpec], told: str) -> None:
    with pytest.raises(SpecInvalid, match=told):
        match_inputs(a, b)


def test_outputs_of_one_alone_are_named() -> None:
    found = match_outputs([spec("y", 3), spec("z", 4)], [spec("z", 4), spec("w", 9, 9)])
    assert ([one.a for one in found.pairs], found.only_a, found.only_b) == (["z"], ("y",), ("w",))
    with pytest.raises(SpecInvalid, match="no output in common"):
        match_outputs([spec("y", 3), spec("z", 4)], [spec("v", 7), spec("w", 9, 9)])


def test_sizes_that_b_fixes_are_a_s_too() -> None:
    a, b = spec("x", "n", 3, "h", "w"), spec("x", 1, 48, 192, 3)
    assert merged(a, b, Layout.CHANNELS_LAST).shape == (1, 3, 48, 192)
    assert merged(a, spec("x", None, 3, 48, None), Layout.SAME).shape == ("n", 3, 48, "w")
