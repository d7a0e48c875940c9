"""From LiteRT's profiler events to layers, with names from the file.

TFLite's own operators tell their number in the file. XNNPACK's do not: which operator of the file one came from is
inferred from the order and the kind of both, and where that does not work out XNNPACK's own names stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf, prod

from dynolab.errors import InferenceFailed
from dynolab.runtimes.base import LayerRecording
from dynolab.runtimes.litert.c_api import BUILTIN, INNER, RESOLUTION_NS, Event
from dynolab.runtimes.litert.schema import Graph, Operation
from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.tensors import ELEMENT_BYTES

_ORIGINS: Mapping[str, set[str]] = {
    "Convolution": {"CONV_2D", "DEPTHWISE_CONV_2D"},
    "Deconvolution": {"TRANSPOSE_CONV", "Convolution2DTransposeBias"},
    "Fully Connected": {"FULLY_CONNECTED", "CONV_2D", "BATCH_MATMUL"},
    "Dynamic Fully Connected": {"FULLY_CONNECTED"},
    "Batch Matrix Multiply": {"BATCH_MATMUL"},
    "Average Pooling": {"AVERAGE_POOL_2D", "MEAN"},
    "Max Pooling": {"MAX_POOL_2D"},
    "ArgMax Pooling": {"MaxPoolingWithArgmax2D"},
    "Unpooling": {"MaxUnpooling2D"},
    "Mean": {"MEAN", "AVERAGE_POOL_2D"},
    "Sum": {"SUM"}, "Reduce Max": {"REDUCE_MAX"}, "Reduce Min": {"REDUCE_MIN"},
    "Add": {"ADD"}, "Subtract": {"SUB"}, "Multiply": {"MUL"}, "Divide": {"DIV"}, "Power": {"POW"},
    "Maximum": {"MAXIMUM"}, "Minimum": {"MINIMUM"}, "Squared Difference": {"SQUARED_DIFFERENCE"},
    "Clamp": {"RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "MAXIMUM", "MINIMUM"},
    "LeakyReLU": {"LEAKY_RELU"}, "PReLU": {"PRELU"}, "ELU": {"ELU"}, "GELU": {"GELU"}, "ApproxGELU": {"GELU"},
    "HardSwish": {"HARD_SWISH"}, "Sigmoid": {"LOGISTIC"}, "TanH": {"TANH"}, "Softmax": {"SOFTMAX"},
    "Abs": {"ABS"}, "Negate": {"NEG"}, "Exp": {"EXP"}, "Log": {"LOG"}, "Sine": {"SIN"}, "Cosine": {"COS"},
    "Sign": {"SIGN"}, "Floor": {"FLOOR"}, "Ceiling": {"CEIL"}, "Bankders Rounding": {"ROUND"},
    "Square": {"SQUARE"}, "Square Root": {"SQRT"}, "Reciprocal Square Root": {"RSQRT"},
    "Constant Pad": {"PAD", "PADV2"},
    "Static Reshape": {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"},
    "Static Expand Dims": {"EXPAND_DIMS"},
    "Transpose": {"TRANSPOSE"},
    "Convert": {"QUANTIZE", "DEQUANTIZE", "CAST"},
    "Copy": {"CONCATENATION", "RESHAPE", "READ_VARIABLE", "ASSIGN_VARIABLE"},
    "Slice": {"SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V"},
    "Depth To Space": {"DEPTH_TO_SPACE"}, "Space To Depth": {"SPACE_TO_DEPTH"},
    "Resize Bilinear": {"RESIZE_BILINEAR"},
}  # fmt: skip
"""XNNPACK's names (xnn_operator_type_to_string) to the operators that its TFLite delegate makes them from."""

_ADDED = {
    "Static Reshape", "Static Expand Dims", "Split Dims", "Fuse Dims", "Clamp", "Copy", "Constant Pad", "Transpose",
    "Convert", "Slice",
}  # fmt: skip
"""What the delegate also puts beside an operator: a reshape before a matrix product, a clamp for an activation."""

_VANISHING = {
    "DEQUANTIZE", "QUANTIZE", "CAST", "DENSIFY", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "PADV2",
    "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE",
    "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE",
}  # fmt: skip
"""What may leave no operator behind: folded into a neighbour, into the weights, or into where memory lies."""

_MOST_CELLS = 4_000_000
"""Largest table of the alignment: some seconds of Python."""


def recording(runs: Sequence[Sequence[Event]], graph: Graph, *, sized: bool) -> LayerRecording:
    """The layers of each run. ``sized``: the shapes in the file are those of the runs, so outputs' bytes are known.

    Of runs whose operators differ from most runs' nothing is kept. Raises :class:`InferenceFailed` when there are none.
    """
    kinds = [tuple((event.tag, event.kind, event.node) for event in run) for run in runs]
    usual = Counter(kinds).most_common(1)[0][0] if kinds else ()
    if not usual:
        raise InferenceFailed("LiteRT's profiler recorded no operator")
    alike = [run if kind == usual else () for run, kind in zip(runs, kinds, strict=True)]
    first = next(filter(None, alike))
    origins = _origins(first, graph)
    layers = [_layer(place, event, origins[place], graph, sized) for place, event in enumerate(first)]
    names = _unique([layer[0] for layer in layers])
    iterations = [
        [
            Layer(name, kind, ComputeUnit.CPU, event.elapsed_us * 1000, output_bytes=size, delegate=delegate)
            for name, (_, kind, size, delegate), event in zip(
                names, layers, run, strict=False
            )  # of a run left out: none
        ]
        for run in alike
    ]
    return LayerRecording(iterations, RESOLUTION_NS, _note(first, origins, list(filter(None, iterations))))


