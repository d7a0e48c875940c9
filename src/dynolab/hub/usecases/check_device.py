"""Whether a device can run a model at all, as far as its agent tells."""

from __future__ import annotations

from collections.abc import Sequence

from dynolab.errors import SpecInvalid
from dynolab.hub.usecases.find_devices import DeviceModel
from dynolab.spec.agents import READS, RUNTIME


def check_device(models: Sequence[DeviceModel], *, runtime: str | None, model_kind: str | None) -> None:
    """``models`` are those that a job may be given to; ``runtime`` None: any; ``model_kind`` None: not known yet.

    Raises :class:`SpecInvalid` where none of them will do. One whose agent tells nothing of its runtimes is not judged.
    """
    told = [one for one in models if _told(one, RUNTIME)]
    if not told or len(told) < len(models):
        return
    if runtime is not None and not any(f"{RUNTIME}{runtime}" in one.attributes for one in told):
        raise SpecInvalid(
            f"the device {told[0].name!r} has no runtime {runtime!r}; it has: {_all(told, RUNTIME)}",
            hint="choose one of those or another device, or install it there: `dynolab runtimes` says how",
        )
    if model_kind is not None and not any(f"{READS}{model_kind}" in one.attributes for one in told):
        raise SpecInvalid(
            f"no runtime of the device {told[0].name!r} reads a model of the kind {model_kind}; "
            f"those there read: {_all(told, READS)}",
            hint="convert the model, or choose another device",
        )


def _told(model: DeviceModel, prefix: str) -> list[str]:
    return [one.removeprefix(prefix) for one in model.attributes if one.startswith(prefix)]


def _all(models: Sequence[DeviceModel], prefix: str) -> str:
    return ", ".join(sorted({one for model in models for one in _told(model, prefix)}))
