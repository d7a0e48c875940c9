from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import pytest

from dynolab.testing.once import once

CALLS = """
import sys, time
from pathlib import Path
from dynolab.testing.once import once

def make():
    with (folder / "calls").open("a") as calls:
        calls.write("made\\n")
    time.sleep(0.5)  # the others have the file open by then, and wait for the lock

folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.read(1)
once(folder, make)
"""


def test_of_processes_that_begin_at_once_one_makes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", CALLS, str(tmp_path / "shared")]
    with ExitStack() as stack:
        started = [stack.enter_context(subprocess.Popen(command, stdin=PIPE, stdout=PIPE)) for _ in range(4)]
        for one in started:
            assert one.stdout
            assert one.stdout.readline() == b"ready\n"
        for one in started:
            assert one.stdin
            one.stdin.close()
    assert [one.returncode for one in started] == [0] * 4
    assert (tmp_path / "shared" / "calls").read_text() == "made\n"


def test_what_failed_is_made_by_who_comes_next(tmp_path: Path) -> None:
    def fails() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        once(tmp_path, fails)
    made: list[str] = []
    assert once(tmp_path, lambda: made.append("now")) == once(tmp_path, lambda: made.append("again")) == tmp_path
    assert made == ["now"]
