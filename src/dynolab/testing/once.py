"""What several processes of a run of the tests share is made by whoever of them needs it first."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

from dynolab import private_files


def once(folder: Path, make: Callable[[], object]) -> Path:
    """The folder, in which ``make`` was called once; where that failed, whoever comes next calls it again."""
    private_files.make_folder(folder)
    with (folder / "made").open("a+", encoding="utf-8") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        # Its place in the file is of before the lock: another may have written since.
        made.seek(0)
        if not made.read():
            make()
            made.write("whole")
    return folder
