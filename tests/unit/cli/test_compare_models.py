"""``dynolab compare`` of models as text: what is refused before anything runs, the answer's place, and progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynolab import errors
from dynolab.cli import _duet
from dynolab.cli.compare import command
from dynolab.spec.answers import Answer
from dynolab.spec.duets import Duet, Ratio
from dynolab.spec.gate import Limits, Outcome, of_duet
from dynolab.spec.measurements import StageName
from dynolab.spec.progress import brief, describe
from dynolab.testing.sample_duet import sample_duet


def refused(*arguments: object) -> errors.Error:
    """The error that a command line ends with."""
    answer = CliRunner().invoke(command, [str(one) for one in arguments], standalone_mode=False)
    assert isinstance(answer.exception, errors.Error), answer.output
    assert answer.exception.exit_code == 2
    return answer.exception


@pytest.mark.parametrize(
    ("arguments", "words", "way_out"),
    [
        ((), "has nothing to be compared with", "--runtime-a"),
        (("{model}", "--stage", "infer"), "--stage infer: there is no such stage", "inference"),
        (("{model}", "--floor", "0.1"), "--floor 0.1: a percentage without its sign", "0.1% or 10%"),
        (("{model}", "--budget", "0"), "a budget of 0 s leaves no time", "60 s"),
        (("{model}", "--budget", "nan"), "a budget of nan s leaves no time", "60 s"),
        (("{model}", "--runtime-b", "litert"), "B: runtime litert does not run null models", "null"),
        (("{model}", "--options-b", "--foo"), "B: there is no option --foo", "known"),
        (("{model}", "--memory-limit", "lots"), "'lots' is not a size", "512MB"),
        (("{model}", "--input-shape", "x"), "--input-shape 'x' is not NAME=VALUE", "such as"),
        (("gone.null",), "B: there is no model at gone.null", "check the path"),
        (("other.json",), "other.json is a saved profile", "dynolab profile"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_way_out(
    null_model: Callable[..., Path], arguments: tuple[str, ...], words: str, way_out: str
) -> None:
    model = null_model()
    error = refused(model, *(one.format(model=model) for one in arguments))
    assert words in error.message
    assert way_out in (error.hint or "")


def test_options_of_models_are_refused_for_profiles() -> None:
    error = refused("a.json", "b.json", "--input-shape", "x=1")
    assert "--input-shape is for models that are run" in error.message
    assert "nothing to compare it with" in refused("a.json").message


def shown(found: Duet, capsys: pytest.CaptureFixture[str]) -> list[str]:
    _duet.show(found)
    return capsys.readouterr().out.splitlines()


def test_the_first_line_is_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(sample_duet(), capsys)
    assert lines[0] == "B is 12.3 % slower (10.9 - 13.8 %), decided after 21 s"
    assert max(map(len, lines)) <= 80
    rows = [" ".join(row.split()) for row in lines]
    assert "Minimum 1.00 ms 1.12 ms +12.3 % (+10.9 to +13.8 %)" in rows
    assert "Memory peak 50.0 - 60.0 MB 60.0 - 70.0 MB +16.7 % (+16.0 to +17.0 %)" in rows
    assert not any(row.startswith("First load") for row in rows), "it was not asked for"
    assert any("inputs: " in row for row in rows)


def test_only_what_is_not_like_for_like_stands_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    loud, quiet = (
        f"not like for like: {what}" for what in ("precision: A float32, B int8", "options: A none, B --repeats 1")
    )
    lines = shown(sample_duet(Answer.UNCHANGED, loud, quiet), capsys)
    assert lines[:3] == [f"!! {loud}", "B is as fast as A, decided after 21 s", quiet]


def test_what_was_not_decided_says_how_long_it_took() -> None:
    assert replace(sample_duet(), decided_after_s=None).headline == "B is 12.3 % slower (10.9 - 13.8 %), after 33 s"
    assert str(sample_duet()) == sample_duet().headline


def test_a_duet_of_several_stages_answers_each() -> None:
    found = replace(sample_duet(), asked=(StageName.FIRST_LOAD, StageName.INFERENCE))
    assert found.headline.startswith("First load: B cannot be told from A; B is 12.3 % slower")
    assert found.direction == 1


def test_progress_tells_the_interval_as_it_narrows() -> None:
    event = {"event": "duet", "stage": "inference", "pair": 6, "least": 5, "elapsed_s": 21.4, "budget_s": 60.0}
    assert describe({**event, "ratio": [1.123, 1.109, 1.138]}) == "pair 6: +12.3 % (+10.9 to +13.8 %), 21 of 60 s"
    assert brief({**event, "pair": 2, "ratio": None}) == "pair 2 of 5 or more"


def test_large_ratios_are_told_as_times() -> None:
    assert _duet.change(Ratio(3.14, 3.01, 3.3)) == "x 3.14 (3.01 to 3.30)"
    assert _duet.change(Ratio(0.9, 0.85, 0.95)) == "-10.0 % (-15.0 to -5.0 %)"


def test_a_gate_takes_a_duets_interval_and_its_whole_process() -> None:
    def outcomes(found: Duet, slower: float, memory: float) -> list[Outcome]:
        return [one.outcome for one in of_duet(found, Limits(slower, memory))]

    assert outcomes(sample_duet(), 0.1, 0.1) == [Outcome.BEYOND, Outcome.BEYOND]
    assert outcomes(sample_duet(), 0.12, 0.165) == [Outcome.CANNOT_TELL, Outcome.CANNOT_TELL]
    assert outcomes(sample_duet(), 0.14, 0.2) == [Outcome.WITHIN, Outcome.WITHIN]
    assert of_duet(sample_duet(), Limits(0.1))[0].change == "+12.3 % (+10.9 to +13.8 %)"


def test_a_gate_never_passes_what_a_duet_does_not_tell() -> None:
    loads = Limits(0.5, 0.5, (StageName.FIRST_LOAD,))
    time, memory = of_duet(replace(sample_duet(), memory=(), memory_reason="there was no time"), loads)
    assert (time.outcome, time.sentence) == (Outcome.CANNOT_TELL, "First load time: no.")
    assert (memory.outcome, memory.sentence) == (Outcome.CANNOT_TELL, "Peak of the process: there was no time.")
    disturbed = replace(sample_duet().memory[0], reason="swap was used")
    assert of_duet(replace(sample_duet(), memory=(disturbed,)), Limits(memory=0.5))[0].outcome is Outcome.CANNOT_TELL
