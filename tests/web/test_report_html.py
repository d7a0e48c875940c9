"""The HTML report in a real Chromium: what a person reads, and what happens on a click or a key."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynolab.report import html
from dynolab.spec.profiles import Profile, Trust, Verdict
from dynolab.testing.sample import hostile_profile, layer_table, noisy_profile, sample_profile, unmeasured_profile

Open = Callable[..., Any]


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a report as a file; at the end, nothing was on the console and no request had left the file."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_report(*profiles: Profile, **options: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_text(html.plugin.render(profiles), encoding="utf-8")
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.endswith("/report.html") and not url.startswith("data:")] == []


def names(page: Any) -> list[str]:
    """The layers' names in the order that they are shown."""
    found: list[str] = page.locator("table.layers tbody tr td:nth-child(2)").all_inner_texts()
    return found


def plain(place: Any) -> str:
    """The words that are seen there, on one line."""
    return " ".join(place.inner_text().split())


def test_a_person_reads_the_figures_with_their_units(opened: Open) -> None:
    page = opened(sample_profile())
    page.get_by_role("heading", level=1, name="sample (made up)", exact=True).wait_for()
    assert page.title() == "sample (made up) – dynolab"
    text = plain(page.get_by_role("region", name="Inference", exact=True))
    for words in (
        "✓ clean",
        "8.10 – 8.31 ms upper end: minimum of 120 iterations",
        "Memory peak 40.5 – 41.4 MB",
        "Memory increase 5.63 – 9.63 MB",
        "21.4 ms",
    ):
        assert words in text
    required = page.get_by_role("region", name="Requirements")
    assert required.get_by_text("not met", exact=False).count() == 1
    assert "not met warm_load_time < 80 ms 91.0 – 93.4 ms" in plain(required)
    assert "8.10 – 8.31 ms 100 % of the iterations within the limit" in plain(required)


@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}])
def test_the_answer_stands_on_the_first_screen(opened: Open, size: Any) -> None:
    page = opened(noisy_profile(), viewport=size)
    answer = page.get_by_role("region", name="At a glance")
    for words in (
        "6.32 – 8.31 ms",
        "8.43 ms, 8.76 ms",
        "214.6 – 268.9 MB",
        "NPU 99.4 %, CPU 0.6 % of the time",
        "float16",
    ):
        box = answer.locator("dd").get_by_text(words).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < size["height"], words
    for words in (
        "3 of 68 layers (4.9 % of the time) ran on another unit",
        "its threads waited for a CPU",
    ):
        assert words in plain(answer)
        assert plain(page.locator("main")).count(words) == 1, "it is told once"
    assert (
        page.get_by_role("alert").inner_text() == "Attention: the runtime computes in float16, and the file has float32"
    )


def test_charts_say_in_words_what_they_show(opened: Open) -> None:
    page = opened(sample_profile())
    labels = [image.get_attribute("aria-label") for image in page.get_by_role("img").all()]
    assert "120 iterations in 3 processes, 8.31 ms to 22.1 ms" in [str(label) for label in labels]
    assert any(str(label).startswith("Inference: 40.5 – 41.4 MB") for label in labels)


def test_a_noisy_stage_says_why(opened: Open) -> None:
    card = opened(noisy_profile()).get_by_role("region", name="Inference", exact=True)
    assert "≈ noisy" in card.inner_text()


def test_the_prose_of_other_stages_is_behind_a_fold(opened: Open) -> None:
    base = sample_profile()
    noisy = Verdict(Trust.NOISY, ("the clock was low",))
    page = opened(replace(base, compile=replace(base.compile, verdict=noisy)))
    card = page.get_by_role("region", name="Compile", exact=True)
    assert not card.get_by_text("the clock was low").is_visible()
    card.get_by_text("Why it is not clean").click()
    assert card.get_by_text("the clock was low").is_visible()


def test_a_click_sorts_and_another_turns_the_order_round(opened: Open) -> None:
    page = opened(sample_profile())
    head = page.get_by_role("columnheader", name="#")
    assert page.get_by_role("columnheader", name="Time").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="#").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page) == [layer.name for layer in sample_profile().layers.layers]
    page.get_by_role("button", name="#").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page) == [layer.name for layer in reversed(sample_profile().layers.layers)]
    assert page.get_by_role("columnheader", name="Time").get_attribute("aria-sort") is None


def test_the_keyboard_sorts(opened: Open) -> None:
    page = opened(sample_profile())
    page.get_by_role("button", name="Type").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("columnheader", name="Type").get_attribute("aria-sort") == "ascending"
    kinds = page.locator("table.layers tbody tr td:nth-child(3)").all_inner_texts()
    assert kinds == sorted(kinds)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_by_role("columnheader", name="Unit").get_attribute("aria-sort") == "ascending"


def test_the_filter_keeps_what_holds_every_word(opened: Open) -> None:
    page = opened(sample_profile())
    page.get_by_role("searchbox", name="Filter").fill("cpu softmax")
    page.get_by_role("status").get_by_text("1 of 68 layers").wait_for()
    assert names(page) == [sample_profile().layers.layers[-1].name]
    page.get_by_role("searchbox", name="Filter").fill("no such thing")
    page.get_by_role("status").get_by_text("no layer matches").wait_for()
    page.get_by_role("searchbox", name="Filter").fill("")
    page.get_by_role("status").get_by_text("68 of 68 layers").wait_for()
    assert len(names(page)) == 68


