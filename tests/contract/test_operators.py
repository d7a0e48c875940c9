"""ONNX's own operator models through dynolab's doors: a sample, and as a slow test all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dynolab.testing.operator_cases import write, write_some
from dynolab.testing.operator_pool import verdicts
from dynolab.testing.operators import OWN, Verdict
from dynolab.testing.runtime_contract import runtime_named

pytest.importorskip("onnx")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
"""onnx's own cases overflow on purpose as they are made."""


def _words(text: str) -> set[str]:
    return set(text.split())


SAMPLE = {
    "abs": ["abs"],
    "adam": ["adam"],
    "ai_onnx_ml.label_encoder": ["ai_onnx_ml_label_encoder_string_int"],
    "ai_onnx_ml.tree_ensemble": ["ai_onnx_ml_tree_ensemble_set_membership"],
    "batch_normalization": ["batchnorm_example_training_mode"],
    "bernoulli": ["bernoulli"],
    "bitcast": ["bitcast_bool_to_uint8"],
    "bitshift": ["bitshift_left_uint8"],
    "cast": [
        "cast_BFLOAT16_to_FLOAT",
        "cast_FLOAT8E5M2_to_FLOAT",
        "cast_FLOAT_to_FLOAT4E2M1",
        "cast_FLOAT_to_INT4",
        "cast_UINT4_to_FLOAT",
        "cast_e8m0_FLOAT8E8M0_to_FLOAT",
    ],
    "castlike": ["castlike_FLOAT_to_BFLOAT16"],
    "causal_conv_with_state": ["causal_conv_with_state_basic_expanded"],
    "compress": ["compress_0"],
    "constantofshape": ["constantofshape_int_shape_zero"],
    "conv": ["conv_with_strides_padding"],
    "convinteger": ["convinteger_with_padding"],
    "dequantizelinear": ["dequantizelinear_int2", "dequantizelinear_int4"],
    "dft": ["dft"],
    "einsum": ["einsum_scalar"],
    "expand": ["expand_dim_changed"],
    "gridsample": ["gridsample"],
    "gru": ["gru_batchwise"],
    "identity": ["identity_opt", "identity_sequence"],
    "if_": ["if", "if_seq"],
    "image_decoder": ["image_decoder_decode_jpeg_rgb"],
    "isinf": ["isinf_float16"],
    "layernormalization": ["layer_normalization_2d_axis0_expanded"],
    "loop": ["loop11", "loop13_seq"],
    "lstm": ["lstm_with_peepholes"],
    "matmulinteger": ["matmulinteger"],
    "max": ["max_one_input"],
    "mod": ["mod_int64_fmod"],
    "nonmaxsuppression": ["nonmaxsuppression_suppress_by_IOU"],
    "nonzero": ["nonzero_example"],
    "optionalhaselement": ["optional_has_element_empty_no_input_tensor_input"],
    "quantizelinear": ["quantizelinear_uint4"],
    "rangeop": ["range_float_type_positive_delta_expanded"],
    "reducemax": ["reduce_max_empty_set_bool"],
    "reducesum": ["reduce_sum_default_axes_keepdims_random"],
    "resize": ["resize_upsample_sizes_nearest"],
    "rotaryembedding": ["rotary_embedding"],
    "scan": ["scan9_sum"],
    "sequence_map": ["sequence_map_identity_1_sequence"],
    "split": ["split_zero_size_splits_opset18"],
    "splittosequence": ["split_to_sequence_2"],
    "string_concat": ["string_concat"],
    "string_split": ["string_split_basic"],
    "stringnormalizer": ["strnormalizer_nostopwords_nochangecase"],
    "tfidfvectorizer": ["tfidfvectorizer_tf_batch_onlybigrams_skip0"],
    "topk": ["top_k"],
    "unique": ["unique_sorted_with_axis"],
    "where": ["where_long_example"],
}
"""Names without ``test_``, by the module that makes them: of every kind of operator, of odd types, and what once failed."""
REFUSED = {
    "onnxruntime": _words("""
        adam bernoulli bitcast_bool_to_uint8 cast_FLOAT_to_FLOAT4E2M1 convinteger_with_padding
        dequantizelinear_int2 dequantizelinear_int4 gru_batchwise identity_opt identity_sequence
        image_decoder_decode_jpeg_rgb loop13_seq optional_has_element_empty_no_input_tensor_input
        quantizelinear_uint4 reduce_max_empty_set_bool sequence_map_identity_1_sequence
    """),
    "openvino": _words("""
        adam ai_onnx_ml_label_encoder_string_int ai_onnx_ml_tree_ensemble_set_membership bernoulli
        bitcast_bool_to_uint8 dequantizelinear_int2 identity_opt identity_sequence if_seq
        image_decoder_decode_jpeg_rgb loop13_seq optional_has_element_empty_no_input_tensor_input
        sequence_map_identity_1_sequence split_to_sequence_2 string_concat string_split_basic
        strnormalizer_nostopwords_nochangecase tfidfvectorizer_tf_batch_onlybigrams_skip0
    """),
}
"""What the runtime's own library cannot run, or what has inputs that are no tensors. All others have the right values."""
OTHERWISE = {
    "onnxruntime": _words("dft"),
    "openvino": _words("cast_FLOAT_to_FLOAT4E2M1 dft gru_batchwise lstm_with_peepholes"),
}
"""Where the runtime's own library has other values than ONNX, with nothing of dynolab in between."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    named = {module: {f"test_{name}" for name in names} for module, names in SAMPLE.items()}
    return list(write_some(tmp_path_factory.mktemp("cases"), named))


def test_the_sample_is_what_it_says(cases: list[Path]) -> None:
    assert len(cases) == sum(map(len, SAMPLE.values())) == 60


@pytest.mark.parametrize("runtime", sorted(REFUSED))
def test_each_is_right_or_refused_with_a_name(runtime: str, cases: list[Path]) -> None:
    skip_without(runtime)
    found = list(verdicts(cases, runtime))
    assert len(found) == len(cases)
    assert not [verdict for verdict in found if not fine(verdict, runtime)]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", sorted(REFUSED))
def test_all_of_them_are_right_or_refused_by_operator_or_type_or_as_the_library_has_them(
    runtime: str, tmp_path: Path
) -> None:
    skip_without(runtime)
    found = list(verdicts(list(write(tmp_path)), runtime))
    assert len(found) > 1_500
    wrong = [
        verdict
        for verdict in found
        if verdict.outcome != "right"
        and not (verdict.outcome == "refused" and verdict.named)
        and not (verdict.outcome == "differs" and verdict.bare in OWN)
    ]
    assert not wrong


def skip_without(runtime: str) -> None:
    missing = runtime_named(runtime).unavailable()
    if missing is not None and runtime not in os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split():
        pytest.skip(missing)


def fine(verdict: Verdict, runtime: str) -> bool:
    name = verdict.case.removeprefix("node/test_")
    if verdict.outcome == "refused":
        return verdict.named and name in REFUSED[runtime]
    if verdict.outcome == "differs":
        return verdict.bare in OWN and name in OTHERWISE[runtime]
    return verdict.outcome == "right"
