"""The HTML report without a browser: what is in the file, and what can never be."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from math import ulp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.report import html
from dynolab.report.html.charts import memory_chart
from dynolab.report.html.figures import comparison
from dynolab.report.html.iterations import iteration_charts
from dynolab.report.html.settings import settings
from dynolab.report.html.svg import element, nice_ticks, percent
from dynolab.report.html.tables import tables, witnesses
from dynolab.report.html.words import breaks, prose
from dynolab.spec.glossary import DEFINITIONS
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Profile, Trust, Verdict
from dynolab.spec.show import show_time
from dynolab.testing.sample import (
    disturbed_table,
    hostile_profile,
    layer_table,
    noisy_profile,
    sample_profile,
    unmeasured_profile,
)

VOID = {"meta", "link", "br", "input", "col", "img", "wbr"}
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


def words_of(profile: Profile) -> str:
    return " ".join("".join(page([profile]).words).split())


def test_a_word_tells_the_first_sentence_of_its_definition() -> None:
    found = page([sample_profile()])
    told = {(tags["href"] or "")[5:]: tags["title"] for _, tags in found.elements if tags.get("class") == "term"}
    assert told["iterations"] == "The number of timed iterations over all processes, warm-up left out."
    assert all(DEFINITIONS[anchor].text.startswith(str(brief)[:-1]) for anchor, brief in told.items())
    assert all(len(definition.brief) < 220 for definition in DEFINITIONS.values())


def test_what_is_compared() -> None:
    titles = [first.title for first, _ in comparison([sample_profile()])]
    assert {"Compile memory increase", "First load memory increase", "Warm load memory increase", "Inference time p90",
            "Runtime import memory"} <= set(titles)  # fmt: skip


def test_memory_has_its_own_verdict() -> None:
    noisy = noisy_profile()
    memory = noisy.inference.memory
    assert memory is not None
    doubts = {first.title: cells[0][1] for first, cells in comparison([noisy])}
    assert doubts["Inference time"] is not None
    assert doubts["Inference memory peak"] is None
    runs = tuple(replace(run, verdict=Verdict(Trust.NOISY, ("swapped",))) for run in memory.runs)
    swapped = replace(noisy, inference=replace(noisy.inference, memory=replace(memory, runs=runs)))
    (doubt,) = [cells[0][1] for first, cells in comparison([swapped]) if first.title == "Inference memory peak"]
    assert doubt is not None
    assert doubt.word == "noisy"


def test_memory_below_the_resolution_is_marked() -> None:
    profile = sample_profile()
    memory = profile.inference.memory
    assert memory is not None
    assert "below resolution" not in words_of(profile)
    coarse = replace(profile.inference, memory=replace(memory, resolution_bytes=10_000_000))
    words = words_of(replace(profile, inference=coarse))
    assert "5.63 – 9.63 MB below resolution" in words
    assert "40.5 – 41.4 MB below resolution" not in words


def test_a_negative_overhead_says_what_it_is() -> None:
    profile = sample_profile()
    words = words_of(replace(profile, layers=replace(profile.layers, overhead=-0.087)))
    assert "-8.7 % faster than the loop" in words
    assert "faster than the loop" not in words_of(profile)


def test_a_unit_is_not_named_twice() -> None:
    profile = sample_profile()
    named = {who: replace(profile, layers=replace(profile.layers, layers=tuple(
        replace(layer, delegate=who) for layer in profile.layers.layers))) for who in ("cpu", "XNNPACK")}  # fmt: skip
    assert ", by XNNPACK" in words_of(named["XNNPACK"])
    assert "CPU: 3 layers" in words_of(named["cpu"])
    assert not re.search("CPU: 3 layers[^:]*, by cpu", words_of(named["cpu"]))


def test_the_environment_is_told_in_words() -> None:
    environment = {
        "kernel": "Linux 6.18.0-example #1 SMP", "smt": "notsupported", "aslr": "2", "overcommit_memory": "0",
        "swap_total_bytes": "2048000", "cgroup_memory_limit_bytes": "none", "load_average": "1.58 1.22 1.19 3/104 518",
        "governor": "not available: no cpufreq", "env.OMP_NUM_THREADS": "2", "new_key": "1", "vendor": "nobody",
    }  # fmt: skip
    profile = sample_profile(environment=environment)
    assert dict(settings(profile)) == {
        "threads per core (SMT)": "one: the processor has no SMT",
        "random addresses (ASLR)": "on (2)",
        "memory overcommit": "within reason (0)",
        "swap": "2.05 MB",
        "memory limit (control group)": "none",
        "load average": "1.58, 1.22, 1.19 over 1, 5 and 15 minutes; 3 of 104 threads running or ready to",
        "clock governor": "not available: no cpufreq",
        "env.OMP_NUM_THREADS": "2",
        "new key": "1",
    }
    (device,) = [dict(table.rows) for table in tables(profile) if table.title == "Device"]
    assert device["kernel"] == "Linux 6.18.0-example #1 SMP"


def test_options_in_effect_say_what_compile_had_made() -> None:
    profile = sample_profile()
    notes = {table.title: table.note for table in tables(profile)}
    assert "the provider's context file" in str(notes["In effect"])
    uncompiled = replace(profile, compile=replace(profile.compile, reason="nothing to compile"))
    assert [table.note for table in tables(uncompiled) if table.note] == []


def test_witnesses_are_named_without_the_unit_that_they_are_stored_in() -> None:
    stage = sample_profile().inference
    runs = tuple(
        replace(run, witnesses=replace(run.witnesses, grown={"neighbours.at_ns": 1e8, "run_queue.delay_ns": 1e6}))
        for run in stage.timing_runs
    )
    table = witnesses(replace(stage, timing_runs=runs, memory=None))
    assert table is not None
    rows = {name: cells for name, _, cells in table.rows}
    assert rows["run_queue.delay"] == ["1.00 ms"] * 3
    assert not [name for name in rows if name.startswith("neighbours.at") or name.endswith("_ns")]


def test_figures_in_sentences_stay_with_their_units() -> None:
    said = prose("34% of 1311313 bytes in 5 us; raise --max_profiler_iterations <b>")
    space = "\N{NO-BREAK SPACE}"
    assert said == (
        f'34{space}% of 1.31{space}MB in 5{space}µs; raise <span class="keep">--max_profiler_iterations</span> &lt;b&gt;'
    )
    assert prose("a%20b and 12 steps") == "a%20b and 12 steps"


def test_names_break_between_their_words() -> None:
    assert breaks("enable_cpu_pinning") == "enable_<wbr>cpu_<wbr>pinning"
    assert breaks("a/<b>.c") == "a/<wbr>&lt;b&gt;.<wbr>c"


# ---- charts ---------------------------------------------------------------------------------------------------------


def test_bars_share_one_scale() -> None:
    profile = sample_profile(process_total_peak=Range(200_000_000, 400_000_000))
    chart = memory_chart(profile)
    assert chart is not None
    whole = chart.rows[-1]
    assert 'width="50%"' in whole.bar
    assert whole.figure == "200.0 – 400.0 MB"
    assert len(chart.rows) == 4 * 3 + 2
    assert chart.kinds == ["anonymous", "file-backed"]
    assert memory_chart(unmeasured_profile()) is None


def test_warm_up_is_marked_and_what_lies_above_the_scale_is_said() -> None:
    chart = iteration_charts(sample_profile().inference)
    assert chart is not None
    assert chart.sequence.count("warm-up, ") == 18
    assert chart.sequence.count('class="timed"') + chart.sequence.count('class="above timed"') == 120
    assert [(style, text.split(", ")[0]) for style, text in chart.above] == [
        ("timed", "3 timed above the scale"), ("warm", "18 of warm-up above the scale")
    ]  # fmt: skip
    assert chart.sequence.count("▲") == 21
    assert chart.sequence.count("iteration →") == 1
    assert (chart.processes, chart.start is None) == ("1, 2, 3", False)
    assert iteration_charts(unmeasured_profile().inference) is None


def test_many_iterations_are_drawn_together() -> None:
    profile = sample_profile()
    runs = tuple(replace(run, values_ns=run.values_ns * 500) for run in profile.inference.timing_runs)
    chart = iteration_charts(replace(profile.inference, timing_runs=runs))
    assert chart is not None
    assert len(chart.sequence) < 200_000
    assert chart.sequence.count('class="above timed"') > 0


def test_one_iteration_is_a_chart_too() -> None:
    profile = sample_profile()
    first = replace(profile.inference.timing_runs[0], values_ns=(5_000_000,), warmup_ns=())
    chart = iteration_charts(replace(profile.inference, timing_runs=(first,)))
    assert chart is not None
    assert (chart.most, chart.above) == (1, [])


def test_a_scale_from_0_on_is_not_spoken_of() -> None:
    profile = sample_profile()
    first = replace(profile.inference.timing_runs[0], values_ns=(10, 1_000), warmup_ns=())
    chart = iteration_charts(replace(profile.inference, timing_runs=(first,)))
    assert chart is not None
    assert chart.start is None


def test_svg_escapes_words_and_attributes() -> None:
    made = element("text", "<b>&", class_='"><script>', x=None)
    assert made == '<text class="&#34;&gt;&lt;script&gt;">&lt;b&gt;&amp;</text>'


@given(st.floats(0, 1e12), st.floats(1e-3, 1e12), st.integers(1, 10))
def test_ticks_are_within_the_scale_and_few(low: float, span: float, about: int) -> None:
    ticks = nice_ticks(low, low + span, about)
    assert len(ticks) <= about + 2
    rounding = span * 1e-6 + 4 * ulp(low + span)  # of a short scale far from 0, the numbers themselves are coarse
    assert all(low - rounding <= tick <= low + span + rounding for tick in ticks)


def test_percent() -> None:
    assert [percent(share) for share in (0, 1, 0.5, 1 / 3, 0.00001)] == ["0%", "100%", "50%", "33.33%", "0%"]


def test_ten_thousand_layers_stay_below_four_megabytes() -> None:
    assert len(html.plugin.render([sample_profile(layers=layer_table(10_000))])) < 4_000_000


def test_a_disturbed_table_of_layers_is_a_notice_and_has_no_bars() -> None:
    page = html.plugin.render([sample_profile(layers=disturbed_table())])
    assert "Disturbed: the layers add up to 61.2 % more than an inference takes." in words_of(
        sample_profile(layers=disturbed_table())
    )
    assert 'class="layers disturbed"' in page
    assert ".layers:not(.disturbed) .share::after" in page
    assert 'class="layers disturbed"' not in html.plugin.render([sample_profile()])


def test_a_layers_spread_stands_beside_its_time() -> None:
    layer = sample_profile().layers.layers[0]
    assert layer.p10_ns is not None
    assert f'title="p10–p90: {show_time(layer.p10_ns)} – ' in html.plugin.render([sample_profile()])
