"""Element types of tensors as numpy has them, those that it lacks through ``ml_dtypes``, and 4 bits packed two to a byte."""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING, Any

from dynolab.errors import ModelNotSupported, PluginMissing
from dynolab.runtimes._numpy import Array, np
from dynolab.spec.tensors import ELEMENT_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT = "string"
EXTRA = frozenset(
    {
        "bfloat16", "int2", "uint2", "int4", "uint4", "float4_e2m1fn", "float8_e3m4", "float8_e4m3", "float8_e4m3fn",
        "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    }
)  # fmt: skip
"""Types that numpy lacks, by their names in ``ml_dtypes``, which is what ONNX and JAX have them from."""


def element_type(name: str) -> np.dtype[Any]:
    """numpy's type of an element by its name; text is an object.

    Raises :class:`ModelNotSupported` for a name that nobody has, :class:`PluginMissing` where ``ml_dtypes`` is needed
    and not there.
    """
    if name == TEXT:
        return np.dtype(object)
    if name not in EXTRA:
        try:
            return np.dtype(name)
        except TypeError as error:
            raise ModelNotSupported(
                f"there are no arrays of {name}", hint="export the model with tensors of numbers or text"
            ) from error
    try:
        import ml_dtypes  # for these models only: it takes 10 ms
    except ModuleNotFoundError as error:
        raise PluginMissing(f"tensors of {name} need the module ml_dtypes", hint="pip install ml_dtypes") from error
    if not hasattr(ml_dtypes, name):
        raise PluginMissing(f"this ml_dtypes has no {name}", hint="pip install --upgrade ml_dtypes")
    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found


def element_name(array: Array) -> str:
    """The name of an array's element type: ``string`` for text of any length."""
    return TEXT if array.dtype.kind in "OSTU" else array.dtype.name


def limits(name: str) -> tuple[float, float] | None:
    """The least and the greatest number of a type; None for text, truth values, complex numbers and what nobody knows."""
    try:
        dtype = element_type(name)
    except ModelNotSupported:
        return None
    if name in EXTRA:
        import ml_dtypes

        told: Any = ml_dtypes.iinfo if "int" in name else ml_dtypes.finfo
        return float(told(dtype).min), float(told(dtype).max)
    if dtype.kind not in "iuf":
        return None
    bounds = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return float(bounds.min), float(bounds.max)


def packed(array: Array) -> NDArray[np.uint8]:
    """The elements' bytes in C order, those of less than 8 bits side by side in one, the first in the lowest bits."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    bits = _bits(array.dtype.name)
    if bits >= 8:
        return flat
    each = 8 // bits
    filled = np.zeros(ceil(flat.size / each) * each, np.uint8)
    filled[: flat.size] = flat & (1 << bits) - 1
    shifted = filled.reshape(-1, each) << np.arange(0, 8, bits, dtype=np.uint8)
    return np.asarray(np.bitwise_or.reduce(shifted, axis=1), np.uint8)


def unpacked(content: NDArray[np.uint8], name: str, shape: tuple[int, ...]) -> Array:
    """The array of this type and shape whose :func:`packed` bytes these are; a copy."""
    dtype, count, bits = element_type(name), prod(shape), _bits(name)
    if bits >= 8:
        return content[: count * dtype.itemsize].copy().view(dtype).reshape(shape)
    each = content.reshape(-1, 1) >> np.arange(0, 8, bits, dtype=np.uint8) & (1 << bits) - 1
    return each.astype(np.uint8).reshape(-1)[:count].view(dtype).reshape(shape)


def plain(array: Array) -> Array:
    """The same values in a type that numpy's own files hold: float32, int8, uint8 for types that numpy lacks, text as text."""
    name = element_name(array)
    if name == TEXT:
        return array.astype(np.str_)
    if name not in EXTRA:
        return array
    return array.astype("uint8" if name.startswith("uint") else "int8" if name.startswith("int") else "float32")


def _bits(name: str) -> int:
    return int(8 * ELEMENT_BYTES.get(name, 1))
