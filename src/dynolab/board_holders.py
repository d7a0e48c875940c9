"""The files of those who measure on a board now: one for each, locked by the kernel for as long as its holder lives.

They lie in a folder that every account of the board can write to. Whoever looks or joins has the folder's own lock meanwhile. Standard
library only, and nothing of ours: a board that has nothing of dynolab yet is sent this file as ``python -c``, and prints who is there.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SETTING = "DYNOLAB_LOCKS"
PLACES = ("/run/lock", "/dev/shm", "/data/local/tmp")
"""Of Linux: the system's own for locks, where every account may write to it (file-hierarchy(7) has no rule for that), and the memory's.
Not /tmp, of which a service may have one of its own; and the memory's last, which systemd-logind clears of an account's files when that
signs out (logind.conf(5), RemoveIPC). Of Android: the one that ``shell`` may write to."""
FOLDER, PREFIX = "dynolab-board", "held-"
RECORD_MOST_BYTES = 4096
TURN_WITHIN_S = 5.0
"""For the folder's own lock: who has it looks at a few files."""


def folder() -> Path:
    """Where the files lie: ``DYNOLAB_LOCKS``, or the same place for all accounts of this board."""
    named = os.environ.get(SETTING)
    if named:
        return Path(named)
    place = next((one for one in PLACES if os.access(one, os.W_OK | os.X_OK)), tempfile.gettempdir())
    return Path(place, FOLDER)


@contextmanager
def turn(root: Path) -> Iterator[Path]:
    """The folder, made if need be, with its own lock. Raises OSError; a TimeoutError is one."""
    if not root.is_dir():
        with suppress(FileExistsError):
            root.mkdir(parents=True)
            root.chmod(0o1777)  # every account makes files there, and removes its own
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        until = time.monotonic() + TURN_WITHIN_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError(f"somebody keeps {root} locked") from None
                time.sleep(0.01)
        yield root
    finally:
        os.close(lock)


def held_files(root: Path) -> Iterator[tuple[str, bytes, str]]:
    """Name, content and account of the files that are locked; what dead holders left is removed.

    What others wrote there may be anything: no link is followed, and to whom a file belongs is asked of the system.
    """
    for path in sorted(root.glob(f"{PREFIX}*")):
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        status = os.fstat(file)
        try:
            if not stat.S_ISREG(status.st_mode):
                continue
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            with suppress(OSError):  # another account's: it takes no room, and goes with the next start of the board
                path.unlink()
        except BlockingIOError:
            yield path.name, os.read(file, RECORD_MOST_BYTES), account(status.st_uid)
        finally:
            os.close(file)


def account(owner: int) -> str:
    """An account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def now_s() -> float:
    """Seconds since the board started: one time for all its processes, whatever its date is."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def main() -> None:
    """Print who is there, as a JSON array of what each wrote, its account and for how long it is there."""
    found = []
    with suppress(OSError):
        if folder().is_dir():
            with turn(folder()) as root:
                found = [[content.decode("utf-8", "replace"), owner] for _, content, owner in held_files(root)]
    sys.stdout.write(json.dumps({"holders": found, "now_s": now_s()}) + "\n")


if __name__ == "__main__":
    main()
