"""What a toolchain is: it makes one target's model of a source, in a process of its own that reaches nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from dynolab.errors import ModelNotSupported, NotFound, PluginMissing
from dynolab.plugins import load, names
from dynolab.runtimes.base import install_command, installed_version
from dynolab.spec.chipsets import Chipset
from dynolab.spec.compile_options import CompileOptions
from dynolab.spec.compiles import InputSpec, Npu, Side
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.toolchains._environments import Environment, environment

PACKAGE = "dynolab.toolchains"
EXTRAS = {
    "ai-edge-litert": "litert", "ai-edge-quantizer": "quantize", "onnxruntime-qnn": "qnn", "openvino": "openvino", "torch": "torch",
}  # fmt: skip
"""dynolab's extra by the distribution that it brings; the others come with ``compile``."""
RUNTIMES = {
    ModelFormat.ONNX: "onnxruntime",
    ModelFormat.TFLITE: "litert",
    ModelFormat.TORCHSCRIPT: "torch",
    ModelFormat.EXPORTED_PROGRAM: "torch",
}
"""Who tells what a source's file says of itself."""
REFUSALS = {"quantize_full_type": "activations become integers by calibration data, which a quantize job takes"}
"""Why no target has an option that AI Hub has."""
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """What to compile: the source, where to write, and how."""

    model: Path
    format: ModelFormat
    file_bytes: int
    """Of all files that the source consists of."""
    folder: Path
    """Empty, and the toolchain's own: what is in it afterwards is the compiled model."""
    scratch: Path
    """For what is left on the way."""
    options: CompileOptions
    input_specs: Mapping[str, InputSpec]
    python: Path | None = None
    """Of the toolchain's own environment, if the source takes it."""
    chipset: Chipset | None = None
    """That the target is made for, where it is made for one."""
    ends_ns: int | None = None
    """When the process is ended, by its monotonic clock: what takes longer is lost, so no comparison of numbers may."""


@dataclass(frozen=True, slots=True)
class Made:
    """A compiled model, and how it differs from its source."""

    entry: str
    format: ModelFormat
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    """Those that are tensors."""
    output_names: tuple[str, ...]
    """All, in the model's order."""
    source: Side
    compiled: Side
    notices: tuple[Notice, ...] = ()
    quantizations: tuple[Quantization, ...] = ()
    """Of those inputs and outputs that are integers for real numbers."""
    npu: Npu | None = None
    beside: str | None = None
    """A folder inside the order's whose files are no part of the model."""


class Toolchain(ABC):
    """A way to make one target. Instances import nothing: the tools' libraries come in with the first use."""

    name: ClassVar[str]
    """The target, as ``--target_runtime`` names it."""
    sources: ClassVar[Mapping[ModelFormat, tuple[str, ...]]]
    """Formats that it compiles, and the distributions that each needs."""
    makes: ClassVar[ModelFormat]
    options: ClassVar[tuple[str, ...]] = ()
    """Options that have an effect, of some source at least."""
    told: ClassVar[Mapping[str, str]] = {}
    """Options that AI Hub's client sends whatever the target is: they have no effect here, for the reason told."""
    lock: ClassVar[str | None] = None
    """The lock file, in the folder ``locks``, of an environment of its own that a part of its work runs in."""
    for_chipset: ClassVar[bool] = False
    """Whether the model is made for one chipset, which an order then names."""
    tools: ClassVar[tuple[str, ...]] = ()
    """Distributions of that environment whose versions are told."""

    def unavailable(self, source: ModelFormat | None = None) -> str | None:
        """Why it cannot be used here (of a source: for that), with the way out, or None. Imports nothing."""
        wanted = self.sources[source] if source is not None else min(self.sources.values(), key=len)
        return missing(wanted)

    def versions(self, source: ModelFormat | None = None) -> dict[str, str]:
        """Version of each distribution that is installed, by name (of a source: that it is compiled with)."""
        sources = self.sources.values() if source is None else [self.sources[source]]
        own = [self.environment(kind) for kind in (self.sources if source is None else [source])]
        locked = next((one.versions for one in own if one is not None), {})
        return versions(name for wanted in sources for name in wanted) | {
            name: locked[name] for name in self.tools if locked
        }

    def environment(self, source: ModelFormat) -> Environment | None:
        """The environment of its own that a source is compiled in, made or not; None where ours is all that it takes."""
        del source  # of the targets that differ
        return None if self.lock is None else environment(self.lock)

    def honours(self, source: ModelFormat) -> tuple[str, ...]:
        """Options that have an effect where the target is made of a source."""
        del source  # of the targets that differ
        return self.options

    def check(self, source: ModelFormat, options: CompileOptions) -> tuple[Notice, ...]:
        """Notices of options without effect. Raises for a source or an option that this target does not take.

        :class:`ModelNotSupported` names the format or option, and :class:`PluginMissing` what is to be installed.
        """
        if source not in self.sources:
            raise ModelNotSupported(
                f"the target {self.name} is not made from {source}", hint=f"it takes: {', '.join(self.sources)}"
            )
        if (reason := self.unavailable(source)) is not None:
            raise PluginMissing(f"the target {self.name} cannot be made here: {reason}")
        honoured = self.honours(source)
        refused = [name for name in options.given if name not in (*honoured, *self.told)]
        if refused:
            taken = ", ".join(f"--{name}" for name in honoured)
            reason = f": {REFUSALS[refused[0]]}" if refused[0] in REFUSALS else ""
            raise ModelNotSupported(
                f"the target {self.name} has no --{refused[0]} where it is made from {source}{reason}",
                hint=f"leave it out; it takes: {taken}",
            )
        told = (name for name in options.given if name in self.told and name not in honoured)
        return tuple(
            Notice(
                "info", "option-without-effect", f"--{name} has no effect on the target {self.name}: {self.told[name]}"
            )
            for name in told
        )

    @abstractmethod
    def compile(self, order: Order) -> Made:
        """Write the compiled model into ``order.folder``.

        Raises a :class:`~dynolab.errors.UserError` that names what the model or its options have that cannot be done.
        """

    @abstractmethod
    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """The source's outputs, in order, for the compiled model's inputs: both in the compiled model's layout and types."""

    @abstractmethod
    def run(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """The compiled model's outputs, in order."""


def missing(distributions: Iterable[str]) -> str | None:
    """Which of them are not installed, with the way out, or None. Imports nothing."""
    lacking = [name for name in distributions if installed_version(name) is None]
    if not lacking:
        return None
    extras = dict.fromkeys(EXTRAS.get(name, "compile") for name in lacking)
    return f"{' and '.join(lacking)} not installed: {install_command(','.join(extras))}"


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Version of each that is installed, by name."""
    found = {name: installed_version(name) for name in dict.fromkeys(distributions)}
    return {name: version for name, version in found.items() if version is not None}


def toolchain_named(name: str) -> Toolchain:
    """The toolchain of a target. Raises :class:`NotFound`."""
    try:
        found = load(PACKAGE, name)
    except NotFound as error:
        raise NotFound(
            f"no toolchain makes the target {name!r}", hint=f"there are: {', '.join(names(PACKAGE))}"
        ) from error
    assert isinstance(found, Toolchain)
    return found
