"""Every page through axe, light and dark and at a phone's width: nothing that it calls serious."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pgqueuer")

from dynolab.hub.pages.profiles import TABS
from dynolab.jobs._datasets import h5
from dynolab.testing.sample_quantized import GOOD, POOR, WARNING, sample_quantized

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
AXE = axe.Axe().axe_script
AWAY = {"name": "Another Phone", "os": "14", "attributes": []}
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
ASKED = {"iframes": False, "resultTypes": ["violations"], "preload": False}
"""Netron's own page, in the frame beside the layers, is not ours; there are no styles of other hosts to load first."""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
SERIOUS = """options => axe.run(document, options).then(found => found.violations
  .filter(one => ["serious", "critical"].includes(one.impact))
  .map(one => `${location.pathname}: ${one.id}: ${one.nodes[0].html.slice(0, 160)}`))"""

ALIKE = """() => {
  for (const one of document.querySelectorAll("main > section > article:nth-of-type(n+7)")) one.remove();
}"""
"""Takes away what one template made hundreds of times of the API's description, and axe needs seconds for: six of each section stay."""
UNNAMED = """() => [...document.querySelectorAll("input, select, textarea")]
  .filter(one => !one.hidden && one.labels && !one.labels.length && !one.ariaLabel && !one.ariaLabelledByElements?.length)
  .map(one => `${location.pathname}: no label: ${one.outerHTML.slice(0, 160)}`)"""
"""Fields that only a placeholder names: axe takes that for a label, but it is gone with the first letter."""
OVERFLOWS = """() => document.documentElement.scrollWidth > innerWidth + 1
  ? [`${location.pathname}: wider than a phone`] : []"""


@pytest.fixture(scope="module")
def places(seeded: Any) -> dict[str, str]:
    """Every kind of page by name."""
    model_id = seeded.model()
    door = seeded.door
    seeded.announce(door, device_id="away-1", name=AWAY["name"])
    done = [seeded.done(f"accessible {number}", model_id=model_id) for number in range(2)]
    queued = seeded.submit("waiting", model_id, waits_for=[seeded.submit("far away", model_id, device=AWAY)])
    quantized = seeded.quantized("integers", sample_quantized(GOOD, POOR, notices=(WARNING,)))
    linked = seeded.linked("both")
    compiled, compiling = (
        seeded.api("GET", f"jobs/{one}") for one in (seeded.compiled("made"), seeded.compiling("making"))
    )
    outputs = [_inferred(seeded, value) for value in (1.0, 1.1)]
    return {
        "outputs": f"/compare/outputs?job={outputs[0]}&job={outputs[1]}",
        "choosing outputs": f"/compare/outputs?job={outputs[0]}",
        "compiled": f"/jobs/{compiled['id']}/",
        "compiling": f"/jobs/{compiling['id']}/",
        "in the making": f"/models/{compiling['target_model_id']}/",
        "compile form": f"/submit?kind=compile&model={compiled['model_id']}",
        "quantized": f"/jobs/{quantized}/",
        "linked": f"/jobs/{linked}/",
        "quantize form": f"/submit?kind=quantize&model={model_id}",
        "compiler": "/devices/compiler-1",
        "jobs": "/jobs/",
        "no jobs": "/jobs/?text=nothing",
        "done": f"/jobs/{done[0]}/",
        **{tab: f"/jobs/{done[0]}/?tab={tab}" for tab in TABS[1:5]},
        "sharing": f"/jobs/{done[0]}/share",
        "deleting": f"/jobs/selected/delete?job={done[0]}&job={done[1]}&job={queued}",
        "queued": f"/jobs/{queued}/",
        "layers": f"/jobs/{done[0]}/layers",
        "submit": "/submit",
        "compare": f"/compare?job={done[0]}&job={done[1]}",
        "compared stages": f"/compare?job={done[0]}&job={done[1]}&tab=stages",
        "compared layers": f"/compare?job={done[0]}&job={done[1]}&tab=layers",
        "trends": f"/trends?model={model_id}",
        "models": "/models/",
        "model": f"/models/{model_id}/",
        "graph": f"/models/{model_id}/graph",
        "datasets": "/datasets/",
        "devices": "/devices/",
        "device": "/devices/Bench%20Phone",
        "board": "/devices/bench-1",
        "adding": "/add-device",
        "account": "/account/",
        "sign-in": "/sign-in",
        "organisations": "/organisations/",
        **_organisation(seeded),
        "audit": "/audit",
        "people": "/people/",
        "definitions": "/definitions",
        "api": "/api/hub/v1/docs",
        "not found": "/jobs/jnothing/",
    }


def _organisation(seeded: Any) -> dict[str, str]:
    """The pages of an organisation and of a project, each with a member and an open invitation."""
    seeded.api("POST", "organisations", json={"name": "acme", "owner": "admin@localhost"})
    seeded.api("POST", "organisations/acme/projects", json={"name": "vision"})
    for place in ("organisations/acme", "projects/acme.vision"):
        seeded.api("POST", f"{place}/invites", json={"role": "viewer"})
    seeded.api("PUT", "projects/acme.vision/members/admin@localhost", json={"role": "admin"})
    return {"organisation": "/organisations/acme/", "project": "/projects/acme.vision/"}


