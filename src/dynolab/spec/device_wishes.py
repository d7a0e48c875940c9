"""Which devices a wish fits: names, AI Hub's families of names, versions of the system and intervals of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from dynolab.errors import SpecInvalid

_FAMILY = " (Family)"
_MEMBER = re.compile(r"(a|e)?\+?( .*)?")
"""What may follow a family's name in a member's: Pixel 3a XL, Galaxy S22+ 5G, Galaxy S24 Ultra."""
_INTERVAL = re.compile(r"\[([0-9.]*),([0-9.]*)([)\]])")


def family(name: str) -> str | None:
    """What the names of a family begin with: ``Samsung Galaxy S24`` of ``Samsung Galaxy S24 (Family)``; None: it is a device's name."""
    begins = name.removesuffix(_FAMILY).strip()
    return begins if begins and begins != name.strip() else None


def is_member(name: str, begins: str) -> bool:
    """Whether a device is of the family whose names begin so."""
    return name.startswith(begins) and _MEMBER.fullmatch(name.removeprefix(begins)) is not None


@lru_cache(maxsize=1024)
def version(text: str) -> tuple[int, ...]:
    """The numbers of a system's version, for comparing."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


def wanted_versions(wanted: str) -> Callable[[str], bool]:
    """Tells of a version whether it is the one that is wanted, or lies in the interval that is; any does where none is wanted.

    ``[14,15)`` is from 14 to before 15, and ``[13,14]`` takes in all of 14, such as 14.1; either end may be left out. Raises
    :class:`SpecInvalid` for an interval that is none, here and not at the first version that is looked at: there may be none.
    """
    if not wanted.startswith("["):
        return lambda actual: wanted in ("", actual) or (version(actual) == version(wanted) != ())
    ends = _INTERVAL.fullmatch(wanted.replace(" ", ""))
    if ends is None:
        raise SpecInvalid(
            f"the system interval {wanted!r} is neither [low,high) nor [low,high]",
            hint="such as [14,15), [13,14], [14,) or [,15)",
        )
    low, high, closing = ends.groups()
    return lambda actual: _lies_between(version(actual), version(low), version(high), closing == "]")


def _lies_between(found: tuple[int, ...], low: tuple[int, ...], high: tuple[int, ...], takes_in_high: bool) -> bool:
    """Without numbers an end is open."""
    is_below = found[: len(high)] <= high if takes_in_high else found < high
    return found >= low and (not high or is_below)
