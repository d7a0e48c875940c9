"""Which float type a model was computed in, held against its file's and against other profiles'."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dynolab.spec.measurements import Layer, Notice
from dynolab.spec.profiles import LayerTable, Profile
from dynolab.spec.show import show_share

CODE = "other-precision"
_FLOATS = {
    name: full
    for full, names in {
        "bfloat16": ("bf16", "bfloat16"),
        "float16": ("f16", "fp16", "float16", "half"),
        "float32": ("f32", "fp32", "float32", "float"),
        "float64": ("f64", "fp64", "float64", "double"),
    }.items()
    for name in names
}
_EFFECTIVE = ("precision", "inference_precision")
"""Under which names runtimes tell the float type in effect."""


def in_effect(effective: Mapping[str, str]) -> str | None:
    """The float type that a runtime says it computes in, such as ``bfloat16``; None where it tells none."""
    told = (_FLOATS.get(effective[key].lower()) for key in _EFFECTIVE if key in effective)
    return next(filter(None, told), None)


def of_file(precision: str | None) -> str | None:
    """The float type that most weights of a file have, from ``float32`` or ``int8 93 %, float32 7 %``."""
    words = re.findall(r"[a-z]+\d+\b", precision or "")
    return next((word for word in words if word in _FLOATS.values()), None)


def unlike_file(told: str | None, effective: Mapping[str, str], table: LayerTable) -> str | None:
    """That the model was computed in another float type than its file has, by layers where they tell; None where it was not.

    ``told`` is what the file says of its weights.
    """
    own, claimed = of_file(told), in_effect(effective)
    if own is None:
        return None
    known = [layer for layer in table.layers if layer.precision is not None]
    others = [layer for layer in known if layer.precision in _FLOATS.values() and layer.precision != own]
    if known:
        return _by_layers(others, table, own) if others else None
    if claimed is None or claimed == own:
        return None
    return f"the runtime computes in {claimed}, and the file has {own}"


def _by_layers(others: Sequence[Layer], table: LayerTable, own: str) -> str:
    times: dict[str, int] = {}
    for layer in others:
        times[str(layer.precision)] = times.get(str(layer.precision), 0) + layer.time_ns
    share = sum(times.values()) / max(1, sum(layer.time_ns for layer in table.layers))
    kinds = " and ".join(sorted(times, key=lambda kind: -times[kind]))
    count = f"{len(others):,} of {len(table.layers):,} layers ({show_share(share)} of the time)"
    return f"{count} computed in {kinds}, and the file has {own}"


def notices(told: str | None, effective: Mapping[str, str], table: LayerTable, options: str) -> list[Notice]:
    """The same as a notice: a loud one, unless an option asked for a precision."""
    text = unlike_file(told, effective, table)
    return [] if text is None else [Notice("info" if "precision" in options else "loud", CODE, text)]


def of_profile(profile: Profile) -> str | None:
    """What a profile was computed in, in one word or two; None where neither its runtime nor its file tells."""
    told = profile.model.precision
    main = re.match(r"[a-z]+\d+\b", told or "")
    own, claimed = of_file(told), _by_time(profile.layers) or in_effect(profile.runtime.effective)
    if main is None or main[0] == own:
        return claimed or own
    return main[0] if claimed in (None, "float32") else f"{main[0]} with {claimed}"


def _by_time(table: LayerTable) -> str | None:
    """The float type that layers spent most time in, where they tell."""
    times: dict[str, int] = {}
    for layer in table.layers:
        if layer.precision in _FLOATS.values():
            times[str(layer.precision)] = times.get(str(layer.precision), 0) + layer.time_ns
    return max(times, key=lambda kind: times[kind], default=None)


def apart(profiles: Sequence[Profile], names: Sequence[str]) -> str | None:
    """That profiles side by side were not computed in the same precision, each by its name; None where they were."""
    found = [(name, kind) for name, profile in zip(names, profiles, strict=True) if (kind := of_profile(profile))]
    if len({kind for _, kind in found}) < 2:
        return None
    return f"Not like for like: {', '.join(f'{name} computes in {kind}' for name, kind in found)}."


def first_word(profiles: Sequence[Profile], names: Sequence[str]) -> str | None:
    """What a reader must know of precision before any figure: of one profile against its file, of several against each other."""
    if len(profiles) > 1:
        return apart(profiles, names)
    only = profiles[0]
    told = unlike_file(only.model.precision, only.runtime.effective, only.layers)
    return None if told is None else f"{told[0].upper()}{told[1:]}."
