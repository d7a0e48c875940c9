"""Changes to an ONNX graph's inputs and outputs: shapes that are fixed, names, 32-bit integers, channel-last layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dynolab.errors import SpecInvalid
from dynolab.runtimes.onnxruntime.file_facts import dimension
from dynolab.spec.compiles import InputSpec

NARROWER = {"int64": "int32", "uint64": "uint32"}


def fed_inputs(graph: Any) -> list[Any]:
    """The inputs that a caller feeds: initializers may be listed among a graph's inputs, too."""
    weights = {tensor.name for tensor in graph.initializer}
    weights |= {tensor.values.name for tensor in graph.sparse_initializer}
    return [value for value in graph.input if value.name not in weights]


def element_name(value: Any) -> str:
    """The element type of a tensor value, as numpy calls it; empty for what is no tensor."""
    import onnx

    if value.type.WhichOneof("value") != "tensor_type":
        return ""
    return str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name)


def check_specs(graph: Any, specs: Mapping[str, InputSpec]) -> None:
    """Raise :class:`SpecInvalid` for a name, an element type or a shape that the model does not take."""
    known = {value.name: value for value in fed_inputs(graph)}
    for name, spec in specs.items():
        if name not in known:
            raise SpecInvalid(
                f"the model has no input named {name!r}", hint=f"its inputs are: {', '.join(known) or 'none'}"
            )
        if (dtype := element_name(known[name])) != spec.dtype:
            raise SpecInvalid(
                f"input {name!r} is {dtype or 'no tensor'}, and {spec.dtype} was asked for",
                hint=f"give {name}=SHAPE:{dtype}" if dtype else "only tensors have specs",
            )
        tensor = known[name].type.tensor_type
        if not tensor.HasField("shape"):
            continue
        declared = [dimension(dim) for dim in tensor.shape.dim]
        sizes = [size if isinstance(size, int) else None for size in declared]
        fits = len(sizes) == len(spec.shape) and all(
            size in (None, asked) for size, asked in zip(sizes, spec.shape, strict=True)
        )
        if not fits:
            shown = ", ".join("?" if size is None else str(size) for size in sizes)
            raise SpecInvalid(f"input {name!r} has the shape [{shown}], and {list(spec.shape)} does not fit it")


def fix_shapes(model: Any, specs: Mapping[str, InputSpec]) -> None:
    """Give the inputs these shapes; a dimension's name stands for the same size wherever the graph uses it."""
    named: dict[str, int] = {}
    for value in fed_inputs(model.graph):
        if value.name not in specs:
            continue
        tensor, shape = value.type.tensor_type, specs[value.name].shape
        while len(tensor.shape.dim) < len(shape):  # an input without a shape
            tensor.shape.dim.add()
        for dim, size in zip(tensor.shape.dim, shape, strict=True):
            name = dimension(dim)
            if isinstance(name, str) and named.setdefault(name, size) != size:
                raise SpecInvalid(f"dimension {name!r} is given both {named[name]} and {size}")
            dim.dim_value = size
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dimension(dim) in named:
                dim.dim_value = named[str(dimension(dim))]


def name_inputs(model: Any, names: Sequence[str]) -> None:
    """Give the inputs these names, in their order. Raises :class:`SpecInvalid` for another number of them."""
    inputs = fed_inputs(model.graph)
    if len(names) != len(inputs):
        own = ", ".join(value.name for value in inputs) or "none"
        raise SpecInvalid(
            f"{len(names)} inputs have specs, and the model has {len(inputs)}", hint=f"its inputs are: {own}"
        )
    _rename_all(model.graph, {value.name: name for value, name in zip(inputs, names, strict=True)})


def name_outputs(model: Any, names: Sequence[str]) -> None:
    """Give the outputs these names, in their order. Raises :class:`SpecInvalid` for another number of them."""
    outputs = list(model.graph.output)
    if len(names) != len(outputs):
        own = ", ".join(value.name for value in outputs)
        raise SpecInvalid(
            f"--output_names holds {len(names)} names, and the model has {len(outputs)} outputs",
            hint=f"its outputs are: {own}",
        )
    given = {value.name for value in model.graph.input} | {tensor.name for tensor in model.graph.initializer}
    for value, name in zip(outputs, names, strict=True):
        if value.name in given and value.name != name:
            _pass_on(model.graph, value.name)
    _rename_all(model.graph, {value.name: name for value, name in zip(outputs, names, strict=True)})


def narrow_64_bits(model: Any) -> None:
    """Feed and give 32-bit integers where the model has 64-bit ones; inside, it computes as before."""
    import onnx

    for value in fed_inputs(model.graph):
        wide = element_name(value)
        if wide in NARROWER:
            to = value.type.tensor_type.elem_type
            _put_behind(model.graph, value.name, "Cast", to=to)
            value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(_numpy(NARROWER[wide]))
    for value in model.graph.output:
        wide = element_name(value)
        if wide in NARROWER:
            to = onnx.helper.np_dtype_to_tensor_dtype(_numpy(NARROWER[wide]))
            _put_before(model.graph, value.name, "Cast", to=to)
            value.type.tensor_type.elem_type = to


