"""PyTorch's exporters to ONNX: ``torch.onnx.export`` over an exported program, and the older one over TorchScript."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynolab.errors import Error, ModelNotSupported, SpecInvalid
from dynolab.runtimes.torch import files, model_facts
from dynolab.spec.compiles import InputSpec
from dynolab.spec.models import ModelFormat
from dynolab.toolchains.base import Array

PROGRAM_OPSET, SCRIPT_OPSET = 20, 17
"""The newest that each exporter writes without a conversion of versions after it."""


def open_source(path: Path, kind: ModelFormat) -> Any:
    """The module or the exported program. Raises :class:`~dynolab.errors.ModelInvalid`."""
    return files.open_program(path) if kind == ModelFormat.EXPORTED_PROGRAM else files.open_torchscript(path, "cpu")


def to_onnx(path: Path, kind: ModelFormat, specs: Mapping[str, InputSpec], target: Path) -> None:
    """Write the model as ONNX, its inputs by their own names.

    Raises :class:`ModelNotSupported` with the exporter's reason, and :class:`SpecInvalid` where shapes have to be given.
    """
    source = open_source(path, kind)
    try:
        with quiet():
            if kind == ModelFormat.EXPORTED_PROGRAM:
                _export_program(source, target)
            else:
                _export_script(source, path, specs, target)
    except Error:
        raise
    except Exception as error:  # an exporter raises whatever its passes raise; a person reads the reason
        raise ModelNotSupported(f"PyTorch cannot write {path.name} as ONNX: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Why an exporter gave up: the older one says that first and the way there after it, the newer one the other way round."""
    first, caused, _ = str(error).partition("[Caused by")
    return first.strip() if caused else files.useful(error)


def _export_program(program: Any, target: Path) -> None:
    import torch

    made = torch.onnx.export(program, (), None, dynamo=True, opset_version=PROGRAM_OPSET, verbose=False)
    if made is None:
        raise ModelNotSupported("PyTorch's exporter made nothing of the program")
    made.save(str(target), external_data=True, include_initializers=True)


def _export_script(module: Any, path: Path, specs: Mapping[str, InputSpec], target: Path) -> None:
    import torch

    names = [argument.name for argument in model_facts.arguments(module)]
    examples = script_examples(path, names, specs)
    torch.onnx.export(
        module, tuple(examples), str(target), dynamo=False, opset_version=SCRIPT_OPSET, input_names=names, verbose=False
    )


def script_examples(path: Path, names: Sequence[str], specs: Mapping[str, InputSpec]) -> list[Any]:
    """Zeros of the shapes that were asked for, by order, or that the model was traced with."""
    import torch

    traced, asked = files.traced_inputs(path), list(specs.values())
    if asked and len(asked) != len(names):
        raise SpecInvalid(
            f"{len(asked)} inputs have specs, and the model has {len(names)}",
            hint=f"its inputs are: {', '.join(names)}",
        )
    examples = []
    for index, name in enumerate(names):
        told = (
            (asked[index].dtype, asked[index].shape)
            if asked
            else traced[index]
            if index < len(traced)
            else (None, None)
        )
        dtype, shape = told
        if shape is None:
            raise SpecInvalid(
                f"TorchScript does not record the shape of input {name!r}",
                hint=f"give it, as in --input-specs {name}=1,3,224,224",
            )
        examples.append(torch.zeros(shape, dtype=getattr(torch, dtype or "float32")))
    return examples


def call(source: Any, kind: ModelFormat, inputs: Sequence[Any]) -> list[Any]:
    """The source's outputs for arrays, as arrays: flat, in order."""
    import torch

    module = source.module() if kind == ModelFormat.EXPORTED_PROGRAM else source
    with torch.inference_mode():
        given = module(*(torch.from_numpy(array.copy()) for array in inputs))
    return as_arrays(given)


def as_arrays(given: Any) -> list[Array]:
    """All tensors of a result, flat, in order."""
    import torch
    from torch.utils import _pytree as pytree

    leaves, _ = pytree.tree_flatten(given)
    return [leaf.detach().float().numpy() if leaf.dtype is torch.bfloat16 else leaf.detach().numpy()
            for leaf in leaves if isinstance(leaf, torch.Tensor)]  # fmt: skip


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither progress on standard output nor warnings of PyTorch's own ways."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
