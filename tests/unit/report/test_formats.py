"""The formats for programs: JSON, CSV, AI Hub, Bencher, Model Explorer, traces."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynolab import plugins
from dynolab.errors import SpecInvalid
from dynolab.report.aihub import dictionary
from dynolab.report.base import Report
from dynolab.report.json import load
from dynolab.spec.compare import compare
from dynolab.spec.measurements import StageName
from dynolab.spec.profiles import Profile
from dynolab.spec.requirements import Outcome, decide_all
from dynolab.testing.sample import disturbed_table, hostile_profile, layer_table, sample_profile, unmeasured_profile

FORMATS = plugins.names("dynolab.report")
SEVERAL = {name for name in FORMATS if plugins.load("dynolab.report", name).several}
PROFILES = [sample_profile(), unmeasured_profile(), hostile_profile(), sample_profile(layers=layer_table(1))]


def report(name: str) -> Report:
    plugin = plugins.load("dynolab.report", name)
    assert isinstance(plugin, Report)
    return plugin


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_describes_itself(name: str) -> None:
    plugin = report(name)
    assert plugin.name == name
    assert plugin.file_name
    assert plugin.description


def test_file_names_do_not_collide() -> None:
    names = [report(name).file_name for name in FORMATS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("profile", PROFILES, ids=["full", "unmeasured", "hostile", "one layer"])
def test_every_profile_is_rendered_as_text_that_can_be_written(name: str, profile: Profile) -> None:
    text = report(name).render([profile])
    assert text.endswith("\n")
    text.encode("utf-8")


@pytest.mark.parametrize("name", FORMATS)
def test_rendering_is_repeatable(name: str) -> None:
    assert report(name).render([sample_profile()]) == report(name).render([sample_profile()])


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_for_one_profile_refuses_two(name: str) -> None:
    if name in SEVERAL:
        assert report(name).render([sample_profile(), sample_profile()])
    else:
        with pytest.raises(SpecInvalid, match=f"a {name} report holds one profile, 2 were given"):
            report(name).render([sample_profile(), sample_profile()])
    with pytest.raises(SpecInvalid):
        report(name).render([])


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"json", "aihub", "nodedata", "csv", "sustained"}))
def test_no_control_character_reaches_a_reader(name: str) -> None:
    text = report(name).render([hostile_profile()])
    assert not [character for character in text if ord(character) < 32 and character not in "\n\t"]
    assert "\u202e" not in text


# ---- json -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES, ids=["full", "unmeasured", "hostile", "one layer"])
def test_the_document_is_read_back_as_it_was(profile: Profile) -> None:
    assert load(report("json").render([profile])) == profile


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is not JSON"),
        ("{", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("[]", "no profile document"),
        ('{"a": 1}', "no profile document"),
        ('{"schema_version": 999, "dynolab_version": "9.9"}', "schema_version 999, this dynolab reads 1 and 2"),
        ('{"schema_version": 1}', "profile: the field 'dynolab_version' is missing"),
    ],
)
def test_what_is_no_profile_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(SpecInvalid, match=message):
        load(text)


def test_a_document_of_the_first_schema_is_read_rendered_decided_and_compared() -> None:
    """It knows no ranges of times: one that was noisy then is still told with its reason."""
    first = load((Path(__file__).parents[2] / "data" / "first_schema.json").read_text(encoding="utf-8"))
    assert first.schema_version == 1
    assert first.inference.time is not None
    assert first.inference.time.lower_ns is None
    for name in FORMATS:
        assert report(name).render([first])
    assert "8.31 ms" in report("text").render([first])
    assert "threads waited for a CPU for 64.2 ms" in report("text").render([first])
    outcomes = {one.text: one.outcome for one in decide_all(first)}
    assert outcomes["estimated_inference_time <= 33 ms"] is Outcome.MET
    assert outcomes["warm_load_time < 80 ms"] is Outcome.NOT_MET
    assert compare(first, sample_profile(), None).stages[3].minimum is not None


def test_a_wrong_value_is_named_with_its_place() -> None:
    document = json.loads(report("json").render([sample_profile()]))
    document["inference"]["time"]["minimum_ns"] = "soon"
    with pytest.raises(SpecInvalid, match=r"profile\.inference\.time\.minimum_ns: 'soon'"):
        load(json.dumps(document))


# ---- csv ------------------------------------------------------------------------------------------------------------


def test_layers_are_rows_in_order_of_execution() -> None:
    rows = list(csv.DictReader(io.StringIO(report("csv").render([sample_profile()]))))
    layers = sample_profile().layers.layers
    assert [row["name"] for row in rows] == [layer.name for layer in layers]
    assert [int(row["time_ns"]) for row in rows] == [layer.time_ns for layer in layers]
    assert math.isclose(sum(float(row["share"]) for row in rows), 1, abs_tol=1e-4)


def test_layers_of_several_profiles_stand_side_by_side() -> None:
    one, other = sample_profile(layers=layer_table(3)), sample_profile(layers=layer_table(4, seed=5))
    rows = list(csv.DictReader(io.StringIO(report("csv").render([one, other]))))
    first, second = rows[0], "2: onnxruntime"
    times = [profile.layers.layers[0].time_ns for profile in (one, other)]
    assert [int(first["1: onnxruntime time_ns"]), int(first[f"{second} time_ns"])] == times
    assert int(first[f"{second} difference_ns"]) == times[1] - times[0]
    assert [row["1: onnxruntime time_ns"] for row in rows].count("") == 2  # what only the second has


def test_a_layers_name_is_never_a_formula() -> None:
    table = layer_table(1)
    profile = sample_profile(layers=replace(table, layers=(replace(table.layers[0], name='=cmd|"/c calc"!A0'),)))
    (row,) = csv.DictReader(io.StringIO(report("csv").render([profile])))
    assert row["name"].startswith("'=")


# ---- aihub ----------------------------------------------------------------------------------------------------------

TWELVE_AND_EIGHT = {
    *(f"{stage}_memory_{part}_range" for stage in StageName for part in ("increase", "peak")),
    "compile_time", "first_load_time", "warm_load_time", "estimated_inference_time",
    "compile_peak_memory", "first_load_peak_memory", "warm_load_peak_memory", "estimated_inference_peak_memory",
    "all_compile_times", "all_first_load_times", "all_warm_load_times", "all_inference_times",
}  # fmt: skip


def test_the_dictionary_has_the_published_keys_and_types() -> None:
    profile = sample_profile()
    found = dictionary(profile)
    summary, detail = found["execution_summary"], found["execution_detail"]
    assert set(found) == {"execution_summary", "execution_detail"}
    assert set(summary) == TWELVE_AND_EIGHT
    assert summary["estimated_inference_time"] == 8310 == min(summary["all_inference_times"])
    assert summary["inference_memory_peak_range"][1] == summary["estimated_inference_peak_memory"]
    assert len(summary["all_inference_times"]) == 120
    for key, value in summary.items():
        numbers = value if isinstance(value, list | tuple) else [value]
        assert all(type(number) is int for number in numbers), key
    assert set(detail[0]) == {"name", "type", "compute_unit", "execution_time", "execution_cycles"}
    assert len(detail) == 68


def test_the_dictionary_of_nothing_is_none_and_empty() -> None:
    found = dictionary(unmeasured_profile())
    for key, value in found["execution_summary"].items():
        assert value == ([] if key.startswith("all_") else None), key
    assert found["execution_detail"] == []


def test_only_chosen_tries_are_told() -> None:
    profile = sample_profile()
    first, *rest = profile.inference.timing_runs
    runs = (replace(first, chosen=False), *rest)
    profile = replace(profile, inference=replace(profile.inference, timing_runs=runs))
    assert len(dictionary(profile)["execution_summary"]["all_inference_times"]) == 80


# ---- bmf ------------------------------------------------------------------------------------------------------------


def test_bencher_gets_values_within_their_bounds() -> None:
    document = json.loads(report("bmf").render([sample_profile(), sample_profile()]))
    assert len(document) == 2
    for name, measures in document.items():
        assert len(name) <= 1024
        assert not name.endswith("-bencher-ignore")
        assert measures["latency"]["value"] == 8_310_043
        for metric in measures.values():
            assert set(metric) <= {"value", "lower_value", "upper_value"}
            assert (
                metric.get("lower_value", metric["value"])
                <= metric["value"]
                <= metric.get("upper_value", metric["value"])
            )


def test_bencher_gets_no_figure_that_was_not_measured() -> None:
    (measures,) = json.loads(report("bmf").render([unmeasured_profile()])).values()
    assert measures == {}


# ---- nodedata -------------------------------------------------------------------------------------------------------


def test_node_data_is_a_graphs_and_sums_layers_of_one_name() -> None:
    table = layer_table(3)
    layers = (*table.layers, table.layers[0], replace(table.layers[1], name="results"))
    document = json.loads(report("nodedata").render([sample_profile(layers=replace(table, layers=layers))]))
    assert set(document) == {"name", "results", "gradient"}
    assert document["results"][table.layers[0].name] == {"value": 2 * table.layers[0].time_ns / 1000}
    assert "results" not in document["results"]  # Model Explorer would take the file for one of several graphs
    assert [stop["stop"] for stop in document["gradient"]] == [0, 0.5, 1]


def test_node_data_names_nodes_and_not_what_the_runtime_made_of_them() -> None:
    """The graph's page of the hub goes by the same names (tests/web/test_pages_graph.py)."""
    table, names = layer_table(4), ("conv_nchwc", "fc/MatMulAddFusion", "add,relu", "fc/duplicated")
    layers = tuple(replace(layer, name=name) for layer, name in zip(table.layers, names, strict=True))
    (conv, product, fused, twin) = (layer.time_ns / 1000 for layer in layers)
    document = json.loads(report("nodedata").render([sample_profile(layers=replace(table, layers=layers))]))
    found = {name: entry["value"] for name, entry in document["results"].items()}
    assert found["conv"] == conv
    assert found["fc"] == product + twin
    assert found["add"] == found["relu"] == fused


