"""Element types that numpy lacks: names, limits, bits side by side."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from dynolab.errors import ModelNotSupported
from dynolab.runtimes import _elements as elements
from dynolab.spec.tensors import TensorSpec


@pytest.mark.parametrize("name", sorted(elements.EXTRA))
def test_a_type_of_ml_dtypes_survives_its_bytes(name: str) -> None:
    dtype = elements.element_type(name)
    low, high = elements.limits(name) or (1, 0)
    values = np.array([[low, high, 1], [high, 1, low], [1, 1, high]], np.float64).astype(dtype)[:, :3]
    content = elements.packed(values)
    assert content.nbytes == TensorSpec("x", name, values.shape).bytes
    assert np.array_equal(elements.unpacked(content, name, values.shape).astype(float), values.astype(float))
    plain = elements.plain(values)
    assert plain.dtype.name in ("float32", "int8", "uint8")
    assert np.array_equal(plain.astype(float), values.astype(float)), "no value is lost"


def test_four_bits_lie_two_to_a_byte_the_first_below() -> None:
    values = np.array([1, -2, 3], np.int8).astype(ml_dtypes.int4)
    assert elements.packed(values).tolist() == [0xE1, 0x03]


def test_text_has_one_name_whatever_its_length() -> None:
    for array in (np.array(["a"]), np.array(["abc"]), np.array([b"x"]), np.array(["a"], object)):
        assert elements.element_name(array) == "string"
    assert elements.plain(np.array(["a", "bcd"], object)).dtype.kind == "U"


def test_a_type_of_nobody_s_is_named() -> None:
    with pytest.raises(ModelNotSupported, match="float3"):
        elements.element_type("float3")
