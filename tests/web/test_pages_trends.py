"""Figures over time, in a real Chromium: lines, marks by verdict, changes by the rule, links to jobs and comparisons."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import httpx
import pytest

from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Profile, Stage, Trust, Verdict
from dynolab.spec.stats import summarise
from dynolab.testing.sample import noisy_profile, sample_profile

Visit = Callable[..., Any]
LEVELS = (1.0, 1.0, 1.0, 1.15, 1.15, 0.9)


def commit(number: int, level: float) -> Profile:
    """What a change in the code's history makes of the sample: another level, and a little chance."""
    base, random = sample_profile(), Random(number)
    runs = tuple(
        replace(run, values_ns=tuple(int(ns * level * random.uniform(1, 1.003)) for ns in run.values_ns))
        for run in base.inference.timing_runs
    )
    stage: Stage = replace(base.inference, timing_runs=runs, time=summarise([run.values_ns for run in runs]))
    if number == 1:
        stage = replace(stage, verdict=noisy_profile().inference.verdict)
    if number == 4:
        stage = replace(stage, verdict=Verdict(Trust.INVALID, ("it ran on another unit",)))
    return replace(base, inference=stage, dynolab_version="0.1.0" if number < 3 else "0.2.0")


@pytest.fixture(scope="module")
def jobs(seeded: Any) -> list[str]:
    """Six commits of a model that was uploaded anew each time; then other options, other inputs, and another model, once each."""
    made = []
    for number, level in enumerate(LEVELS):
        made.append(seeded.done(f"commit {number}", commit(number, level), model_id=seeded.model("ci-net")))
        if number in (0, 3):
            time.sleep(1)  # so that the places which have a date have another one
    base = sample_profile()
    other = replace(base, request=replace(base.request, options="--compute_unit cpu"))
    small = replace(base.inputs[0], spec=replace(base.inputs[0].spec, shape=(1, 3, 48, 192)))
    seeded.done("a smaller picture", replace(base, inputs=(small,)), model_id=seeded.model("ci-net"))
    seeded.done("on the CPU", other, model_id=seeded.model("ci-net"))
    memory = base.inference.memory
    assert memory is not None
    seeded.done("another net", replace(base, inference=replace(base.inference, memory=replace(memory, peak=Range(1, 2)))),
                model_id=seeded.model("<b>other"))  # fmt: skip
    return made


def rows(table: Any) -> dict[str, str]:
    """Each job's row, its words on one line, by the job's name."""
    found = table.get_by_role("row").all()[1:]
    return {row.get_by_role("rowheader").inner_text(): " ".join(row.inner_text().split()) for row in found}


def test_changes_are_marked_by_the_rule_and_doubts_hide_none(jobs: list[str], visit: Visit) -> None:
    page = visit("/trends?model=ci-net")
    page.get_by_role("heading", level=1, name="ci-net", exact=True).wait_for()
    section = page.locator("section").filter(
        has_text="6 jobs. 2 changes were found. 2 of 5 comparisons could not be decided."
    )
    page.get_by_text("float32 [1, 3, 48, 192]").wait_for()
    told = rows(section.get_by_role("table"))
    assert list(told) == [f"commit {number}" for number in (5, 4, 3, 2, 1, 0)]
    assert "▲ slower +15" in told["commit 3"]
    assert "dynolab: 0.1.0 → 0.2.0" in told["commit 3"]
    assert "▼ faster -21" in told["commit 5"]
    assert "= unchanged" in told["commit 2"]
    assert "clean job before: Compare" in told["commit 2"]
    dates = section.locator("svg.trend text.date").all_text_contents()
    assert len(set(dates)) == len(dates) == 3
    assert [len(date) for date in dates] == [14, 8, 8] or len({date[:5] for date in dates}) > 1
    assert "≈ noisy" in told["commit 1"]
    assert "? cannot tell" in told["commit 4"]
    assert "it ran on another unit" in told["commit 4"]
    assert "From the first clean job to the last: ▼ faster" in " ".join(section.inner_text().split())
    marks = section.locator("svg.trend path")
    kinds = [mark.get_attribute("class") for mark in marks.all()]
    assert kinds == ["mark-clean", "mark-noisy", "mark-clean", "mark-clean", "mark-invalid", "mark-clean"]
    assert len({mark.get_attribute("d") for mark in marks.all()}) == 3  # told by form, not by colour alone


