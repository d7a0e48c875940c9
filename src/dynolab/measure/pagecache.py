"""The kernel's page cache: put files out of it, and see how much of them is in it."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from dynolab.measure.protocol import Residency
from dynolab.spec import untrusted


def evict(path: Path, *, inside: Path) -> None:
    """Write back and drop a file's cached pages (posix_fadvise(2), DONTNEED); pages that are mapped stay.

    Readable is enough; no root. A file system that keeps its pages (tmpfs) ignores it: :func:`residency` tells. Below the
    folder ``inside``, no link is followed.
    """
    with untrusted.open_file(path, inside=inside) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def residency(paths: Iterable[Path]) -> Residency:
    """Bytes of the files that are in the page cache now (mincore(2)), or the reason why the kernel does not tell.

    Since Linux 5.2 the answer is true only for files that one owns or may write to.
    """
    resident = total = 0
    for path in paths:
        size = path.stat().st_size
        total += size
        if size == 0:
            continue
        if path.stat().st_uid != os.geteuid() and not os.access(path, os.W_OK):
            return Residency(None, total, f"the kernel does not tell about {path.name}: it belongs to another user")
        part = _resident_bytes(path, size)
        if part is None:
            return Residency(None, total, "mincore is not offered by this system's C library")
        resident += part
    return Residency(resident, total)


def _resident_bytes(path: Path, size: int) -> int | None:
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "mincore"):
        return None
    page = mmap.PAGESIZE
    pages = (size + page - 1) // page
    seen = (ctypes.c_ubyte * pages)()
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as view,
    ):
        anchor = (ctypes.c_char * size).from_buffer(view)
        failed = library.mincore(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), seen)
        del anchor
    if failed:
        return None
    return min(size, sum(value & 1 for value in seen) * page)


def file_system(path: Path) -> str | None:
    """The type of the file system that holds ``path`` (proc_pid_mounts(5)), or None where that cannot be told."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return None
    best: tuple[int, str] | None = None
    whole = str(path.resolve())
    for line in lines:
        _, point, kind = line.split()[:3]
        point = point.replace("\\040", " ")
        inside = whole == point or whole.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= best[0]):
            best = (len(point), kind)
    return best[1] if best else None
