"""Jobs side by side, in a real Chromium: answers in words, bars, layers, other bases, downloads, refusals."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dynolab.spec.agents import Outcome
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Profile, Stage
from dynolab.spec.show import show_time
from dynolab.spec.stats import summarise
from dynolab.testing.sample import (
    disturbed_table,
    hostile_profile,
    layer_table,
    noisy_profile,
    sample_profile,
    unmeasured_profile,
)

from .conftest import FIRST

Visit = Callable[..., Any]


def scaled(stage: Stage, factor: float) -> Stage:
    """The stage with all its times taking so much longer."""
    runs = tuple(replace(run, values_ns=tuple(int(ns * factor) for ns in run.values_ns)) for run in stage.timing_runs)
    return replace(stage, timing_runs=runs, time=summarise([run.values_ns for run in runs]))


def slower(factor: float) -> Profile:
    base = sample_profile()
    return replace(
        base,
        inference=scaled(base.inference, factor),
        request=replace(base.request, options="--compute_unit cpu"),
        layers=layer_table(70, seed=5),
    )


@pytest.fixture(scope="module")
def jobs(seeded: Any) -> dict[str, str]:
    """The ids of finished jobs by name."""
    made = {"base": sample_profile(), "slower": slower(1.12), "noisy": noisy_profile(), "none": unmeasured_profile()}
    made |= {"deep": sample_profile(layers=layer_table(1500)), "<i>hostile": hostile_profile()}
    return {name: seeded.done(name, profile) for name, profile in made.items()}


@pytest.fixture
def waiting(seeded: Any) -> Iterator[str]:
    """A job that nobody takes."""
    job_id = seeded.submit("still waiting")
    yield job_id
    seeded.api("POST", f"jobs/{job_id}/cancel")


@pytest.fixture
def browser(seeded: Any) -> Iterator[httpx.Client]:
    """A client that is signed in and shows nothing."""
    with httpx.Client(base_url=seeded.url, timeout=30) as found:
        origin = {"Origin": seeded.url, "Sec-Fetch-Site": "same-origin"}
        found.post("/sign-in", data={"token": seeded.hub.token}, headers=origin)
        yield found


def address(jobs: dict[str, str], *names: str, path: str = "/compare") -> str:
    return f"{path}?" + "&".join(f"job={jobs[name]}" for name in names)


def cells(page: Any, region: str, row: str) -> list[str]:
    """What the row of a table says, cell by cell, each on one line."""
    found = page.get_by_role("region", name=region, exact=True).get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=row, exact=True)
    )  # fmt: skip
    return [" ".join(text.split()) for text in found.locator("td").all_inner_texts()]


def test_jobs_chosen_in_the_list_are_compared_with_answers_in_words(
    seeded: Any, jobs: dict[str, str], visit: Visit
) -> None:
    page = visit("/jobs/")
    for name in ("slower", "base"):
        page.get_by_label(f"Select {name}", exact=True).check()
    page.get_by_role("group", name="Selected").get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", level=1, name="2 jobs compared", exact=True).wait_for()
    page.goto(address(jobs, "base", "slower"))
    assert cells(page, "At a glance", "Inference") == ["8.10 – 8.31 ms", "9.31 ms ▲ slower +12.0 %"]
    assert cells(page, "At a glance", "Warm load") == ["91.0 – 93.4 ms", "91.0 – 93.4 ms = unchanged 0.0 %"]
    page.get_by_role("navigation", name="Parts of the result").get_by_role("link", name="Stages").click()
    inference = page.get_by_role("region", name="Inference", exact=True)
    assert "Inference is slower, by " in inference.inner_text()
    assert "A/A floor 2.0" in inference.inner_text()
    assert inference.get_by_role("table", name="Inference: times").get_by_role("img", name="B: 9.31 ms").count() == 1


def test_what_differs_is_said_first_and_nothing_else(jobs: dict[str, str], visit: Visit) -> None:
    page = visit(address(jobs, "base", "slower"))
    assert page.get_by_role("list", name="What differs between the jobs").inner_text().startswith("The options differ")
    options = ["--compute_unit npu,cpu --max_profiler_iterations 120", "--compute_unit cpu"]
    region = page.get_by_role("region", name="What differs between the jobs").last
    assert region.get_by_role("row").count() == 2
    assert region.locator("td").all_inner_texts() == options
    page.goto(address(jobs, "base", "noisy"))
    assert page.get_by_text("versions and settings are the same").is_visible()
    assert page.get_by_text("may come from").count() == 0


def test_doubts_stand_beside_the_figures_and_forbid_answers(jobs: dict[str, str], visit: Visit) -> None:
    page = visit(address(jobs, "base", "noisy", "none"))
    found = cells(page, "At a glance", "Inference")
    assert found == ["8.10 – 8.31 ms", "6.32 – 8.31 ms ≈ noisy ? cannot tell 0.0 %", "– ? cannot tell"]
    assert page.get_by_text("run both jobs again on a quieter machine").is_visible()
    page.goto(address(jobs, "base", "noisy", "none") + "&tab=stages")
    region = page.get_by_role("region", name="Inference", exact=True)
    assert "a range is wide, and the two meet" in region.inner_text()
    assert "B's range is wide" not in region.inner_text()
    region.get_by_text("Details").first.click()
    assert "B's range is wide (its threads waited for a CPU" in region.inner_text()
    page.goto(address(jobs, "base", "noisy", "none") + "&tab=layers")
    assert "No layers: made up" in page.get_by_role("list", name="How the layers match").inner_text()


def test_memory_tells_which_end_and_its_rows_lead_to_definitions(
    jobs: dict[str, str], seeded: Any, visit: Visit
) -> None:
    base = sample_profile()
    memory = base.inference.memory
    assert memory is not None
    peak = Range(memory.peak.lower - 57_300, memory.peak.upper - 122_900)
    less = replace(base, inference=replace(base.inference, memory=replace(memory, peak=peak)))
    other = seeded.done("leaner", less)
    page = visit(f"/compare?job={jobs['base']}&job={other}")
    (_, told) = cells(page, "At a glance", "Inference memory peak")
    assert "lower -57.3 kB, upper -122.9 kB" in told
    link = page.get_by_role("link", name="Inference memory peak", exact=True).first
    assert link.get_attribute("href") == "/definitions#def-peak"
    columns = page.get_by_role("list", name="Jobs", exact=True)
    assert other in columns.inner_text()
    assert re.search(r"\d\d:\d\d:\d\d UTC", columns.inner_text())
    assert page.get_by_text("run both jobs again").count() == 0


def test_another_job_becomes_the_base_and_one_is_left_out(jobs: dict[str, str], visit: Visit) -> None:
    page = visit(address(jobs, "base", "slower", "noisy"))
    page.get_by_role("link", name="Remove C").click()
    page.get_by_role("heading", name="2 jobs compared").wait_for()
    page.get_by_role("link", name="Make B the base").click()
    page.wait_for_url(f"**{address(jobs, 'slower', 'base')}")
    assert cells(page, "At a glance", "Inference") == ["9.31 ms", "8.10 – 8.31 ms ▼ faster -10.7 %"]


def test_layers_are_matched_by_name_and_the_largest_difference_stands_first(jobs: dict[str, str], visit: Visit) -> None:
    page = visit(address(jobs, "base", "slower") + "&tab=layers")
    told = page.get_by_role("list", name="How the layers match").inner_text()
    assert "67 layers matched by name with those of A, 3 added, 1 gone" in told
    table = page.get_by_role("table", name="Layers", exact=True)
    assert "−284 µs (-66 %)" in table.get_by_role("row").nth(1).inner_text()
    page.get_by_label("Filter").fill("softmax")
    page.get_by_text("2 of 71 layers").wait_for()
    assert all("not there" in row for row in table.locator("tbody tr").all_inner_texts())
    page.get_by_label("Filter").fill("")
    table.get_by_role("button", name=re.compile(r"^A\b")).click()
    longest = show_time(max(layer.time_ns for layer in sample_profile().layers.layers))
    table.locator("tbody tr").first.get_by_text(longest, exact=True).wait_for()


def test_six_stand_side_by_side_and_none_can_be_added(jobs: dict[str, str], visit: Visit) -> None:
    page = visit(address(jobs, *jobs))
    page.get_by_role("heading", level=1, name="6 jobs compared", exact=True).wait_for()
    assert len(cells(page, "At a glance", "Inference")) == 6
    assert page.get_by_role("link", name="Add a job").count() == 0


def test_another_precision_is_told_first_and_a_disturbed_layer_pass_blames_nobody(seeded: Any, visit: Visit) -> None:
    base = sample_profile()
    half = replace(base, runtime=replace(base.runtime, effective={"precision": "bf16"}), layers=disturbed_table())
    ids = [seeded.done(name, one) for name, one in (("one", base), ("half", half))]
    page = visit(f"/compare?job={ids[0]}&job={ids[1]}")
    assert page.get_by_role("alert").first.inner_text().startswith("Not like for like")
    page.get_by_role("navigation", name="Parts of the result").get_by_role("link", name="Layers").click()
    page.get_by_text("The layer pass of B was disturbed").wait_for()
    assert page.locator("table.sides td small").count() == 0
    assert visit(f"/compare?job={ids[0]}&job={ids[0]}").get_by_text("Not like for like").count() == 0


def test_the_rest_of_many_layers_follows(jobs: dict[str, str], visit: Visit) -> None:
    page = visit(address(jobs, "deep", "base") + "&tab=layers")
    page.get_by_text("1,501 layers").first.wait_for()
    page = visit(address(jobs, "deep", "base") + "&tab=layers", java_script_enabled=False)
    page.get_by_role("link", name="All layers").click()
    page.get_by_role("heading", level=1, name="Layers compared", exact=True).wait_for()
    page.locator("table.layers tbody tr").nth(1500).wait_for(state="attached")  # a long page comes in parts
    assert page.locator("table.layers tbody tr").count() == 1501


def test_one_job_leads_to_others_of_the_same_model_or_device(seeded: Any, jobs: dict[str, str], visit: Visit) -> None:
    page = visit(f"/jobs/{jobs['base']}/")
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_role("heading", level=1, name="Choose jobs to compare", exact=True).wait_for()
    assert page.get_by_role("checkbox", name="base").is_checked()
    page.get_by_label("Compare slower").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(f"**{address(jobs, 'base', 'slower')}")
    page.get_by_role("link", name="Add a job").click()
    page.get_by_label("Compare <i>hostile").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", level=1, name="3 jobs compared", exact=True).wait_for()
    assert page.get_by_role("link", name="<i>hostile").is_visible()
    assert page.title().startswith("3 jobs compared")  # no name's script ran


def test_a_comparison_is_downloaded(browser: httpx.Client, jobs: dict[str, str]) -> None:
    told = browser.get(address(jobs, "base", "slower", path="/compare/report/json"))
    (only,) = json.loads(told.text)["comparisons"]
    assert (only["base"], only["job"]) == (jobs["base"], jobs["slower"])
    assert only["comparison"]["stages"][3]["answer"] == "changed"
    rows = list(
        csv.DictReader(io.StringIO(browser.get(address(jobs, "base", "slower", path="/compare/report/csv")).text))
    )
    assert len(rows) == 71
    assert "noisy" in browser.get(address(jobs, "base", "noisy", path="/compare/report/markdown")).text
    assert browser.get(address(jobs, "base", "slower", path="/compare/report/trace")).status_code == 404


def test_what_cannot_be_compared_is_refused_with_the_reason(
    seeded: Any, browser: httpx.Client, jobs: dict[str, str], waiting: str
) -> None:
    many = "&".join(f"job=j{number}" for number in range(7))
    for query, status, words in (
        (many, 422, "7 jobs were chosen; 6 fit side by side"),
        (f"job={jobs['base']}&job=jnobody", 404, "there is no job &#39;jnobody&#39;"),
        (f"job={jobs['base']}&job={waiting}", 409, "it is queued"),
        (f"job={jobs['base']}&job=", 200, "Choose jobs to compare"),
    ):
        answer = browser.get(f"/compare?{query}")
        assert (answer.status_code, words in answer.text) == (status, True), query
    assert browser.get(address(jobs, "base", "base")).text.count("Choose jobs to compare")
    with httpx.Client(base_url=seeded.url, timeout=30) as stranger:
        assert stranger.get(address(jobs, "base", "slower")).headers["location"].startswith("/sign-in")


def test_a_result_that_is_no_profile_is_said_to_be_none(
    seeded: Any, browser: httpx.Client, jobs: dict[str, str]
) -> None:
    door = seeded.door
    broken = seeded.submit("broken", **FIRST)
    given = seeded.take(door, broken)
    seeded.hub.leave(given.attempt, "result", b"{")
    door.finish(given.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))
    answer = browser.get(f"/compare?job={jobs['base']}&job={broken}")
    assert answer.status_code == 422
    assert "is not JSON" in answer.text
