"""Single runs: what a worker leaves is taken as anybody's, and nothing but it is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dynolab.measure import process
from dynolab.measure.cage import Cage
from dynolab.measure.protocol import PROTOCOL_VERSION, RESULT_FILE, Measure, RunKind, RunRequest, RunResult, write
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

REQUEST = RunRequest(PROTOCOL_VERSION, RunKind.INFER, Measure.NOTHING, "null", "m", ModelFormat.NULL, "a", "c", "", 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be taken"),
        ("[" * 100_000, "cannot be taken"),
        ('{"protocol": 1}', "speaks protocol 1"),
        ("\0", "cannot be taken"),
    ],
)
def test_a_result_that_cannot_be_read_is_the_workers_end(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / RESULT_FILE).write_text(text)
    error = process._result(tmp_path, 0, None, REQUEST, "the log", Cage()).error
    assert error is not None
    assert error["code"] == "WorkerCrashed"
    assert told in str(error["message"])
    assert error["details"] == {"log": "the log"}


def test_a_result_that_names_files_of_others_or_is_too_large_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = tmp_path / "output-0-0.npy", tmp_path.parent / "theirs.npy"
    for names, code in (
        ((inside,), None),
        ((inside, outside), "WorkerCrashed"),
        ((tmp_path / ".." / "theirs.npy",), "WorkerCrashed"),
    ):
        result = replace(RunResult(PROTOCOL_VERSION), outputs=tuple({"y": str(name)} for name in names))
        write(result, tmp_path / RESULT_FILE)
        error = process._result(tmp_path, 0, None, REQUEST, "", Cage()).error
        assert (error or {}).get("code") == code
    monkeypatch.setattr(process, "RESULT_MAX_BYTES", 10)
    error = process._result(tmp_path, 0, None, REQUEST, "", Cage()).error
    assert "more than 10" in str(error)


def test_links_of_a_worker_lead_nowhere_and_its_death_is_told(
    null_harness: Callable[..., Harness], tmp_path: Path
) -> None:
    harness = null_harness()
    harness.model.write_text(json.dumps({"crash": 11}))
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"protocol": PROTOCOL_VERSION}))
    (harness.folder / "artifact" / "link").symlink_to(secret)
    error = harness.run(RunKind.INFERENCE).result.error
    assert error is not None
    assert error["code"] == "WorkerCrashed"
    assert "SIGSEGV" in str(error["message"])
    assert list((harness.folder / "artifact").iterdir()) == []
