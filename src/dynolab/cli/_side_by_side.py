"""Several runtimes in one command are measured on the same input sizes, whoever chose them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dynolab.errors import SpecInvalid
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Notice
from dynolab.spec.profiles import Profile


def measured(spec: ProfileSpec, before: Sequence[Profile], run: Callable[[ProfileSpec], Profile]) -> Profile:
    """The profile of one runtime on the sizes that the first one before it took, with a notice that says so.

    What the runtimes know of a model's open dimensions is not the same (OpenVINO keeps no names), so each would choose its
    own. Where it calls the inputs otherwise it does choose, and other sizes are a loud notice.
    """
    first = before[0] if before else None
    if first is None:
        return run(spec)
    chosen = {one.spec.name: one.spec.sizes for one in first.inputs if one.spec.name not in _given(spec)}
    if not any(notice.code == "default-shape" for notice in first.notices):
        chosen = {}
    try:
        found = run(replace(spec, input_shapes={**spec.input_shapes, **chosen}))
    except SpecInvalid:
        if not chosen:
            raise
        found = run(spec)
        chosen = {}
    notices = [_as_before(name, sizes, first) for name, sizes in chosen.items()]
    sizes = [one.spec.shape_text for one in found.inputs], [one.spec.shape_text for one in first.inputs]
    if sizes[0] != sizes[1]:
        text = (
            f"measured on {', '.join(sizes[0])}, and {first.runtime.name} on {', '.join(sizes[1])}: not like for like"
        )
        notices.append(Notice("loud", "other-sizes", text))
    return replace(found, notices=(*found.notices, *notices))


def _given(spec: ProfileSpec) -> set[str]:
    return {*spec.input_shapes, *spec.input_files}


def _as_before(name: str, sizes: tuple[int, ...], first: Profile) -> Notice:
    shape = ", ".join(map(str, sizes))
    return Notice("info", "default-shape", f"{name}: [{shape}] was taken, as with {first.runtime.name}")
