"""Folders of our own among the workspaces: gone at the end, also when the end was a kill."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dynolab.connections.local import own_folder, sweep_folders

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
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


PACKED = """
import sys
from pathlib import Path
from dynolab.client.packing import packed
with packed(Path(sys.argv[1])) as (file, kind, is_directory):
    print(file, flush=True)
    sys.stdin.read()
"""
UNPACKED = """
import sys
from pathlib import Path
from dynolab.jobs._sources import open_source
with open_source(Path(sys.argv[1])) as source:
    print(source.folder / source.entry, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("program", [PACKED, UNPACKED], ids=["packed for an upload", "unpacked for a profile"])
def test_a_models_files_that_a_killed_command_left_go_with_the_next(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, model = tmp_path / "workspaces", tmp_path / "net"
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(root))
    model.mkdir()
    shutil.copy(MODEL, model)
    if program is UNPACKED:
        model = Path(shutil.make_archive(str(model), "zip", model))
    left: list[Path] = []
    for number in (signal.SIGKILL, None):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        file = Path(process.stdout.readline().strip())
        assert file.is_file()
        assert file.is_relative_to(root)
        assert not [path for path in left if path.exists()], "what the killed one left is gone"
        left.append(file)
        if number is not None:
            process.send_signal(number)
        process.communicate()
    assert list(root.iterdir()) == []


def test_nobody_sweeps_what_another_is_about_to_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(tmp_path))

    def used(number: int) -> bool:
        with own_folder("many-") as folder:
            (folder / "file").write_text(str(number))
            return (folder / "file").read_text() == str(number)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(used, range(400)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sweep", [sweep_folders, lambda: own_folder("other-").__enter__()], ids=["asked", "made"])
def test_folders_of_every_kind_are_swept_once_their_owner_is_killed(
    sweep: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(tmp_path))
    theirs = tmp_path / "my-holidays"
    theirs.mkdir()
    (theirs / "picture").write_bytes(b"not ours")
    killed, living = (
        subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    try:
        left, kept = (Path(one.stdout.readline().strip()) for one in (killed, living) if one.stdout)
        (left / "deep").mkdir()
        (left / "deep" / "file").write_bytes(b"bytes")
        (tmp_path / "run-abcdefgh").mkdir()  # killed before it had a lock
        killed.kill()
        killed.wait()
        kept_open = sweep()
        assert not left.exists()
        assert not (tmp_path / "run-abcdefgh").exists()
        assert (kept / "model.onnx").exists()
        assert (theirs / "picture").exists()
        del kept_open
    finally:
        for one in (killed, living):
            one.communicate("")
