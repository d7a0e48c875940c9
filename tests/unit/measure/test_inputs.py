"""Inputs: seeded, of the right type, in the range that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynolab.errors import ModelNotSupported, SpecInvalid
from dynolab.measure import inputs
from dynolab.measure.protocol import InputWishes
from dynolab.spec.tensors import TensorSpec

FIRST = inputs.CANDIDATES[0]


def spec(dtype: str, shape: tuple[int | str | None, ...] = (4, 5)) -> TensorSpec:
    return TensorSpec("x", dtype, shape)


@pytest.mark.parametrize(
    "dtype",
    ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "uint32", "bool", "complex64"],
)
def test_values_have_the_type_and_stay_in_range(dtype: str) -> None:
    plans, _ = inputs.plan([spec(dtype, (50, 50))], InputWishes(), FIRST)
    array = inputs.make(plans, 7)["x"]
    assert array.dtype == np.dtype(dtype)
    assert array.shape == (50, 50)
    if dtype in ("int32", "int64", "uint32", "int16"):
        assert set(np.unique(array)) == {0, 1}
    if dtype.startswith("float"):
        assert 0 <= array.min() < array.max() <= 1


def test_the_same_seed_makes_the_same_values() -> None:
    plans, _ = inputs.plan([spec("float32")], InputWishes(), FIRST)
    first, again, other = (inputs.make(plans, seed)["x"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_range_of_the_user_s_holds() -> None:
    plans, _ = inputs.plan([spec("int32", (1000,))], InputWishes(ranges={"x": (3.0, 9.0)}), FIRST)
    array = inputs.make(plans, 1)["x"]
    assert (array.min(), array.max()) == (3, 9)


def test_a_file_gives_values_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(path, values)
    plans, notes = inputs.plan([spec("float32", (None, 3))], InputWishes(files={"x": str(path)}), FIRST)
    assert np.array_equal(inputs.make(plans, 1)["x"], values)
    assert notes == []


def test_a_pickled_npy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SpecInvalid, match="cannot be read"):
        inputs.load_file(path)


@pytest.mark.parametrize(
    "head",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000000,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"9" * 500 + b",)}",
        b"(" * 9000,
        b"-" * 9000 + b"1",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        b"{'descr': " + b"[" * 90 + b"]" * 90 + b"}",
        b"__import__('os')",
    ],
    ids=range(8),
)
def test_a_head_that_makes_no_sense_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(16))
    with pytest.raises(SpecInvalid, match="cannot be read"):
        inputs.load_file(path)


def test_a_type_without_random_values_is_named() -> None:
    plans, _ = inputs.plan([spec("string")], InputWishes(), FIRST)
    with pytest.raises(ModelNotSupported, match="string"):
        inputs.make(plans, 1)
