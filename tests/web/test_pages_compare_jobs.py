"""Comparison jobs in a real Chromium: the form, the answer, what cannot be told, and the way to one from two profiles."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dynolab.spec.answers import Answer
from dynolab.testing.sample_duet import sample_duet

from .conftest import DEVICE

Visit = Callable[..., Any]


def test_the_answer_stands_first_with_both_models_and_every_change(seeded: Any, visit: Visit) -> None:
    job_id = seeded.compared("which is slower", replace(sample_duet(), differences=("not like for like: options: A none, B --repeats 1",)))  # fmt: skip
    page = visit(f"/jobs/{job_id}/")
    first = page.get_by_label("At a glance")
    assert re.sub(r"\s+", " ", first.inner_text()).startswith(
        "B is slower +12.3 % (+10.9 to +13.8 %) decided after 21 s"
    )
    assert page.get_by_role("link", name="the baseline").count() == 1
    times = page.get_by_role("region", name="Times").get_by_role("row")
    assert re.sub(r"\s+", " ", times.nth(1).inner_text()).startswith("Inference 1.00 ms 1.12 ms +12.3 %")
    assert times.nth(1).get_by_role("img", name="Inference: +12.3 % (+10.9 to +13.8 %)").is_visible()
    memory = page.get_by_role("region", name="Memory").get_by_role("row")
    assert "more" in memory.nth(1).inner_text()
    assert page.get_by_text("options: A none, B --repeats 1").is_visible()
    page.get_by_text("How it was measured").click()
    assert page.get_by_text("5 pairs of fresh processes").is_visible()
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="json").click()
    assert json.loads(download.value.path().read_text())["kind"] == "duet"


def test_what_cannot_be_told_and_what_is_not_like_for_like_say_so(seeded: Any, visit: Visit) -> None:
    found = sample_duet(Answer.CANNOT_TELL, "not like for like: precision: A float32, B int8")
    job_id = seeded.compared("nobody knows", replace(found, decided_after_s=None))
    page = visit(f"/jobs/{job_id}/")
    assert "precision: A float32, B int8" in page.get_by_role("alert").inner_text()
    assert "Cannot tell" in page.get_by_label("At a glance").inner_text()
    assert "not decided within 33 s" in page.get_by_label("At a glance").inner_text()
    page.goto("/jobs/?kind=compare&text=nobody")
    assert "cannot tell" in page.get_by_role("row").nth(1).inner_text()


def test_the_form_asks_for_a_baseline_and_sends_the_job(seeded: Any, visit: Visit) -> None:
    model, baseline = seeded.model("new net"), seeded.model("old net")
    page = visit(f"/submit?model={model}")
    assert not page.get_by_label("Time budget, seconds").is_visible()
    page.get_by_label("Comparison").check()
    assert not page.get_by_label("Requirements").first.is_visible()
    page.get_by_label(DEVICE).first.check()
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("a comparison needs a second model").first.wait_for()
    page.locator("#baseline").select_option(baseline)
    page.get_by_label("Time budget, seconds").fill("never")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("'never' is no number").first.wait_for()
    page.get_by_label("Time budget, seconds").fill("30")
    page.get_by_label("A has options of its own").check()
    page.get_by_label("Options of A").fill("--no_such_option 2")
    page.get_by_role("button", name="Submit").click()
    page.locator("#problem-baseline_options").get_by_text("no_such_option").wait_for()
    page.get_by_label("Options of A").fill("--repeats 2")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("/jobs/j"))
    job = seeded.api("GET", f"jobs/{page.url.rstrip('/').rpartition('/')[2]}")
    asked = job["comparison"]
    assert (job["kind"], asked["model_id"], asked["options"], asked["budget_s"]) == (
        "compare",
        baseline,
        "--repeats 2",
        30.0,
    )
    assert page.get_by_role("link", name="old net").is_visible()
    seeded.api("POST", f"jobs/{job['id']}/cancel")


def test_a_file_may_be_the_baseline(seeded: Any, visit: Visit) -> None:
    page = visit(f"/submit?model={seeded.model('new net')}")
    page.get_by_label("Comparison").check()
    page.get_by_label(DEVICE).first.check()
    page.set_input_files("#baseline_file", {"name": "old.onnx", "mimeType": "", "buffer": b"not a real model"})
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("/jobs/j"))
    job = seeded.api("GET", f"jobs/{page.url.rstrip('/').rpartition('/')[2]}")
    assert job["comparison"]["model_name"].startswith("old")
    seeded.api("POST", f"jobs/{job['id']}/cancel")


def test_two_profiles_of_one_device_lead_to_a_job_that_decides(seeded: Any, visit: Visit) -> None:
    a, b = seeded.done("one"), seeded.done("other")
    page = visit(f"/compare?job={a}&job={b}")
    page.get_by_role("link", name="Decide on the device").first.click()
    assert page.get_by_label("Comparison").is_checked()
    assert page.locator("#baseline").input_value() == seeded.api("GET", f"jobs/{a}")["model_id"]
