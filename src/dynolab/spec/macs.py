"""Multiply-accumulates of operators that several formats have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod


def einsum(equation: str, shapes: Sequence[tuple[int, ...]]) -> int | None:
    """Those of two operands: a product for each combination of all indices. None where there are several ways to compute it."""
    terms = re.sub(r"\s", "", equation).split("->")[0].split(",")
    if len(terms) == 1:
        return 0
    if len(terms) > 2 or "..." in equation:
        return None
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, size in zip(term, shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return prod(sizes.values())
