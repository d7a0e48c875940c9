"""In which float type a model was computed: against its file, and beside other profiles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynolab.report import markdown, text
from dynolab.spec import precision
from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.profiles import LayerTable, Profile
from dynolab.testing.sample import sample_profile


def table(*layers: tuple[str | None, int]) -> LayerTable:
    found = tuple(Layer(f"l{at}", "Conv", ComputeUnit.CPU, ns, precision=kind) for at, (kind, ns) in enumerate(layers))
    return LayerTable(found, None, sum(ns for _, ns in layers), 0.0, 20, 1)


def profile(
    effective: str | None, *layers: tuple[str | None, int], file: str = "float32", runtime: str = "x"
) -> Profile:
    base = sample_profile(notices=())
    told = {} if effective is None else {"inference_precision": effective}
    return replace(
        base,
        model=replace(base.model, precision=file),
        runtime=replace(base.runtime, name=runtime, effective=told),
        layers=table(*layers or ((None, 10),)),
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (profile("bf16", ("bfloat16", 90), ("float32", 10)), "1 of 2 layers (90.0 % of the time) computed in bfloat16"),
        (profile("f32", ("bfloat16", 1), ("float16", 2), ("int32", 1)), "2 of 3 layers (75.0 % of the time) computed in float16 and bfloat16"),
        (profile("bf16"), "the runtime computes in bfloat16, and the file has float32"),
        (profile("f32", ("float32", 9), file="float16"), "computed in float32, and the file has float16"),
        (profile("bf16", ("bfloat16", 9), file="int8 93 %, float32 7 %"), "computed in bfloat16, and the file has float32"),
        (profile("bf16", ("float32", 9)), None),
        (profile("f32"), None),
        (profile("f32", ("int8", 9), file="int8"), None),
        (profile("as in the file (no XNNPACK flag is set)"), None),
        (profile(None), None),
    ],
)  # fmt: skip
def test_it_is_held_against_the_file(found: Profile, expected: str | None) -> None:
    told = precision.unlike_file(found.model.precision, found.runtime.effective, found.layers)
    assert (expected in (told or "")) if expected else told is None


def test_another_precision_is_loud_unless_an_option_asked_for_it() -> None:
    arguments = "float32", {"inference_precision": "bf16"}, table(("bfloat16", 5))
    (loud,) = precision.notices(*arguments, "")
    assert (loud.level, loud.code) == ("loud", precision.CODE)
    (asked,) = precision.notices(*arguments, "--openvino_options inference_precision=bf16")
    assert asked.level == "info"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (profile("bf16"), "bfloat16"),
        (profile("bf16", ("float32", 9)), "float32"),
        (profile(None), "float32"),
        (profile("f32", file="int8 93 %, int32 7 %"), "int8"),
        (profile("bf16", file="int8 93 %, int32 7 %"), "int8 with bfloat16"),
        (profile(None, file="none"), None),
    ],
)
def test_what_a_profile_was_computed_in(found: Profile, expected: str | None) -> None:
    assert precision.of_profile(found) == expected


def test_bf16_beside_f32_is_told_before_everything_else() -> None:
    sides = [profile("bf16", runtime="openvino"), profile(None, runtime="onnxruntime")]
    told = "Not like for like: openvino computes in bfloat16, onnxruntime computes in float32."
    assert text.plugin.render(sides).splitlines()[0] == f"!! {told}"
    assert markdown.plugin.render(sides).splitlines()[0] == f"⚠️ **{told}**"
    alike = [profile("f32", runtime="openvino"), profile(None, runtime="onnxruntime")]
    assert precision.first_word(alike, ["a", "b"]) is None


def test_one_profile_tells_it_first_and_once() -> None:
    found = profile("bf16", ("bfloat16", 9))
    found = replace(found, notices=tuple(precision.notices("float32", found.runtime.effective, found.layers, "")))
    for plugin in (text.plugin, markdown.plugin):
        page = plugin.render([found])
        assert "computed in bfloat16, and the file has float32" in page.splitlines()[0]
        assert page.count("computed in bfloat16") == 1
