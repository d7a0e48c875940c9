"""A profile as a notebook shows it, in a real Chromium: on a light page and on a dark one, beside a page's own styles."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynolab.client.profile_view import as_view
from dynolab.spec.profiles import Profile
from dynolab.testing.sample import hostile_profile, layer_table, noisy_profile, sample_profile, unmeasured_profile

Open = Callable[..., Any]
LIGHT, DARK = "background:#fff;color:#111", "background:#111;color:#eee"
CONTRASTS = """() => {
    const light = (text) => {
        const [red, green, blue] = text.match(/[0-9.]+/g).map(Number).map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const page = light(getComputedStyle(document.body).backgroundColor);
    return [...document.querySelectorAll('.dynolab-panel *')].filter((one) => one.innerText?.trim()).map((one) => {
        const [dim, bright] = [light(getComputedStyle(one).color), page].sort((a, b) => a - b);
        return (bright + 0.05) / (dim + 0.05);
    });
}"""
"""The contrast of every text with the page, by WCAG 2.2's formula."""


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the panel in a page; at the end, nothing was on the console and nothing had been asked for."""
    told: list[str] = []
    contexts = []

    def open_panel(profile: Profile, style: str = LIGHT, width: int = 1000) -> Any:
        file = tmp_path / "cell.html"
        panel = as_view(profile)._repr_html_()
        file.write_text(f'<!doctype html><meta charset="utf-8"><body style="{style}"><p>Out[1]:</p>{panel}</body>')
        context = chromium.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: told.append(dialog.message))
        page.on("request", lambda request: told.append(request.url))
        page.goto(file.as_uri())
        told.remove(file.as_uri())
        return page

    yield open_panel
    for context in contexts:
        context.close()
    assert told == []


def plain(place: Any) -> str:
    return " ".join(place.inner_text().split())


def test_a_person_reads_stages_and_layers_with_their_units(opened: Open) -> None:
    page = opened(sample_profile())
    stages = page.get_by_role("table", name="Four stages")
    assert plain(page.get_by_role("heading")) == "sample (made up)"
    assert [plain(cell) for cell in stages.get_by_role("columnheader").all()] == [
        "Stage", "Time", "Memory peak", "Increase", "Verdict",
    ]  # fmt: skip
    inference = plain(stages.get_by_role("row").filter(has_text="Inference"))
    assert inference == "Inference 8.10 – 8.31 ms 40.5 – 41.4 MB 5.63 – 9.63 MB ✓ clean"
    layers = page.get_by_role("table", name="The 8 longest of 68 layers")
    widths = [float(one.get_attribute("width")) for one in layers.locator("rect").all()]
    assert len(widths) == 8
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 100
    answer = page.get_by_role("table", name="At a glance")
    assert "Inference time 8.10 – 8.31 ms ✓ clean" in plain(answer)
    assert "✕ not met warm_load_time < 80 ms: 91.0 – 93.4 ms" in plain(answer)


@pytest.mark.parametrize("style", [LIGHT, DARK])
def test_every_word_can_be_read_on_the_page_s_own_ground(opened: Open, style: str) -> None:
    contrasts = opened(noisy_profile(), style).evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert min(contrasts) >= 4.5


def test_a_verdict_says_why_and_what_was_not_measured_is_no_number(opened: Open) -> None:
    page = opened(noisy_profile())
    assert "≈ noisy The range is wide: its threads waited" in plain(page.get_by_role("table", name="At a glance"))
    assert plain(page.locator("body")).count("its threads waited") == 1
    page = opened(unmeasured_profile())
    assert "not measured" in plain(page.get_by_role("table", name="Four stages"))
    assert "No layers:" in plain(page.locator("body"))


def test_markup_in_names_is_text(opened: Open) -> None:
    profile = hostile_profile()
    page = opened(profile)
    assert page.locator("script, img, iframe, object, link").count() == 0
    assert page.get_by_role("heading").inner_text().strip() != ""
    assert "<script" in page.locator("body").inner_text()


def test_a_narrow_cell_does_not_widen_the_page(opened: Open) -> None:
    page = opened(sample_profile(layers=layer_table(10_000)), width=500)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.get_by_role("table", name="The 8 longest of 10,000 layers").count() == 1


def test_the_page_around_keeps_its_looks(opened: Open) -> None:
    page = opened(sample_profile())
    before = "getComputedStyle(document.querySelector('body > p')).fontFamily"
    assert page.evaluate(before) != page.evaluate(
        "getComputedStyle(document.querySelector('.dynolab-panel')).fontFamily"
    )