def channel_last(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Feed and give these with their channels last: ``[N, C, H, W]`` becomes ``[N, H, W, C]``.

    Raises :class:`SpecInvalid` for a name that there is not, or a tensor of fewer than three dimensions.
    """
    graph = model.graph
    for names, values, what in ((inputs, fed_inputs(graph), "input"), (outputs, list(graph.output), "output")):
        known = {value.name: value for value in values}
        for name in names:
            if name not in known:
                raise SpecInvalid(
                    f"--force_channel_last_{what} names {name!r}, which is no {what} of the model",
                    hint=f"its {what}s are: {', '.join(known)}",
                )
            dims = known[name].type.tensor_type.shape.dim
            rank = len(dims)
            if rank < 3:
                raise SpecInvalid(
                    f"--force_channel_last_{what}: {name!r} has {rank} dimensions, and channels are the second of three or more"
                )
            last = (0, *range(2, rank), 1)
            if what == "input":
                _put_behind(graph, name, "Transpose", perm=(0, rank - 1, *range(1, rank - 1)))
            else:
                _put_before(graph, name, "Transpose", perm=last)
            moved = [type(dims[0])() for _ in last]
            for new, axis in zip(moved, last, strict=True):
                new.CopyFrom(dims[axis])
            del dims[:]
            dims.extend(moved)


def keep_order(model: Any, name: str, sizes: Sequence[int]) -> None:
    """Have an output come out of a flat tensor, so that no converter moves its axes; -1 is an open size, of which there may be one.

    What else uses the output takes it from there, too: onnx2tf 2.6.9 loses the tensor before, when it leaves out what it can.
    """
    import numpy as np
    import onnx

    graph, names = model.graph, [free(model.graph, f"{name}_{what}") for what in ("moved", "flat", "all", "sizes")]
    moved, flat, every, kept = names
    place, maker = next((k, node) for k, node in enumerate(graph.node) if name in node.output)
    maker.output[:] = [moved if one == name else one for one in maker.output]
    for weight, shape in ((every, (-1,)), (kept, sizes)):
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape, np.int64), weight))
    for node in (
        onnx.helper.make_node("Reshape", [flat, kept], [name]),
        onnx.helper.make_node("Reshape", [moved, every], [flat]),
    ):
        graph.node.insert(place + 1, node)


def _numpy(name: str) -> Any:
    import numpy as np

    return np.dtype(name)


def _put_behind(graph: Any, name: str, operator: str, **attributes: Any) -> None:
    """A node between an input and all that use it; the input keeps its name."""
    import onnx

    inner = free(graph, name)
    _rename(graph, {name: inner})
    next(value for value in graph.input if value.name == inner).name = name
    graph.node.insert(0, onnx.helper.make_node(operator, [name], [inner], **attributes))


def _put_before(graph: Any, name: str, operator: str, **attributes: Any) -> None:
    """A node between what computes an output and the output, which keeps its name."""
    import onnx

    inner = free(graph, name)
    _rename(graph, {name: inner})
    next(value for value in graph.output if value.name == inner).name = name
    graph.node.append(onnx.helper.make_node(operator, [inner], [name], **attributes))


def _pass_on(graph: Any, name: str) -> None:
    """Give an output that is an input or a weight as well a name of its own."""
    import onnx

    own = free(graph, name)
    next(value for value in graph.output if value.name == name).name = own
    graph.node.append(onnx.helper.make_node("Identity", [name], [own]))


def _rename_all(graph: Any, names: Mapping[str, str]) -> None:
    """Rename values, wherever they are used. Raises :class:`SpecInvalid` for a name that another value has."""
    changed = {old: new for old, new in names.items() if old != new}
    taken = _taken(graph)
    for new in changed.values():
        if new in taken and new not in changed:
            raise SpecInvalid(f"the name {new!r} is another tensor's of the model already", hint="choose another")
    _rename(graph, changed)


def _rename(graph: Any, changed: Mapping[str, str]) -> None:
    """Those of the branches and loops inside as well: they use values of the graph around them by name."""
    for one in graphs(graph):
        for node in one.node:
            node.input[:] = [changed.get(name, name) for name in node.input]
            node.output[:] = [changed.get(name, name) for name in node.output]
        for value in (*one.input, *one.output, *one.value_info):
            value.name = changed.get(value.name, value.name)
        for tensor in one.initializer:
            tensor.name = changed.get(tensor.name, tensor.name)


def free(graph: Any, name: str) -> str:
    """A name like this one that no value has."""
    taken, number = _taken(graph), 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _taken(graph: Any) -> set[str]:
    return {
        name
        for one in graphs(graph)
        for names in (
            (value.name for value in (*one.input, *one.output, *one.value_info)),
            (tensor.name for tensor in one.initializer),
            (name for node in one.node for name in (*node.input, *node.output)),
        )
        for name in names
    }


def graphs(graph: Any) -> Iterator[Any]:
    """The graph, and those inside it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from graphs(inner)