def _inferred(seeded: Any, value: float) -> str:
    """The id of an inference job that put out this number."""
    content = io.BytesIO()
    h5.write(content, {"logits": [np.full((1, 4), value, np.float32)]})
    return str(seeded.done("inferred", kind="inference", dataset_id=seeded.dataset(), output=content.getvalue()))


def test_nothing_serious_is_found_and_every_page_fits_a_phone(
    places: dict[str, str], visit: Callable[..., Any]
) -> None:
    """All rules on each page, wide and on a phone; in the dark, those that look at colours."""
    page = visit("/jobs/", locale="en-GB", color_scheme="light")
    found = []
    for path in places.values():
        page.set_viewport_size(PHONE)
        page.goto(path)
        found += page.evaluate(OVERFLOWS) + page.evaluate(UNNAMED)
        page.evaluate(ALIKE)
        page.evaluate(AXE)
        found += page.evaluate(SERIOUS, ASKED)
        page.emulate_media(color_scheme="dark")
        found += page.evaluate(SERIOUS, ASKED | COLOURS)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(WIDE)
        found += page.evaluate(SERIOUS, ASKED)
    assert found == []


@pytest.mark.slow  # the same pages and rules with other texts
def test_nothing_serious_is_found_in_chinese_and_it_fits_a_phone(
    places: dict[str, str], visit: Callable[..., Any]
) -> None:
    page = visit("/jobs/", locale="zh-CN", color_scheme="dark", viewport=PHONE)
    found = []
    for path in places.values():
        page.goto(path)
        page.evaluate(AXE)
        found += page.evaluate(SERIOUS, ASKED) + page.evaluate(OVERFLOWS)
    assert found == []


def test_what_would_be_wrong_is_found(visit: Callable[..., Any]) -> None:
    page = visit("/jobs/", viewport=PHONE)
    page.evaluate(AXE)
    page.evaluate("""document.querySelector("main").innerHTML = "<input><table><tr><td>" + "n".repeat(500)""")
    assert [told.split(": ")[1] for told in page.evaluate(SERIOUS, ASKED) + page.evaluate(OVERFLOWS)] == [
        "label",
        "wider than a phone",
    ]


WALKED = (
    *("jobs", "done", "layers", "queued", "deleting", "submit", "compare", "trends", "model", "datasets"),
    *("devices", "board", "adding", "account", "organisation", "sign-in"),
)
"""The main pages; that of a graph has a test of its own, beside the others of the graph."""
STOPS = """() => [...document.querySelectorAll("*")].flatMap((one, number) =>
  one.matches("a[href], button, input:not([type=radio]), select, textarea, summary, [tabindex]") && one.tabIndex >= 0 && !one.disabled
    && one.type !== "hidden" && one.checkVisibility({ visibilityProperty: true }) ? [[number, one.outerHTML.slice(0, 120)]] : [])"""
"""What the key is to come to, by its number among all elements; of radio buttons, it comes to one."""
STANDS = """() => {
  const one = document.activeElement, style = getComputedStyle(one), faults = [];
  if (one === document.body) return null;
  const { x, y, width, height, top, bottom, left, right } = one.getBoundingClientRect();
  const inside = (value, most) => Math.min(Math.max(value, 0), most - 1);
  const at = document.elementFromPoint(inside(x + width / 2, innerWidth), inside(y + height / 2, innerHeight));
  if (style.outlineStyle === "none" || !parseFloat(style.outlineWidth)) faults.push("has no ring");
  if (!width || !height) faults.push("has no size");
  else if (bottom <= 0 || top >= innerHeight || right <= 0 || left >= innerWidth) faults.push("is out of sight");
  else if (at && !one.contains(at) && !at.contains(one)) faults.push(`is under ${at.outerHTML.slice(0, 80)}`);
  return { number: [...document.querySelectorAll("*")].indexOf(one), faults, what: one.outerHTML.slice(0, 120) };
}"""
"""What has the focus, and what is wrong with that; null: nothing, after the page's end."""


def test_every_control_is_come_to_by_the_tab_key_in_its_order_and_seen(
    places: dict[str, str], visit: Callable[..., Any]
) -> None:
    page = visit("/jobs/", locale="en-GB")
    wrong = []
    for name in WALKED:
        page.goto(places[name])
        stops = dict(page.evaluate(STOPS))
        come: list[int | None] = []
        while len(come) < len(stops) + 60:
            page.keyboard.press("Tab")
            found = page.evaluate(STANDS)
            if found and found["number"] in come:
                break  # once round
            come.append(found and found["number"])
            wrong += [f"{name}: {fault}: {found['what']}" for fault in (found["faults"] if found else ())]
        wrong += [f"{name}: never come to: {what}" for number, what in stops.items() if number not in come]
        wrong += [
            f"{name}: comes after what stands below it: {stops.get(then, then)}"
            for one, then in itertools.pairwise(come)
            if one is not None and then is not None and then < one
        ]
    assert wrong == []


def test_a_job_can_be_opened_and_renamed_by_keyboard(seeded: Any, visit: Callable[..., Any]) -> None:
    seeded.done("By keyboard")
    page = visit("/jobs/?text=By+keyboard")
    page.get_by_role("link", name="By keyboard").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="By keyboard", level=1).wait_for()
    page.get_by_text("More", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Rename…").focus()
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Name").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name="Name").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
