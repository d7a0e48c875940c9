from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from dynolab.testing.once import once
from dynolab.testing.waiting import until

CALLS = """
import sys
from pathlib import Path
from dynolab.testing.once import once

once(Path(sys.argv[1]), lambda: print("made again"))
"""


def test_who_waited_for_another_does_not_make_it_again(tmp_path: Path) -> None:
    path = tmp_path / "made"
    with path.open("w") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        with subprocess.Popen([sys.executable, "-P", "-c", CALLS, str(tmp_path)], stdout=subprocess.PIPE) as waits:
            opened = Path(f"/proc/{waits.pid}/fd")
            until(lambda: path in [one.resolve() for one in opened.iterdir()], "the other to open the file")
            made.write("whole")
            made.close()
            assert waits.communicate()[0] == b""
    assert waits.returncode == 0


def test_what_failed_is_made_by_who_comes_next(tmp_path: Path) -> None:
    def fails() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        once(tmp_path, fails)
    made: list[str] = []
    assert once(tmp_path, lambda: made.append("now")) == once(tmp_path, lambda: made.append("again")) == tmp_path
    assert made == ["now"]
