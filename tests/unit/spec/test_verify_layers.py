"""Where two models' numbers part, and what their layers take."""

from __future__ import annotations

import pytest

from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.verify_layers import LayerCheck, LayerChecks, with_times


def check(node: str, before: float | None, after: float | None, kind: str = "Conv") -> LayerCheck:
    return LayerCheck(
        node, kind, f"{node}_out", f"{node}_b", f"{node}_out", 0.0 if after is None else 0.1, after, before
    )


def checks(*layers: LayerCheck, limit_db: float = 40.0) -> LayerChecks:
    return LayerChecks(layers, limit_db, 8, 0, True)


def test_the_first_layer_that_parts_is_below_while_what_it_reads_is_not() -> None:
    found = checks(
        check("a", None, None), check("b", None, 45.0), check("c", 45.0, 38.0), check("d", 38.0, 12.0), check("e", 44.0, 39.0)
    )  # fmt: skip
    assert found.first == found.layers[2]
    assert found.headline == "the first layer whose numbers part is c (Conv): 45.0 dB in, 38.0 dB out"
    assert checks(check("a", None, 20.0)).headline.endswith("exact in, 20.0 dB out")
    assert checks(check("d", 38.0, 12.0)).headline == "no layer is below 40 dB while what it reads is not"
    assert "by name" in checks().headline


def test_the_noisiest_add_most_to_what_they_read() -> None:
    found = checks(check("same", None, None), check("small", None, 60.0), check("better", 20.0, 30.0), check("worst", 30.0, 15.0), check("bad", 15.0, 14.0))  # fmt: skip
    assert [one.node for one in found.noisiest] == ["worst", "bad", "small"]


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_fused_layer_s_time_stands_at_its_last_node(side: str) -> None:
    found = checks(check("conv", None, 50.0), check("relu", 50.0, 50.0), check("fc", 50.0, 50.0))
    mark = "" if side == "a" else "_b"
    timed = [
        Layer(f"conv{mark},relu{mark}", "Convolution", ComputeUnit.CPU, 700),
        Layer("fused fc_out", "Gemm", ComputeUnit.CPU, 40),
        Layer("fc_out", "Gemm", ComputeUnit.CPU, 2),
        Layer("elsewhere", "Reorder", ComputeUnit.CPU, 9),
    ]
    made = with_times(found, side, timed)
    assert [getattr(one, f"time_{side}_ns") for one in made.layers] == [None, 700, 42]
    other = "b" if side == "a" else "a"
    assert all(getattr(one, f"time_{other}_ns") is None for one in made.layers)
