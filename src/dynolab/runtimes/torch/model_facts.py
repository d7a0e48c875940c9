"""What PyTorch's model files say of themselves: inputs, outputs, weights, multiply-accumulates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynolab.errors import ModelNotSupported, SpecInvalid
from dynolab.runtimes.torch import files, macs
from dynolab.spec.models import Description
from dynolab.spec.tensors import Dimension, TensorSpec

Shapes = Mapping[str, tuple[int, ...]]

SCALARS: Mapping[str, str] = {"int": "int64", "float": "float64", "bool": "bool"}
"""Python types of TorchScript arguments, and the element type of the 0-d array that each is given by."""
_NOT_OPERATORS = ("prim::Constant", "prim::GetAttr", "prim::ListConstruct", "prim::TupleConstruct", "prim::ListUnpack")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a TorchScript ``forward``: ``kind`` is ``Tensor`` or one of :data:`SCALARS`."""

    name: str
    kind: str


def arguments(module: Any) -> list[Argument]:
    """What a TorchScript module must be called with; arguments with a default are left at it.

    Raises :class:`ModelNotSupported` for lists, tuples and dicts.
    """
    found = []
    for argument in module.forward.schema.arguments[1:]:
        if argument.has_default_value():
            break
        kind = str(argument.type)
        if kind != "Tensor" and kind not in SCALARS:
            raise ModelNotSupported(
                f"input {argument.name!r} is a {kind}: only tensors and single numbers can be fed",
                hint="wrap the model in a module whose forward takes tensors",
            )
        found.append(Argument(argument.name, kind))
    return found


def describe_torchscript(path: Path, shapes: Shapes, types: Mapping[str, str]) -> Description:
    """Inputs and facts. TorchScript declares no shapes: they come from ``shapes``, or from the tracing that made it.

    ``types`` are element types by input name, for models that were not traced. Raises :class:`SpecInvalid`, naming
    the options to give, where neither tells a shape.
    """
    module, traced = files.open_torchscript(path, "cpu"), files.traced_inputs(path)
    inputs, missing = [], []
    for index, argument in enumerate(arguments(module)):
        dtype, sizes = traced[index] if index < len(traced) else ("float32", None)
        if argument.kind in SCALARS:
            dtype, sizes = SCALARS[argument.kind], ()
        shape = shapes.get(argument.name, sizes)
        if shape is None:
            missing.append(argument.name)
        inputs.append(TensorSpec(argument.name, types.get(argument.name, dtype), shape or ()))
    if missing:
        raise SpecInvalid(
            f"TorchScript does not record the shapes of this model's inputs: {', '.join(missing)}",
            hint="give the sizes it was made for, as in " + " ".join(f"--input-shape {n}=1,3,224,224" for n in missing),
        )
    weights = _weights([*module.parameters(), *module.buffers()])
    return Description(
        inputs=tuple(inputs),
        outputs=(),
        parameters=weights[0],
        parameter_bytes=sum(weights[1].values()),
        precision=_shares(weights[1]),
        schema=_version(path),
        operators=_operators(module.inlined_graph),
        unknown={"multiply_accumulates": "TorchScript keeps no shapes to count them by"},
    )


def _operators(block: Any) -> int:
    """Nodes of a TorchScript graph that compute, those in branches and loops included."""
    nodes = list(block.nodes())
    inner = sum(_operators(below) for node in nodes for below in node.blocks())
    return inner + sum(node.kind() not in _NOT_OPERATORS for node in nodes)


