"""A profile is shown as far as a page goes, whatever an agent put into it, and says when that is not all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dynolab import plugins
from dynolab.report.base import Report
from dynolab.report.html.bounded import CHARACTERS_MOST, ENTRIES_MOST, RUNS_MOST, bounded
from dynolab.report.html.view import view
from dynolab.spec.measurements import ComputeUnit, Notice
from dynolab.spec.profiles import Profile, Stage
from dynolab.testing.sample import hostile_profile, layer_table, sample_profile

MANY = 20_000
LONG = "a/b 1234 bytes; --option 5 %. " * 40_000
NAMES = {f"name{number}": "value" for number in range(MANY)}


def inference(change: Callable[[Stage], dict[str, Any]]) -> Profile:
    profile = sample_profile()
    return replace(profile, inference=replace(profile.inference, **change(profile.inference)))


def of_runs(stage: Stage) -> dict[str, Any]:
    """Each with readings of its own: a row for each, and a column for each run."""
    runs = []
    for number, run in enumerate(stage.timing_runs * 100):
        grown = {f"reading{number}.value{one}": 1.0 for one in range(100)}
        runs.append(replace(run, process=number, witnesses=replace(run.witnesses, grown=grown)))
    return {"timing_runs": tuple(runs)}


LARGE: dict[str, Callable[[], Profile]] = {
    "environment": lambda: sample_profile(environment=NAMES),
    "settings": lambda: sample_profile(runtime=replace(sample_profile().runtime, effective=NAMES, versions=NAMES)),
    "units": lambda: sample_profile(runtime=replace(sample_profile().runtime, requested_units=(ComputeUnit.CPU,) * MANY)),
    "requirements": lambda: sample_profile(request=replace(sample_profile().request, requirements=("warm_load_time < 80 ms",) * MANY)),
    "unknown requirements": lambda: sample_profile(
        request=replace(sample_profile().request, requirements=tuple(f"{'inference_time_' * 200}{number} < 1" for number in range(MANY)))
    ),
    "shapes": lambda: sample_profile(request=replace(sample_profile().request, input_shapes=dict.fromkeys(NAMES, (1, 2)))),
    "inputs": lambda: sample_profile(inputs=sample_profile().inputs * MANY),
    "notices": lambda: sample_profile(notices=(Notice("loud", "x", "attention"),) * MANY),
    "files": lambda: sample_profile(compile=replace(sample_profile().compile, files_written=sample_profile().compile.files_written * MANY)),
    "accelerator": lambda: inference(lambda _: {"accelerator": dict.fromkeys([f"{name}_bytes" for name in NAMES], 1)}),
    "runs": lambda: inference(of_runs),
    "reasons": lambda: inference(lambda stage: {"verdict": replace(stage.verdict, reasons=tuple(NAMES))}),
    "a long reason": lambda: inference(lambda stage: {"time_reason": LONG, "explanation": LONG}),
    "a long note": lambda: sample_profile(layers=replace(layer_table(9), note=LONG)),
    "a long notice": lambda: sample_profile(notices=(Notice("warning", "x", LONG),)),
    "long digits": lambda: sample_profile(notices=(Notice("warning", "x", "9" * 5000 + " bytes"),)),
    "long names": lambda: sample_profile(model=replace(sample_profile().model, name=LONG, sha256=LONG)),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_is_cut_short_in_time_and_that_is_told(name: str) -> None:
    profile, report = LARGE[name](), plugins.load("dynolab.report", "html")
    assert isinstance(report, Report)
    report.render([sample_profile()])  # the templates are read
    begun = time.thread_time()
    shown, is_cut = bounded(profile)
    assert is_cut
    text = report.render([shown])
    assert time.thread_time() - begun < 1.0
    assert len(text) < 1_500_000


@pytest.mark.parametrize(
    "profile", [sample_profile(), sample_profile(layers=layer_table(3000)), sample_profile(log="x" * CHARACTERS_MOST)]
)
def test_what_is_usual_is_left_as_it_is(profile: Profile) -> None:
    assert bounded(profile) == (profile, False)


def test_all_up_to_the_bound_is_there_and_all_layers() -> None:
    environment = {f"name{number}": "x" for number in range(ENTRIES_MOST)}
    assert bounded(sample_profile(environment=environment))[1] is False
    shown, is_cut = bounded(
        sample_profile(environment={**environment, "more": "x"}, layers=layer_table(ENTRIES_MOST + 1))
    )
    assert is_cut
    assert shown.environment == environment
    assert len(shown.layers.layers) == ENTRIES_MOST + 1
    runs = inference(lambda stage: {"timing_runs": (stage.timing_runs[0],) * (RUNS_MOST + 1)})
    assert len(bounded(runs)[0].inference.timing_runs) == RUNS_MOST
    cut = bounded(sample_profile(log="x" * (CHARACTERS_MOST + 1)))[0].log
    assert (len(cut), cut[-1]) == (CHARACTERS_MOST, "…")


def test_only_the_layers_that_were_asked_for_have_rows_and_all_are_counted() -> None:
    whole = view(sample_profile(layers=layer_table(450)), "", 1, many=False).layers
    part = view(sample_profile(layers=layer_table(450)), "", 1, many=False, chunks=slice(1, 3)).layers
    assert [len(chunk) for chunk in whole.chunks] == [100, 100, 100, 100, 50]
    assert part.chunks == whole.chunks[1:3]
    assert (part.of_chunks, part.count, part.fallbacks) == (5, 450, whole.fallbacks)
    assert part.facts == whole.facts
    assert part.units == whole.units


def test_a_hostile_profile_is_shown_as_text() -> None:
    report = plugins.load("dynolab.report", "html")
    assert isinstance(report, Report)
    text = report.render([bounded(hostile_profile())[0]])
    assert "<img src=x" not in text
    assert "<b>Conv" not in text
