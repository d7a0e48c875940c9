"""The HTML report without a browser: what is in the file, and what can never be."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.report import html
from dynolab.report.html.charts import iteration_charts, memory_chart
from dynolab.report.html.svg import element, nice_ticks, percent
from dynolab.spec.glossary import DEFINITIONS
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Profile
from dynolab.testing.sample import hostile_profile, layer_table, noisy_profile, sample_profile, unmeasured_profile

VOID = {"meta", "link", "br", "input", "col", "img"}
PAGES = {
    "full": [sample_profile()],
    "noisy": [noisy_profile()],
    "unmeasured": [unmeasured_profile()],
    "hostile": [hostile_profile()],
    "several": [sample_profile(), noisy_profile(), unmeasured_profile()],
}


class Page(HTMLParser):
    """What stands in a file: elements with their attributes, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


def page(profiles: list[Profile]) -> Page:
    return Page(html.plugin.render(profiles))


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_well_formed_and_its_links_lead_somewhere(name: str) -> None:
    found = page(PAGES[name])
    assert found.open == []
    ids = found.all("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in found.all("href") if link.startswith("#")} <= set(ids)
    assert {label for labels in found.all("aria-labelledby") for label in labels.split()} <= set(ids)
    assert {f"def-{anchor}" for anchor in DEFINITIONS} <= set(ids)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_outside_the_file_is_named(name: str) -> None:
    found = page(PAGES[name])
    assert {link for link in found.all("href") if not link.startswith("#")} == {"data:,"}
    assert found.all("src") == []
    assert found.all("style") == []
    assert [tag for tag, _ in found.elements if tag in ("iframe", "object", "embed", "form", "base", "img")] == []
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]


def test_the_policy_allows_this_files_style_and_script_only() -> None:
    text = html.plugin.render([sample_profile()])
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in Page(text).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (part,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy


def test_names_are_text() -> None:
    found = page([hostile_profile()])
    assert [tag for tag, _ in found.elements].count("script") == 1
    words = "".join(found.words)
    assert '<script>document.title="taken"</script>' in words
    assert "\\x00\\x1b[31mred\\u202e" in words


def test_every_stages_figures_link_to_their_definitions() -> None:
    links = page([sample_profile()]).all("href")
    for anchor in ("compile", "first_load", "warm_load", "inference", "peak", "increase", "process_total", "cold", "mad",
                   "layer_overhead", "harness_floor", "accelerator", "runtime_import", "first_inference"):  # fmt: skip
        assert f"#def-{anchor}" in links


def test_what_was_not_measured_is_a_dash_with_its_reason() -> None:
    words = " ".join("".join(page([unmeasured_profile()]).words).split())
    assert "not measured" in words
    assert "made up: nothing was measured" in words
    assert " 0 MB" not in words


def test_several_profiles_are_compared_first() -> None:
    found = page(PAGES["several"])
    words = "".join(found.words)
    assert words.index("Compared") < words.index("The four stages")
    assert [value for value in found.all("href") if re.fullmatch(r"#p\d", value)] == ["#p1", "#p2", "#p3"]


# ---- charts ---------------------------------------------------------------------------------------------------------


def test_bars_share_one_scale() -> None:
    profile = sample_profile(process_total_peak=Range(200_000_000, 400_000_000))
    chart = memory_chart(profile)
    assert chart is not None
    whole = chart.rows[-1]
    assert 'width="50%"' in whole.bar
    assert whole.figure == "200.0 – 400.0 MB"
    assert len(chart.rows) == 4 * 3 + 2
    assert memory_chart(unmeasured_profile()) is None


def test_warm_up_is_marked_and_what_lies_above_the_scale_is_said() -> None:
    chart = iteration_charts(sample_profile().inference)
    assert chart is not None
    assert chart.sequence.count("warm-up, ") == 18
    assert chart.sequence.count('class="timed"') + chart.sequence.count('class="above timed"') == 120
    assert chart.note.startswith("21 above the scale")
    assert iteration_charts(unmeasured_profile().inference) is None


def test_many_iterations_are_drawn_together() -> None:
    profile = sample_profile()
    runs = tuple(replace(run, values_ns=run.values_ns * 500) for run in profile.inference.timing_runs)
    chart = iteration_charts(replace(profile.inference, timing_runs=runs))
    assert chart is not None
    assert len(chart.sequence) < 200_000


def test_one_iteration_is_a_chart_too() -> None:
    profile = sample_profile()
    first = replace(profile.inference.timing_runs[0], values_ns=(5_000_000,), warmup_ns=())
    assert iteration_charts(replace(profile.inference, timing_runs=(first,))) is not None


def test_svg_escapes_words_and_attributes() -> None:
    made = element("text", "<b>&", class_='"><script>', x=None)
    assert made == '<text class="&#34;&gt;&lt;script&gt;">&lt;b&gt;&amp;</text>'


@given(st.floats(0, 1e12), st.floats(1e-3, 1e12), st.integers(1, 10))
def test_ticks_are_within_the_scale_and_few(low: float, span: float, about: int) -> None:
    ticks = nice_ticks(low, low + span, about)
    assert len(ticks) <= about + 2
    assert all(low - span * 1e-6 <= tick <= (low + span) * (1 + 1e-6) for tick in ticks)


def test_percent() -> None:
    assert [percent(share) for share in (0, 1, 0.5, 1 / 3, 0.00001)] == ["0%", "100%", "50%", "33.33%", "0%"]


def test_ten_thousand_layers_stay_below_four_megabytes() -> None:
    assert len(html.plugin.render([sample_profile(layers=layer_table(10_000))])) < 4_000_000
