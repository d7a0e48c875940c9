"""Whether a device has room for what is to be written, as a trial tells; and whether a worker takes all of it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dynolab import errors
from dynolab.sandbox._tree import descendants
from dynolab.spec import untrusted

TRIAL_BYTES = 64 << 10


def trouble(folder: Path) -> errors.DeviceUnfit | None:
    """The error if nothing can be written to a folder for the device's own sake; None when all is well, or it is not there.

    Free space alone does not tell: quotas, broken disks and those that can only be read refuse as well. Nor does the trial
    alone: root, if that is who tries, may write to the last blocks, which others may not.
    """
    path = folder / f"trial-{os.getpid()}"
    try:
        if shutil.disk_usage(folder).free < TRIAL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(b"\0" * TRIAL_BYTES)
    except OSError as error:
        return errors.unfit(error)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return None


class Watch:
    """Sees whether a worker fills the disk. A look costs microseconds until little is left."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._free_bytes = free_bytes(folders[0])

    def exceeded(self, pid: int) -> errors.WorkerCrashed | None:
        """The error, when a quarter is left of what was free and the worker wrote most of what is gone."""
        left = free_bytes(self._folders[0])
        if left * 4 > self._free_bytes:
            return None
        try:
            written = _below(self._folders) + _unnamed(pid)
        except errors.Forbidden:  # so many files that they are not counted
            written = self._free_bytes - left
        if written * 2 < self._free_bytes:
            return None
        return errors.WorkerCrashed(
            f"the worker filled the device's disk: it wrote {written / 1e6:.0f} MB, and {left / 1e6:.0f} MB are left; "
            "it was killed",
            hint="a device with more room may do, if the model or its runtime needs that much",
        )


def free_bytes(folder: Path) -> int:
    """What may still be written there, as far as the file system knows."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _below(folders: Sequence[Path]) -> int:
    """Bytes that the folders take on the disk."""
    total = 0
    for path in (path for folder in folders for path, _ in untrusted.files_in(folder)):
        with suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def _unnamed(pid: int) -> int:
    """Bytes of files that a process and those below it removed and still hold open."""
    total, seen = 0, set()
    for path in _open_files([pid, *descendants(pid)]):
        with suppress(OSError):
            found = path.stat()
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and found.st_ino not in seen:
                seen.add(found.st_ino)
                total += found.st_blocks * 512
    return total


def _open_files(pids: Sequence[int]) -> Iterator[Path]:
    for pid in pids:
        with suppress(OSError):
            yield from Path(f"/proc/{pid}/fd").iterdir()
