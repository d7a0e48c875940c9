"""What is shown of transfers and of waiting, and where nothing is."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from rich.console import Console

from dynolab.cli import _progress
from dynolab.client import progress
from dynolab.client.progress import Moment, Silent, Terminal

LOOP = {"event": "iteration", "count": 1345, "of": 10000, "minimum_ns": 4_550_000}
QUEUED = {"state": "queued", "queue_position": 3}


@pytest.fixture
def screen() -> tuple[Terminal, io.StringIO]:
    out = io.StringIO()
    return Terminal(Console(file=out, width=100, force_terminal=True, color_system=None)), out


def test_a_moment_names_state_and_place_in_the_queue() -> None:
    assert progress.of_job({**QUEUED, "estimated_start_s": 120}).text == "3rd in the queue, begins in about 2 min"
    assert progress.of_job({"state": "queued", "attempts_made": 1}).text == "queued"
    assert progress.of_job({"state": "running"}).text == "running"
    assert progress.of_event(LOOP) == Moment("1,345 of 10,000, minimum 4.55 ms", 1345, 10000)
    assert progress.of_event({"event": "stage", "stage": "first_load", "text": "time", "process": 2}).text == (
        "first load: process 2"
    )


def test_a_terminal_shows_a_transfer_and_a_wait(screen: tuple[Terminal, io.StringIO]) -> None:
    terminal, out = screen
    with terminal.transfer("uploading model net") as counted:
        counted(500_000, 2_000_000)
    with terminal.waiting("jabc net") as told:
        told(progress.of_job(QUEUED))
        told(progress.of_event(LOOP))
    text = out.getvalue()
    assert "uploading model net" in text
    assert "0.5/2.0 MB" in text
    assert "jabc net" in text
    assert "1,345 of 10,000" in text


def test_nobody_looks_nothing_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = progress.chosen(True)
    assert isinstance(shown, Silent), "the tests' standard error is no terminal"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(progress.chosen(True), Terminal)
    assert isinstance(progress.chosen(False), Silent)
    with shown.transfer("x") as counted, shown.waiting("x") as told:
        counted(1, 2)
        told(Moment("running"))
    assert capsys.readouterr() == ("", "")


def test_lines_say_only_what_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    with _progress.Lines().waiting("jabc net") as told:
        for moment in (Moment("queued"), Moment("queued"), progress.of_event(LOOP), Moment("done")):
            told(moment)
    assert capsys.readouterr().err == "  queued\n  done\n", "a loop is told of every 10 s"


NOTEBOOK = """
from dynolab.client import progress
from dynolab.client.progress import Moment, Notebook
display = progress.chosen(True)
assert isinstance(display, Notebook), display
with display.transfer("uploading <b>net</b>") as counted:
    for done in range(0, 101):
        counted(done * 1000, 100_000)
with display.waiting("jabc") as told:
    told(Moment("2nd in the queue"))
    told(Moment("running"))
"""


def test_a_notebook_s_kernel_draws_one_output_anew(tmp_path: Any) -> None:
    manager = pytest.importorskip("jupyter_client.manager", reason="ipykernel is not installed")
    pytest.importorskip("ipykernel")
    seen: list[dict[str, Any]] = []
    with manager.run_kernel(kernel_name="python3") as client:
        reply = client.execute_interactive(NOTEBOOK, output_hook=seen.append, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    drawn = [one["content"] for one in seen if one["msg_type"] in ("display_data", "update_display_data")]
    assert {one["msg_type"] for one in seen} <= {"display_data", "update_display_data", "status", "execute_input"}
    assert len({one["transient"]["display_id"] for one in drawn}) == 2
    texts = [one["data"]["text/html"] for one in drawn]
    assert any('max="100000"' in text and "100.0 kB of 100.0 kB" in text for text in texts)
    assert "&lt;b&gt;net" in texts[0]
    assert "running (" in texts[-1]
