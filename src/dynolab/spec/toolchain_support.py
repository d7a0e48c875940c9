"""Toolchain support: which targets an agent makes of which models, by its device's attributes."""

from __future__ import annotations

from collections.abc import Iterable

from dynolab.errors import SpecInvalid

MAKES = "toolchain:"
"""What attributes begin with that tell what an agent compiles: ``toolchain:onnx/torchscript``, a target and a source's format."""
TOOLCHAINS_ONLY = "format:toolchains"
"""The attribute of a machine that compiles and runs no jobs of other kinds: it is no device that a job may ask for."""


def toolchain(target: str, model_kind: str) -> str:
    """How a target made of models of a kind is told, such as ``onnx/torchscript``."""
    return f"{target}/{model_kind}"


MAKING = ("compile", "quantize", "link")
"""Kinds of jobs that make a model, and measure nothing."""
QUANTIZE, LINK = "quantize", "link"
"""What stands for a target where a model is quantised, and where several become one, whatever their format."""
NO_TARGETS = (QUANTIZE, LINK)
LINKED_KIND = "qnn_context_binary"
"""The format of what several models are linked to."""


def made(attributes: Iterable[str]) -> list[str]:
    """What the agent with these attributes makes, each as :func:`toolchain` tells it."""
    return [one.removeprefix(MAKES) for one in attributes if one.startswith(MAKES)]


def made_from(attributes: Iterable[str]) -> dict[str, list[str]]:
    """The formats of the sources by target, both by name."""
    found: dict[str, list[str]] = {}
    for one in sorted(set(made(attributes))):
        target, _, kind = one.partition("/")
        found.setdefault(target, []).append(kind)
    return found


def compiled_from(attributes: Iterable[str]) -> dict[str, list[str]]:
    """As :func:`made_from`, without what is quantised or linked: those are jobs of their own."""
    return {target: kinds for target, kinds in made_from(attributes).items() if target not in NO_TARGETS}


OF_PYTORCH = ("torchscript", "exported_program")
"""Formats that PyTorch alone opens: an agent compiles them with the extra ``torch`` besides ``compile``."""


def _installed(model_kind: str) -> str:
    """How an agent gets to compile models of a kind."""
    extras = "compile,torch" if model_kind in OF_PYTORCH else "compile"
    return f"on a machine with an agent: pip install 'dynolab[{extras}]', then start the agent again"


def no_toolchain(wanted: str, offered: Iterable[str]) -> SpecInvalid:
    """The error for what none of the agents makes: ``offered`` is all that they do."""
    target, _, model_kind = wanted.partition("/")
    pairs = {tuple(one.partition("/")[::2]) for one in offered}
    if not pairs:
        return SpecInvalid("no agent of this hub has a toolchain for your models", hint=_installed(model_kind))
    taken = ", ".join(sorted(kind for one, kind in pairs if one == target)) or "none, for now"
    if target == QUANTIZE:
        # The targets onnx and tflite make the formats of these names.
        ways = sorted(kind for one, kind in pairs if one == target and (kind, model_kind) in pairs)
        return SpecInvalid(
            f"no toolchain quantises a model of the kind {model_kind}",
            hint=f"compile it for {' or '.join(ways)} first, and quantise what is made"
            if ways
            else f"kinds that are: {taken}",
        )
    if target == LINK:
        return SpecInvalid(f"no toolchain links models of the kind {model_kind}", hint=f"kinds that are: {taken}")
    same = sorted(kind for one, kind in pairs if one == target)
    if same:
        is_missing = model_kind in OF_PYTORCH and not set(same) & set(OF_PYTORCH)
        return SpecInvalid(
            f"no toolchain makes the target {target} from a model of the kind {model_kind}",
            hint=_installed(model_kind) if is_missing else f"{target} is made from: {', '.join(same)}",
        )
    targets = ", ".join(sorted({one for one, _ in pairs if one not in NO_TARGETS}))
    return SpecInvalid(f"no toolchain of this hub makes the target {target}", hint=f"there are: {targets}")
