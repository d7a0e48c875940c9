"""Multiply-accumulates of an ONNX model: counted by operator, or None with the reason; never 0 for what is not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from dynolab.spec import macs

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

_UNKNOWN: Shape = (-1,)
_INNER_LOOPS = {"If", "Loop", "Scan", "SequenceMap"}
_MICROSOFT = "com.microsoft"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_PRODUCTS = {
    "": _words("""
        Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Bernoulli
        BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad
        Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Cos Cosh CumProd CumSum DepthToSpace
        DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather
        GatherElements GatherND Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
        GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity ImageDecoder
        InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization
        LpPool Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul
        Multinomial Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement
        OptionalHasElement Or PRelu Pad Pow QuantizeLinear RMSNormalization RandomNormal RandomNormalLike RandomUniform
        RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
        ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding
        Round Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase
        SequenceInsert SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss
        Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat StringNormalizer StringSplit Sub
        Sum SwiGLU Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique
        Unsqueeze Upsample Where Xor SimplifiedLayerNormalization
    """),
    "ai.onnx.ml": _words("""
        ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder
        Normalizer OneHotEncoder Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
    """),
    _MICROSOFT: _words("""
        BiasGelu BiasSplitGelu DequantizeLinear EmbedLayerNormalization FastGelu Gelu NhwcMaxPool QLinearAdd
        QLinearAveragePool QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean
        QLinearSigmoid QLinearSoftmax QuantizeLinear QuickGelu RotaryEmbedding SkipLayerNormalization
        SkipSimplifiedLayerNormalization
    """),
}  # fmt: skip
"""Operators by domain that multiply and add element by element at most; products along an axis are what is counted."""
_AS_FIRST_INPUT = {
    "BiasGelu", "FastGelu", "Gelu", "QuickGelu", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
    "GroupQueryAttention", "MultiHeadAttention", "RotaryEmbedding", "DequantizeLinear", "QuantizeLinear",
}  # fmt: skip
"""ONNX Runtime's own operators whose output is as large as the first input, as a rule: onnx does not know them."""


class _Unknown(Exception):
    """Why there is no count of one operator."""


def count(model: Any, shapes: Shapes) -> tuple[int | None, str | None]:
    """The sum over the main graph and the model's functions for these input shapes, or None with the reason."""
    import onnx
    from onnx import inliner, shape_inference

    for value in model.graph.input:
        if not value.type.tensor_type.HasField("shape"):
            for _ in shapes.get(value.name, ()):
                value.type.tensor_type.shape.dim.add()
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dim.dim_value = size
    try:
        flat = inliner.inline_local_functions(model) if model.functions else model
        nodes = list(flat.graph.node)
        inferred = shape_inference.infer_shapes(_outline(flat), data_prop=True)
    except (ValueError, RuntimeError, onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        return None, f"shapes could not be inferred: {str(error).splitlines()[0]}"
    known = _known(inferred.graph)
    total = 0
    for node in nodes:
        if node.op_type in _INNER_LOOPS:
            return None, "the model branches or loops: the count depends on its inputs"
        try:
            part = _of_node(node, known)
        except _Unknown as error:
            return None, str(error)
        if part is None:
            return None, f"the shapes of {node.op_type} {node.name!r} are not known before a run"
        total += part
    return total, None


def _outline(model: Any) -> Any:
    """The model with stand-ins for ONNX Runtime's own operators, whose shapes onnx cannot infer."""
    import onnx

    if not any(node.domain == _MICROSOFT for node in model.graph.node):
        return model
    outline = onnx.ModelProto()
    outline.CopyFrom(model)
    nodes = list(outline.graph.node)
    del outline.graph.node[:]
    for index, node in enumerate(nodes):
        outline.graph.node.extend(_stand_in(outline, node, index) if node.domain == _MICROSOFT else [node])
    return outline


def _stand_in(model: Any, node: Any, index: int) -> list[Any]:
    from onnx import TensorProto, helper

    if node.op_type == "MatMulNBits":
        weights, sizes = f"dynolab_weights_{index}", [_number(node, "K"), _number(node, "N")]
        model.graph.input.append(helper.make_tensor_value_info(weights, TensorProto.FLOAT, sizes))
        return [helper.make_node("MatMul", [node.input[0], weights], node.output[:1])]
    if node.op_type in _AS_FIRST_INPUT and not (node.op_type == "GroupQueryAttention" and not node.input[1]):
        same = [node.output[place] for place in (0, 3) if place < len(node.output) and node.output[place]]
        return [helper.make_node("Identity", node.input[:1], [output]) for output in same]
    return [node]


def _known(graph: Any) -> dict[str, Shape]:
    """Sizes by tensor; -1 for one that is open."""
    known = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.value_info, *graph.input, *graph.output]:
        kind = value.type.tensor_type
        sizes = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)
        known.setdefault(value.name, sizes if kind.HasField("shape") else _UNKNOWN)
    return known


