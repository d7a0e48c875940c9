"""What a running job is at, told from what its agent said last."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("fluent.runtime")

from dynolab.hub.pages.progress import Running, phases
from dynolab.hub.pages.texts import texts


def now(event: dict[str, Any], kind: str = "profile", *, measures: bool = True) -> str:
    (found,) = (step.name for step in phases(kind, measures, event) if step.state == "now")
    return found


@pytest.mark.parametrize(
    ("event", "phase", "detail"),
    [
        ({}, "prepare", ""),
        ({"event": "stage", "stage": "fetch", "text": "x"}, "prepare", "Downloading the model"),
        ({"event": "stage", "stage": "inspect", "text": "x"}, "prepare", ""),
        (
            {"event": "stage", "stage": "first_load", "text": "time", "process": 2, "of": 3},
            "times",
            "First load, process 2 of 3",
        ),
        ({"event": "stage", "stage": "compile", "text": "time", "process": 5}, "times", "Compile, process 5"),
        (
            {"event": "iteration", "count": 1345, "of": 10000, "minimum_ns": 4_550_000},
            "times",
            "Inference, iteration 1,345 of 10,000, minimum 4.55 ms",
        ),
        (
            {"event": "stage", "stage": "inference", "text": "memory", "process": 1, "of": 3},
            "memory",
            "Inference, process 1 of 3",
        ),
        ({"event": "stage", "stage": "total", "text": "memory"}, "memory", "Whole process"),
        ({"event": "stage", "stage": "layers", "text": "time of each layer", "attempt": 1}, "layers", ""),
        ({"event": "duet", "stage": "inference", "pair": 2, "ratio": None}, "times", "pair 2"),
        (
            {"event": "duet", "stage": "inference", "pair": 6, "ratio": [1.123, 1.109, 1.138]},
            "times",
            "pair 6: +12.3 % (+10.9 to +13.8 %)",
        ),
    ],
)
def test_each_event_has_its_phase_and_says_of_how_many(event: dict[str, Any], phase: str, detail: str) -> None:
    assert now(event) == phase
    assert Running([], event, 1, None).detail(texts("en")) == detail


def test_an_inference_job_runs_on_its_dataset_before_it_is_measured() -> None:
    assert now({"event": "stage", "stage": "infer", "text": "x"}, "inference") == "infer"
    assert [step.name for step in phases("inference", True, {})] == ["prepare", "infer", "times", "memory", "layers"]
    assert [step.name for step in phases("inference", False, {})] == ["prepare", "infer"]


def test_a_comparison_has_no_layers() -> None:
    assert [step.name for step in phases("compare", False, {})] == ["prepare", "times", "memory"]


def test_a_compile_job_compiles_from_the_first_word_of_its_toolchain_on() -> None:
    assert [step.name for step in phases("compile", False, {})] == ["prepare", "compile"]
    assert now({}, "compile", measures=False) == "prepare"
    assert now({"event": "note", "text": "onnx from torchscript"}, "compile", measures=False) == "compile"
    assert now({"event": "note", "text": "x"}) == "prepare"
    assert [step.name for step in phases("quantize", False, {})] == ["prepare", "quantize"]
    assert now({"event": "note", "text": "onnx to int8/int8"}, "quantize", measures=False) == "quantize"
    assert now({"event": "stage", "stage": "total", "text": "memory of A", "process": 1}, "compare") == "memory"


@pytest.mark.parametrize(
    "event",
    [
        {"stage": ["compile"]},
        {"event": "duet", "pair": "<b>"},
        {"event": "duet", "pair": -1},
        {"event": "iteration", "count": "<b>"},
        {"stage": "nonsense"},
    ],
)
def test_what_an_agent_invents_says_nothing(event: dict[str, Any]) -> None:
    assert Running([], event, 1, None).detail(texts("en")) == ""
    assert len([step for step in phases("profile", True, event) if step.state == "now"]) == 1


@pytest.mark.parametrize(("elapsed", "usual", "left"), [(10, 60, 50), (60, 60, 0), (61, 60, None), (10, None, None)])
def test_what_is_left_is_told_until_it_takes_longer_than_usual(
    elapsed: int, usual: int | None, left: int | None
) -> None:
    assert Running([], {}, elapsed, usual).left_s == left
