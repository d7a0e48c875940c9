"""Single runs: what a worker leaves is taken as anybody's, and nothing but it is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.measure.executor import process
from dynolab.measure.executor.memory_limit import MemoryLimit
from dynolab.measure.protocol import PROTOCOL_VERSION, RESULT_FILE, Measure, RunKind, RunRequest
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

REQUEST = RunRequest(PROTOCOL_VERSION, RunKind.INFER, Measure.NOTHING, "null", "m", ModelFormat.NULL, "a", "c", "", 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"protocol": 1}', "speaks protocol 1"),
        ("\0", "cannot be read"),
    ],
)
def test_a_result_that_cannot_be_read_is_the_workers_end(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / RESULT_FILE).write_text(text)
    error = process._result(tmp_path, 0, None, REQUEST, "the log", MemoryLimit()).error
    assert error is not None
    assert error["code"] == "WorkerCrashed"
    assert told in str(error["message"])
    assert error["details"] == {"log": "the log"}


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
