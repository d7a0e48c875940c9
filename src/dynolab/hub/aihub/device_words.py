"""Words that AI Hub's own model recipes ask of a device, told to its client beside what the device's agent announced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

FLOATS = "htp-supports-fp16:true"
"""Whether models with floats run. The recipes refuse to export such a model without it, whatever the runtime is."""
_HEXAGON = "hexagon:"


def told(attributes: Sequence[str]) -> tuple[str, ...]:
    """The attributes with :data:`FLOATS`, unless the device has a Hexagon processor: that one's agent tells it, or does not.

    Every runtime here computes with floats. That a device has such a processor is told by ``hexagon:`` alone.
    """
    if FLOATS in attributes or any(one.startswith(_HEXAGON) for one in attributes):
        return tuple(attributes)
    return (*attributes, FLOATS)


def announced(attributes: Iterable[str]) -> tuple[str, ...]:
    """Of attributes that a client asks for, those that an agent may have announced: what devices are looked up by."""
    return tuple(one for one in attributes if one != FLOATS)
