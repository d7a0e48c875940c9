"""Several runtimes in one command: the same input sizes for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dynolab.cli._side_by_side import measured
from dynolab.errors import SpecInvalid
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Notice
from dynolab.spec.profiles import Profile, Tensor
from dynolab.spec.tensors import TensorSpec
from dynolab.testing.sample import sample_profile


def profile(*shape: int, name: str = "x", chosen: bool = True) -> Profile:
    notices = (Notice("info", "default-shape", "128 was taken"),) if chosen else ()
    return replace(sample_profile(), inputs=(Tensor(TensorSpec(name, "float32", shape), "random"),), notices=notices)


def spec(**shapes: tuple[int, ...]) -> ProfileSpec:
    return ProfileSpec(Path("m.onnx"), input_shapes=shapes)


def test_a_later_runtime_is_measured_on_the_sizes_of_the_first_and_says_so() -> None:
    asked: list[ProfileSpec] = []

    def run(one: ProfileSpec) -> Profile:
        asked.append(one)
        return profile(*one.input_shapes.get("x", (1, 1, 64)), chosen=False)

    found = measured(spec(), [profile(1, 128, 64)], run)
    assert asked[0].input_shapes == {"x": (1, 128, 64)}
    assert found.inputs[0].spec.shape == (1, 128, 64)
    assert [(one.code, "[1, 128, 64]" in one.text) for one in found.notices] == [("default-shape", True)]


def test_what_the_user_gave_stays() -> None:
    found = measured(spec(x=(1, 7, 64)), [profile(1, 7, 64)], lambda one: profile(*one.input_shapes["x"], chosen=False))
    assert found.notices == ()


def test_inputs_of_other_names_are_a_loud_notice_where_their_sizes_differ() -> None:
    def run(one: ProfileSpec) -> Profile:
        if one.input_shapes:
            raise SpecInvalid("the model has no input named 'x'")
        return profile(1, 1, 64, name="serving:0", chosen=False)

    found = measured(spec(), [profile(1, 128, 64)], run)
    assert [(one.level, one.code) for one in found.notices] == [("loud", "other-sizes")]
    assert "[1, 128, 64]" in found.notices[0].text
