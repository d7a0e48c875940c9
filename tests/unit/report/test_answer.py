"""What stands first in every report: the range, what it was, whether it fits, where it ran, in what, on what; told once."""

from dataclasses import replace
from pathlib import Path

import pytest

from dynolab.report import markdown, text
from dynolab.report._answer import Item, answer
from dynolab.report.base import Report
from dynolab.report.json import load
from dynolab.spec.measurements import ComputeUnit, Notice
from dynolab.spec.profiles import LayerTable, Profile, Tensor, Trust, Verdict
from dynolab.spec.tensors import TensorSpec
from dynolab.testing.sample import disturbed_table, noisy_profile, sample_profile, unmeasured_profile

WAITED = "its threads waited for a CPU, 6.2 % of the time"
TEXTS: list[Report] = [text.plugin, markdown.plugin]


def items(profile: Profile) -> dict[str, Item]:
    return {item.title: item for item in answer(profile).items}


def assumed(*texts: str) -> tuple[Notice, ...]:
    return tuple(Notice("info", "default-shape", text) for text in texts)


def test_the_answer_is_range_median_peak_units_precision_and_shapes() -> None:
    assert [(title, item.text) for title, item in items(sample_profile()).items()] == [
        ("Inference time", "8.10 - 8.31 ms"),
        ("Median, p90", "8.43 ms, 8.76 ms"),
        ("Process total peak", "214.6 - 268.9 MB"),
        ("Ran on", "NPU 99.4 %, CPU 0.6 % of the time"),
        ("Precision", "float16"),
        ("Input shapes", "image=1,3,224,224"),
    ]


@pytest.mark.parametrize("plugin", TEXTS, ids=lambda plugin: plugin.name)
def test_the_answer_stands_before_the_stages(plugin: Report) -> None:
    page = plugin.render([noisy_profile()])
    strip = page[: page.index("Stage ")]
    for said in ("6.32 - 8.31 ms", "8.76 ms", "214.6 - 268.9 MB", "NPU 99.4 %", "float16", "image=1,3,224,224",
                 "not met", "100 % of the", WAITED[:30]):  # fmt: skip
        assert said in strip, said


@pytest.mark.parametrize("plugin", TEXTS, ids=lambda plugin: plugin.name)
def test_nothing_is_told_twice(plugin: Report) -> None:
    wanted = replace(sample_profile().request, requirements=("estimated_inference_time <= 7 ms",))
    page = " ".join(plugin.render([noisy_profile(request=wanted)]).split())
    assert "cannot tell" in page
    for said in ("its threads waited", "ran on another unit", "214.6 - 268.9 MB"):
        assert page.count(said) == 1, said


def test_a_wide_range_says_why_and_a_narrow_one_does_not() -> None:
    assert answer(noisy_profile()).why == f"The range is wide: {WAITED}."
    assert answer(sample_profile()).why is None


def test_an_invalid_time_says_so() -> None:
    profile = sample_profile()
    assert profile.inference.time is not None
    bad = Verdict(Trust.INVALID, ("the CPU ran into its quota",))
    inference = replace(profile.inference, time=replace(profile.inference.time, verdict=bad), verdict=bad)
    found = answer(replace(profile, inference=inference))
    assert (found.items[0].trust, found.why) == (Trust.INVALID, "The stage is invalid: the CPU ran into its quota.")


def test_a_profile_of_the_first_schema_speaks_of_its_stage() -> None:
    first = load((Path(__file__).parents[2] / "data" / "first_schema.json").read_text(encoding="utf-8"))
    found = answer(first)
    assert found.items[0].text == "8.31 ms"
    assert found.items[0].trust is Trust.NOISY
    assert str(found.why).startswith("The stage is noisy: ")


def test_what_was_not_measured_has_its_reason() -> None:
    found = items(unmeasured_profile())
    assert [title for title, item in found.items() if item.reason] == [
        "Inference time", "Median, p90", "Process total peak", "Input shapes",
    ]  # fmt: skip
    assert found["Ran on"].text == "asked for NPU, CPU"
    nothing = replace(sample_profile().runtime, requested_units=())
    table = LayerTable((), "no profiler", None, None, 0, None)
    found = items(sample_profile(runtime=nothing, layers=table))
    assert (found["Ran on"].text, found["Ran on"].reason) == ("-", "no profiler")


def test_one_unit_is_named_with_its_layers_and_disturbed_times_are_no_shares() -> None:
    table = sample_profile().layers
    alone = tuple(replace(layer, compute_unit=ComputeUnit.CPU) for layer in table.layers)
    assert items(sample_profile(layers=replace(table, layers=alone)))["Ran on"].text == "CPU, all 68 layers"
    assert items(sample_profile(layers=replace(table, layers=alone[:1])))["Ran on"].text == "CPU, 1 layer"
    assert items(sample_profile(layers=disturbed_table()))["Ran on"].text == "NPU 88.9 %, CPU 11.1 % of the layers"


def test_fallbacks_stand_beside_the_units_and_nowhere_else() -> None:
    found = answer(sample_profile())
    assert [notice.code for notice in found.items[3].notices] == ["fallback"]
    assert [notice.code for notice in found.notices] == ["negative-memory"]


def test_assumed_shapes_are_told_as_such_and_given_ones_are_not() -> None:
    inputs = (
        Tensor(TensorSpec("a: b", "float32", (1, 3, 32, 320)), "random"),
        Tensor(TensorSpec("a", "float32", (2,)), "random"),
    )
    told = assumed("a: b: dimension 2 (?) is unbound, 32 was taken (an image's side)")
    found = items(sample_profile(inputs=inputs, notices=told))
    assert found["Assumed shapes"].text == "a: b=1,3,32,320"
    assert found["Assumed shapes"].doubtful
    assert answer(sample_profile(inputs=inputs, notices=told)).notices == ()
    assert items(sample_profile(inputs=inputs, notices=()))["Input shapes"].text == "a: b=1,3,32,320, a=2"


def test_a_notice_on_an_input_that_is_not_there_stays_a_notice() -> None:
    told = assumed("gone: dimension 0 (?) is unbound, 1 was taken (the batch)")
    assert answer(sample_profile(notices=told)).notices == told


def test_of_many_inputs_three_are_named() -> None:
    inputs = tuple(Tensor(TensorSpec(f"x{number}", "float32", (1,)), "random") for number in range(1200))
    told = assumed(*(f"{one.spec.name}: dimension 0 (?) is unbound, 1 was taken (the batch)" for one in inputs))
    found = items(sample_profile(inputs=inputs, notices=told))
    assert found["Assumed shapes"].text == "x0=1, x1=1, x2=1 and 1,197 more"
