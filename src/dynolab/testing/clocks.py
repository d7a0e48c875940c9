"""A wall clock that tests set: for processes that are started with it, while they run. It needs a C compiler.

Written here because libfaketime 0.9.10 breaks what Python's ``time.sleep`` calls (clock_nanosleep with an absolute time).
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "TEST_WALL_CLOCK"
"""Names the file that says how many seconds ahead the clock is: a 64-bit integer, read anew each time."""
SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t begun_ahead_s = AHEAD_S;
static volatile const int64_t *ahead_s = &begun_ahead_s;

__attribute__((constructor)) static void open_clock(void) {
    const char *path = getenv("TEST_WALL_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (place != MAP_FAILED) ahead_s = place;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    int wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (result == 0 && wall) now->tv_sec += *ahead_s;
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""


def compiler() -> str | None:
    """The C compiler, or None where there is none."""
    return shutil.which("cc") or shutil.which("gcc")


class WallClock:
    """The wall clock of the processes that have ``environment``; what they see of other clocks is as it is.

    ``ahead_s``: what it begins with, also for those that cannot read its file.
    """

    def __init__(self, folder: Path, compile_with: str, ahead_s: int = 0) -> None:
        self._file, library = folder / "clock", folder / "clock.so"
        command = [
            compile_with,
            f"-DAHEAD_S={ahead_s}LL",
            "-shared",
            "-fPIC",
            "-O1",
            "-x",
            "c",
            "-",
            "-o",
            str(library),
        ]
        subprocess.run(command, input=SOURCE.encode(), check=True)
        self._file.write_bytes(struct.pack("q", ahead_s))
        for path in (self._file, library):
            path.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(library), VARIABLE: str(self._file)}

    def set(self, ahead_s: int) -> None:
        """Have the clock be so many seconds ahead of the machine's, at once."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", ahead_s))


@contextmanager
def wall_clock() -> Iterator[WallClock]:
    """A clock that goes right until it is set. Raises FileNotFoundError where there is no C compiler."""
    found = compiler()
    if found is None:
        raise FileNotFoundError("cc")
    folder = Path(tempfile.mkdtemp(prefix="dynolab-clock-"))
    folder.chmod(0o755)  # PostgreSQL reads it as a user of its own
    try:
        yield WallClock(folder, found)
    finally:
        shutil.rmtree(folder)
