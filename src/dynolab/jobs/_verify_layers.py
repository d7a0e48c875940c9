"""Two models layer by layer, some tensors at a time, so that never all of them are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from dynolab.errors import UserError
from dynolab.runtimes._elements import element_name
from dynolab.spec import matching
from dynolab.spec.compiles import OutputCheck
from dynolab.spec.measurements import Notice
from dynolab.spec.tensors import TensorSpec
from dynolab.spec.verify_layers import LAYER_SAMPLES, LayerCheck, LayerChecks, shown
from dynolab.toolchains import _carried as carried
from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains._layer_values.base import InnerTensor, Sample, Traced
from dynolab.toolchains.base import Array

FIRST_BATCH, BATCH_BYTES = 8, 64 << 20
"""Tensors at a time to begin with; then as many as this holds of one sample, in both models together."""
LAYERS_S = 300.0
"""No further tensors are begun after this long."""
PARTING_S, NAMED = 60.0, 5
"""The same beside poor numbers of a model that was made; and how many of the noisiest layers are named."""
Pair = tuple[InnerTensor, InnerTensor]


def compare(
    a: Traced,
    b: Traced,
    samples: Sequence[tuple[Sample, Sample]],
    limit_db: float,
    say: Callable[[str], None],
    *,
    within_s: float | None = None,
) -> LayerChecks:
    """What came of every tensor that both have. Raises a :class:`~dynolab.errors.UserError`."""
    pairs, end = list(_pairs(a, b)), monotonic() + (LAYERS_S if within_s is None else within_s)
    found: dict[str, tuple[Pair, OutputCheck]] = {}
    done, size = 0, FIRST_BATCH
    while done < len(pairs) and monotonic() < end:
        say(f"layer {done + 1} of {len(pairs)}")
        batch = pairs[done : done + size]
        checks, held = _checked(a, b, batch, samples)
        found |= {pair[0].name: (pair, check) for pair, check in zip(batch, checks, strict=True) if check is not None}
        done += len(batch)
        size = max(1, min(4 * size, size * BATCH_BYTES // max(1, held)))
    layers = tuple(_with_inputs(a, found))
    return LayerChecks(layers, limit_db, len(samples), len(a.tensors) - len(pairs), done >= len(pairs))


def parting(sides: tuple[Traced, Traced], samples: Sequence[Sample], limit_db: float) -> Notice | None:
    """Where the numbers of a model that was made part from its source's, to be said beside poor ones; None: that cannot be told.

    Both take the samples as they are. Raises a :class:`~dynolab.errors.UserError`.
    """
    fed = [(one, one) for one in samples[:LAYER_SAMPLES]]
    found = compare(*sides, fed, limit_db, lambda _: None, within_s=PARTING_S)
    noisiest = ", ".join(one.node for one in found.noisiest[:NAMED])
    if not noisiest:
        return None
    if found.first is None:
        return Notice("warning", "noisiest-layers", f"most noise comes from the layers {noisiest}")
    one = found.first
    drop = f"{shown(one.inputs_psnr_db)} in, {shown(one.psnr_db)} out"
    text = f"the numbers part first at {one.node} ({one.type}), {drop}; most noise comes from {noisiest}"
    return Notice("warning", "parts-first", text)


def _pairs(a: Traced, b: Traced) -> Iterator[Pair]:
    """A's tensors, each with B's of the same name; a value that two names stand for counts once."""
    known, seen = {one.name: one for one in b.tensors}, set[str]()
    for one in a.tensors:
        if one.name in known and one.at not in seen:
            seen.add(one.at)
            yield one, known[one.name]


def _checked(
    a: Traced, b: Traced, batch: Sequence[Pair], samples: Sequence[tuple[Sample, Sample]]
) -> tuple[list[OutputCheck | None], int]:
    """Of each pair, None where it cannot be had or holds other things than real numbers; and the bytes of one sample's values."""
    try:
        return _compared(a, b, batch, samples)
    except UserError:
        if len(batch) == 1:  # such as a sequence, which no session gives out
            return [None], 0
    each = [_checked(a, b, [pair], samples) for pair in batch]
    return [one for checks, _ in each for one in checks], sum(held for _, held in each)


def _compared(
    a: Traced, b: Traced, batch: Sequence[Pair], samples: Sequence[tuple[Sample, Sample]]
) -> tuple[list[OutputCheck | None], int]:
    readers = a.reader([one.at for one, _ in batch]), b.reader([other.at for _, other in batch])
    running, usable, held = [numbers.Comparison([one.name]) for one, _ in batch], [True] * len(batch), 0
    for sample_a, sample_b in samples:
        before, after = readers[0](sample_a), readers[1](sample_b)
        held = max(held, sum(array.nbytes for array in (*before, *after)))
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            laid = _laid_out(one, other)
            usable[place] = usable[place] and laid is not None
            if laid is not None:
                running[place].add([one], [laid])
    checks = [one.checks()[0] for one in running]
    return [
        check if fits and check.max_abs_error is not None else None for check, fits in zip(checks, usable, strict=True)
    ], held


def _laid_out(before: Array, after: Array) -> Array | None:
    """B's tensor as A's lies; None where it is another one, or no real numbers."""
    if "float" not in element_name(before):
        return None
    layout = matching.layout_of(*(TensorSpec("", element_name(one), one.shape) for one in (before, after)))
    return None if layout is None else carried.laid_out(after, layout, before.shape)


def _with_inputs(a: Traced, found: dict[str, tuple[Pair, OutputCheck]]) -> Iterator[LayerCheck]:
    """Each with the least PSNR of what it reads; of tensors that were not compared, of what these read in turn."""
    least: dict[str, float] = {}
    exact = float("inf")
    for one in a.tensors:
        read = min((least.get(name, exact) for name in one.inputs), default=exact)
        least[one.name] = read
        if one.name not in found:
            continue
        (_, other), check = found[one.name]
        least[one.name] = exact if check.psnr_db is None else check.psnr_db
        yield LayerCheck(
            node=one.node,
            type=one.type,
            tensor=one.name,
            node_b=other.node,
            tensor_b=other.name,
            max_abs_error=check.max_abs_error or 0.0,
            psnr_db=check.psnr_db,
            inputs_psnr_db=None if read == exact else read,
        )
