"""What OpenVINO says of a model: inputs, outputs, parameters, multiply-accumulates, and why it refuses one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from dynolab.errors import Error, LoadFailed, ModelInvalid, ModelNotSupported, SpecInvalid
from dynolab.runtimes.openvino import macs
from dynolab.spec import onnxfile
from dynolab.spec.models import Description
from dynolab.spec.tensors import TensorSpec

Shapes = Mapping[str, tuple[int, ...]]

_DTYPES = {
    "boolean": "bool", "bf16": "bfloat16", "f16": "float16", "f32": "float32", "f64": "float64", "i4": "int4",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u4": "uint4", "u8": "uint8", "u16": "uint16",
    "u32": "uint32", "u64": "uint64", "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2", "f8e8m0": "float8_e8m0fnu",
    "f4e2m1": "float4_e2m1fn",
}  # fmt: skip
_NOISE = re.compile(r"^(Exception from .*|Check '.*|FrontEnd API failed.*|Summary:|Model wasn't fully converted\..*|)$")
_NO_OPERATOR = re.compile(
    r"No conversion rule found for operations: (.+)|No translator found for (\S+) node|"
    r"Conversion is failed for: (.+)|Unexpected type: (\S+)"
)
_READING = ("model_reader.cpp", "FrontEnd API failed", "xml_util")
_LONGEST_MESSAGE = 600
_PLUMBING = ("Constant", "Parameter", "Result")


def element_type(word: str) -> str | None:
    """An element type by dynolab's name from OpenVINO's own word, such as ``bf16``; None for a word that is none."""
    return _DTYPES.get(word)


def refusal(error: RuntimeError, path: Path) -> Error:
    """What OpenVINO meant: an option's value, an operator that it lacks, a broken file, or any other failed load."""
    text, reason = str(error), useful(error)
    if "Wrong value" in text:
        return SpecInvalid(reason, hint="see --openvino_options")
    missing = _NO_OPERATOR.search(text)
    if missing:
        operator = next(group for group in missing.groups() if group)
        return ModelNotSupported(f"OpenVINO cannot convert {operator} in {path.name}: {reason}")
    unknown = _unknown_types(path) if "Unsupported type" in text else []
    if unknown:
        return ModelNotSupported(f"OpenVINO has no tensors of {', '.join(unknown)}, which {path.name} asks for")
    if any(place in text for place in _READING):
        return ModelInvalid(f"OpenVINO cannot read {path.name}: {reason}")
    return LoadFailed(f"OpenVINO cannot load {path.name}: {reason}")


def _unknown_types(path: Path) -> list[str]:
    """Types of an ONNX file's inputs and outputs that OpenVINO has no name for; it does not say which one it stumbled over."""
    found = {spec.dtype for spec in _declared(path).values() if isinstance(spec, TensorSpec)}
    return sorted(found - {*_DTYPES.values(), "string"})


def _declared(path: Path) -> dict[str, TensorSpec | str]:
    if path.suffix != ".onnx":
        return {}
    with path.open("rb") as file:
        return onnxfile.declared(path.name, file)


def useful(error: Exception) -> str:
    """The sentences of a message from C++, without source lines and without the list of front ends."""
    lines = [line.strip() for line in str(error).split("Available frontends")[0].splitlines()]
    kept = [line for line in lines if not _NOISE.match(line)]
    return " ".join(kept or lines)[:_LONGEST_MESSAGE].strip()


def specs(
    ports: Sequence[Any], kind: str, asked: Shapes | None = None, names: Sequence[str] | None = None
) -> tuple[TensorSpec, ...]:
    """Names, element types and shapes of a model's ports; a port without a name is called ``{kind}_{number}``.

    ``names`` are the ports' own, where OpenVINO may have put others beside them. Raises :class:`SpecInvalid` for an input whose very rank is open, unless ``asked`` holds its shape.
    """
    found = []
    for index, port in enumerate(ports):
        name = names[index] if names else str(port.any_name) if port.names else f"{kind}_{index}"
        type_name, shape = str(port.element_type.get_type_name()), port.partial_shape
        if shape.rank.is_static:
            sizes = tuple(int(size.get_length()) if size.is_static else None for size in shape)
        elif asked is not None and name not in asked:
            raise SpecInvalid(
                f"the model does not say how many dimensions its input {name!r} has",
                hint=f"give its shape, for example --input-shape {name}=1,16",
            )
        else:
            sizes = (asked or {}).get(name, ())
        found.append(TensorSpec(name, _DTYPES.get(type_name, type_name), sizes))
    return tuple(found)


def name_inputs(model: Any, path: Path) -> None:
    """Give every input one name, that of the file: OpenVINO's own reader may put another in its place, or beside it."""
    names = [str(port.get_node().get_friendly_name()) for port in model.inputs]
    if path.suffix == ".onnx":
        with path.open("rb") as file:
            named = onnxfile.inputs(path.name, file)
        names = named if len(named) == len(names) else names
        _check_tensors(names, path)
    for port, name in zip(model.inputs, names, strict=True):
        if len(port.names) > 1 or (port.names and path.suffix == ".onnx"):
            port.get_tensor().set_names({name})


def _check_tensors(names: Sequence[str], path: Path) -> None:
    """Raise :class:`ModelNotSupported` for an input that is no tensor: OpenVINO's reader takes it for one of any shape."""
    kinds = _declared(path)
    for name in names:
        kind = kinds.get(name)
        if isinstance(kind, str):
            raise ModelNotSupported(
                f"input {name!r} is a {kind}: only tensors can be fed",
                hint="export the model with tensors as inputs",
            )


