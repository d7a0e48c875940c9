"""Multiply-accumulates of a .tflite file: counted by operator, or None with the reason; never 0 for what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from dynolab.runtimes.litert.schema import FileTensor, Graph, Operation


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_PRODUCTS = _words(
    """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE ATAN2 AVERAGE_POOL_2D BATCH_TO_SPACE_ND BITCAST BITWISE_XOR BROADCAST_ARGS
    BROADCAST_TO BUCKETIZE CALL_ONCE CAST CEIL COMPLEX_ABS CONCATENATION COS CUMSUM DENSIFY DEPTH_TO_SPACE DEQUANTIZE DILATE DIV
    DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FAKE_QUANT FILL FLOOR FLOOR_DIV FLOOR_MOD GATHER GATHER_ND
    GELU GREATER GREATER_EQUAL HARD_SWISH HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE IMAG
    L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR
    LOGISTIC LOG_SOFTMAX MATRIX_DIAG MATRIX_SET_DIAG MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL MULTINOMIAL NEG
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE RANDOM_STANDARD_NORMAL
    RANDOM_UNIFORM RANGE RANK READ_VARIABLE REAL REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_WINDOW RELU RELU6
    RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_SEQUENCE REVERSE_V2 RIGHT_SHIFT ROUND RSQRT
    SCATTER_ND SEGMENT_SUM SELECT SELECT_V2 SHAPE SIGN SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPARSE_TO_DENSE SPLIT
    SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TILE TOPK_V2 TRANSPOSE UNIQUE UNPACK
    UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM VAR_HANDLE WHERE ZEROS_LIKE
    STABLEHLO_ABS STABLEHLO_ADD STABLEHLO_AND STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CBRT STABLEHLO_CLAMP STABLEHLO_COMPARE
    STABLEHLO_CONCATENATE STABLEHLO_CONVERT STABLEHLO_COSINE STABLEHLO_DIVIDE STABLEHLO_DYNAMIC_SLICE
    STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_GATHER STABLEHLO_IOTA STABLEHLO_LOG
    STABLEHLO_LOGISTIC STABLEHLO_MAXIMUM STABLEHLO_MINIMUM STABLEHLO_MULTIPLY STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_PAD
    STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RESHAPE STABLEHLO_RNG_BIT_GENERATOR STABLEHLO_RSQRT STABLEHLO_SELECT
    STABLEHLO_SHIFT_LEFT STABLEHLO_SLICE STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_TRANSPOSE
    """
)
"""Operators that multiply and add element by element at most; products along an axis are what is counted."""
_WEIGHTS = {
    "CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "FULLY_CONNECTED": (0, 1), "BATCH_MATMUL": (0, 1), "CONV_3D": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
}  # fmt: skip
"""Places of data and weights among an operator's inputs."""
_MATRICES = {
    "RNN": (1, 2), "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2), "BIDIRECTIONAL_SEQUENCE_RNN": (1, 2, 5, 6, 10, 11), "SVDF": (1, 2),
    "LSTM": (*range(1, 9), 16), "UNIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 16),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 16, *range(18, 26), 33, *range(40, 48)),
}  # fmt: skip
"""Places of the matrices of recurrent operators, each used once for each step and sample (tensorflow/lite/kernels)."""
_BASIC_LSTM_INPUTS, _BASIC_LSTM_MATRIX = 5, 2
"""The older form of LSTM has all of its matrices in one input."""


def count(graph: Graph) -> tuple[int | None, str | None]:
    """The sum over a graph's operators for the shapes that stand in the file, or None with the reason."""
    total = 0
    for item in graph.operations:
        if item.custom or not (item.name in _NO_PRODUCTS or item.name in _WEIGHTS or item.name in _MATRICES):
            return None, f"the file does not tell how much {item.name} computes"
        part = _of_operation(item, graph.tensors)
        if part is None:
            return None, f"the file does not tell the shapes of {item.name}"
        total += part
    return total, None


def _of_operation(item: Operation, tensors: Sequence[FileTensor]) -> int | None:
    """Multiply-accumulates of one operator: 0 for those that have none, None where a shape is missing.

    Layouts of weights as TFLite's kernels document them: convolution [out, height, width, in], depthwise
    [1, height, width, out], fully connected [out, in], transposed convolution [out, height, width, in].
    """
    if item.name in _NO_PRODUCTS:
        return 0
    if item.name in _MATRICES:
        return _recurrent(item, tensors)
    data, weights = (tensors[item.inputs[place]].shape for place in _WEIGHTS[item.name] if place < len(item.inputs))
    out = tensors[item.outputs[0]].shape
    if not weights or min((*data, *weights, *out)) < 0:
        return None
    if item.name == "DEPTHWISE_CONV_2D":
        return prod(out) * prod(weights[1:-1])
    if item.name == "TRANSPOSE_CONV":
        return prod(data) * prod(weights[:-1])
    if item.name == "CONV_3D":  # [depth, height, width, in, out]
        return prod(out) * prod(weights[:-1])
    if item.name == "BATCH_MATMUL":  # the rows of ``data`` are its last dimension but one, or its last when transposed
        return prod(out) * (data[-1] * data[-2] // max(out[-2], 1)) if min(len(data), len(out)) > 1 else None
    return prod(out) * prod(weights[1:])


def _recurrent(item: Operation, tensors: Sequence[FileTensor]) -> int | None:
    basic = item.name == "LSTM" and len(item.inputs) == _BASIC_LSTM_INPUTS
    places = (_BASIC_LSTM_MATRIX,) if basic else _MATRICES[item.name]
    given = [item.inputs[place] for place in places if place < len(item.inputs) and item.inputs[place] >= 0]
    data, matrices = tensors[item.inputs[0]].shape, [tensors[index].shape for index in given]
    if not data or not matrices or min((*data, *(size for matrix in matrices for size in matrix)), default=-1) < 0:
        return None
    return prod(data[:-1]) * sum(map(prod, matrices))
