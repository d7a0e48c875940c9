"""Multiply-accumulates of ONNX models: counted, or None with the reason; never 0 for what is not known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynolab.runtimes.base import Target
from dynolab.runtimes.onnxruntime import plugin

onnx = pytest.importorskip("onnx")
FLOAT, UINT8 = 1, 2
S, K, H = 10, 6, 4


def node(kind: str, inputs: str, domain: str = "", **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, inputs.split(","), ["y"], "it", domain=domain, **attributes)


def described(target: Callable[..., Target], path: Path, nodes: list, functions: tuple = (), **shapes: tuple) -> Any:
    helper = onnx.helper
    inputs = [helper.make_tensor_value_info(name, FLOAT, [None] * len(shape)) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", FLOAT, None)])
    opsets = [
        helper.make_opsetid("", 23),
        *(helper.make_opsetid(name, 1) for name in ("com.microsoft", "own", "ai.onnx.ml")),
    ]
    onnx.save_model(
        helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions), str(path / "m.onnx")
    )
    return plugin.describe(target(path / "m.onnx", **shapes))


@pytest.mark.parametrize(
    ("made", "shapes", "expected"),
    [
        (node("LSTM", "x,w,r", hidden_size=H), {"x": (S, 2, K), "w": (1, 4 * H, K), "r": (1, 4 * H, H)}, S * 2 * 4 * H * (K + H)),
        (node("GRU", "x,w,r", hidden_size=H), {"x": (S, 1, K), "w": (1, 3 * H, K), "r": (1, 3 * H, H)}, S * 3 * H * (K + H)),
        (
            node("RNN", "x,w,r", hidden_size=H, direction="bidirectional"),
            {"x": (S, 1, K), "w": (2, H, K), "r": (2, H, H)},
            2 * S * H * (K + H),
        ),
        (node("Einsum", "x,w", equation="bsi, ij -> bsj"), {"x": (2, S, K), "w": (K, H)}, 2 * S * K * H),
        (node("Einsum", "x", equation="ij->ji"), {"x": (S, K)}, 0),
        (node("Attention", "q,k,v"), {"q": (1, 2, S, K), "k": (1, 2, 7, K), "v": (1, 2, 7, H)}, 2 * S * 7 * (K + H)),
        (
            node("Attention", "q,k,v", q_num_heads=2, kv_num_heads=1),
            {"q": (1, S, 2 * K), "k": (1, 7, K), "v": (1, 7, H)},
            2 * S * 7 * (K + H),
        ),
        (node("MatMulNBits", "x,w,s", "com.microsoft", K=32, N=5, bits=4, block_size=32), {"x": (1, S, 32), "w": (5, 1, 16), "s": (5,)}, S * 32 * 5),
        (node("MultiHeadAttention", "q,k,v", "com.microsoft", num_heads=2), {"q": (1, S, 8), "k": (1, 7, 8), "v": (1, 7, 8)}, 2 * S * 7 * 8),
        (
            node("GroupQueryAttention", "q,k,v,,,n,t", "com.microsoft", num_heads=4, kv_num_heads=2),
            {"q": (1, S, 8), "k": (1, S, 4), "v": (1, S, 4), "n": (1,), "t": ()},
            2 * S * S * 8,
        ),
        (node("Attention", "x,w,b", "com.microsoft", num_heads=2), {"x": (1, S, K), "w": (K, 12), "b": (12,)}, S * K * 12 + 2 * S * S * 4),
        (node("LinearRegressor", "x", "ai.onnx.ml", coefficients=[1.0, 2.0, 3.0], targets=1), {"x": (5, 3)}, 15),
        (node("Relu", "x"), {"x": (2, 3)}, 0),
    ],
    ids=lambda value: value.op_type if hasattr(value, "op_type") else "",
)  # fmt: skip
def test_products_along_an_axis_are_counted(
    tmp_path: Path, target: Callable[..., Target], made: Any, shapes: dict[str, tuple[int, ...]], expected: int
) -> None:
    found = described(target, tmp_path, [made], **shapes)
    assert found.unknown is None
    assert found.multiply_accumulates == expected


def test_a_function_of_the_model_s_own_is_looked_into(tmp_path: Path, target: Callable[..., Target]) -> None:
    helper = onnx.helper
    inner = [helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("Relu", ["c"], ["d"])]
    function = helper.make_function("own", "Dense", ["a", "b"], ["d"], inner, [helper.make_opsetid("", 23)])
    found = described(target, tmp_path, [node("Dense", "x,w", "own")], (function,), x=(S, K), w=(K, H))
    assert found.multiply_accumulates == S * K * H


def test_what_follows_an_operator_of_onnx_runtime_s_own_is_counted(
    tmp_path: Path, target: Callable[..., Target]
) -> None:
    first = node("MatMulNBits", "x,p,s", "com.microsoft", K=32, N=5, bits=4, block_size=32)
    first.output[0] = "a"
    second = onnx.helper.make_node("Gelu", ["a"], ["b"], domain="com.microsoft")
    found = described(
        target, tmp_path, [first, second, node("MatMul", "b,w")], x=(1, S, 32), p=(5, 1, 16), s=(5,), w=(5, 3)
    )
    assert found.multiply_accumulates == S * 32 * 5 + S * 5 * 3


@pytest.mark.parametrize(
    ("made", "shapes", "reason"),
    [
        (node("Mystery", "x", "own"), {"x": (1, 2)}, "own.Mystery"),
        (node("DeformConv", "x,w,o"), {"x": (1, 1, 4, 4), "w": (1, 1, 2, 2), "o": (1, 8, 3, 3)}, "DeformConv"),
        (node("Einsum", "x,w,z", equation="ab,bc,cd->ad"), {"x": (2, 3), "w": (3, 4), "z": (4, 5)}, "several ways"),
        (node("LSTM", "x,w,r,,n", hidden_size=H), {"x": (S, 1, K), "w": (1, 16, K), "r": (1, 16, H), "n": (1,)}, "lengths"),
        (
            node("GroupQueryAttention", "q,k,v,a,b,n,t", "com.microsoft", num_heads=4, kv_num_heads=2),
            {"q": (1, 1, 8), "k": (1, 1, 4), "v": (1, 1, 4), "a": (1, 2, 9, 2), "b": (1, 2, 9, 2), "n": (1,), "t": ()},
            "past",
        ),
    ],
    ids=lambda value: value.op_type if hasattr(value, "op_type") else "",
)  # fmt: skip
def test_what_is_not_known_is_none_with_the_reason(
    tmp_path: Path, target: Callable[..., Target], made: Any, shapes: dict[str, tuple[int, ...]], reason: str
) -> None:
    found = described(target, tmp_path, [made], **shapes)
    assert found.multiply_accumulates is None
    assert reason in (found.unknown or {})["multiply_accumulates"]
