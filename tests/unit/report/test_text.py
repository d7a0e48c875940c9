"""The reports for people in plain text: the terminal and Markdown."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from dynolab.report import markdown, text
from dynolab.report.base import clean, condensed, crop, labels, threads_text
from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.profiles import Profile, Trust, Verdict
from dynolab.spec.show import show_bytes
from dynolab.testing.sample import (
    disturbed_table,
    hostile_profile,
    layer_table,
    noisy_profile,
    sample_profile,
    unmeasured_profile,
)


def other(name: str, profile: Profile | None = None) -> Profile:
    profile = profile or sample_profile()
    return replace(profile, runtime=replace(profile.runtime, name=name))


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("make", [sample_profile, noisy_profile, unmeasured_profile, hostile_profile])
def test_no_line_is_wider_than_the_terminal(width: int, make: object) -> None:
    page = text.plugin.render([make()], width)  # type: ignore[operator] # pytest passes it as object
    assert max(len(row) for row in page.splitlines()) <= width


def test_three_runtimes_fit_side_by_side() -> None:
    page = text.plugin.render([sample_profile(), other("openvino"), other("litert", unmeasured_profile())], 100)
    assert max(len(row) for row in page.splitlines()) <= 100
    inference = page[page.index("Inference  ") :].splitlines()[:3]
    assert [name in row for name, row in zip(("onnxruntime", "openvino", "litert"), inference, strict=True)] == [
        True
    ] * 3


def test_a_full_profile_says_everything_once() -> None:
    page = text.plugin.render([sample_profile()])
    for said in ("sample (made up)", "onnxruntime 1.31.1", "61.6 - 75.8 MB", "214.6 - 268.9 MB", "✗ not met",
                 "53 more", "ran on another unit than NPU"):  # fmt: skip
        assert page.count(said) == 1, said


def test_what_was_not_measured_is_a_dash_with_a_footnote() -> None:
    page = text.plugin.render([unmeasured_profile()])
    assert "Compile        -            -         -  not measured [1]" in page
    assert "[1]  made up: nothing was measured" in page


def test_a_verdict_has_its_reason_in_words() -> None:
    page = text.plugin.render([noisy_profile(), other("litert")])
    assert "6.32 - 8.31 ms  noisy [1]" in page
    assert "[1]  its threads waited for a CPU, 6.2 % of the time" in page
    assert "Inference   onnxruntime  6.32 - 8.31 ms" in page


def test_a_stage_beside_the_inference_has_its_reason_below() -> None:
    base = sample_profile()
    noisy = Verdict(Trust.NOISY, ("the clock was low",))
    page = text.plugin.render([replace(base, compile=replace(base.compile, verdict=noisy))])
    assert "noisy [1]" in page
    assert "[1]  the clock was low" in page


@pytest.mark.parametrize(("terminal", "coloured"), [(True, True), (False, False)])
def test_colour_only_on_a_terminal(terminal: bool, coloured: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=terminal, color_system="standard" if terminal else None)
    console.print(text.plugin.renderable([sample_profile()]))
    assert ("\x1b[" in out.getvalue()) is coloured


def test_square_brackets_are_no_markup() -> None:
    profile = sample_profile()
    profile = replace(profile, model=replace(profile.model, name="[bold]net[/bold] [red]"))
    assert "[bold]net[/bold] [red]" in text.plugin.render([profile])


def test_bars() -> None:
    assert text.bar(0) == ""
    assert text.bar(1, 4) == "████"
    assert text.bar(0.5, 4) == "██"
    assert text.bar(2, 4) == "████"
    assert text.bar(1 / 32, 4) == "▏"


def test_labels_tell_profiles_apart() -> None:
    assert labels([sample_profile()]) == ["onnxruntime"]
    assert labels([sample_profile(), other("litert")]) == ["onnxruntime", "litert"]
    assert labels([sample_profile(), sample_profile()]) == ["1: onnxruntime", "2: onnxruntime"]
    smaller = replace(sample_profile(), model=replace(sample_profile().model, file_bytes=1_000))
    name, size = sample_profile().model.name, show_bytes(sample_profile().model.file_bytes)
    assert labels([sample_profile(), smaller]) == [f"{name}, {size}", f"{name}, {show_bytes(1_000)}"]
    newer = replace(sample_profile().runtime, versions={"onnxruntime": "2.0"})
    assert labels([sample_profile(), sample_profile(runtime=newer)]) == ["onnxruntime 1.31.1", "onnxruntime 2.0"]


def test_clean_spells_out_what_acts() -> None:
    assert clean("a\x00b\x1b[31m\u202e\x9b\ud800\n\t") == "a\\x00b\\x1b[31m\\u202e\\x9b\\ud800\n\t"
    assert clean("größe 模型 🧠") == "größe 模型 🧠"


def test_crop_keeps_both_ends() -> None:
    assert crop("/features/block_6/conv_0/Conv", 20) == "/fea…k_6/conv_0/Conv"
    assert crop("short", 20) == "short"
    assert len(crop("x" * 5000, 30)) == 30


def fused(*times_ns: int) -> Profile:
    """Layers with long names that differ in the middle only, as a fusing converter makes them."""
    layers = tuple(
        Layer(f"model/activation_{number}/Relu;{'model/norm/Fused;' * 4}same/end", "CONV_2D", ComputeUnit.CPU, time_ns)
        for number, time_ns in enumerate(times_ns, 1)
    )
    return sample_profile(layers=replace(sample_profile().layers, layers=layers, resolution_ns=1000))


@pytest.mark.parametrize("width", [80, 120])
def test_layers_are_told_apart_by_number_and_first_part(width: int) -> None:
    page = text.plugin.render([fused(9000, 8000)], width)
    rows = page[page.index(" Layer ") :].splitlines()[1:3]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert len({row.split()[1] for row in rows}) == 2
    assert (width < 100) or "model/activation_1/Relu;…" in rows[0]
    assert "| 1 | model/activation\\_1/Relu;… |" in markdown.plugin.render([fused(9000, 8000)])


def test_a_layer_below_the_clock_s_step_took_some_time() -> None:
    page = text.plugin.render([fused(9000, 0, *([0] * 14))])
    assert "0 ns" not in page
    rows = page[page.index(" Layer ") :].splitlines()
    assert "< 1 µs" in rows[2]
    assert "1 more" in rows[-1]
    assert "< 1 µs" in rows[-1]
    assert "< 1 µs" in markdown.plugin.render([fused(9000, 0)])


def test_p99_stands_beside_the_median_where_there_is_one() -> None:
    profile = sample_profile()
    assert "Median, p90  " in text.plugin.render([profile])
    assert profile.inference.time is not None
    told = replace(profile.inference.time, p99_ns=9_900_000)
    page = text.plugin.render([replace(profile, inference=replace(profile.inference, time=told))])
    assert "Median, p90, p99" in page
    assert "9.90 ms" in page


def test_markdown_is_a_table_and_decisions() -> None:
    page = markdown.plugin.render([sample_profile()])
    assert "| Inference | clean | 8.10 - 8.31 ms | 40.5 - 41.4 MB | 5.63 - 9.63 MB |" in page
    assert "- ❌ **not met**: Warm load time is 91.0 - 93.4 ms; required: less than 80 ms." in page
    assert "memory shrank" not in page


def test_markdown_shows_markup_as_text() -> None:
    page = markdown.plugin.render([hostile_profile()])
    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    for row in page.splitlines():
        if row.startswith("| "):
            assert row.replace("\\|", "").count("|") in (3, 6, 7)


def test_markdown_holds_several_profiles() -> None:
    page = markdown.plugin.render([sample_profile(), other("litert", unmeasured_profile())])
    assert "| Inference, litert | not measured | - | - | - |" in page
    assert "**litert**" in page


def test_of_many_reasons_the_largest_of_each_kind_stands() -> None:
    reasons = ["waited 4 ms, 9% (allowed 5%)", "waited 12 ms, 7% (allowed 5%)", "swapped 3 MB"]
    assert condensed(reasons, 2) == ["waited 12 ms, 7% (allowed 5%)", "swapped 3 MB"]
    more = [*reasons, "throttled 2 times", "preempted 200 times", "stolen 3%"]
    assert condensed(more, 2) == ["waited 12 ms, 7% (allowed 5%)", "swapped 3 MB", "3 other kinds of disturbance"]
    assert condensed([], 2) == []
    edges = ["took 1.69 x its best, before and after the pass", "took 1.80 x its best, before or after the pass"]
    assert condensed(edges, 2) == edges[1:]


@pytest.mark.parametrize(
    ("effective", "shown"),
    [
        ({"intra_op_num_threads": "4"}, "4 threads"),
        ({"threads": "1"}, "1 thread"),
        ({"threads": "0 (one for each core: 2)"}, "2 threads (one for each core)"),
        ({"threads": "1 (the library's default)"}, "1 thread (the library's default)"),
        ({"threads": "as many as cores"}, "threads: as many as cores"),
        ({}, None),
    ],
)
def test_threads_as_the_runtime_tells_them(effective: dict[str, str], shown: str | None) -> None:
    profile = sample_profile()
    assert threads_text(replace(profile, runtime=replace(profile.runtime, effective=effective))) == shown


def test_a_layer_pass_may_be_faster_than_the_loop() -> None:
    table = replace(sample_profile().layers, overhead=-0.059)
    assert "5.9 % below the inference time" in text.plugin.render([sample_profile(layers=table)])


def test_a_disturbed_table_of_layers_says_so_and_draws_no_bars() -> None:
    page = text.plugin.render([sample_profile(layers=disturbed_table(20))])
    table = page[page.index("\nLayers (disturbed): 20,") :]
    assert "61.2 % over the inference time" in table
    assert "fastest of 20 iterations, too few of them calm" in table
    assert "█" not in table
    calm = text.plugin.render([sample_profile(layers=layer_table(20))])
    assert "medians of 18 calm iterations of 20" in calm
    assert "█" in calm[calm.index("\nLayers:") :]
