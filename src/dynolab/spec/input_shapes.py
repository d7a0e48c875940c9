"""Shapes of inputs as they are typed: ``NAME=VALUE``, such as ``x=1,3,224,224``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dynolab.errors import SpecInvalid

Shapes = Mapping[str, Sequence[int]]
"""Shapes by input name."""
SIZE_MOST = 2**62


def parse_pairs(texts: Sequence[str], what: str, example: str) -> dict[str, str]:
    """Name and value of each text; the value begins after the last ``=``, since names may hold one.

    Raises :class:`SpecInvalid`, which calls the texts ``what``.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value:
            raise SpecInvalid(f"{what} {text!r} is not NAME=VALUE", hint=f"such as {example}")
        if name in found:
            raise SpecInvalid(f"{what} names {name!r} twice")
        found[name] = value
    return found


def parse_shapes(texts: Sequence[str], what: str = "input shape") -> dict[str, tuple[int, ...]]:
    """Shapes of texts such as ``x=1,3,224,224`` (a scalar: ``x=()``). Raises :class:`SpecInvalid`."""
    found = {}
    for name, value in parse_pairs(texts, what, "x=1,3,224,224, or x=() for a scalar").items():
        try:
            sizes = [] if value == "()" else [int(part) for part in re.split("[,x]", value.strip("[]()"))]
        except ValueError as error:
            raise SpecInvalid(
                f"{what} {name}={value}: sizes are whole numbers", hint="such as x=1,3,224,224"
            ) from error
        found[name] = tuple(sizes)
    return found


def check_shapes(shapes: Shapes, what: str = "input shape") -> None:
    """Raise :class:`SpecInvalid` for a size that no array has."""
    for name, shape in shapes.items():
        for size in shape:
            if not 0 <= size < SIZE_MOST:  # 0: a cache that holds nothing yet
                wanted = "at most 2 to the power of 62" if size > 0 else "0 or more"
                raise SpecInvalid(f"{what} {show_shape(name, shape)}: the size {size} must be {wanted}")


def show_shape(name: str, shape: Sequence[int]) -> str:
    """A shape as it is typed: ``x=1,3,224,224``."""
    return f"{name}={','.join(map(str, shape)) or '()'}"
