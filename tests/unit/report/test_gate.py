"""What a gate writes: text, a pull request's comment, JUnit XML, annotations."""

from __future__ import annotations

from io import StringIO
from xml.etree import ElementTree

import pytest
from rich.console import Console

from dynolab.report import _gate
from dynolab.spec.gate import Check, Gate, Interval, Outcome, check

FOUND = (
    check("Inference time", 0.1, Interval(1.0, 0.99, 1.02), shown=("1.00 ms", "1.00 ms")),
    check("First load time", 0.1, Interval(1.3, 1.2, 1.4), shown=("1.00 ms", "1.30 ms")),
    check("Peak of the process", 0.1, None),
)


def gate(*checks: Check, model: str = "new.onnx") -> Gate:
    return Gate(model, "main.onnx", "They took turns.", checks or FOUND, wall_s=31.0)


def shown(found: Gate, width: int = 80) -> str:
    console = Console(width=width, file=StringIO())
    with console.capture() as captured:
        console.print(_gate.text(found))
    return captured.get()


def test_the_outcome_stands_first_and_every_figure_has_its_sentence() -> None:
    told = shown(gate())
    assert told.startswith("new.onnx costs more than is allowed beside main.onnx")
    for one in FOUND:
        assert one.sentence in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 80
    assert "+30.0 % (+20.0 to +40.0 %)" in told


def test_what_is_unlike_stands_before_it() -> None:
    found = Gate("m", "b", "", FOUND, unlike=("Not like for like: the device is a in b, and c in m.",))
    assert shown(found).startswith("!! Not like for like")
    assert "> ⚠️ Not like for like" in _gate.markdown(found)
    assert _gate.workflow_commands(found, None)[0].startswith("::warning title=dynolab gate::Not like for like")


def test_a_comment_has_a_row_for_each_figure_and_hostile_names_stay_text() -> None:
    told = _gate.markdown(gate(model="<img src=x>|`a`"))
    assert told.startswith("### ❌ ")
    assert "<img" not in told
    assert "| Inference time | 1.00 ms | 1.00 ms | +0.0 % (-1.0 to +2.0 %) | +10 % | ✅ within |" in told
    assert "❔ cannot tell" in told


@pytest.mark.parametrize(("passes", "counts"), [(None, "1 1 0"), (False, "1 1 0"), (True, "1 0 1")])
def test_junit_counts_failures_and_what_cannot_be_told(passes: bool | None, counts: str) -> None:
    suite = ElementTree.fromstring(_gate.junit(gate(model="a\x00&<"), passes)).find("testsuite")
    assert suite is not None
    assert suite.get("tests") == "3"
    assert " ".join(str(suite.get(name)) for name in ("failures", "errors", "skipped")) == counts
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "Inference time": [],
        "First load time": ["failure"],
        "Peak of the process": ["skipped" if passes else "error"],
    }


def test_annotations_are_workflow_commands_on_one_line_each() -> None:
    hostile = Check("x", Outcome.BEYOND, "50 % more\n::error::mine", 0.1, "", "", None, None, None)
    (told,) = _gate.workflow_commands(gate(hostile), None)
    assert told.startswith("::error title=dynolab gate::50 %25 more")
    assert "\n" not in told
    kinds = [one.split(" ")[0] for one in _gate.workflow_commands(gate(), None)]
    assert kinds == ["::notice", "::error", "::error"]
    assert _gate.workflow_commands(gate(), True)[2].startswith("::warning ")
