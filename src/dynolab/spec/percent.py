"""Percentages as people write them: with their sign, so that 10% is never taken for 10, nor 0.1 for 0.1%."""

from __future__ import annotations

import re

from dynolab.errors import SpecInvalid

_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*%")
MOST = 100_000
"""Percent. More is a slip of the pen."""


def read_percent(text: str, what: str) -> float:
    """The share that a text such as ``10%`` stands for: 0.1.

    ``what`` is the option that it was given for. Raises :class:`SpecInvalid` for a number without a sign, and for all that is no
    number from 0 on.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is not None and float(found[1]) <= MOST:
        return float(found[1]) / 100
    hint = f"write it with its sign: {what} 10% is a tenth"
    try:
        number = float(text)
    except ValueError:
        raise SpecInvalid(f"{what} {text!r}: no percentage", hint=hint) from None
    if 0 <= number <= MOST:
        either = f"{number:g}%" if number >= 1 else f"{number:g}% or {100 * number:g}%"
        raise SpecInvalid(f"{what} {text}: a percentage without its sign", hint=f"write {what} {either}")
    raise SpecInvalid(f"{what} {text}: no percentage from 0 on", hint=hint)
