"""The picture of a board's probes: its course, its band and what was out of it, by real time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

pytest.importorskip("markupsafe")

from dynolab.report.html.probe_chart import ProbeMark, probe_chart

START = datetime(2026, 3, 14, 10, tzinfo=UTC)


def marks(*values: float, verdict: str = "", hours: float = 1.0) -> list[ProbeMark]:
    return [ProbeMark(START + timedelta(hours=hours * at), ns, verdict) for at, ns in enumerate(values)]


def drawn(*parts: list[ProbeMark], band: tuple[float, float] | None = None) -> list[ElementTree.Element]:
    course, out = (*parts, [])[:2]
    found = probe_chart(course, out, band=band, label="Slowest core")
    assert found is not None
    return list(ElementTree.fromstring(found.picture).iter())


def of_class(elements: list[ElementTree.Element], name: str) -> list[ElementTree.Element]:
    return [one for one in elements if one.get("class") == name]


def test_nothing_is_drawn_of_nothing() -> None:
    assert probe_chart([], [], band=(1.0, 2.0), label="") is None


def test_the_course_is_a_line_from_left_to_right_below_its_bands_upper_end() -> None:
    elements = drawn(marks(100e3, 101e3, 99e3, 100e3), band=(100e3, 110e3))
    lines = of_class(elements, "course")
    assert len(lines) == 3
    places = [float((one.get("x1") or "").rstrip("%")) for one in lines]
    assert places == sorted(places)
    [band] = of_class(elements, "band")
    assert all(float(one.get("y1") or 0) > float(band.get("y") or 0) for one in lines), "down is fast"
    assert len(of_class(elements, "middle")) == 1


def test_probes_out_of_the_band_are_marked_by_their_verdict_above_it() -> None:
    slow, disturbed = marks(150e3, verdict="slow"), marks(160e3, verdict="disturbed", hours=2)
    elements = drawn(marks(100e3, 101e3, 100e3), slow + disturbed, band=(100e3, 110e3))
    assert len(of_class(elements, "mark-invalid")) == len(of_class(elements, "mark-noisy")) == 1
    [band] = of_class(elements, "band")
    held = [one for one in elements if one.tag == "svg" and one.get("overflow") == "visible"]
    assert all(float(one.get("y") or 0) < float(band.get("y") or 0) for one in held)
    titles = [one.text for one in elements if one.tag == "title"]
    assert titles == ["150 µs, 2026-03-14 10:00", "160 µs, 2026-03-14 10:00"]


def test_a_single_probe_is_a_dot_with_one_date() -> None:
    elements = drawn(marks(100e3))
    assert len(of_class(elements, "mark-clean")) == 1
    assert [one.text for one in of_class(elements, "date")] == ["03-14 10:00"]


def test_over_days_the_dates_are_days() -> None:
    elements = drawn(marks(*[100e3] * 9, hours=24))
    assert [one.text for one in of_class(elements, "date")] == ["2026-03-14", "2026-03-22"]


def test_the_scale_is_labelled_in_one_unit() -> None:
    found = probe_chart(marks(2.9e6, 3.4e6), [], band=None, label="Copying memory")
    assert found is not None
    assert set(re.findall(r">[\d.]+ (\w+)<", str(found.levels))) == {"ms"}
    assert 'aria-label="Copying memory"' in str(found.levels)
