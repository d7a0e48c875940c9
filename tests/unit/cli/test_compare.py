"""``dynolab compare`` as text: names, units, memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynolab.cli.compare import command, short_names
from dynolab.errors import SpecInvalid
from dynolab.report import json as json_report
from dynolab.spec.profiles import Profile
from dynolab.testing.sample import sample_profile


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("main/profile.json", "branch/profile.json", ("main", "branch")),
        ("out/main", "out/branch", ("main", "branch")),
        ("a/x/profile.json", "b/y/profile.json", ("a/x", "b/y")),
        ("a.json", "b.json", ("a.json", "b.json")),
        ("a.json", "a.json", ("before", "after")),
        ("a/profile.json", "a/b/profile.json", ("before", "after")),
    ],
)
def test_names_are_the_parts_that_differ(before: str, after: str, names: tuple[str, str]) -> None:
    assert short_names(Path(before), Path(after)) == names


def write(folder: Path, profile: Profile) -> Path:
    folder.mkdir()
    (folder / "profile.json").write_text(json_report.plugin.render([profile]))
    return folder


def slower() -> Profile:
    profile = sample_profile()
    runs = tuple(
        replace(run, values_ns=tuple(2 * value for value in run.values_ns)) for run in profile.inference.timing_runs
    )
    assert profile.inference.time is not None
    ends = {"minimum_ns": 2 * profile.inference.time.minimum_ns, "lower_ns": 2 * (profile.inference.time.lower_ns or 0)}
    time = replace(profile.inference.time, median_ns=2 * profile.inference.time.median_ns, **ends)
    layers = tuple(replace(layer, time_ns=2 * layer.time_ns) for layer in profile.layers.layers)
    return replace(
        profile,
        inference=replace(profile.inference, timing_runs=runs, time=time),
        layers=replace(profile.layers, layers=layers),
        model=replace(profile.model, name="other [net]", sha256="1" * 64),
    )


@pytest.mark.parametrize("width", [80, 120])
def test_both_values_stand_with_their_units(width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    one, other = write(tmp_path / "main", sample_profile()), write(tmp_path / "branch", slower())
    answer = CliRunner().invoke(command, [str(one), str(other / "profile.json")], standalone_mode=False)
    assert answer.exception is None
    assert answer.return_value == 1
    rows = [" ".join(row.split()) for row in answer.output.splitlines()]
    assert max(map(len, answer.output.splitlines())) <= width
    assert rows[0] == "These are profiles of two different models."
    assert any("other [net] 111111111111" in row for row in rows)
    assert "main branch Change" in rows
    assert "Inference changed" in rows
    assert any(row.startswith("Time 8.10 - 8.31 ms 16.2 - 16.6 ms x 2.000 (1.950 - 2.051)") for row in rows)
    assert any(row.startswith("Memory peak 40.5 - 41.4 MB 40.5 - 41.4 MB unchanged: the same") for row in rows)
    assert any(row.startswith("Inference is slower, by 95.0 % to 105.1 %") for row in rows)
    assert any(" µs " in row and row.endswith("x 2.00") for row in rows)


def compared(tmp_path: Path, *more: str) -> Result:
    one, other = write(tmp_path / "main", sample_profile()), write(tmp_path / "branch", slower())
    return CliRunner().invoke(command, [str(one), str(other), *more], standalone_mode=False)


def test_a_floor_is_a_percentage_in_text_and_json_alike(tmp_path: Path) -> None:
    told = compared(tmp_path, "--floor", "12.5%", "--json")
    assert json.loads(told.output)["stages"][3]["floor"] == 0.125
    text = CliRunner().invoke(command, [*(str(tmp_path / name) for name in ("main", "branch")), "--floor", "12.5%"])
    assert "A/A floor 12.5 %" in " ".join(text.output.split())


def test_a_floor_without_its_sign_is_refused_by_name(tmp_path: Path) -> None:
    answer = compared(tmp_path, "--floor", "0.1")
    assert isinstance(answer.exception, SpecInvalid)
    assert "--floor 0.1: a percentage without its sign" in answer.exception.message


def test_what_is_not_like_for_like_stands_first(tmp_path: Path) -> None:
    other = replace(slower(), schema_version=1, device=replace(slower().device, name="phone"))
    paths = [str(write(tmp_path / name, one)) for name, one in (("main", sample_profile()), ("branch", other))]
    told = " ".join(CliRunner().invoke(command, paths).output.split())
    assert told.startswith("!! Not like for like: the schema is 2 in main, and 1 in branch.")
    assert "!! Not like for like: the device is" in told.split("profiles of two different models")[0]
