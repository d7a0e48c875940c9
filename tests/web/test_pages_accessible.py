"""Every page through axe, light and dark and at a phone's width: nothing that it calls serious."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
AWAY = {"name": "Another Phone", "os": "14", "attributes": []}
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
NARROW = {"runOnly": {"type": "rule", "values": ["target-size", "scrollable-region-focusable", "color-contrast"]}}
ASKED = {"iframes": False, "resultTypes": ["violations"], "preload": False}
"""Netron's own page, in the frame beside the layers, is not ours; there are no styles of other hosts to load first."""


@pytest.fixture(scope="module")
def places(seeded: Any) -> dict[str, str]:
    """Every kind of page by name."""
    model_id = seeded.model()
    door = seeded.door
    seeded.announce(door, device_id="away-1", name=AWAY["name"])
    done = [seeded.done(f"accessible {number}", model_id=model_id) for number in range(2)]
    queued = seeded.submit("waiting", model_id, waits_for=[seeded.submit("far away", model_id, device=AWAY)])
    return {
        "jobs": "/jobs/",
        "no jobs": "/jobs/?text=nothing",
        "done": f"/jobs/{done[0]}/",
        "sharing": f"/jobs/{done[0]}/share",
        "deleting": f"/jobs/selected/delete?job={done[0]}&job={done[1]}&job={queued}",
        "queued": f"/jobs/{queued}/",
        "layers": f"/jobs/{done[0]}/layers",
        "submit": "/submit",
        "compare": f"/compare?job={done[0]}&job={done[1]}",
        "trends": f"/trends?model={model_id}",
        "models": "/models/",
        "model": f"/models/{model_id}/",
        "graph": f"/models/{model_id}/graph",
        "datasets": "/datasets/",
        "devices": "/devices/",
        "account": "/account/",
        "definitions": "/definitions",
        "not found": "/jobs/jnothing/",
    }


def serious(page: Any, **options: Any) -> list[str]:
    """What axe finds on the page as it is, but for trifles."""
    found = axe.Axe().run(page, options=ASKED | options).response["violations"]
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {one['nodes'][0]['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_axe_finds_nothing_serious(places: dict[str, str], visit: Callable[..., Any]) -> None:
    """All rules on each page; where only colours or widths change, those that look at them."""
    page = visit("/jobs/", locale="en-GB")
    found = []
    for path in places.values():
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="light")
        page.goto(path)
        found += serious(page)
        page.emulate_media(color_scheme="dark")
        found += serious(page, **COLOURS)
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="light")
        found += serious(page, **NARROW)
    assert found == []


def test_axe_finds_nothing_serious_in_chinese(places: dict[str, str], visit: Callable[..., Any]) -> None:
    page = visit("/jobs/", locale="zh-CN", color_scheme="dark")
    found = []
    for path in places.values():
        page.goto(path)
        found += serious(page)
    assert found == []


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_the_main_pages_fit_a_phone(locale: str, places: dict[str, str], visit: Callable[..., Any]) -> None:
    page = visit("/jobs/", viewport=PHONE, locale=locale)
    wide = []
    for name, path in places.items():
        page.goto(path)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            wide.append(name)
    assert wide == []


def test_a_job_can_be_opened_and_renamed_by_keyboard(seeded: Any, visit: Callable[..., Any]) -> None:
    seeded.done("By keyboard")
    page = visit("/jobs/?text=By+keyboard")
    page.get_by_role("link", name="By keyboard").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="By keyboard", level=1).wait_for()
    page.get_by_text("Rename", exact=True).first.focus()
    page.keyboard.press("Enter")
    page.get_by_label("Name").wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("Name").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
