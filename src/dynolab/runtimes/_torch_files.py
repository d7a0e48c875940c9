"""PyTorch's model files: opened without unpickling anything, and what they say of themselves."""

from __future__ import annotations

import json
import os
import pickle
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynolab.errors import ModelInvalid, ModelNotSupported, SpecInvalid
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.tensors import Dimension, TensorSpec

Shapes = Mapping[str, tuple[int, ...]]

SCALARS: Mapping[str, str] = {"int": "int64", "float": "float64", "bool": "bool"}
"""Python types of TorchScript arguments, and the element type of the 0-d array that each is given by."""
_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
_NOT_OPERATORS = ("prim::Constant", "prim::GetAttr", "prim::ListConstruct", "prim::TupleConstruct", "prim::ListUnpack")
_SAVE = {
    ModelFormat.TORCHSCRIPT: "save it with torch.jit.save(torch.jit.trace(model, example), 'model.pt')",
    ModelFormat.EXPORTED_PROGRAM: "save it with torch.export.save(torch.export.export(model, (example,)), 'model.pt2')",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a TorchScript ``forward``: ``kind`` is ``Tensor`` or one of :data:`SCALARS`."""

    name: str
    kind: str


@contextmanager
def quiet() -> Iterator[None]:
    """PyTorch warns of its own deprecations, which its callers can do nothing about."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        yield


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def names_in(path: Path, kind: ModelFormat) -> list[str]:
    """The archive's entries, once it is clear that it is of this kind. Raises :class:`ModelInvalid` for all else.

    A plain pickle is refused here, unopened, and so is an archive with native code, which ``torch.export.load`` would
    load as a library.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelInvalid(
            f"{path.name} is no PyTorch archive ({error}); it was not opened", hint=_SAVE[kind]
        ) from error
    if any("/data/aotinductor/" in name for name in names):
        raise ModelInvalid(
            f"{path.name} holds compiled native code, which is never loaded from a model", hint=_SAVE[kind]
        )
    if kind is ModelFormat.TORCHSCRIPT:
        known = any(name.endswith("/constants.pkl") for name in names)
    else:
        known = any("/models/" in name or name == "serialized_exported_program.json" for name in names)
    if not known:
        raise ModelInvalid(f"{path.name} is an archive, but holds no {kind}; it was not opened", hint=_SAVE[kind])
    return names


def open_torchscript(path: Path, device: str) -> Any:
    """The module, ready for inference. TorchScript is read by PyTorch's C++ reader, which runs no Python pickle."""
    import torch

    names_in(path, ModelFormat.TORCHSCRIPT)
    try:
        with quiet():
            return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        if "Unknown builtin op" in str(error):
            operator = str(error).split("Unknown builtin op:")[1].split()[0].rstrip(".")
            raise ModelNotSupported(f"PyTorch has no operator {operator}, which {path.name} uses") from error
        raise ModelInvalid(f"PyTorch cannot read {path.name}: {useful(error)}") from error


def open_program(path: Path) -> Any:
    """The exported program; pickled objects inside are held to tensors and plain values.

    ``torch.export.load`` alone falls back to unpickling anything (torch 2.13, ``deserialize_torch_artifact``), unless
    this variable forbids it. A program may still name any function below ``torch``: it is as trusted as a script.
    """
    import torch

    names_in(path, ModelFormat.EXPORTED_PROGRAM)
    try:
        with quiet(), environment(TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"):
            return torch.export.load(path)
    except pickle.UnpicklingError as error:
        raise ModelInvalid(f"{path.name} holds pickled objects that are no tensors; they were not opened") from error
    except (RuntimeError, ValueError, KeyError, AssertionError, OSError, zipfile.BadZipFile) as error:
        raise ModelInvalid(f"PyTorch cannot read {path.name}: {useful(error)}") from error


def useful(error: Exception) -> str:
    """The last line of PyTorch's message, which is the reason; those before tell the way there (at most 400 signs)."""
    text = str(error).split("This is an internal miniz error")[0].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:400] if lines else type(error).__name__


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
    module, traced = open_torchscript(path, "cpu"), _traced_inputs(path)
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
            hint="give them, for example: " + " ".join(f"--input-shape {name}=1,3,224,224" for name in missing),
        )
    weights = _weights([*module.parameters(), *module.buffers()])
    nodes = [node.kind() for node in module.inlined_graph.nodes()]
    return Description(
        inputs=tuple(inputs),
        outputs=(),
        parameters=weights[0],
        parameter_bytes=sum(weights[1].values()),
        precision=_shares(weights[1]),
        schema=_version(path),
        operators=sum(kind not in _NOT_OPERATORS for kind in nodes),
        unknown={"multiply_accumulates": "TorchScript keeps no shapes to count them by"},
    )


