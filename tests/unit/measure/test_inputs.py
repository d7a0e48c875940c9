"""Inputs: seeded, of the right type, in the range that was asked for."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
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


def test_text_is_made_of_words() -> None:
    plans, _ = inputs.plan([spec("string", (None, 40))], InputWishes(), FIRST)
    array = inputs.make(plans, 1)["x"]
    assert array.shape == (1, 40)
    assert set(array.flat) <= set(inputs.WORDS)
    assert len(set(array.flat)) > 3
    assert plans[0].source == "random words"


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"])
def test_values_of_types_that_numpy_lacks(dtype: str) -> None:
    plans, _ = inputs.plan([spec(dtype, (40, 5))], InputWishes(), FIRST)
    array = inputs.make(plans, 1)["x"]
    assert array.dtype.name == dtype
    wide = array.astype(float)
    assert len(np.unique(wide)) > 3
    assert (wide.min(), wide.max()) == {"int4": (-8, 7), "uint4": (0, 15)}.get(dtype, (wide.min(), wide.max()))


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("bfloat16", np.array([1.0, 2.5, 3.140625], np.float32)),
        ("bfloat16", np.array([1.0, 2.5, 3.140625]).astype(ml_dtypes.bfloat16)),
        ("int4", np.array([-8, 7, 0], np.int8)),
        ("string", np.array(["red", "green", "blue"])),
    ],
)
def test_a_file_of_values_that_npy_has_no_type_for(tmp_path: Path, dtype: str, values: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", values)
    plans, _ = inputs.plan([spec(dtype, (3,))], InputWishes(files={"x": str(tmp_path / "x.npy")}), FIRST)
    made = inputs.make(plans, 1)["x"]
    assert inputs.element_name(made) == dtype
    assert made.astype(values.dtype).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("dtype", "values", "way"),
    [
        ("int64", np.zeros(3, np.int32), "int64"),
        ("string", np.zeros(3), "str"),
        ("float32", np.array(["a", "b", "c"]), "float32"),
        ("int4", np.array([-9, 0, 0], np.int8), "-8"),
        ("uint4", np.zeros(3, np.float32), "int8"),
    ],
)
def test_values_of_another_type_are_refused_by_the_input_s_name(
    tmp_path: Path, dtype: str, values: np.ndarray, way: str
) -> None:
    np.save(tmp_path / "input-0-0.npy", values)
    with pytest.raises(SpecInvalid) as caught:
        inputs.plan([spec(dtype, (3,))], InputWishes(files={"x": str(tmp_path / "input-0-0.npy")}), FIRST)
    assert "input-0-0" not in caught.value.message, "in a dataset's job nobody ever saw that file"
    assert "'x'" in caught.value.message
    assert way in f"{caught.value.message} {caught.value.hint}"


def test_a_type_of_which_there_are_no_arrays_is_named() -> None:
    plans, _ = inputs.plan([spec("float3")], InputWishes(), FIRST)
    with pytest.raises(ModelNotSupported, match="float3"):
        inputs.make(plans, 1)


@pytest.mark.parametrize(
    ("dtype", "value", "has"),
    [
        ("bfloat16", np.nan, True),
        ("bfloat16", np.inf, True),
        ("float8_e4m3fn", np.nan, True),
        ("float8_e4m3fn", np.inf, False),
        ("float8_e5m2", -np.inf, True),
        ("float4_e2m1fn", np.nan, False),
    ],
)
def test_values_that_are_no_numbers_go_in_where_the_type_has_them(dtype: str, value: float, has: bool) -> None:
    values = np.array([0.5, value], np.float32)
    if has:
        made = inputs.conform(values, spec(dtype, (2,))).astype(np.float32)
        assert np.array_equal(made, values, equal_nan=True)
    else:
        with pytest.raises(SpecInvalid, match=f"some values for input 'x' are .*, and {dtype} has none"):
            inputs.conform(values, spec(dtype, (2,)))


def test_a_type_without_a_zero_has_random_values_too() -> None:
    plans, _ = inputs.plan([spec("float8_e8m0fnu")], InputWishes(), FIRST)
    values = inputs.make(plans, 1)["x"].astype(np.float32)
    assert 0 < values.min() <= values.max() <= 1


@pytest.mark.parametrize("dtype", ["bfloat16", "int4", "float8_e4m3fn"])
def test_an_input_without_a_single_value_that_is_a_number(dtype: str) -> None:
    empty = np.zeros((0, 3), np.float32 if "float" in dtype else np.int8)
    assert inputs.conform(empty, spec(dtype, (None, 3))).shape == (0, 3)
    if "float" in dtype:
        nothing = np.full(3, np.nan, np.float32)
        assert np.isnan(inputs.conform(nothing, spec(dtype, (3,))).astype(np.float32)).all()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_values_are_random_in_both_parts(dtype: str) -> None:
    plans, _ = inputs.plan([spec(dtype, (200,))], InputWishes(ranges={"x": (2.0, 3.0)}), FIRST)
    values = inputs.make(plans, 1)["x"]
    assert values.dtype.name == dtype
    for part in (values.real, values.imag):
        assert 2 <= part.min() < part.max() <= 3
        assert len(np.unique(part)) > 100
    assert not np.array_equal(values.real, values.imag)
