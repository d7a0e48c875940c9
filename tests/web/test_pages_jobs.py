"""The list of jobs and a job's page in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dynolab.spec.agents import Outcome, Renewal
from dynolab.testing.sample import layer_table, noisy_profile, sample_profile

from .conftest import FIRST

Visit = Callable[..., Any]


def test_a_job_is_found_in_the_list_and_its_figures_on_its_page(seeded: Any, visit: Visit) -> None:
    job_id = seeded.done("Figures of a phone")
    page = visit("/jobs/")
    row = page.get_by_role("row").filter(has_text="Figures of a phone")
    for words in ("✓ done", "Bench Phone (14)", "8.31 ms"):
        assert words in row.inner_text()
    row.get_by_role("link", name="Figures of a phone").click()
    page.wait_for_url(f"**/jobs/{job_id}/")
    page.get_by_role("heading", level=1, name="Figures of a phone", exact=True).wait_for()
    inference = page.get_by_role("region", name="Inference", exact=True).inner_text()
    assert "8.31 ms" in inference
    assert "minimum of 120 iterations" in inference
    page.get_by_role("link", name="Process total peak").click()
    page.wait_for_url("**/definitions#def-process_total")
    page.get_by_role("heading", level=1, name="Definitions", exact=True).wait_for()


def test_the_list_follows_a_job_without_a_reload(seeded: Any, visit: Visit) -> None:
    door = seeded.door
    model_id = seeded.model("followed")
    seeded.done("Of the same model", model_id=model_id)
    job_id = seeded.submit("Followed job", model_id, **FIRST)
    page = visit("/jobs/?text=Followed")
    row = page.get_by_role("row").filter(has_text="Followed job")
    assert "queued" in row.inner_text()
    page.evaluate("window.before = true")
    given = seeded.take(door, job_id)
    row.get_by_text("preparing").wait_for()
    door.renew(given.attempt, Renewal({"event": "stage", "stage": "warm_load", "text": "time", "process": 2, "of": 3}))
    detail = visit(f"/jobs/{job_id}/")
    detail.get_by_text("Warm load").wait_for()
    assert detail.locator("[aria-current=step]").inner_text().split("\n") == [
        "Measure times",
        "Warm load, process 2 of 3",
    ]
    assert re.search(r"Running for \d+ s\. .*[Ss]uch jobs usually take 1 s\.", detail.get_by_role("main").inner_text())
    door.finish(
        given.attempt, Outcome(error={"code": "LoadFailed", "message": "the file <b>is</b> torn", "hint": None})
    )
    row.get_by_text("failed").wait_for()
    assert page.evaluate("window.before") is True
    detail.get_by_role("heading", name="Why it failed").wait_for()
    assert detail.get_by_text("the file <b>is</b> torn").first.is_visible()


def test_filters_narrow_the_list_and_stand_in_the_address(seeded: Any, visit: Visit) -> None:
    seeded.done("Narrow one")
    seeded.done("Other thing")
    page = visit("/jobs/")
    page.get_by_label("Search").fill("narrow")
    page.get_by_role("row").filter(has_text="Other thing").wait_for(state="detached")
    assert page.get_by_role("row").filter(has_text="Narrow one").count() == 1
    page.wait_for_url(re.compile(r"text=narrow"))
    page.get_by_role("group", name="State").get_by_label("failed").check()
    page.get_by_text("No job matches.").wait_for()


def test_a_job_is_renamed_run_again_and_deleted(seeded: Any, visit: Visit) -> None:
    seeded.done("To be <b>renamed")
    page = visit("/jobs/?text=renamed")
    page.get_by_role("link", name="To be <b>renamed").click()
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Rename…").click()
    page.get_by_role("textbox", name="Name").fill("Renamed here")
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_role("heading", name="Renamed here").wait_for()
    page.get_by_role("button", name="Run again").click()
    page.get_by_text("Next in the queue").wait_for()
    page.get_by_role("button", name="Cancel").click()
    said = page.get_by_text(re.compile(r"^\S+@\S+ cancelled it on 2\d{3}-\d\d-\d\d \d\d:\d\d UTC, before it began\.$"))
    said.wait_for()
    assert page.get_by_text("Conflict").count() == 0
    assert page.locator(".loud").count() == 0
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete permanently").click()
    page.wait_for_url("**/jobs/")
    assert page.get_by_role("status").filter(has_text="is deleted").inner_text() == "“Renamed here” is deleted."
    assert page.get_by_role("link", name="Renamed here").count() == 1  # the first of the two


def test_many_layers_come_after_the_first_ones_and_are_searched_together(seeded: Any, visit: Visit) -> None:
    job_id = seeded.done("Deep", replace(sample_profile(), layers=layer_table(1500)))
    page = visit(f"/jobs/{job_id}/")
    page.get_by_role("navigation", name="Parts of the result").get_by_role("link", name="Layers").click()
    page.get_by_text("1,500 layers").first.wait_for()
    model_id = seeded.api("GET", f"jobs/{job_id}")["model_id"]
    row = page.get_by_role("table", name="Layers").get_by_role("row").nth(1)
    number = str(row.get_by_role("cell").first.text_content())
    wanted = f"/models/{model_id}/graph?job={job_id}&layer={number.replace(',', '')}"
    assert row.get_by_role("link").get_attribute("href") == wanted
    page.get_by_label("Filter").fill("no such layer anywhere")
    page.get_by_text("no layer matches").wait_for()


def test_a_lost_connection_is_shown_and_goes_away_by_itself(seeded: Any, visit: Visit) -> None:
    page = visit("/jobs/")
    page.context.set_offline(True)
    page.get_by_text("The hub is not responding.").wait_for()
    page.context.set_offline(False)
    page.get_by_text("The hub is not responding.").wait_for(state="hidden")
    seeded.done("Seen after the cut")
    page.get_by_text("Seen after the cut").wait_for()


@pytest.mark.parametrize("path", ["/jobs/", "/jobs/jnothing/"])
def test_who_is_not_signed_in_is_led_to_signing_in_and_back(path: str, seeded: Any, visit: Visit) -> None:
    page = visit(path, signed_in=False)
    page.get_by_role("heading", level=1, name="Sign in", exact=True).wait_for()
    page.get_by_label("API token").fill("dl_wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "This token is unknown" in page.get_by_role("alert").inner_text()


def test_forged_sessions_and_forms_of_other_sites_are_refused(seeded: Any) -> None:
    job_id = seeded.done("Guarded")
    origin = {"Origin": seeded.url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=seeded.url, timeout=30) as browser:
        browser.cookies.set("dynolab_session", "forged.by.hand")
        assert browser.get(f"/jobs/{job_id}/").headers["location"].startswith("/sign-in")
        browser.cookies.clear()
        browser.post("/sign-in", data={"token": seeded.hub.token}, headers=origin)
        assert browser.get(f"/jobs/{job_id}/").status_code == 200
        for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            answer = browser.post(f"/jobs/{job_id}/delete", headers=foreign)
            assert answer.status_code == 403
        assert browser.get(f"/jobs/{job_id}/").status_code == 200
        assert browser.post(f"/jobs/{job_id}/delete", headers=origin).status_code == 303
        assert browser.get(f"/jobs/{job_id}/").status_code == 404


def test_requirements_are_decided_on_the_page_and_counted_in_the_list(seeded: Any, visit: Visit) -> None:
    limits = ("estimated_inference_time <= 10 ms", "model_size <= 1 kB")
    base = sample_profile()
    job_id = seeded.done("Limited", replace(base, request=replace(base.request, requirements=limits)))
    page = visit("/jobs/?text=Limited")
    row = page.get_by_role("row").filter(has_text="Limited")
    assert "✕ Requirements: 1 met, 1 not met" in " ".join(row.inner_text().split())
    row.get_by_role("link", name="Limited").click()
    page.wait_for_url(f"**/jobs/{job_id}/")
    told = page.get_by_role("region", name="Requirements").inner_text().replace("\xa0", " ")
    assert "met" in told.split(limits[0])[0]
    assert "not met" in told.split(limits[0])[1]
    assert "model_size <= 1 kB 14.2 MB" in " ".join(told.split())
    found = page.get_by_role("link", name="model_size", exact=True)
    assert found.get_attribute("href") == "/definitions#def-model"


def test_what_cannot_be_told_of_requirements_does_not_look_like_a_failure(seeded: Any, visit: Visit) -> None:
    limits = ("estimated_inference_time <= 10 ms", "luck >= 1", "fortune <= 2")
    base = sample_profile()
    seeded.done("Unsure", replace(base, request=replace(base.request, requirements=limits)))
    row = visit("/jobs/?text=Unsure").get_by_role("row").filter(has_text="Unsure")
    assert "? Requirements: 1 met, 2 cannot tell" in " ".join(row.inner_text().split())
    row.get_by_role("link", name="Bench Phone").click()
    row.page.wait_for_url("**/devices/Bench%20Phone")


def test_requirements_of_a_waiting_job_stand_one_on_a_line_unbroken(seeded: Any, visit: Visit) -> None:
    limits = ["estimated_inference_time <= 10 ms", "inference_memory_peak_range.upper <= 512 MB"]
    nobody = {"name": "Nobody at home", "os": "14", "attributes": []}
    door = seeded.door
    seeded.announce(door, device_id="nobody-2", name=nobody["name"])
    page = visit(f"/jobs/{seeded.submit('Waits', device=nobody, requirements=limits)}/")
    boxes = [page.get_by_text(text, exact=True).bounding_box() for text in limits]
    assert boxes[1]["y"] > boxes[0]["y"]
    assert [box["height"] < 30 for box in boxes] == [True, True]


def test_options_break_between_each_other_only(seeded: Any, visit: Visit) -> None:
    options = ("--max_profiler_iterations 200", "--repeats 4", "--compute_unit cpu")
    for width in (1200, 390):
        page = visit(
            f"/jobs/{seeded.done('Optional', options=' '.join(options))}/", viewport={"width": width, "height": 800}
        )
        assert page.locator("dd", has_text=options[0]).first.inner_text().split("\n")[0] == " ".join(options)
        for one in options:
            assert page.locator(".facts").get_by_text(one, exact=True).bounding_box()["height"] < 30


def test_layers_are_there_before_one_scrolls_to_them_and_in_print_all_are(seeded: Any, visit: Visit) -> None:
    job_id = seeded.done("Deep on paper", replace(sample_profile(), layers=layer_table(600)))
    page = visit(f"/jobs/{job_id}/?tab=layers", java_script_enabled=False)
    rows = page.get_by_role("table", name="Layers").get_by_role("row")
    drawn = "row => row.checkVisibility({contentVisibilityAuto: true})"
    assert rows.nth(20).evaluate(drawn)
    assert not rows.nth(-2).evaluate(drawn)
    page.emulate_media(media="print")
    assert rows.nth(-2).evaluate(drawn)


def test_doubts_lead_to_what_they_mean_and_requirements_stand_before_notices(seeded: Any, visit: Visit) -> None:
    base = noisy_profile()
    limited = replace(base, request=replace(base.request, requirements=("model_size <= 1 kB",)))
    page = visit(f"/jobs/{seeded.done('Doubted', limited)}/")
    requirements = page.get_by_role("region", name="Requirements").bounding_box()
    for notice in page.locator(".notice:not(.loud)").all():
        assert notice.bounding_box()["y"] > requirements["y"]
    card = page.get_by_role("region", name="Inference", exact=True)
    assert card.get_by_role("link", name="noisy").get_attribute("href") == "/definitions#def-verdict"
    page.get_by_role("region", name="At a glance").get_by_role("link", name="What disturbs a measurement").click()
    page.wait_for_url("**/definitions#def-disturbances")
    assert page.get_by_text("Its threads waited for a CPU").is_visible()


def test_on_a_phone_a_job_is_a_block_that_needs_no_scrolling(seeded: Any, visit: Visit) -> None:
    seeded.done("Small block")
    page = visit("/jobs/?text=Small+block", viewport={"width": 390, "height": 800})
    row = page.get_by_role("row").filter(has_text="Small block")
    for words in ("Small block", "done", "8.31 ms", "Bench Phone"):
        box = row.get_by_text(words).first.bounding_box()
        assert box["x"] + box["width"] <= 390
    limits = ("estimated_inference_time <= 10 ms", "model_size <= 1 kB")
    base = noisy_profile()
    seeded.done("Small pill", replace(base, request=replace(base.request, requirements=limits)))
    page.goto("/jobs/?text=Small+pill")
    pill = page.get_by_text("1 met, 1 not met").bounding_box()
    assert pill["x"] + pill["width"] <= 390
    assert page.get_by_role("region", name="Jobs").evaluate("list => list.scrollWidth - list.clientWidth") == 0
    scroller = page.get_by_role("region", name="Jobs")
    assert scroller.evaluate("one => one.scrollWidth - one.clientWidth") <= 0


def test_what_compile_made_is_to_be_had_where_it_was_to_be_kept(seeded: Any, visit: Visit) -> None:
    door = seeded.door
    kept, without = (seeded.submit(name, keeps_artifact=True, **FIRST) for name in ("Kept", "Nothing kept"))
    for job_id in (kept, without):
        given = seeded.take(door, job_id)
        if job_id == kept:
            seeded.hub.leave(given.attempt, "artifact", b"PK" * 600)
        door.finish(given.attempt, Outcome())
    page = visit(f"/jobs/{kept}/")
    with page.expect_download() as found:
        page.get_by_role("link", name="1.20 kB").click()
    assert found.value.suggested_filename == f"Kept_{kept}_artifact.zip"
    assert found.value.path().read_bytes() == b"PK" * 600
    page.goto(f"/jobs/{without}/")
    page.get_by_text("None kept").wait_for()
    page.goto(f"/jobs/{without}/artifact")
    page.get_by_text("left no compiled artifact").first.wait_for()
