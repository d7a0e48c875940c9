"""The layers of two profiles, or of several, matched by name; never with a verdict (measuring.md section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from dynolab.spec.layer_names import lasting_name
from dynolab.spec.measurements import Layer
from dynolab.spec.profiles import LayerTable

STEPS_FOR_RATIO = 10
"""Steps of a layer's clock that a time must have for a ratio: below it the step alone changes a ratio by a tenth and more."""
LAYER_NOTE = "Layers are compared by name and by their medians, without a verdict."
LAYERS_DISTURBED = "A layer pass was disturbed (its layers add up to far more than an inference takes): no layer is held against another."


@dataclass(frozen=True, slots=True)
class LayerRatio:
    """One layer that both profiles have; ``ratio`` is b over a, None where it would tell nothing (:func:`layer_ratio`)."""

    name: str
    a_ns: int
    b_ns: int
    ratio: float | None


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """The layers of both profiles by name; a name that occurs several times is matched in order."""

    layers: tuple[LayerRatio, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    note: str
    is_disturbed: bool = False
    """Whether the layer pass of either side was: the layers then blame nobody, and there are no ratios."""


def compare_layers(a: LayerTable, b: LayerTable, names: tuple[str, str] = ("a", "b")) -> LayerComparison:
    """The time ratio of every layer that both tables name, and the names that only one has; never a verdict."""
    before, after = _numbered(a), _numbered(b)
    pairs = [(old, after[key]) for key, old in before.items() if key in after]
    shared = [
        LayerRatio(old.name, old.time_ns, new.time_ns, layer_ratio((old.time_ns, a), (new.time_ns, b)))
        for old, new in pairs
    ]
    return LayerComparison(
        layers=tuple(shared),
        only_a=tuple(layer.name for key, layer in before.items() if key not in after),
        only_b=tuple(layer.name for key, layer in after.items() if key not in before),
        note=" ".join(
            [
                LAYER_NOTE,
                *([LAYERS_DISTURBED] if a.is_disturbed or b.is_disturbed else []),
                *(f"{side}: {table.reason}." for side, table in zip(names, (a, b), strict=True) if table.reason),
            ]
        ),
        is_disturbed=a.is_disturbed or b.is_disturbed,
    )


def layer_ratio(*sides: tuple[int, LayerTable]) -> float | None:
    """The second time in ns over the first, each with the table that it is from.

    None where either table is disturbed, and where a time is too few steps of its clock.
    """
    if any(table.is_disturbed or ns < STEPS_FOR_RATIO * max(1, table.resolution_ns or 1) for ns, table in sides):
        return None
    (before, _), (after, _) = sides
    return after / before


def _numbered(table: LayerTable) -> dict[tuple[str, int], Layer]:
    """The layers by what they can be matched by, and how many of that came before."""
    seen: dict[str, int] = {}
    found = {}
    for layer in table.layers:
        name = lasting_name(layer.name, layer.type)
        found[name, seen.setdefault(name, 0)] = layer
        seen[name] += 1
    return found


@dataclass(frozen=True, slots=True)
class LayerSides:
    """One layer in several profiles, None where one lacks it; ``number`` is its place among all, from 1."""

    number: int
    name: str
    layers: tuple[Layer | None, ...]

    @property
    def differences_ns(self) -> tuple[int, ...]:
        """What each other profile takes more than the first (negative: less); who lacks the layer takes no time for it."""
        first, *others = (0 if layer is None else layer.time_ns for layer in self.layers)
        return tuple(other - first for other in others)


def layers_side_by_side(tables: Sequence[LayerTable]) -> list[LayerSides]:
    """Every layer of any table: those of the first in their order, then what each other one has besides.

    They are matched by name; a name that occurs several times is matched in order.
    """
    sides = [_numbered(table) for table in tables]
    keys = dict.fromkeys(chain.from_iterable(sides))
    rows = (tuple(side.get(key) for side in sides) for key in keys)
    return [
        LayerSides(at, next(layer.name for layer in row if layer is not None), row) for at, row in enumerate(rows, 1)
    ]
