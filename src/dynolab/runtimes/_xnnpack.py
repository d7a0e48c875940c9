"""Which operator of a .tflite file an XNNPACK operator came from. XNNPACK does not tell: it is inferred from the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from dynolab.runtimes._tflite_schema import Graph, Operation

_ORIGINS: Mapping[str, str] = {
    "Convolution": "CONV_2D DEPTHWISE_CONV_2D",
    "Deconvolution": "TRANSPOSE_CONV Convolution2DTransposeBias",
    "Fully Connected": "FULLY_CONNECTED CONV_2D BATCH_MATMUL",
    "Dynamic Fully Connected": "FULLY_CONNECTED",
    "Batch Matrix Multiply": "BATCH_MATMUL",
    "Average Pooling": "AVERAGE_POOL_2D MEAN",
    "Max Pooling": "MAX_POOL_2D",
    "ArgMax Pooling": "MaxPoolingWithArgmax2D",
    "Unpooling": "MaxUnpooling2D",
    "Mean": "MEAN AVERAGE_POOL_2D",
    "Sum": "SUM",
    "Reduce Max": "REDUCE_MAX",
    "Reduce Min": "REDUCE_MIN",
    "Add": "ADD",
    "Subtract": "SUB",
    "Multiply": "MUL",
    "Divide": "DIV",
    "Maximum": "MAXIMUM",
    "Minimum": "MINIMUM",
    "Power": "POW",
    "Squared Difference": "SQUARED_DIFFERENCE",
    "Clamp": "RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1",
    "LeakyReLU": "LEAKY_RELU",
    "PReLU": "PRELU",
    "ELU": "ELU",
    "GELU": "GELU",
    "ApproxGELU": "GELU",
    "HardSwish": "HARD_SWISH",
    "Sigmoid": "LOGISTIC",
    "TanH": "TANH",
    "Softmax": "SOFTMAX",
    "Abs": "ABS",
    "Negate": "NEG",
    "Exp": "EXP",
    "Log": "LOG",
    "Sine": "SIN",
    "Cosine": "COS",
    "Sign": "SIGN",
    "Floor": "FLOOR",
    "Ceiling": "CEIL",
    "Bankders Rounding": "ROUND",
    "Square": "SQUARE",
    "Square Root": "SQRT",
    "Reciprocal Square Root": "RSQRT",
    "Constant Pad": "PAD PADV2",
    "Static Reshape": "RESHAPE SQUEEZE EXPAND_DIMS",
    "Static Expand Dims": "EXPAND_DIMS",
    "Transpose": "TRANSPOSE",
    "Convert": "QUANTIZE DEQUANTIZE CAST",
    "Copy": "CONCATENATION RESHAPE READ_VARIABLE ASSIGN_VARIABLE",
    "Slice": "SLICE STRIDED_SLICE SPLIT SPLIT_V",
    "Depth To Space": "DEPTH_TO_SPACE",
    "Space To Depth": "SPACE_TO_DEPTH",
    "Resize Bilinear": "RESIZE_BILINEAR",
}
"""XNNPACK's names (xnn_operator_type_to_string) to the operators that its TFLite delegate makes them from."""
_ORIGINS_SPLIT = {name: frozenset(kinds.split()) for name, kinds in _ORIGINS.items()}

_ADDED = frozenset(
    {"Static Reshape", "Static Expand Dims", "Split Dims", "Fuse Dims", "Clamp", "Copy", "Constant Pad", "Transpose", "Convert", "Slice"}
)  # fmt: skip
"""What the delegate also puts beside another operator: a reshape before a matrix product, a clamp for its activation."""
_VANISHING = frozenset(
    "DEQUANTIZE QUANTIZE CAST DENSIFY RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE PAD PADV2 RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 "
    "CONCATENATION SPLIT SPLIT_V SLICE STRIDED_SLICE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE CALL_ONCE".split()
)  # fmt: skip
"""What may leave no operator behind: folded into a neighbour, into the weights, or into where memory lies."""
_MOST_CELLS = 4_000_000
"""Largest table of the alignment: some seconds of Python."""


def align(tags: Sequence[str], graph: Graph, delegated: Sequence[int]) -> list[int | None] | None:
    """For each XNNPACK operator (``tags``, as run) the number of its operator in the file, None for an added one.

    ``delegated`` are the numbers of the operators that TFLite did not run itself, in order. Kinds must fit in order, with
    as little as possible added or vanished; where that cannot be done the answer is None for all.
    """
    rows, columns = len(tags), len(delegated)
    if rows * columns > _MOST_CELLS:
        return None
    operations = [graph.operations[index] for index in delegated]
    costs = _costs(tags, operations, graph)
    if costs[0][0] == inf:
        return None
    found: list[int | None] = []
    row = column = 0
    while row < rows:
        here = costs[row][column]
        if column < columns and here == costs[row + 1][column + 1] and _fits(tags[row], operations[column], graph):
            found.append(delegated[column])
            row, column = row + 1, column + 1
        elif column < columns and here == costs[row][column + 1] + 1 and operations[column].name in _VANISHING:
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
    if operation.name not in _ORIGINS_SPLIT.get(kind, ()):
        return False
    if operation.name == "CONV_2D":
        pointwise = graph.tensors[operation.inputs[1]].shape[1:3] == (1, 1)
        return "DWConv" not in tag and (pointwise or kind == "Convolution")
    return True