# ---- trace ----------------------------------------------------------------------------------------------------------


def slices(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in document["traceEvents"] if event["ph"] == "X"]


@pytest.mark.parametrize("profile", PROFILES, ids=["full", "unmeasured", "hostile", "one layer"])
def test_a_trace_keeps_to_the_trace_event_format(profile: Profile) -> None:
    document = json.loads(report("trace").render([profile]))
    assert set(document) == {"displayTimeUnit", "traceEvents", "otherData"}
    for event in document["traceEvents"]:
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        assert isinstance(event["name"], str)
        if event["ph"] == "M":
            assert event["name"] in {"process_name", "thread_name"}
            assert isinstance(event["args"]["name"], str)
        else:
            assert event["ph"] == "X"
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            assert event["cat"]


def test_slices_of_a_track_do_not_overlap() -> None:
    ends: dict[tuple[int, int], float] = {}
    for event in slices(json.loads(report("trace").render([sample_profile()]))):
        track = event["pid"], event["tid"]
        assert event["ts"] >= ends.get(track, 0) - 0.001
        ends[track] = event["ts"] + event["dur"]
    assert len(ends) == 4 * 3 + 2


def test_every_raw_value_is_a_slice() -> None:
    profile = sample_profile()
    found = slices(json.loads(report("trace").render([profile])))
    values = sum(len(run.values_ns) for stage in profile.stages for run in stage.timing_runs)
    assert len([event for event in found if event["cat"] == "measured"]) == values
    assert len([event for event in found if event["cat"] == "warm-up"]) == 18
    assert len([event for event in found if event["pid"] == 5]) == 68


def test_a_disturbed_table_of_layers_has_no_colours_and_says_so() -> None:
    calm, disturbed = sample_profile(), sample_profile(layers=disturbed_table())
    assert "gradient" in json.loads(report("nodedata").render([calm]))
    told = json.loads(report("nodedata").render([disturbed]))
    assert "gradient" not in told
    assert "disturbed" in told["name"]
    assert "too few of them calm, disturbed</summary>" in report("markdown").render([disturbed])
    assert "medians of 18 calm iterations of 20</summary>" in report("markdown").render([calm])
