"""Tables of the commands that talk to a hub: nothing of a cell is lost, and what a person copies stands whole."""

from __future__ import annotations

import pytest

from dynolab.cli import _hub

TITLES = ("Model", "Name", "Project", "Format", "Size", "Owner", "Made")
ROWS = [
    ("mjua67s3mwm12", "second models", "acme.vision", "onnx", "585.5 kB", "admin@localhost.example.org", "1 s ago"),
    ("m67p9j3tdh512", "ch_ppocr_mobile_v2.0_cls_infer.onnx", "", "onnx", "585.5 kB", "admin@localhost", "53 s ago"),
]


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    _hub.show(_hub.table(TITLES, ROWS, right=("Size",)))
    return capsys.readouterr().out.splitlines()


def test_a_row_is_a_line_for_other_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = printed(capsys)
    assert len(lines) == 1 + len(ROWS)
    for line, row in zip(lines[1:], ROWS, strict=True):
        assert all(cell in line for cell in row)


@pytest.mark.parametrize("width", [50, 60, 80])
def test_ids_are_whole_and_no_cell_is_cut_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = printed(capsys)
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines if line[:1] == "m"] == [row[0] for row in ROWS]
    left = "".join("".join(lines).split())
    assert "…" not in left
    assert sorted(left) == sorted("".join("".join([*TITLES, *(cell for row in ROWS for cell in row)]).split()))
