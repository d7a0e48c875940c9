"""``dynolab gate`` from the command line: exit codes, refusals by name, the files that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from dynolab.cli.gate import command
from dynolab.errors import NotFound, SpecInvalid
from dynolab.report import json as json_report
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import Profile
from dynolab.testing.sample import noisy_profile, sample_profile


def slower(factor: float) -> Profile:
    base = sample_profile()
    time = base.inference.time
    assert time is not None
    upper, lower = (int(factor * ns) for ns in (time.minimum_ns, time.lower_ns or 0))
    return replace(base, inference=replace(base.inference, time=replace(time, minimum_ns=upper, lower_ns=lower)))


def write(folder: Path, profile: Profile) -> Path:
    folder.mkdir()
    (folder / "profile.json").write_text(json_report.plugin.render([profile]))
    return folder


Held = Callable[..., Result]


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    """The gate's answer for a profile against the sample's, with these arguments."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    def run(profile: Profile, *arguments: str, baseline: Profile | None = None) -> Result:
        main = write(tmp_path / "main", baseline or sample_profile())
        new = write(tmp_path / "new", profile)
        return CliRunner().invoke(command, [str(new), "--baseline", str(main), *arguments], standalone_mode=False)

    return run


@pytest.mark.parametrize(
    ("profile", "more", "status"),
    [
        (sample_profile(), (), 0),
        (slower(1.2), (), 1),
        (slower(1.2), ("--on-unknown", "pass"), 1),
        (slower(1.1), (), 3),
        (slower(1.1), ("--on-unknown", "pass"), 0),
        (slower(1.1), ("--on-unknown", "fail"), 1),
        (replace(sample_profile(), process_total_peak=None), ("--max-memory", "10%"), 2),
    ],
)  # fmt: skip
def test_the_exit_status_is_the_answer(held: Held, profile: Profile, more: tuple[str, ...], status: int) -> None:
    answer = held(profile, "--max-slower", "10%", *more)
    found = 2 if isinstance(answer.exception, SpecInvalid) else answer.return_value
    assert found == status, answer.output


def test_a_noisy_baseline_never_passes(held: Held) -> None:
    assert held(sample_profile(), "--max-slower", "10%", baseline=noisy_profile()).return_value == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-slower", "0.1"), "--max-slower 0.1: a percentage without its sign"),
        (("--max-memory", "ten"), "--max-memory 'ten': no percentage"),
        (("--max-slower", "10%", "--stage", "infer"), "--stage infer: there is no such stage"),
        (("--max-memory", "10%", "--stage", "inference"), "no limit is given for its time"),
        ((), "a gate without a limit lets everything pass"),
        (("--max-slower", "10%", "--budget", "5"), "--budget is for two models that take turns"),
        (("--max-slower", "10%", "--repeats", "5", "--runtime", "null"), "--runtime is for a model that is run"),
    ],
)  # fmt: skip
def test_what_a_gate_cannot_be_asked_is_refused_by_name(held: Held, arguments: tuple[str, ...], words: str) -> None:
    answer = held(sample_profile(), *arguments)
    assert isinstance(answer.exception, SpecInvalid), answer.output
    assert words in answer.exception.message
    assert answer.exception.hint


def test_a_baseline_that_is_not_like_for_like_is_refused_by_name_or_forced_with_a_notice(
    held: Held, tmp_path: Path
) -> None:
    base = sample_profile()
    other = replace(
        base,
        schema_version=1,
        device=replace(base.device, name="phone"),
        model=replace(base.model, format=ModelFormat.TFLITE),
    )
    answer = held(base, "--max-slower", "10%", baseline=other)
    assert isinstance(answer.exception, SpecInvalid)
    for words in ("its schema is 1, and the model's 2", "its format is tflite", "its device is phone"):
        assert words in answer.exception.message
    assert "--force" in str(answer.exception.hint)
    forced = CliRunner().invoke(
        command,
        [str(tmp_path / "new"), "--baseline", str(tmp_path / "main"), "--max-slower", "10%", "--force"],
        standalone_mode=False,
    )
    assert forced.output.startswith("!! Not like for like: the schema is 1 in main, and 2 in new.")
    assert forced.return_value == 0


def test_a_baseline_that_was_never_measured_is_refused(held: Held) -> None:
    base = sample_profile()
    bare = replace(base, inference=replace(base.inference, time=None, reason="it crashed"))
    answer = held(base, "--max-slower", "10%", baseline=bare)
    assert isinstance(answer.exception, SpecInvalid)
    assert "has no time of the stage inference: it crashed" in answer.exception.message


def test_a_baseline_that_is_not_there_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    answer = CliRunner().invoke(
        command, [str(write(tmp_path / "new", sample_profile())), "--baseline", "nowhere", "--max-slower", "1%"],
        standalone_mode=False,
    )  # fmt: skip
    assert isinstance(answer.exception, NotFound)
    assert "--baseline nowhere" in answer.exception.message


def test_a_profile_and_a_model_are_no_pair(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"")
    new = write(tmp_path / "new", sample_profile())
    answer = CliRunner().invoke(
        command, [str(new), "--baseline", str(model), "--max-slower", "1%"], standalone_mode=False
    )
    assert isinstance(answer.exception, SpecInvalid)
    assert "they never took turns" in answer.exception.message


def test_files_and_annotations_are_written(held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    files = ("--markdown", str(tmp_path / "out" / "comment.md"), "--junit", str(tmp_path / "out" / "gate.xml"))
    answer = held(slower(1.2), "--max-slower", "10%", "--max-memory", "10%", *files)
    assert answer.return_value == 1
    assert "::error title=dynolab gate::Inference time is at least" in answer.output
    assert "::notice title=dynolab gate::Peak of the process is at most" in answer.output
    assert "| Inference time |" in (tmp_path / "out" / "comment.md").read_text()
    assert ElementTree.parse(tmp_path / "out" / "gate.xml").getroot().tag == "testsuites"


def test_json_has_the_outcome_and_every_check(held: Held) -> None:
    told = json.loads(held(slower(1.1), "--max-slower", "10%", "--json").output)
    assert told["outcome"] == "cannot tell"
    assert [one["outcome"] for one in told["checks"]] == ["cannot tell"]


def test_models_of_two_formats_are_refused_before_anything_runs(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.tflite"):
        (tmp_path / name).write_bytes(b"no model")
    asked = [str(tmp_path / "b.tflite"), "--baseline", str(tmp_path / "a.onnx"), "--max-slower", "5%"]
    answer = CliRunner().invoke(command, asked, standalone_mode=False)
    assert isinstance(answer.exception, SpecInvalid)
    assert "its format is .onnx, and the model's .tflite" in answer.exception.message


def test_another_devices_baseline_is_refused_before_the_model_is_profiled(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"no model")
    asked = [str(model), "--baseline", str(write(tmp_path / "main", sample_profile())), "--max-slower", "5%"]
    answer = CliRunner().invoke(command, asked, standalone_mode=False)
    assert isinstance(answer.exception, SpecInvalid)
    assert f"its device is {sample_profile().device.name}" in answer.exception.message
    assert "give the baseline's model file instead" in str(answer.exception.hint)
