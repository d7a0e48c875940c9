"""Tensor descriptions and the binding of open dimensions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.errors import SpecInvalid
from dynolab.spec.tensors import DEFAULT_IMAGE_SIDE, DEFAULT_SEQUENCE, Dimension, TensorSpec, bind

BUSY = settings(deadline=None)  # other tests run beside this one: a slow example is no mistake

SIDE, LENGTH = DEFAULT_IMAGE_SIDE, DEFAULT_SEQUENCE


def tensor(name: str, *shape: Dimension, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, dtype, shape)


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", (2, 3), 24),
        ("bool", (5,), 5),
        ("int64", (), 8),
        ("float16", (0, 4), 0),
        ("int4", (3,), 2),
        ("uint4", (4,), 2),
        ("string", (3,), None),
        ("float32", (None, 3), None),
        ("float32", ("n", 3), None),
    ],
)
def test_bytes_of_a_tensor(dtype: str, shape: tuple[Dimension, ...], expected: int | None) -> None:
    assert TensorSpec("x", dtype, shape).bytes == expected


def test_an_open_shape_is_written_as_people_do_and_has_no_sizes() -> None:
    spec = tensor("x", 1, 3, "height", None)
    assert spec.shape_text == "[1, 3, height, ?]"
    assert not spec.bound
    with pytest.raises(SpecInvalid, match=r"'x' has an unbound dimension: \[1, 3, height, \?\]"):
        _ = spec.sizes


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((None, 3, None, None), (1, 3, SIDE, SIDE)),
        ((None, None, None, 3), (1, SIDE, SIDE, 3)),
        (("N", "C", "H", "W"), (1, 3, SIDE, SIDE)),
        ((None, 3, 64, None), (1, 3, 64, SIDE)),
        (("batch_size", "sequence_length"), (1, LENGTH)),
        (("seq_len", "batch", 80), (LENGTH, 1, 80)),
        ((None, "num_tokens"), (1, LENGTH)),
        (("batch_of_frames", 80), (1, 80)),
        ((80, "batch"), (80, 1)),
        (("height", "width", 3), (SIDE, SIDE, 3)),
        ((None, 10), (1, 10)),
        ((None, None, 8, 8, 8), (1, 1, 8, 8, 8)),
        ((2, 3), (2, 3)),
        ((), ()),
    ],
)
def test_open_dimensions_get_sensible_sizes(shape: tuple[Dimension, ...], expected: tuple[int, ...]) -> None:
    (bound,), notes = bind([tensor("x", *shape)], {})
    assert bound == tensor("x", *expected)
    assert len(notes) == sum(not isinstance(size, int) for size in shape)


def test_each_chosen_size_is_explained() -> None:
    _, notes = bind([tensor("image", None, 3, 32, "width")], {})
    assert notes == [
        "image: dimension 0 (?) is unbound, 1 was taken (the batch)",
        f"image: dimension 3 (width) is unbound, {SIDE} was taken (an image's side)",
    ]


def test_another_sequence_length_can_be_tried() -> None:
    (bound,), _ = bind([tensor("ids", "batch", "seq")], {}, sequence=16)
    assert bound.shape == (1, 16)


def test_a_named_dimension_holds_for_every_tensor_that_uses_it() -> None:
    ids, mask, other = (
        tensor("ids", "batch", "seq"),
        tensor("mask", "batch", "seq"),
        tensor("other", "batch", "total_seq"),
    )
    bound, notes = bind([mask, ids, other], {"ids": (4, 20)})
    assert [spec.shape for spec in bound] == [(4, 20), (4, 20), (4, LENGTH)]
    assert len(notes) == 1
    bound, notes = bind([ids, mask], {})
    assert [spec.shape for spec in bound] == [(1, LENGTH), (1, LENGTH)]
    assert len(notes) == 2


def test_dimensions_without_a_name_are_chosen_one_by_one() -> None:
    (first, second), _ = bind([tensor("a", None, 4), tensor("b", None, 4)], {"a": (7, 4)})
    assert (first.shape, second.shape) == ((7, 4), (1, 4))


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"y": (1, 3)}, "no input named 'y'", "its inputs are: x, z"),
        ({"x": (1, 4, 2)}, "shape [1, 4, 2] does not fit input 'x', which is [n, 3, ?]", "--input-shape x=N,3,N"),
        ({"x": (1, 3)}, "shape [1, 3] does not fit", "--input-shape x=N,3,N"),
        ({"x": (1, 3, 2, 1)}, "shape [1, 3, 2, 1] does not fit", "--input-shape x=N,3,N"),
        ({"x": (-1, 3, 2)}, "shape [-1, 3, 2] does not fit", "--input-shape x=N,3,N"),
        ({"x": (1, 3, 2), "z": (2,)}, "dimension 'n' is given both 1 and 2", None),
    ],
)
def test_a_misfit_says_what_would_fit(asked: dict[str, tuple[int, ...]], message: str, hint: str | None) -> None:
    with pytest.raises(SpecInvalid) as refused:
        bind([tensor("x", "n", 3, None), tensor("z", "n")], asked)
    assert message in refused.value.message
    assert refused.value.hint == hint


def test_one_tensor_may_not_bind_a_name_twice_to_different_sizes() -> None:
    with pytest.raises(SpecInvalid, match="'n' is given both 2 and 3"):
        bind([tensor("x", "n", "n")], {"x": (2, 3)})


_SHAPES = st.lists(st.integers(0, 9) | st.none() | st.sampled_from(["n", "seq", "height", "batch"]), max_size=5)


@BUSY
@given(st.lists(_SHAPES, max_size=4))
def test_binding_closes_every_dimension_and_keeps_those_that_were_closed(shapes: list[list[Dimension]]) -> None:
    declared = [tensor(f"t{index}", *shape) for index, shape in enumerate(shapes)]
    bound, _ = bind(declared, {})
    named: dict[str, int] = {}
    for before, after in zip(declared, bound, strict=True):
        assert (after.name, after.dtype) == (before.name, before.dtype)
        for size, given_size in zip(before.shape, after.sizes, strict=True):
            assert given_size == size if isinstance(size, int) else given_size > 0
            if isinstance(size, str):
                assert named.setdefault(size, given_size) == given_size
    again, notes = bind(bound, {spec.name: spec.sizes for spec in bound})
    assert (again, notes) == (bound, [])


@pytest.mark.parametrize("total", ["past_sequence_length + sequence_length", "total_sequence_length"])
def test_a_dimension_that_is_the_sum_of_others_is_bound_to_their_sum(total: str) -> None:
    declared = [
        TensorSpec("mask", "int64", ("batch_size", total)),
        TensorSpec("ids", "int64", ("batch_size", "sequence_length")),
        TensorSpec("past", "float32", ("batch_size", 2, "past_sequence_length", 8)),
    ]
    bound, notes = bind(declared, {})
    assert [spec.shape for spec in bound] == [(1, 256), (1, 128), (1, 2, 128, 8)]
    assert any("the sum of other dimensions" in note for note in notes)
    empty, _ = bind(declared, {"past": (1, 2, 0, 8), "ids": (1, 5)})
    assert empty[0].shape == (1, 5)
