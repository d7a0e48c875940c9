"""Link jobs in a real Chromium: the answer, what could not be verified, and the graphs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from dynolab.testing.sample_linked import UNVERIFIED

Visit = Callable[..., Any]


def words(place: Any) -> str:
    return re.sub(r"\s+", " ", place.inner_text())


@pytest.fixture(scope="module")
def job(seeded: Any) -> str:
    """One that is done."""
    return str(seeded.linked("both widths"))


def test_the_answer_stands_first_then_what_is_not_known_then_the_graphs(visit: Visit, job: str) -> None:
    page = visit(f"/jobs/{job}/")
    first = page.get_by_label("At a glance")
    assert words(first).startswith(
        "narrow.onnx + wide.onnx → becomes linked.bin 2 graphs · 679.9 kB · 1.15 MB as files"
    )
    assert "SM8550, Hexagon v73 · linked in 1.40 s · at most 310.0 MB of memory" in words(first)
    assert page.get_by_text(UNVERIFIED.text).is_visible()
    rows = page.get_by_role("region", name="Graphs").get_by_role("row")
    assert [words(rows.nth(1)), words(rows.nth(2))] == [
        "narrow narrow.onnx 179 operators x [1, 3, 48, 192] classes [1, 2]",
        "wide wide.onnx 181 operators x [1, 3, 48, 320] classes [1, 2]",
    ]
    assert page.get_by_text("onnxruntime-qnn").is_visible()


def test_both_models_and_what_was_made_of_them_are_a_click_away(seeded: Any, visit: Visit, job: str) -> None:
    document = seeded.api("GET", f"jobs/{job}")
    page = visit(f"/jobs/{job}/")
    facts = page.get_by_role("main")
    for model_id in (
        document["model_id"],
        *(one["id"] for one in document["linked_models"]),
        document["target_model_id"],
    ):
        assert facts.locator(f'a[href="/models/{model_id}/"]').first.is_visible()
    for nowhere in ("Compare with its source", "Profile this"):
        assert page.get_by_role("link", name=nowhere).count() == 0
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="json").click()
    assert json.loads(download.value.path().read_text())["separate_bytes"] == 1_146_880


@pytest.mark.parametrize("browser", [{}, {"java_script_enabled": False}], ids=["scripts", "plain"])
def test_the_form_links_several_models(browser: dict[str, Any], seeded: Any, visit: Visit, job: str) -> None:
    before = seeded.api("GET", f"jobs/{job}")
    [other] = (one["id"] for one in before["linked_models"])
    page = visit(f"/models/{before['model_id']}/", **browser)
    page.get_by_role("link", name="Link this").click()
    assert page.get_by_role("radio", name="Link").is_checked()
    assert page.locator("#model").input_value() == before["model_id"]
    assert not page.get_by_role("heading", name="Options").is_visible()
    page.locator(f'input[name=linked][value="{other}"]').check()
    page.get_by_role("checkbox", name=re.compile("^Phone")).first.check()
    page.locator(".for-link summary").click()
    page.locator("#link_options").fill("--nothing")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.locator("#problem-link_options").get_by_text("there is no option --nothing").wait_for()
    page.locator("#link_options").fill("")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url(re.compile("/jobs/j"))
    made = seeded.api("GET", f"jobs/{page.url.rstrip('/').rpartition('/')[2]}")
    assert (made["kind"], made["model_id"]) == ("link", before["model_id"])
    assert [one["id"] for one in made["linked_models"]] == [other]
    seeded.api("POST", f"jobs/{made['id']}/cancel")


def test_the_form_says_what_can_be_linked(seeded: Any, visit: Visit, job: str) -> None:
    page = visit(f"/submit?kind=link&model={seeded.model('a graph')}", java_script_enabled=False)
    page.get_by_role("checkbox", name=re.compile("^Phone")).first.check()
    page.get_by_role("button", name="Submit").click()
    told = "no toolchain links models of the kind onnx (kinds that are: qnn_dlc)"
    page.locator("#problem-model").get_by_text(told).wait_for()


def test_lists_tell_the_kind_and_it_is_told_in_chinese(visit: Visit, job: str) -> None:
    row = visit("/jobs/?kind=link&text=both+widths").get_by_role("row").nth(1)
    assert "both widths" in words(row)
    page = visit(f"/jobs/{job}/", locale="zh-CN")
    assert "2 个图" in page.get_by_label("概览").inner_text()