def describe_program(path: Path, shapes: Shapes) -> Description:
    """Inputs, outputs and facts of an exported program; open dimensions by the names of their symbols.

    Where a program does not take the size 1 or ties sizes together, its own example's sizes stand for open ones.
    """
    program = open_program(path)
    tensors = user_tensors(program)
    fixed = any(_is_tied(size, program) for _, value in tensors for size in value.shape)
    inputs = [
        TensorSpec(name, _dtype(value), shapes.get(name) or tuple(_dimension(size, fixed) for size in value.shape))
        for name, value in tensors
    ]
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    results = [values.get(name) for name in program.graph_signature.user_outputs]
    weights = _weights([*program.state_dict.values(), *program.tensor_constants.values()])
    macs, reason = _multiply_accumulates(program, shapes)
    about = _header(path)
    return Description(
        inputs=tuple(inputs),
        outputs=tuple(
            TensorSpec(f"output_{index}", _dtype(value), tuple(_dimension(size, False) for size in value.shape))
            for index, value in enumerate(value for value in results if hasattr(value, "shape"))
        ),
        parameters=weights[0],
        parameter_bytes=sum(weights[1].values()),
        precision=_shares(weights[1]),
        schema=about.get("schema"),
        producer=about.get("producer"),
        operators=sum(node.op == "call_function" for node in program.graph.nodes),
        multiply_accumulates=macs,
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


def _entry(path: Path, ending: str) -> bytes | None:
    """The content of the archive's first entry whose name ends so."""
    with zipfile.ZipFile(path) as archive:
        found = next((name for name in archive.namelist() if name.endswith(ending)), None)
        return archive.read(found) if found is not None else None


def _version(path: Path) -> str | None:
    content = _entry(path, "/version")
    return f"TorchScript file format {content.decode().strip()}" if content is not None else None


def _header(path: Path) -> dict[str, str]:
    """Schema and producer, as the program's JSON gives them."""
    document = json.loads(_entry(path, "/models/model.json") or b"{}")
    schema, producer = document.get("schema_version"), document.get("torch_version")
    found = {"producer": f"torch {producer}"} if producer else {}
    return {**found, "schema": f"export schema {schema['major']}.{schema['minor']}"} if schema else found


def _multiply_accumulates(program: Any, shapes: Shapes) -> tuple[int | None, str | None]:
    """Half of what PyTorch's own counter counts as FLOPs, on tensors without data; None with the reason."""
    if not shapes:
        return None, "no shapes are bound yet"
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with quiet(), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            tensors = {
                name: torch.empty(shapes.get(name, ()), dtype=value.dtype) for name, value in user_tensors(program)
            }
            args, kwargs = call_arguments(*call_plan(program), tensors)
            with FlopCounterMode(display=False) as counter:
                program.module()(*args, **kwargs)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        return None, f"a run without data failed: {useful(error)}"
    return int(counter.get_total_flops()) // 2, None


def call_plan(program: Any) -> tuple[list[Any], Any]:
    """What an exported program is called with, flat (inputs' names and constants), and PyTorch's tree of it."""
    return list(program.graph_signature.user_inputs), program.call_spec.in_spec


def call_arguments(flat: Sequence[Any], tree: Any, tensors: Mapping[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Positional and keyword arguments of a call: ``tensors`` by name, constants as they were exported."""
    from torch.utils import _pytree

    leaves = [tensors.get(leaf, leaf) if isinstance(leaf, str) else leaf for leaf in flat]
    args, kwargs = _pytree.tree_unflatten(leaves, tree)
    return args, kwargs


def _traced_inputs(path: Path) -> list[tuple[str, tuple[int, ...] | None]]:
    """Element types and shapes that ``forward`` was traced with; empty for a scripted model."""
    content = _entry(path, "/traced_inputs.pkl")
    if content is None:
        return []
    try:
        document = _ShapeReader(content).load()
        return [value if isinstance(value, tuple) else ("float32", None) for value in document["forward"]]
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError, AttributeError, IndexError):
        return []


class _ShapeReader(pickle.Unpickler):
    """Reads the pickle of a tracing's inputs; it can build (type, shape) pairs, lists and dicts, and nothing else."""

    def __init__(self, content: bytes) -> None:
        import io

        super().__init__(io.BytesIO(content))

    def find_class(self, module: str, name: str) -> Callable[..., object] | str:
        """Stand-ins for the few names that such a pickle uses; any other is refused."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known: Mapping[tuple[str, str], Callable[..., object]] = {
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, _offset, sizes, *_: (storage, tuple(sizes)),
            ("torch.jit._pickle", "restore_type_tag"): lambda value, _tag: value,
            ("collections", "OrderedDict"): dict,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not a part of a tracing's inputs")
        return known[module, name]

    def persistent_load(self, pid: Any) -> object:
        """Element type of a storage."""
        return pid[1]
