"""Folders of our own among the workspaces: gone at the end, also when the end was a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dynolab.connections.local import own_folder

HOLD = """
import sys
from dynolab.connections.local import own_folder
with own_folder("job-") as folder:
    (folder / "model.onnx").write_bytes(b"bytes")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_goes_with_the_next_and_what_a_living_one_has_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(tmp_path))
    holders = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        killed, living = (Path(holder.stdout.readline().strip()) for holder in holders if holder.stdout)
        holders[0].kill()
        holders[0].wait()
        assert (killed / "model.onnx").exists()
        with own_folder("job-") as folder:
            assert {path.name for path in tmp_path.iterdir()} == {folder.name, living.name}
        assert (living / "model.onnx").exists()
    finally:
        for holder in holders:
            holder.communicate("")
    assert list(tmp_path.iterdir()) == []
