"""How a running measurement is told."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dynolab.cli import _progress
from dynolab.client.progress import live_line
from dynolab.jobs._planned import counted
from dynolab.spec import progress
from dynolab.spec.jobs import ProfileSpec

SPEC = ProfileSpec(Path("a_model_of_a_rather_long_name_v2.0_final.onnx"), runtime="onnxruntime")
LOOP = {"event": "iteration", "count": 1345, "of": 10000, "minimum_ns": 4_550_000}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_live_line_keeps_bar_and_time_and_crops_the_name(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    with live_line(SPEC.model.name, console) as bar:
        _progress._live(bar, bar.task_ids[0], "note: ")(LOOP)
        (row,) = console.render_lines(bar.get_renderable())[:1]
        text = "".join(segment.text for segment in row).rstrip()
        assert len(console.render_lines(bar.get_renderable())) == 1
    assert len(text) <= width
    assert text.endswith("0:00:00")
    assert "━" in text
    if width >= 80:
        assert "_final.onnx" in text
        assert "1,345 of 10,000, minimum 4.55 ms" in text


def test_processes_are_counted_where_the_plan_is_known_and_they_are_no_more() -> None:
    told: list[progress.Event] = []
    receive = counted(told.append, SPEC)
    for stage, process in (("inference", 2), ("inference", 4), ("compile", 2)):
        receive({"event": "stage", "stage": stage, "text": "time", "process": process})
    assert [progress.describe(event) for event in told] == [
        "inference: time, process 2 of 3",
        "inference: time, process 4",
        "compile: time, process 2",
    ]
    again = {**told[0], "attempt": 2}
    assert progress.describe(again) == "inference: time, process 2 of 3 (try 2: the last was noisy)"
    assert progress.brief(again) == "inference: process 2 of 3, try 2"


@pytest.mark.parametrize(("several", "shown"), [(True, "note on onnxruntime: x is open"), (False, "note: x is open")])
def test_a_note_names_its_runtime_where_there_are_several(
    several: bool, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with _progress.follow(SPEC, several=several) as receive:
        receive({"event": "note", "text": "x is open"})
    assert shown in capsys.readouterr().err
