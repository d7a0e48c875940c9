"""A sustained run in a real Chromium: the form's field, the curve with its finding, the figures in a fold, the download."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from dynolab.testing.sample import sample_profile, sustained_profile

from .conftest import DEVICE

Visit = Callable[..., Any]


def words(place: Any) -> str:
    return re.sub(r"\s+", " ", place.inner_text())


@pytest.fixture(scope="module")
def job(seeded: Any) -> str:
    """One that is done."""
    return str(seeded.done("ten minutes", sustained_profile()))


def test_the_finding_stands_first_then_the_curve_then_the_figures(visit: Visit, job: str) -> None:
    page = visit(f"/jobs/{job}/?tab=timing")
    part = page.get_by_role("region", name="Sustained run")
    told = words(part)
    assert told.startswith("Sustained run slower after 180 s: the device throttled: it says so itself.")
    assert "Steady state beside the beginning: +25.1 % (+22." in told
    assert part.get_by_role("img", name="600 windows within 600 s").is_visible()
    assert part.get_by_role("img", name="Clock: 1.92 – 2.40 GHz").is_visible()
    assert part.get_by_role("img", name="Temperature: 46.00 – 84.00 °C").is_visible()
    assert "Time to throttle 180 s" in told
    rows = part.get_by_role("region", name="All windows").get_by_role("row")
    assert rows.count() == 0, "folded"
    part.get_by_text("All windows").click()
    assert rows.count() == 601, "all of them, though a page cuts other lists short"
    assert words(rows.nth(1)).startswith("0.0 s ")
    assert words(rows.nth(1)).endswith("101 µs 2.40 GHz 46 °C")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_is_wider_than_the_page(visit: Visit, job: str, width: int, scheme: str) -> None:
    page = visit(f"/jobs/{job}/?tab=timing", viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.get_by_text("All windows").click()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_its_windows_are_downloaded_where_there_are_some(seeded: Any, visit: Visit, job: str) -> None:
    page = visit(f"/jobs/{job}/")
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="sustained").click()
    assert len(download.value.path().read_text().splitlines()) == 601
    without = visit(f"/jobs/{seeded.done('short')}/")
    assert without.get_by_role("link", name="sustained").count() == 0


def test_why_there_is_none_is_told(seeded: Any, visit: Visit) -> None:
    failed = sample_profile(sustained_reason="the sustained run failed: there was no memory left in an inference")
    page = visit(f"/jobs/{seeded.done('leaks', failed)}/?tab=timing")
    assert page.get_by_text("the sustained run failed: there was no memory left in an inference").is_visible()


def test_it_is_told_in_chinese(visit: Visit, job: str) -> None:
    told = words(visit(f"/jobs/{job}/?tab=timing", locale="zh-CN").get_by_role("region", name="持续运行"))
    assert "180 s 之后变慢" in told
    assert "这是它自己说的" in told
    assert "所有窗口" in told


@pytest.mark.parametrize("browser", [{}, {"java_script_enabled": False}], ids=["scripts", "plain"])
def test_the_form_asks_for_a_length_and_the_job_has_time_for_it(
    browser: dict[str, Any], seeded: Any, visit: Visit
) -> None:
    page = visit(f"/submit?model={seeded.model('long')}", **browser)
    page.get_by_role("checkbox", name=DEVICE).first.check()
    field = page.locator('[id="option.sustained"]')
    field.fill("soon")
    send = page.get_by_role("button", name="Submit", exact=True)
    send.click()
    page.locator('[id="problem-option.sustained"]').get_by_text("soon").wait_for()
    page.locator("#problems").get_by_text("soon").wait_for()
    field.fill("10m")
    send.click()
    page.wait_for_url(re.compile("/jobs/j"))
    made = seeded.api("GET", f"jobs/{page.url.rstrip('/').rpartition('/')[2]}")
    assert made["options"] in ("--sustained 10m", "--sustained 600s")
    assert made["deadline_s"] == 4200
    seeded.api("POST", f"jobs/{made['id']}/cancel")