def test_a_fallback_is_marked(opened: Open) -> None:
    page = opened(sample_profile())
    row = page.get_by_role("row").filter(has_text="Softmax")
    assert "CPU fallback" in " ".join(row.inner_text().split())


def test_a_figure_leads_to_its_definition(opened: Open) -> None:
    page = opened(sample_profile())
    page.get_by_role("link", name="Process total peak").first.click()
    page.wait_for_url("**#def-process_total")
    assert "whether an app would be killed" in page.locator(":target").inner_text()


def test_a_definition_leads_back_to_the_word_that_led_to_it(opened: Open) -> None:
    page = opened(sample_profile())
    link = page.get_by_role("link", name="Layer pass overhead").last
    assert page.get_by_role("link", name="back").count() == 0
    link.click()
    page.get_by_role("link", name="back").click()
    page.locator("a:focus", has_text="Layer pass overhead").wait_for()
    assert "#" not in page.url
    assert link.evaluate("link => { const y = link.getBoundingClientRect().y; return 0 <= y && y < innerHeight }")


def test_a_word_explains_itself_on_hover_and_on_focus(opened: Open) -> None:
    page = opened(sample_profile())
    page.get_by_text("More figures").click()
    tip, link = page.get_by_role("tooltip"), page.get_by_role("link", name="Harness floor")
    link.hover()
    tip.get_by_text("What dynolab itself adds to every iteration").wait_for()
    assert link.get_attribute("aria-describedby") == "tip"
    page.keyboard.press("Escape")
    tip.wait_for(state="hidden")
    assert link.get_attribute("aria-describedby") is None
    page.keyboard.press("Tab")
    tip.wait_for(state="visible")
    assert tip.evaluate("tip => { const r = tip.getBoundingClientRect(); return r.x >= 0 && r.right <= innerWidth }")


def test_shares_sort_as_times(opened: Open) -> None:
    page = opened(sample_profile())
    page.get_by_role("button", name="#").click()
    page.get_by_role("button", name="Share").click()
    assert page.get_by_role("columnheader", name="Share").get_attribute("aria-sort") == "descending"
    layers = sample_profile().layers.layers
    assert names(page)[0] == max(layers, key=lambda layer: layer.time_ns).name


def test_markup_in_names_is_text(opened: Open) -> None:
    page = opened(hostile_profile())
    assert page.title() != "taken"
    assert page.locator("img").count() == 0
    assert any('<script>document.title="taken"</script>' in name for name in names(page))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_javascript_everything_is_there(opened: Open) -> None:
    page = opened(sample_profile(), java_script_enabled=False)
    assert len(names(page)) == 68
    assert page.get_by_role("searchbox").count() == 0
    assert page.get_by_role("button").count() == 0
    page.get_by_text("More figures").click()
    page.get_by_role("link", name="Harness floor").click()
    assert page.locator(":target").get_by_role("link", name="to the top").is_visible()
    assert page.get_by_role("region", name="Inference", exact=True).get_by_text("8.31 ms").is_visible()


@pytest.mark.parametrize(
    ("profile", "scheme"), [(sample_profile(), "light"), (unmeasured_profile(), "dark")], ids=["full", "unmeasured"]
)
def test_a_phone_shows_it_without_scrolling_sideways(opened: Open, profile: Profile, scheme: str) -> None:
    page = opened(profile, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(21, 24, 27)") is (scheme == "dark")


def test_a_phone_shows_two_profiles_side_by_side(opened: Open) -> None:
    page = opened(noisy_profile(), noisy_profile(), viewport={"width": 390, "height": 740})
    table = page.get_by_role("region", name="Table of figures")
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert page.get_by_role("table", name="Layers").first.get_by_text("Output").is_visible()
    size = page.locator("table.layers tbody tr td:nth-child(7)").first
    assert size.is_visible()
    marks = page.get_by_role("list", name="Marks").filter(has_text="warm-up").first
    for words in ("minimum 8.31 ms", "median", "1, 2, 3: the processes", "bars: how many took that long"):
        assert words in plain(marks)


def test_several_profiles_stand_side_by_side(opened: Open) -> None:
    page = opened(sample_profile(), noisy_profile())
    row = page.get_by_role("row", name="Inference time").first
    assert " ".join(row.inner_text().split()) == "Inference time 8.10 – 8.31 ms 6.32 – 8.31 ms ≈ noisy"
    assert page.get_by_role("table", name="Layers").count() == 2
    page.get_by_role("button", name="#").nth(1).click()
    sorts = [head.get_attribute("aria-sort") for head in page.get_by_role("columnheader", name="#").all()]
    assert sorts == [None, "ascending"]


def test_ten_thousand_layers_open_sort_and_filter(opened: Open) -> None:
    page = opened(sample_profile(layers=layer_table(10_000)))
    page.get_by_role("button", name="#").click()
    assert page.locator("table.layers tbody tr").count() == 10_000
    assert page.locator("table.layers tbody tr td").first.inner_text() == "1"
    page.get_by_role("searchbox", name="Filter").fill("softmax")
    page.get_by_role("status").get_by_text("1 of 10,000 layers").wait_for()
