"""``dynolab compare`` as text: names, units, memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynolab.cli.compare import command, short_names
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
    layers = tuple(replace(layer, time_ns=2 * layer.time_ns) for layer in profile.layers.layers)
    return replace(
        profile,
        inference=replace(profile.inference, timing_runs=runs),
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
    assert any(row.startswith("Minimum 8.31 ms 16.6 ms x 2.000 (") for row in rows)
    assert any(row.startswith("Memory peak 40.5 - 41.4 MB 40.5 - 41.4 MB the same") for row in rows)
    assert any(row.startswith("Inference is slower: minimum +100.0 %") for row in rows)
    assert any(" µs " in row and row.endswith("x 2.00") for row in rows)
