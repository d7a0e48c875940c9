"""What is printed, and files that are there whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynolab.cli import _output
from dynolab.errors import Forbidden
from dynolab.spec.requirements import Decision, Outcome
from dynolab.testing.sample import sample_profile


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(path: Path, text: str, encoding: str) -> int:
        path.write_bytes(text.encode(encoding)[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(Forbidden, match="No space left"):
        _output.write_file(tmp_path / "profile.json", "{}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [80, 130])
def test_a_terminal_is_filled_in_colour(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("COLUMNS", str(width)), ("TERM", "xterm-256color"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _output.show([sample_profile()], "text")
    page = capsys.readouterr().out
    assert "\x1b[" in page
    assert max(len(row) for row in re.sub(r"\x1b\[[0-9;]*m", "", page).splitlines()) in range(width - 30, width + 1)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    _output.show([sample_profile()], "text")
    assert "\x1b[" not in capsys.readouterr().out


def test_the_last_line_names_the_worst_first() -> None:
    met, unmet = Decision("a", Outcome.MET, ""), Decision("b", Outcome.NOT_MET, "")
    never, perhaps = (Decision("c", Outcome.CANNOT_TELL, "", again) for again in (False, True))
    assert _output.decided([met, met]) == "requirements: 2 met"
    assert _output.decided([met, perhaps, never, unmet]) == (
        "requirements: 1 not met, 1 cannot tell (running it again will not change that), "
        "1 cannot tell (a run on a calmer device may), 1 met"
    )


def test_a_program_s_document_is_alone_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _output.write([sample_profile()], tmp_path, "json")
    assert not _output.decide([sample_profile()], "json")
    told = capsys.readouterr()
    assert told.out == ""
    assert "report: " in told.err
    assert told.err.splitlines()[-1].startswith("requirements: 1 not met")