def output_names(model: Any, path: Path) -> list[str]:
    """One name for each output, the same after every load: what OpenVINO compiles has names of inner tensors too, in no order."""
    if path.suffix == ".onnx":
        with path.open("rb") as file:
            named = onnxfile.outputs(path.name, file)
        if len(named) == len(model.outputs):
            return named
    names: list[str] = []
    for index, port in enumerate(model.outputs):
        free = sorted(set(map(str, port.names)) - set(names))
        names.append(free[0] if free else f"output_{index}")
    return names


def reshape(model: Any, shapes: Shapes) -> bool:
    """Put in the input shapes that differ from the declared ones; whether there were any.

    Raises :class:`LoadFailed` when the model's operators do not fit these shapes.
    """
    known = enumerate(specs(model.inputs, "input", shapes))
    return _put_in(model, shapes, {index: shapes[spec.name] for index, spec in known if spec.name in shapes})


def reshape_in_order(model: Any, shapes: Shapes) -> bool:
    """The same with a shape for every input, in the model's order, whatever OpenVINO calls them."""
    return _put_in(model, shapes, dict(enumerate(shapes.values())))


def _put_in(model: Any, shapes: Shapes, places: Mapping[int, tuple[int, ...]]) -> bool:
    from openvino import PartialShape

    wanted = {index: PartialShape(list(shape)) for index, shape in places.items()}
    changed = {index: shape for index, shape in wanted.items() if shape != model.inputs[index].partial_shape}
    try:
        if changed:
            model.reshape(changed)
    except RuntimeError as error:
        given = ", ".join(f"{name}={list(shape)}" for name, shape in shapes.items())
        raise LoadFailed(f"the model cannot take the input shapes {given}: {useful(error)}") from error
    return bool(changed)


def describe(model: Any, shapes: Shapes, path: Path, schema: str | None) -> Description:
    """Inputs and outputs as declared, and the facts; ``shapes`` are put into ``model`` on the way."""
    inputs = _all_inputs(specs(model.inputs, "input", shapes), path)
    outputs = specs(model.outputs, "output", names=output_names(model, path))
    nodes = list(_nodes(model))
    count, by_type = _parameters(nodes)
    multiplied, reason = _multiply_accumulates(model, shapes)
    unknown = {} if schema else {"schema": "OpenVINO converts the file in reading and does not keep its version"}
    return Description(
        inputs=inputs,
        outputs=outputs,
        parameters=count,
        parameter_bytes=sum(by_type.values()),
        schema=schema,
        precision=_shares(by_type),
        operators=sum(node.get_type_name() not in _PLUMBING for node in nodes),
        multiply_accumulates=multiplied,
        unknown=({**unknown, "multiply_accumulates": reason} if reason else unknown) or None,
    )


def _all_inputs(read: Sequence[TensorSpec], path: Path) -> tuple[TensorSpec, ...]:
    """The inputs of the file in its order: those that nothing reads, and that OpenVINO leaves out, too."""
    known, kinds = {spec.name: spec for spec in read}, _declared(path)
    if path.suffix == ".onnx":
        with path.open("rb") as file:
            listed = [known.get(name, kinds.get(name)) for name in onnxfile.inputs(path.name, file)]
        every = tuple(spec for spec in listed if isinstance(spec, TensorSpec))
        if known.keys() <= {spec.name for spec in every}:
            return every
    return tuple(read)


def ir_version(path: Path) -> str | None:
    """The version in an IR file's first element, ``<net name="..." version="11">``."""
    with path.open("rb") as file:
        found = re.search(rb'<net\s[^>]*version="(\d+)"', file.read(65536))
    return f"OpenVINO IR {found.group(1).decode()}" if found else None


def _nodes(model: Any) -> Iterator[Any]:
    """All operations that the results reach; bodies of branches and loops too."""
    for node in model.get_ordered_ops():
        yield node
        for body in _bodies(node):
            yield from _nodes(body)


def _bodies(node: Any) -> list[Any]:
    if node.get_type_name() == "If":
        return [node.get_function(0), node.get_function(1)]
    return [node.get_function()] if node.get_type_name() in ("Loop", "TensorIterator") else []


def _parameters(nodes: Sequence[Any]) -> tuple[int, Counter[str]]:
    """Elements of all constants (OpenVINO's view of weights, shapes and axes alike), and bytes by element type."""
    count, by_type = 0, Counter[str]()
    for node in nodes:
        if node.get_type_name() == "Constant":
            kind, elements = node.get_element_type(), prod(node.get_output_shape(0))
            name = kind.get_type_name()
            count += elements
            by_type[_DTYPES.get(name, name)] += elements * kind.bitwidth // 8
    return count, by_type


def _shares(by_type: Mapping[str, int]) -> str | None:
    """Element types by share of bytes, the largest first; those under 1 % are left out."""
    total = sum(by_type.values())
    rows = sorted(by_type.items(), key=lambda item: -item[1])
    shown = [(name, size / total) for name, size in rows if size and size >= total / 100]
    return shown[0][0] if len(shown) == 1 else ", ".join(f"{name} {share:.0%}" for name, share in shown) or None


def _multiply_accumulates(model: Any, shapes: Shapes) -> tuple[int | None, str | None]:
    """The sum over the model's operations with ``shapes`` put in, or None with the reason."""
    try:
        reshape(model, shapes)
    except LoadFailed as error:
        return None, error.message
    total = 0
    for node in model.get_ordered_ops():
        if _bodies(node):
            return None, "the model branches or loops: the count depends on its inputs"
        try:
            total += macs.of_node(node)
        except macs.Unknown as error:
            return None, str(error)
    return total, None
