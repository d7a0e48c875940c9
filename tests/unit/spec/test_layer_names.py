"""Which nodes a layer is made of, by the names that runtimes give to layers."""

from __future__ import annotations

import pytest

from dynolab.spec.layer_names import node_names


@pytest.mark.parametrize(
    ("name", "kind", "groups"),
    [
        ("conv", "Conv", [("conv",)]),
        ("relu_0.tmp_0_nchwc", "Conv", [("relu_0.tmp_0_nchwc",), ("relu_0.tmp_0",)]),
        ("a_nchwc_token_12", "Conv", [("a_nchwc_token_12",), ("a_nchwc",), ("a",)]),
        ("MatMul@0/MatMulAddFusion", "Gemm", [("MatMul@0/MatMulAddFusion",), ("MatMul@0",)]),
        ("mul/LayerNormFusion/", "LayerNormalization", [("mul/LayerNormFusion/",), ("mul",)]),
        ("fused conv", "FusedConv", [("fused conv",), ("conv",)]),
        ("a,b,a", "Convolution", [("a,b,a",), ("a", "b")]),
        ("Reshape_token_3", "Reshape", [("Reshape_token_3",)]),  # one more Reshape, of no node's name
        ("net/conv #4", "CONV_2D", [("net/conv #4",), ("net/conv",)]),
        ("Copy #4", "Copy", [("Copy #4",)]),
        ("", "Conv", [("",)]),
        (",", "Conv", [(",",)]),
    ],
)
def test_the_surest_name_comes_first(name: str, kind: str, groups: list[tuple[str, ...]]) -> None:
    assert node_names(name, kind) == groups
