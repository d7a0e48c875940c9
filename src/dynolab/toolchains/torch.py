"""The target ``torch``: a package of native code that AOTInductor makes, for applications that load it with PyTorch."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dynolab.errors import Error, ModelNotSupported, SpecInvalid
from dynolab.runtimes.torch import aot, files, model_facts
from dynolab.spec.compiles import Side
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import TensorSpec
from dynolab.toolchains import _runs as runs
from dynolab.toolchains import _torch_export as torch_export
from dynolab.toolchains.base import Array, Made, Order, Toolchain

_PROGRAM = "program.pt2"


class TorchToolchain(Toolchain):
    """The code is for processors like this machine's, and for its version of PyTorch."""

    name = "torch"
    makes = ModelFormat.AOT_INDUCTOR
    sources = {ModelFormat.TORCHSCRIPT: ("torch",), ModelFormat.EXPORTED_PROGRAM: ("torch",)}
    told = {
        "compute_unit": "the package is for the CPU",
        "qairt_version": "it needs qnn",
        "quantize_io": "a PyTorch model's inputs and outputs stay as they are",
    }

    def unavailable(self, source: ModelFormat | None = None) -> str | None:
        """As the base says; a C++ compiler is needed, too."""
        return super().unavailable(source) or aot.compiler_missing()

    def compile(self, order: Order) -> Made:
        """As the base says."""
        import torch

        path = order.model
        if order.format == ModelFormat.TORCHSCRIPT:
            path = order.scratch / _PROGRAM
            torch.export.save(_converted(order), str(path))
        described = model_facts.describe_program(path, {})
        inputs = _named(described.inputs, order)
        target = order.folder / f"{Path(order.model.name).stem}.pt2"
        names = [one.name for one in inputs]
        aot.build(files.open_program(path), target, order.scratch / "inductor", order.model.name, inputs=names)
        vectors = torch.backends.cpu.get_cpu_capability()
        built_for = f"PyTorch {torch.__version__}, {platform.machine()} with {vectors}"
        return Made(
            entry=target.name,
            format=self.makes,
            inputs=inputs,
            outputs=described.outputs,
            output_names=tuple(one.name for one in described.outputs),
            source=runs.side("torch", order.model, order.format, order.file_bytes, order.scratch),
            compiled=Side(self.makes, target.stat().st_size, schema=f"AOTInductor, {built_for}"),
            notices=(
                Notice("info", "native-code", f"the package runs where there is {built_for}, or more of the like"),
            ),
        )

    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says."""
        source = torch_export.open_source(order.model, order.format)
        return torch_export.call(source, order.format, [inputs[one.name] for one in made.inputs])

    def run(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says."""
        import torch

        package, known = aot.open_package(order.folder / made.entry, order.scratch / "inductor", -1)
        with torch.inference_mode():
            found = package.loader.run([torch.from_numpy(inputs[name].copy()) for name, _ in known])
        return torch_export.as_arrays(found)


def _named(inputs: Sequence[TensorSpec], order: Order) -> tuple[TensorSpec, ...]:
    """The program's inputs by the names that were asked for, in its order.

    Raises :class:`SpecInvalid` for shapes or element types that it does not have: a program was exported for its own.
    """
    if not order.input_specs:
        return tuple(inputs)
    if len(order.input_specs) != len(inputs):
        raise SpecInvalid(
            f"{len(order.input_specs)} inputs have specs, and the model has {len(inputs)}",
            hint=f"its inputs are: {', '.join(one.name for one in inputs)}",
        )
    found = []
    for one, (name, asked) in zip(inputs, order.input_specs.items(), strict=True):
        sizes = zip(one.shape, asked.shape, strict=False)
        fits = len(one.shape) == len(asked.shape) and all(own == size for own, size in sizes if isinstance(own, int))
        if not fits or one.dtype != asked.dtype:
            raise SpecInvalid(
                f"input {name!r} was asked for as {asked.dtype} {list(asked.shape)}, and the model takes {one.dtype} {one.shape_text}",
                hint="export it for these shapes and types",
            )
        found.append(TensorSpec(name, one.dtype, one.shape))
    return tuple(found)


def _converted(order: Order) -> Any:
    """TorchScript as an exported program. Raises :class:`ModelNotSupported` with PyTorch's reason."""
    from torch._export.converter import TS2EPConverter

    module = files.open_torchscript(order.model, "cpu")
    names = [argument.name for argument in model_facts.arguments(module)]
    examples = torch_export.script_examples(order.model, names, order.input_specs)
    try:
        with torch_export.quiet():
            return TS2EPConverter(module, tuple(examples)).convert()
    except Error:
        raise
    except Exception as error:  # the converter raises whatever its passes raise; a person reads the reason
        raise ModelNotSupported(
            f"PyTorch cannot convert {order.model.name} to an exported program: {files.useful(error)}",
            hint="export it with torch.export.export, if its Python code is at hand",
        ) from error


plugin = TorchToolchain()