def test_other_options_are_another_line(jobs: list[str], visit: Visit) -> None:
    page = visit("/trends?model=ci-net&device=Bench+Phone")
    sections = page.locator("main section")
    assert sections.count() == 3
    newest = sections.first.inner_text()
    assert "--compute_unit cpu" in newest
    assert "One job." in newest
    assert "No change was found" not in newest


def test_a_row_leads_to_the_job_and_to_the_comparison_with_the_job_before(jobs: list[str], visit: Visit) -> None:
    page = visit("/trends?model=ci-net")
    row = page.get_by_role("row").filter(has_text="commit 5")
    row.get_by_role("link", name="Compare").click()
    page.wait_for_url(f"**/compare?job={jobs[3]}&job={jobs[5]}")  # the invalid one between them is no base
    page.get_by_role("heading", level=1, name="2 jobs compared", exact=True).wait_for()
    page.go_back()
    page.locator("svg.trend a").first.click()
    page.wait_for_url("**/jobs/*/")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Trend", exact=True).click()
    page.wait_for_url("**/trends?model=ci-net&device=Bench*Phone")


def test_the_figure_is_chosen_and_memory_has_no_verdict(jobs: list[str], visit: Visit) -> None:
    page = visit("/trends?device=Bench+Phone")
    assert page.get_by_role("heading", level=2).filter(has_text="<b>other").count() == 1
    page.get_by_label("Figure").select_option("Inference memory peak")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("told without a verdict").wait_for()
    section = page.locator("section").filter(has_text="6 jobs.")
    told = rows(section.get_by_role("table"))
    assert "40.5 – 41.4 MB" in told["commit 3"]
    assert "the same" in told["commit 3"]
    assert section.get_by_text("slower").count() == 0


def test_a_row_says_when_the_job_before_was_not_clean(seeded: Any, visit: Visit) -> None:
    for number in (1, 2):
        seeded.done(f"after doubt {number}", commit(number, 1.0), model_id=seeded.model("doubtful-net"))
    page = visit("/trends?model=doubtful-net")
    assert page.get_by_text("1 comparison, none could be decided.").is_visible()
    assert page.get_by_text("No change was found").count() == 0
    told = rows(page.get_by_role("table"))
    assert "job before, not clean: Compare" in told["after doubt 2"]
    assert "clean job before:" not in told["after doubt 2"]


def test_without_a_name_there_is_a_choice(jobs: list[str], visit: Visit) -> None:
    page = visit("/trends", java_script_enabled=False)
    row = page.get_by_role("row").filter(has_text="ci-net")
    row.get_by_role("link", name="this model on this device").click()
    page.get_by_text("2 changes were found").wait_for()
    page.goto("/trends?model=nothing+like+it")
    assert page.get_by_text("No finished job measured that.").is_visible()


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("model=ci-net&figure=luck", 422, "there is no trend of &#39;luck&#39;"),
        ("model=ci-net&before=yesterday", 422, "is no place in a list"),
    ],
)
def test_what_has_no_trend_is_refused(
    query: str, status: int, words: str, seeded: Any, jobs: list[str], visit: Visit
) -> None:
    answer = visit("/definitions").request.get(f"{seeded.url}/trends?{query}")
    assert answer.status == status
    assert words in answer.text()


def test_a_models_id_stands_for_its_name(seeded: Any, jobs: list[str], visit: Visit) -> None:
    model_id = seeded.api("GET", f"jobs/{jobs[0]}")["model_id"]
    page = visit(f"/trends?model={model_id}")
    page.get_by_role("heading", level=1, name="ci-net", exact=True).wait_for()
    assert page.get_by_text("2 changes were found").is_visible()


def test_anothers_jobs_are_no_ones_trend(seeded: Any, jobs: list[str]) -> None:
    origin = {"Origin": seeded.url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=seeded.url, timeout=30) as other:
        other.post("/sign-in", data={"token": seeded.account("trends@example.com")}, headers=origin)
        for query in ("?model=ci-net", "?device=Bench+Phone", ""):
            answer = other.get(f"/trends{query}")
            assert answer.status_code == 200
            assert "commit 3" not in answer.text
            assert "/jobs/j" not in answer.text
        assert "Nothing has been measured yet." in other.get("/trends").text
        assert other.get(f"/compare?job={jobs[0]}&job={jobs[1]}").status_code == 404
