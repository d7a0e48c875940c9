"""Two models layer by layer: where their numbers part, and what each layer takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dynolab.spec.layer_names import node_names
from dynolab.spec.measurements import Layer

LAYER_SAMPLES = 8
"""How many samples the layers are compared on."""


@dataclass(frozen=True, slots=True)
class LayerCheck:
    """One tensor inside of A, and the one of B that stands for it, for the same inputs."""

    node: str
    type: str
    tensor: str
    node_b: str
    tensor_b: str
    max_abs_error: float
    psnr_db: float | None
    """None: the same numbers."""
    inputs_psnr_db: float | None
    """The least of what the layer reads; None: that is the same, or the model's own inputs."""
    time_a_ns: int | None = None
    time_b_ns: int | None = None
    """What the node takes in an inference, as the runtime runs it; None: not known, or part of another node there."""

    @property
    def added_noise(self) -> float:
        """The noise that this layer adds to what it reads, as a share of its own peak's power; never below zero."""
        return max(0.0, _noise(self.psnr_db) - _noise(self.inputs_psnr_db))

    def parts(self, limit_db: float) -> bool:
        """Whether it is below, and what it reads is not."""
        return (
            self.psnr_db is not None
            and self.psnr_db < limit_db
            and (self.inputs_psnr_db is None or self.inputs_psnr_db >= limit_db)
        )


@dataclass(frozen=True, slots=True)
class LayerChecks:
    """The layers that both models tell of, in A's order of computing."""

    layers: tuple[LayerCheck, ...]
    limit_db: float
    samples: int
    left: int
    """Tensors inside of A that B has none for."""
    is_complete: bool
    """Whether there was time for all of them."""

    @property
    def first(self) -> LayerCheck | None:
        """The first layer whose numbers part: below the limit, while all that it reads is not."""
        return next((one for one in self.layers if one.parts(self.limit_db)), None)

    @property
    def noisiest(self) -> tuple[LayerCheck, ...]:
        """Those that add most noise to what they read, the noisiest first."""
        return tuple(sorted((one for one in self.layers if one.added_noise), key=lambda one: -one.added_noise))

    @property
    def headline(self) -> str:
        """Where the numbers part, in a line, in English."""
        if not self.layers:
            return "no tensor inside of A has its like in B: they are matched by name"
        found = self.first
        if found is None:
            return f"no layer is below {self.limit_db:g} dB while what it reads is not"
        drop = f"{shown(found.inputs_psnr_db)} in, {shown(found.psnr_db)} out"
        return f"the first layer whose numbers part is {found.node} ({found.type}): {drop}"


def shown(psnr_db: float | None) -> str:
    """A PSNR in words; None: ``exact``."""
    return "exact" if psnr_db is None else f"{psnr_db:.1f} dB"


def _noise(psnr_db: float | None) -> float:
    return 0.0 if psnr_db is None else 10 ** (-psnr_db / 10)


def with_times(found: LayerChecks, side: str, timed: Sequence[Layer]) -> LayerChecks:
    """The same, with what a runtime's layers take; ``side``: ``a`` or ``b``.

    A layer that several nodes were fused to stands at the last of them; those that share a name are added up.
    """
    known: dict[str, int] = {}
    for number, one in enumerate(found.layers):
        node, tensor = (one.node, one.tensor) if side == "a" else (one.node_b, one.tensor_b)
        known[tensor] = number
        known.setdefault(node, number)
    times: dict[int, int] = {}
    for layer in timed:
        groups = ([known[name] for name in group if name in known] for group in node_names(layer.name, layer.type))
        if places := next(filter(None, groups), None):
            times[max(places)] = times.get(max(places), 0) + layer.time_ns
    return replace(found, layers=tuple(_timed(one, side, times.get(at)) for at, one in enumerate(found.layers)))


def _timed(one: LayerCheck, side: str, time_ns: int | None) -> LayerCheck:
    changed: Mapping[str, int | None] = {f"time_{side}_ns": time_ns}
    return replace(one, **changed)  # type: ignore[arg-type] # the key is one of two fields
