"""Multiply-accumulates of a model as OpenVINO read it: counted by operation, or None with the reason; never 0 for unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from dynolab.spec import macs

Shape = tuple[int, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_PRODUCTS = _words("""
    Abs Acos Acosh AdaptiveAvgPool AdaptiveMaxPool Add Asin Asinh Assign Atan Atanh AvgPool BatchNormInference BatchToSpace
    BitwiseAnd BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor Broadcast Bucketize CTCGreedyDecoder
    CTCGreedyDecoderSeqLen CTCLoss Ceiling Clamp Col2Im Concat Constant Convert ConvertLike ConvertPromoteTypes Cos Cosh CumSum
    DepthToSpace DetectionOutput Divide Elu EmbeddingBagOffsets EmbeddingBagOffsetsSum EmbeddingBagPacked EmbeddingBagPackedSum
    EmbeddingSegmentsSum Equal Erf ErfInv Exp ExtractImagePatches Eye FakeConvert FakeQuantize Floor FloorMod GRN Gather
    GatherElements GatherND GatherTree Gelu GenerateProposals Greater GreaterEqual GridSample GroupNormalization HSigmoid HSwish
    HardSigmoid I420toBGR I420toRGB Identity Interpolate IsFinite IsInf IsNaN LRN Less LessEqual Log LogSoftmax LogicalAnd
    LogicalNot LogicalOr LogicalXor MVN MatrixNms MaxPool Maximum Minimum Mish Mod MulticlassNms Multinomial Multiply NMSRotated
    NV12toBGR NV12toRGB Negative NonMaxSuppression NonZero NormalizeL2 NotEqual OneHot PRelu PSROIPooling Pad Parameter Power
    PriorBox PriorBoxClustered Proposal RMS ROIAlign ROIAlignRotated ROIPooling RandomUniform Range ReadValue ReduceL1 ReduceL2
    ReduceLogicalAnd ReduceLogicalOr ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum RegionYolo Relu ReorgYolo Reshape Result
    Reverse ReverseSequence Roll Round ScatterElementsUpdate ScatterNDUpdate ScatterUpdate SearchSorted SegmentMax Select Selu
    ShapeOf ShuffleChannels Sigmoid Sign Sin Sinh Slice SliceScatter SoftPlus SoftSign Softmax SpaceToBatch SpaceToDepth
    SparseFillEmptyRows Split Sqrt SquaredDifference Squeeze StridedSlice StringTensorPack StringTensorUnpack Subtract Swish Tan
    Tanh Tile TopK Transpose Unique Unsqueeze VariadicSplit
""")
"""Operations that multiply and add element by element at most; products along an axis are what is counted."""


class Unknown(Exception):
    """Why there is no count."""


def of_node(node: Any) -> int:
    """Multiply-accumulates of one operation. Raises :class:`Unknown` for one whose shapes are open, or that nobody counts."""
    kind = node.get_type_name()
    if kind in _NO_PRODUCTS:
        return 0
    if kind not in _COUNTS:
        raise Unknown(f"how many {kind} has is not known to dynolab")
    ports = [*node.inputs(), node.output(0)]
    if any(port.get_partial_shape().is_dynamic for port in ports):
        raise Unknown(f"the shapes of {kind} {node.get_friendly_name()!r} are not bound")
    inputs = [tuple(int(size) for size in port.get_shape()) for port in node.inputs()]
    return _COUNTS[kind](node, inputs, tuple(int(size) for size in node.output(0).get_shape()))


def _convolution(node: Any, inputs: list[Shape], out: Shape) -> int:
    """Weights lie as the operation sets lay them out: Convolution [O, I, k...], GroupConvolution [G, O/G, I/G, k...]."""
    return prod(out) * prod(inputs[1][2 if node.get_type_name().startswith("Group") else 1 :])


def _transposed_convolution(node: Any, inputs: list[Shape], out: Shape) -> int:
    """Here I stands before O (docs.openvino.ai, operation specifications)."""
    return prod(inputs[0]) * prod(inputs[1][2 if node.get_type_name().startswith("Group") else 1 :])


def _product(node: Any, inputs: list[Shape], out: Shape) -> int:
    first = inputs[0]
    transposed = node.get_attributes()["transpose_a"] and len(first) > 1
    return prod(out) * first[-2 if transposed else -1]


def _cell(node: Any, inputs: list[Shape], out: Shape) -> int:
    """One step: the input by W and the state by R, for each sample. LSTM has two states before these."""
    first = 3 if node.get_type_name() == "LSTMCell" else 2
    return inputs[0][0] * (prod(inputs[first]) + prod(inputs[first + 1]))


def _sequence(node: Any, inputs: list[Shape], out: Shape) -> int:
    first = 4 if node.get_type_name() == "LSTMSequence" else 3
    if _told_in_a_run(node.input_value(first - 1)):
        raise Unknown(
            f"the lengths of the sequences of {node.get_type_name()} {node.get_friendly_name()!r} are an input"
        )
    return prod(inputs[0][:2]) * (prod(inputs[first]) + prod(inputs[first + 1]))


def _told_in_a_run(value: Any) -> bool:
    """Whether a tensor's numbers depend on those of an input, and not on shapes alone."""
    todo, seen = [value.get_node()], set[str]()
    while todo:
        node = todo.pop()
        if node.get_type_name() == "Parameter":
            return True
        if node.get_type_name() != "ShapeOf" and node.get_name() not in seen:
            seen.add(node.get_name())
            todo += [port.get_node() for port in node.input_values()]
    return False


def _einsum(node: Any, inputs: list[Shape], out: Shape) -> int:
    equation = str(node.get_attributes()["equation"])
    found = macs.einsum(equation, inputs)
    if found is None:
        raise Unknown(f"Einsum {equation!r} may be computed in several ways")
    return found


def _attention(node: Any, inputs: list[Shape], out: Shape) -> int:
    """Queries by keys, and the outcome by values; a mask saves nothing that a runtime must save."""
    query, key, value = inputs[:3]
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


_COUNTS: Mapping[str, Callable[[Any, list[Shape], Shape], int]] = {
    **dict.fromkeys(("Convolution", "GroupConvolution"), _convolution),
    **dict.fromkeys(("ConvolutionBackpropData", "GroupConvolutionBackpropData"), _transposed_convolution),
    "MatMul": _product,
    **dict.fromkeys(("LSTMCell", "GRUCell", "RNNCell"), _cell),
    **dict.fromkeys(("LSTMSequence", "GRUSequence", "RNNSequence"), _sequence),
    "Einsum": _einsum,
    "ScaledDotProductAttention": _attention,
}