def _origins(events: Sequence[Event], graph: Graph) -> list[int | None]:
    """Each event's operator in the file, by its number; None where there is none or it is not known."""
    own = {event.node for event in events if event.kind == BUILTIN}
    delegated = [index for index in range(len(graph.operations)) if index not in own]
    inner = [event.tag for event in events if event.kind == INNER]
    aligned = iter(align(inner, graph, delegated) or [None] * len(inner))
    found: list[int | None] = []
    for event in events:
        known = event.kind == BUILTIN and event.node < len(graph.operations)
        found.append(next(aligned) if event.kind == INNER else event.node if known else None)
    return found


def _layer(
    place: int, event: Event, origin: int | None, graph: Graph, sized: bool
) -> tuple[str, str, int | None, str | None]:
    """Name, type, bytes of outputs, delegate."""
    delegate = None if event.kind == BUILTIN else "XNNPACK"
    if origin is None:
        return f"{event.tag} #{place}", event.tag.split(" (", 1)[0], None, delegate
    operation = graph.operations[origin]
    outputs = [graph.tensors[index] for index in operation.outputs]
    name = outputs[0].name if outputs and outputs[0].name else f"{operation.name} #{place}"
    known = (
        sized and outputs and all(min(item.shape, default=0) >= 0 and item.dtype in ELEMENT_BYTES for item in outputs)
    )
    size = sum(int(prod(item.shape) * ELEMENT_BYTES[item.dtype]) for item in outputs) if known else None
    return name, operation.name, size, delegate


def _unique(names: Sequence[str]) -> list[str]:
    count = Counter(names)
    return [name if count[name] == 1 else f"{name} #{place}" for place, name in enumerate(names)]


def _note(events: Sequence[Event], origins: Sequence[int | None], iterations: Sequence[Sequence[Layer]]) -> str:
    """How many operators XNNPACK ran, how they were named, and how many are below the clock's step."""
    inner = [place for place, event in enumerate(events) if event.kind == INNER]
    parts = sum(events[place].node == 0 for place in inner)
    text = f"XNNPACK ran {len(inner)} of {len(events)} operators, in {parts} partition{'s' if parts != 1 else ''}"
    if inner and all(origins[place] is None for place in inner):
        text += "; its operators could not be told apart by the file's, so they have its own names"
    elif inner:
        text += "; they are named after the file's operators by order and kind, which XNNPACK itself does not tell"
    short = sum(max(layers[place].time_ns for layers in iterations) == 0 for place in range(len(events)))
    return text + (f"; {short} took less than the clock's step of 1 us in every run and read 0" if short else "")


def align(tags: Sequence[str], graph: Graph, delegated: Sequence[int]) -> list[int | None] | None:
    """For each XNNPACK operator (``tags``, as run) the number of its operator in the file, None for an added one.

    ``delegated`` are the numbers of the operators that TFLite did not run itself. All kinds must fit in order, with as
    little as possible added or vanished (a dynamic programme, as for edit distances); where that cannot be done the
    answer is None.
    """
    operations = [graph.operations[index] for index in delegated]
    if len(tags) * len(operations) > _MOST_CELLS:
        return None
    costs = _costs(tags, operations, graph)
    if costs[0][0] == inf:
        return None
    found: list[int | None] = []
    row = column = 0
    while row < len(tags):
        here = costs[row][column]
        operation = operations[column] if column < len(operations) else None
        if operation and here == costs[row + 1][column + 1] and _fits(tags[row], operation, graph):
            found.append(delegated[column])
            row, column = row + 1, column + 1
        elif operation and operation.name in _VANISHING and here == costs[row][column + 1] + 1:
            column += 1
        else:
            found.append(None)
            row += 1
    return found


def _costs(tags: Sequence[str], operations: Sequence[Operation], graph: Graph) -> list[list[float]]:
    """Least number of added and vanished operators from each pair of places on to both ends (``inf``: impossible)."""
    rows, columns = len(tags), len(operations)
    costs = [[inf] * (columns + 1) for _ in range(rows + 1)]
    costs[rows][columns] = 0
    for row in range(rows, -1, -1):
        added = row < rows and _kind(tags[row]) in _ADDED
        for column in range(columns, -1, -1):
            best = costs[row][column]
            if added:
                best = min(best, costs[row + 1][column] + 1)
            if column < columns and operations[column].name in _VANISHING:
                best = min(best, costs[row][column + 1] + 1)
            if row < rows and column < columns and costs[row + 1][column + 1] < best:
                best = costs[row + 1][column + 1] if _fits(tags[row], operations[column], graph) else best
            costs[row][column] = best
    return costs


def _kind(tag: str) -> str:
    """``Convolution`` of ``Convolution (NHWC, QC8) IGEMM``."""
    return tag.split(" (", 1)[0]


def _fits(tag: str, operation: Operation, graph: Graph) -> bool:
    """Whether an XNNPACK operator can come from this one: by its kind, and for convolutions by the weights' shape."""
    kind = _kind(tag)
    if operation.name not in _ORIGINS.get(kind, ()):
        return False
    if operation.name == "CONV_2D":
        pointwise = graph.tensors[operation.inputs[1]].shape[1:3] == (1, 1)
        return "DWConv" not in tag and (pointwise or kind == "Convolution")
    return True
