"""The registry of figures, and how figures are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.report.aihub import dictionary
from dynolab.spec import facts
from dynolab.spec.glossary import DEFINITIONS
from dynolab.spec.measurements import ComputeUnit, Range, StageName
from dynolab.spec.show import (
    show_bytes,
    show_count,
    show_range,
    show_reading,
    show_share,
    show_time,
)
from dynolab.testing.sample import layer_table, sample_profile, sustained_profile, unmeasured_profile


@pytest.mark.parametrize("fact", facts.FACTS, ids=lambda fact: fact.key)
def test_every_figure_of_a_full_profile_is_there_or_says_why(fact: facts.Fact) -> None:
    profile = sustained_profile()
    assert (fact.value(profile) is None) == (fact.reason(profile) is not None)
    assert fact.value(profile) is not None or fact.key == "inference_time_p99"


@pytest.mark.parametrize("fact", facts.FACTS, ids=lambda fact: fact.key)
def test_an_unmeasured_figure_has_a_reason_and_is_shown_as_a_dash(fact: facts.Fact) -> None:
    profile = unmeasured_profile()
    if fact.value(profile) is None:
        assert fact.reason(profile)
        assert fact.show(profile) == "-"


def test_names_are_unique_and_found() -> None:
    names = [name for fact in facts.FACTS for name in (fact.key, *fact.aliases)]
    assert len(names) == len(set(names))
    assert facts.names() == sorted(names)
    assert all(facts.find(name) is not None for name in names)
    assert facts.find("speed") is None


def test_every_definition_is_a_paragraph_with_its_own_anchor() -> None:
    assert {fact.anchor for fact in facts.FACTS} <= set(DEFINITIONS)
    for anchor, definition in DEFINITIONS.items():
        assert definition.anchor == anchor
        assert definition.text.endswith(".")
        assert "\n" not in definition.text


def test_ai_hubs_figures_go_by_ai_hubs_keys() -> None:
    summary = dictionary(sample_profile())["execution_summary"]
    assert all(facts.find(key) is not None for key in summary if not key.startswith("all_"))


def test_accelerator_memory_goes_by_stage_and_the_runtimes_own_key() -> None:
    fact = facts.find("inference_accelerator_npu_allocated_bytes")
    assert fact is not None
    assert fact.show(sample_profile()) == "18.9 MB"
    assert fact.key in [found.key for found in facts.of(sample_profile())]
    other = facts.find("compile_accelerator_npu_allocated_bytes")
    assert other is not None
    assert other.reason(sample_profile()) == "the runtime told no npu_allocated_bytes in this stage"


def test_a_whole_stages_reason_is_each_of_its_figures_reason() -> None:
    reasons = {fact.reason(unmeasured_profile()) for fact in facts.FACTS if fact.stage is StageName.COMPILE}
    assert reasons == {"made up: nothing was measured"}


def test_units_add_up_to_the_whole() -> None:
    totals = facts.unit_totals(layer_table(68))
    assert [total.unit for total in totals] == [ComputeUnit.NPU, ComputeUnit.CPU]
    assert sum(total.layers for total in totals) == 68
    assert sum(total.layer_share for total in totals) == pytest.approx(1)
    assert sum(total.time_share for total in totals) == pytest.approx(1)


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0 ns"),
        (812, "812 ns"),
        (999.6, "1.00 µs"),
        (54_321, "54.3 µs"),
        (999_499, "999 µs"),
        (999_600, "1.00 ms"),
        (92_400_000, "92.4 ms"),
        (163_400_000, "163 ms"),
        (1_234_000_000, "1.23 s"),
        (1_240_000_000_000, "1,240 s"),
    ],
)
def test_times(ns: float, shown: str) -> None:
    assert show_time(ns) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (4_096, "4.10 kB"),
        (999_499, "999.5 kB"),
        (999_500, "1.00 MB"),
        (5_610_000, "5.61 MB"),
        (163_400_000, "163.4 MB"),
        (1_234_500_000, "1,234 MB"),
        (12_345_000_000, "12.3 GB"),
    ],
)
def test_bytes(size: int, shown: str) -> None:
    assert show_bytes(size) == shown


@pytest.mark.parametrize(
    ("lower", "upper", "shown"),
    [
        (162_700_000, 163_400_000, "162.7 - 163.4 MB"),
        (5_610_000, 163_400_000, "5.6 - 163.4 MB"),
        (0, 5_610_000, "0 - 5.61 MB"),
        (0, 0, "0 B"),
        (0, 40_960, "0 - 41.0 kB"),
        (163_390_000, 163_410_000, "163.4 MB"),
    ],
)
def test_ranges_share_one_unit(lower: int, upper: int, shown: str) -> None:
    assert show_range(Range(lower, upper)) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0 %"), (0.0001, "<0.1 %"), (0.05, "5.0 %"), (0.914, "91.4 %"), (1, "100 %")]
)
def test_shares(share: float, shown: str) -> None:
    assert show_share(share) == shown


def test_counts_and_readings() -> None:
    assert show_count(4_231) == "4,231"
    assert show_count(4_231_000) == "4.23 million"
    assert show_reading("run_queue.delay_ns", 1_140_000) == "1.14 ms"
    assert show_reading("pressure.cpu_some_us", 1_140) == "1.14 ms"
    assert show_reading("clock.max_hz", 2.8e9) == "2.80 GHz"
    assert show_reading("thermal.max_celsius", 44.1) == "44.1 °C"
    assert show_reading("context_switches.involuntary", 3.0) == "3"


@given(st.floats(min_value=0, max_value=1e15))
def test_a_shown_time_is_within_half_a_percent(ns: float) -> None:
    number, unit = show_time(ns).split()
    scale = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert float(number.replace(",", "")) * scale == pytest.approx(ns, rel=0.0051, abs=0.51)


@given(st.integers(min_value=0, max_value=10**14))
def test_a_shown_size_is_within_half_a_percent(size: int) -> None:
    number, unit = show_bytes(size).split()
    scale = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert float(number.replace(",", "")) * scale == pytest.approx(size, rel=0.0051)
