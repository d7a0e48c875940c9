"""Runtime support: whether a device can run a model, by its attributes; hub and clients ask before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dynolab.errors import SpecInvalid
from dynolab.spec.models import is_format_name
from dynolab.spec.options import Options, check_groups

RUNS = "runs:"
"""What attributes begin with that tell what a device runs: ``runs:onnxruntime/onnx``, a runtime and a format that it reads."""
SIMULATED = "simulated:"
"""What the attribute begins with of a device that is a simulator: ``simulated:hexagon-v73``. It gives numbers, and is never measured."""
ENDS = "ending:"
"""What attributes begin with that tell how files of an outside distribution's format end: ``ending:.mnn/mnn``."""
_ENDING = re.compile(r"\.[a-z0-9][a-z0-9_-]{0,19}", re.ASCII)


def told_endings(attributes: Iterable[str]) -> dict[str, str]:
    """Formats by the ending of their files, as devices with these attributes tell them besides dynolab's own."""
    told = (one.removeprefix(ENDS).partition("/") for one in attributes if one.startswith(ENDS))
    return {ending: kind for ending, _, kind in told if _ENDING.fullmatch(ending) and is_format_name(kind)}


def told_kinds(attributes: Iterable[str]) -> set[str]:
    """The formats that devices with these attributes read."""
    return {kind for _, kind in _runs(attributes) if kind}


def is_simulated(attributes: Iterable[str]) -> bool:
    """Whether a device is a simulator."""
    return any(one.startswith(SIMULATED) for one in attributes)


def check_runtime_support(
    name: str, boards: Sequence[Sequence[str]], *, runtime: str | None, model_kind: str | None
) -> None:
    """Whether a device can run a model at all, as far as its agents tell.

    ``boards``: the attributes of those that a job may be given to; ``runtime`` None: any; ``model_kind`` None: not known.

    Raises :class:`SpecInvalid` where none of them will do. One whose agent tells nothing of what it runs is not judged.
    """
    told = [_runs(one) for one in boards]
    if not all(told):
        return
    runs = {pair for pairs in told for pair in pairs}
    readers = {one for one, kind in runs if kind == model_kind}
    if model_kind is not None and not readers:
        raise SpecInvalid(
            f"no runtime of the device {name!r} reads a model of the kind {model_kind}; "
            f"those there read: {_listed(kind for _, kind in runs)}",
            hint="convert the model, or choose another device",
        )
    runtimes = readers or {one for one, _ in runs}
    if runtime is None or runtime in runtimes:
        return
    if any(one == runtime for one, _ in runs):
        raise SpecInvalid(
            f"the runtime {runtime!r} does not run a model of the kind {model_kind}; on the device {name!r} that does: "
            f"{_listed(runtimes)}",
            hint="choose one of those, or leave the runtime out",
        )
    raise SpecInvalid(
        f"the device {name!r} has no runtime {runtime!r}; it has: {_listed(runtimes)}",
        hint="choose one of those or another device, or install it there: `dynolab runtimes` says how",
    )


def check_own_options(options: Options, boards: Sequence[Sequence[str]]) -> None:
    """Raises :class:`SpecInvalid` for options of a runtime that a device lacks, as far as its agents tell (see above)."""
    told = [_runs(one) for one in boards]
    if all(told):
        check_groups(options, {runtime for pairs in told for runtime, _ in pairs})


def _runs(attributes: Iterable[str]) -> set[tuple[str, str]]:
    """Runtimes, each with a kind of model that it reads."""
    told = (one.removeprefix(RUNS).partition("/") for one in attributes if one.startswith(RUNS))
    return {(runtime, kind) for runtime, _, kind in told}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