def describe_program(path: Path, shapes: Shapes) -> Description:
    """Inputs, outputs and facts of an exported program; open dimensions by the names of their symbols.

    Where a program does not take the size 1 or ties sizes together, its own example's sizes stand for open ones.
    """
    program = files.open_program(path)
    tensors = user_tensors(program)
    fixed = any(_is_tied(size, program) for _, value in tensors for size in value.shape)
    inputs = [
        TensorSpec(name, _dtype(value), shapes.get(name) or tuple(_dimension(size, fixed) for size in value.shape))
        for name, value in tensors
    ]
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    results = [values.get(name) for name in program.graph_signature.user_outputs]
    weights = _weights([*program.state_dict.values(), *program.tensor_constants.values()])
    multiplied, reason = _multiply_accumulates(program, shapes)
    about = _header(path)
    return Description(
        inputs=tuple(inputs),
        outputs=tuple(
            TensorSpec(f"output_{index}", _dtype(value), tuple(_dimension(size, False) for size in value.shape))
            for index, value in enumerate(value for value in results if value is not None and hasattr(value, "shape"))
        ),
        parameters=weights[0],
        parameter_bytes=sum(weights[1].values()),
        precision=_shares(weights[1]),
        schema=about.get("schema"),
        producer=about.get("producer"),
        operators=sum(node.op == "call_function" for node in program.graph.nodes),
        multiply_accumulates=multiplied,
        unknown={"multiply_accumulates": reason} if reason else None,
    )


def user_tensors(program: Any) -> list[tuple[str, Any]]:
    """Name and example (a tensor without data) of each tensor that an exported program is called with, in order."""
    user = set(map(str, program.graph_signature.user_inputs))
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in user]
    return [(node.name, node.meta["val"]) for node in nodes if hasattr(node.meta.get("val"), "shape")]


def _is_tied(size: Any, program: Any) -> bool:
    """Whether an open dimension is an expression of others, or does not go down to 1."""
    if isinstance(size, int):
        return False
    expression = size.node.expr
    limits = program.range_constraints.get(expression)
    return not expression.is_Symbol or (limits is not None and bool(limits.lower > 1))


def _dimension(size: Any, fixed: bool) -> Dimension:
    if isinstance(size, int):
        return size
    return int(size.node.hint) if fixed and size.node.hint is not None else str(size.node.expr)


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _weights(tensors: Sequence[Any]) -> tuple[int, Counter[str]]:
    """Elements, and bytes by element type."""
    by_type = Counter[str]()
    for tensor in tensors:
        by_type[_dtype(tensor)] += tensor.numel() * tensor.element_size()
    return sum(tensor.numel() for tensor in tensors), by_type


def _shares(by_type: Mapping[str, int]) -> str | None:
    """Element types by share of bytes, the largest first; those under 1 % are left out."""
    total = sum(by_type.values())
    rows = sorted(by_type.items(), key=lambda item: -item[1])
    shown = [(name, size / total) for name, size in rows if size and size >= total / 100]
    return shown[0][0] if len(shown) == 1 else ", ".join(f"{name} {share:.0%}" for name, share in shown) or None


def _version(path: Path) -> str | None:
    content = files.entry(path, "/version")
    return f"TorchScript file format {content.decode().strip()}" if content is not None else None


def _header(path: Path) -> dict[str, str]:
    """Schema and producer, as the program's JSON gives them."""
    document = json.loads(files.entry(path, "/models/model.json") or b"{}")
    schema, producer = document.get("schema_version"), document.get("torch_version")
    found = {"producer": f"torch {producer}"} if producer else {}
    return {**found, "schema": f"export schema {schema['major']}.{schema['minor']}"} if schema else found


def _multiply_accumulates(program: Any, shapes: Shapes) -> tuple[int | None, str | None]:
    """For these input shapes, or None with the reason."""
    if not shapes:
        return None, "no shapes are bound yet"
    import torch

    def run() -> object:
        tensors = {name: torch.empty(shapes.get(name, ()), dtype=value.dtype) for name, value in user_tensors(program)}
        args, kwargs = call_arguments(*call_plan(program), tensors)
        return program.module()(*args, **kwargs)

    return macs.count(program, run)


def call_plan(program: Any) -> tuple[list[Any], Any]:
    """What an exported program is called with, flat (inputs' names and constants), and PyTorch's tree of it."""
    return list(program.graph_signature.user_inputs), program.call_spec.in_spec


def call_arguments(flat: Sequence[Any], tree: Any, tensors: Mapping[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Positional and keyword arguments of a call: ``tensors`` by name, constants as they were exported."""
    from torch.utils import _pytree

    leaves = [tensors.get(leaf, leaf) if isinstance(leaf, str) else leaf for leaf in flat]
    args, kwargs = _pytree.tree_unflatten(leaves, tree)
    return args, kwargs