def _of_node(node: Any, known: Shapes) -> int | None:
    """Multiply-accumulates of one node; None where a shape is missing. Raises :class:`_Unknown` with another reason."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    if node.op_type in _NO_PRODUCTS.get(domain, ()):
        return 0
    counting = _COUNTS.get(node.op_type) if domain in ("", "ai.onnx.ml", _MICROSOFT) else None
    if counting is None:
        raise _Unknown(f"how many {f'{domain}.' if domain else ''}{node.op_type} has is not known to dynolab")
    try:
        return counting(node, known)
    except LookupError:
        return None


def _input(node: Any, index: int, known: Shapes) -> Shape:
    """The sizes of an input. Raises ``KeyError`` where one is open."""
    return _sizes(node.input[index] if index < len(node.input) else "", known)


def _sizes(name: str, known: Shapes) -> Shape:
    found = known.get(name, _UNKNOWN)
    if min(found, default=0) < 0:
        raise KeyError(name)
    return found


def _given(node: Any, index: int) -> bool:
    return index < len(node.input) and bool(node.input[index])


def _attribute(node: Any, name: str) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), None)


def _number(node: Any, name: str) -> int:
    return int(_attribute(node, name) or 0)


def _convolution(node: Any, known: Shapes) -> int:
    return prod(_sizes(node.output[0], known)) * prod(_input(node, _second(node), known)[1:])


def _transposed_convolution(node: Any, known: Shapes) -> int:
    return prod(_input(node, 0, known)) * prod(_input(node, 1, known)[1:])


def _product(node: Any, known: Shapes) -> int:
    first, out = _input(node, 0, known), _sizes(node.output[0], known)
    _input(node, _second(node), known)
    transposed = _number(node, "transA") and len(first) > 1
    return prod(out) * first[-2 if transposed else -1]


def _second(node: Any) -> int:
    """Where the second operand stands: quantised operators have scale and zero point between them."""
    return 3 if node.op_type.startswith("QLinear") else 1


def _recurrent(node: Any, known: Shapes) -> int:
    """Each step multiplies its input by W and its state by R, for each sample (ONNX: RNN, GRU, LSTM)."""
    if _given(node, 4):
        raise _Unknown(f"the lengths of the sequences of {node.op_type} {node.name!r} are an input")
    steps = prod(_input(node, 0, known)[:2])
    return steps * (prod(_input(node, 1, known)) + prod(_input(node, 2, known)))


def _einsum(node: Any, known: Shapes) -> int:
    equation = _attribute(node, "equation").decode()
    found = macs.einsum(equation, [_input(node, index, known) for index in range(len(node.input))])
    if found is None:
        raise _Unknown(f"Einsum {equation!r} may be computed in several ways")
    return found


def _attention(node: Any, known: Shapes) -> int:
    """Queries by keys, and the outcome by values; a mask saves nothing that a runtime must save (ONNX: Attention)."""
    if node.domain == _MICROSOFT:
        return _attention_of_ort(node, known)
    query, key, value = (_input(node, index, known) for index in range(3))
    past = _input(node, 4, known)[2] if _given(node, 4) else 0
    if len(query) == 3:
        heads, others = _number(node, "q_num_heads"), _number(node, "kv_num_heads")
        width, wide, length = query[2], heads * (value[2] // others), key[1] + past
        return query[0] * query[1] * length * (width + wide)
    length = key[2] + past
    return prod(query[:3]) * length * (query[3] + value[3])


def _attention_of_ort(node: Any, known: Shapes) -> int:
    """With the projection of its input (ONNX Runtime's ContribOperators.md: Attention, QAttention)."""
    if _attribute(node, "qkv_hidden_sizes"):
        raise _Unknown(f"the sizes inside {node.op_type} {node.name!r} are its own")
    (batch, length, _), weights = _input(node, 0, known), _input(node, 1, known)
    past_index = 8 if node.op_type == "QAttention" else 4
    past = _input(node, past_index, known)[3] if _given(node, past_index) else 0
    return batch * length * prod(weights) + 2 * batch * length * (length + past) * (weights[1] // 3)


def _many_heads(node: Any, known: Shapes) -> int:
    if not (_given(node, 1) and _given(node, 2)):
        raise _Unknown(f"{node.op_type} {node.name!r} has its keys in one tensor with its queries")
    query, key, value = (_input(node, index, known) for index in range(3))
    if len(key) == 4:
        return query[0] * query[1] * key[2] * (query[2] + value[1] * value[3])
    past = _input(node, 6, known)[2] if _given(node, 6) else 0
    return query[0] * query[1] * (key[1] + past) * (query[2] + value[2])


def _grouped_heads(node: Any, known: Shapes) -> int:
    """Without a past the keys are as many as the queries; how much of a past is used is told in an input's values."""
    batch, length, width = _input(node, 0, known)
    heads, others = _number(node, "num_heads"), _number(node, "kv_num_heads")
    if _given(node, 3) and _input(node, 3, known)[2]:
        raise _Unknown(f"how much of its past {node.op_type} {node.name!r} uses is told in an input")
    size = width // (heads if _given(node, 1) else heads + 2 * others)
    return 2 * batch * length * length * heads * size


def _packed_product(node: Any, known: Shapes) -> int:
    return prod(_input(node, 0, known)[:-1]) * _number(node, "K") * _number(node, "N")


def _linear(node: Any, known: Shapes) -> int:
    rows = _input(node, 0, known)
    return (rows[0] if len(rows) > 1 else 1) * len(_attribute(node, "coefficients"))


_COUNTS: Mapping[str, Callable[[Any, Shapes], int]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "QLinearConv"), _convolution),
    "ConvTranspose": _transposed_convolution,
    **dict.fromkeys(("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "FusedGemm", "FusedMatMul"), _product),
    **dict.fromkeys(("MatMulIntegerToFloat", "DynamicQuantizeMatMul"), _product),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "DynamicQuantizeLSTM"), _recurrent),
    "Einsum": _einsum,
    **dict.fromkeys(("Attention", "QAttention"), _attention),
    "MultiHeadAttention": _many_heads,
    "GroupQueryAttention": _grouped_heads,
    "MatMulNBits": _packed_product,
    **dict.fromkeys(("LinearClassifier", "LinearRegressor"), _linear),
}
