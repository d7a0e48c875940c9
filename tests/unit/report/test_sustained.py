"""How a sustained run is told: as text, Markdown, a table, a chart."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

from dynolab import plugins
from dynolab.report._sustained import sparkline
from dynolab.report.html.sustained import sustained_view
from dynolab.spec import requirements
from dynolab.spec.profiles import Profile, Trust, Verdict
from dynolab.spec.requirements import Outcome
from dynolab.testing.sample import sample_profile, sustained_profile

FAILED = "the sustained run failed: the model ran out of memory"


def rendered(name: str, *profiles: Profile) -> str:
    return str(plugins.load("dynolab.report", name).render(profiles))


def test_the_text_has_the_curve_and_the_finding() -> None:
    text = rendered("text", sustained_profile())
    assert re.search(r"Sustained +600 s, \d+,\d+ iterations", text)
    assert re.search(r"Steady against first +\+25\.\d % \(\+22\.\d to \+2\d\.\d %\)  clean", text)
    assert re.search(r"Time to throttle +180 s", text)
    assert "2.40 GHz" in text
    assert "84 °C" in text
    assert "Sustained" not in rendered("text", sample_profile())


def test_the_curve_is_flat_where_the_pace_is_and_has_a_step_where_it_fell() -> None:
    found = sustained_profile().sustained
    assert found is not None
    line = sparkline(found)
    assert len(line) == 60
    assert max(line[:17]) < min(line[19:])
    steady = replace(found, windows=found.windows[:170])
    levels = sorted("▁▂▃▄▅▆▇█".index(one) for one in sparkline(steady))
    assert levels[-1] - levels[0] <= 1
    assert len(sparkline(replace(found, windows=found.windows[:3]))) == 3


def test_markdown_has_a_table_and_doubts_beside_it() -> None:
    profile = sustained_profile()
    assert profile.sustained is not None
    doubtful = replace(
        profile.sustained, verdict=Verdict(Trust.NOISY, ("threads waited for a CPU in 40.0 % of the windows",))
    )
    text = rendered("markdown", replace(profile, sustained=doubtful))
    assert "| Time to throttle | 180 s |" in text
    assert "- Sustained run is **noisy**: threads waited for a CPU in 40.0 % of the windows" in text
    assert f"`{sparkline(profile.sustained)}`" in text


def test_the_table_has_a_row_for_each_window_and_empty_cells_for_what_was_not_told() -> None:
    profile = sustained_profile()
    assert profile.sustained is not None
    blind = replace(profile.sustained, windows=tuple(replace(one, celsius=None) for one in profile.sustained.windows))
    rows = list(csv.DictReader(io.StringIO(rendered("sustained", replace(profile, sustained=blind)))))
    assert len(rows) == 600
    assert (rows[0]["celsius"], rows[0]["clock_hz"]) == ("", "2400000000.0")
    assert int(rows[300]["at_ns"]) == 300 * 10**9
    assert len(rendered("sustained", sample_profile()).splitlines()) == 1
    assert not plugins.load("dynolab.report", "sustained").fits(sample_profile())


def test_the_chart_marks_the_change_and_shows_what_the_device_told() -> None:
    profile = sustained_profile()
    seen = sustained_view(profile)
    assert seen is not None
    assert seen.curve.count("<rect") == 600
    assert seen.curve.count('x1="30%" x2="30%"') == 1, "180 of 600 s"
    assert [track.title for track in seen.tracks] == ["Clock", "Temperature"]
    assert len(seen.rows) == 600
    assert profile.sustained is not None
    bare = replace(
        profile.sustained,
        windows=tuple(replace(one, celsius=None, clock_hz=None, delay_ns=None) for one in profile.sustained.windows),
    )
    blind = sustained_view(replace(profile, sustained=bare))
    assert blind is not None
    assert blind.tracks == []
    assert blind.rows[0][4:] == ("–", "101 µs", "–", "–")
    assert sustained_view(sample_profile()) is None


def test_why_there_is_none_is_told_everywhere() -> None:
    profile = sample_profile(sustained_reason=FAILED)
    for name in ("text", "markdown", "html"):
        assert FAILED in rendered(name, profile)


def test_requirements_are_held_against_its_figures() -> None:
    profile = sustained_profile()
    asked = {"sustained_slowdown <= 10 %": Outcome.NOT_MET, "sustained_inference_time <= 13 ms": Outcome.MET,
             "time_to_throttle >= 2 s": Outcome.MET}  # fmt: skip
    for text, outcome in asked.items():
        assert requirements.decide(requirements.parse(text), profile).outcome is outcome, text
