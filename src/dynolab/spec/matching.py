"""Which inputs or outputs of two models are the same: by name, else by shape or order, in the same layout or another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dynolab.errors import SpecInvalid
from dynolab.spec.tensors import Dimension, TensorSpec


class MatchedBy(StrEnum):
    """What two tensors were taken for the same by."""

    NAME = "name"
    SHAPE = "shape"
    ORDER = "order"


class Layout(StrEnum):
    """How B's tensor lies where A's is [N, C, H, W], or of another shape."""

    SAME = "same"
    CHANNELS_LAST = "channels-last"
    """[N, H, W, C] in B."""
    CHANNELS_FIRST = "channels-first"
    """[N, C, H, W] in B, and [N, H, W, C] in A."""
    ONES = "ones"
    """The same sizes but for dimensions of 1, as [1, 1000] and [1, 1, 1, 1000]."""


@dataclass(frozen=True, slots=True)
class Match:
    """Two tensors that are taken for the same one."""

    a: str
    b: str
    by: MatchedBy
    layout: Layout
    dtype_a: str
    dtype_b: str

    @property
    def words(self) -> tuple[str, ...]:
        """What was done beside comparing names, in English, without the types."""
        by = () if self.by is MatchedBy.NAME else (f"by {self.by}",)
        return (*by, _LAYOUTS[self.layout]) if self.layout in _LAYOUTS else by

    @property
    def how(self) -> str:
        """The same with the types: ``by shape, channels last in B, int32 in B``."""
        types = () if self.dtype_a == self.dtype_b else (f"{self.dtype_b} in B",)
        return ", ".join((*self.words, *types))


_LAYOUTS = {
    Layout.CHANNELS_LAST: "channels last in B",
    Layout.CHANNELS_FIRST: "channels first in B",
    Layout.ONES: "other dimensions of 1 in B",
}


@dataclass(frozen=True, slots=True)
class Matches:
    """The pairs in A's order, and what only one model has."""

    pairs: tuple[Match, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()


def permuted(shape: Sequence[Dimension], layout: Layout) -> tuple[Dimension, ...]:
    """A's shape as B has it: the second axis at the end, or the last one second; another layout changes nothing here."""
    if len(shape) < 3 or layout in (Layout.SAME, Layout.ONES):
        return tuple(shape)
    first, *rest = shape
    return (first, *rest[1:], rest[0]) if layout is Layout.CHANNELS_LAST else (first, rest[-1], *rest[:-1])


def match_inputs(a: Sequence[TensorSpec], b: Sequence[TensorSpec]) -> Matches:
    """Every input of A with one of B. Raises :class:`SpecInvalid` where that is not possible, or not certain."""
    found = _match(a, b)
    if found.only_a or found.only_b:
        raise SpecInvalid(
            f"A's inputs cannot be told from B's: A has {_listed(a)}; B has {_listed(b)}",
            hint="equal names are matched first, then shapes and order; give the inputs the same names",
        )
    known = {one.name: one for one in b}
    for pair, spec in zip(found.pairs, a, strict=True):
        if layout_of(spec, known[pair.b]) is None:
            raise SpecInvalid(
                f"input {pair.a!r} is {_told(spec)} in A, and {_told(known[pair.b])} in B: no data fit both",
                hint="compile both for the same shapes, or give one of them open ones",
            )
    return found


def match_outputs(a: Sequence[TensorSpec], b: Sequence[TensorSpec]) -> Matches:
    """The outputs that both have, and those of one alone. Raises :class:`SpecInvalid` where they have none in common."""
    found = _match(a, b)
    if not found.pairs:
        raise SpecInvalid(
            f"A and B have no output in common: A has {_listed(a)}; B has {_listed(b)}",
            hint="equal names are matched first, then shapes and order; give the outputs the same names",
        )
    return found


def _match(a: Sequence[TensorSpec], b: Sequence[TensorSpec]) -> Matches:
    pairs = {one.name: (other, MatchedBy.NAME) for one in a for other in b if one.name == other.name}
    rest_a = [one for one in a if one.name not in pairs]
    rest_b = [one for one in b if one.name not in pairs]
    if len(a) == len(b) == 1 and not pairs:
        pairs[a[0].name] = (b[0], MatchedBy.ORDER if layout_of(a[0], b[0]) is None else MatchedBy.SHAPE)
    else:
        pairs.update(_by_shape(rest_a, rest_b) or _by_order(rest_a, rest_b))
    matches = tuple(_pair(one, *pairs[one.name]) for one in a if one.name in pairs)
    taken = {pair.b for pair in matches}
    return Matches(
        matches,
        tuple(one.name for one in a if one.name not in pairs),
        tuple(one.name for one in b if one.name not in taken),
    )


Pairs = dict[str, tuple[TensorSpec, MatchedBy]]


def _by_shape(a: Sequence[TensorSpec], b: Sequence[TensorSpec]) -> Pairs:
    """Empty unless each of A's fits one of B's and no other, and the other way round."""
    fitting = {one.name: [other for other in b if layout_of(one, other) is not None] for one in a}
    chosen = [found[0].name for found in fitting.values() if len(found) == 1]
    if len(chosen) < len(a) or len(set(chosen)) < len(chosen):
        return {}
    return {name: (found[0], MatchedBy.SHAPE) for name, found in fitting.items()}


def _by_order(a: Sequence[TensorSpec], b: Sequence[TensorSpec]) -> Pairs:
    """Empty unless there are as many, and each of A's fits B's in the same place."""
    if len(a) != len(b) or any(layout_of(one, other) is None for one, other in zip(a, b, strict=True)):
        return {}
    return {one.name: (other, MatchedBy.ORDER) for one, other in zip(a, b, strict=True)}


def _pair(a: TensorSpec, b: TensorSpec, by: MatchedBy) -> Match:
    return Match(a.name, b.name, by, layout_of(a, b) or Layout.SAME, a.dtype, b.dtype)


def layout_of(a: TensorSpec, b: TensorSpec) -> Layout | None:
    """The layout in which B's tensor holds A's, or None. Of several that fit, the one with more sizes in common; else the same."""
    if _kind(a.dtype) != _kind(b.dtype):
        return None
    layouts = [one for one in (Layout.SAME, Layout.CHANNELS_LAST, Layout.CHANNELS_FIRST) if _agrees(a, b, one)]
    if layouts:
        return max(layouts, key=lambda one: _common(permuted(a.shape, one), b.shape))
    return Layout.ONES if a.bound and b.bound and _without_ones(a) == _without_ones(b) else None


def _kind(dtype: str) -> str:
    """What can be made into each other: floating-point numbers of all widths, integers of all widths."""
    if "float" in dtype:
        return "float"
    return "int" if "int" in dtype or dtype == "bool" else dtype


def _agrees(a: TensorSpec, b: TensorSpec, layout: Layout) -> bool:
    shape = permuted(a.shape, layout)
    return len(shape) == len(b.shape) and all(
        not (isinstance(one, int) and isinstance(other, int)) or one == other
        for one, other in zip(shape, b.shape, strict=True)
    )


def _common(a: Sequence[Dimension], b: Sequence[Dimension]) -> int:
    return sum(isinstance(one, int) and one == other for one, other in zip(a, b, strict=True))


def _without_ones(spec: TensorSpec) -> list[Dimension]:
    return [size for size in spec.shape if size != 1]


def merged(a: TensorSpec, b: TensorSpec, layout: Layout) -> TensorSpec:
    """A's input, with the sizes that B fixes where A leaves them open."""
    if layout is Layout.ONES or len(a.shape) != len(b.shape):
        return a
    places = permuted(range(len(a.shape)), layout)
    fixed = {place: size for place, size in zip(places, b.shape, strict=True) if isinstance(size, int)}
    sizes = (size if isinstance(size, int) else fixed.get(axis, size) for axis, size in enumerate(a.shape))
    return replace(a, shape=tuple(sizes))


def _told(spec: TensorSpec) -> str:
    return f"{spec.dtype} {spec.shape_text}"


def _listed(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{one.name} {_told(one)}" for one in specs) or "none"
