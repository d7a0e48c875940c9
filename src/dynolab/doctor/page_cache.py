"""The check that a first load can be made cold."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dynolab.doctor.base import Place
from dynolab.measure import pagecache
from dynolab.spec.findings import Finding

_PROBE_BYTES = 1 << 20


def eviction(place: Place) -> list[Finding]:
    """Puts a file of its own out of the page cache in the workspace, and asks before and after whether it is there."""
    name, kind = "cold loads (page cache)", pagecache.file_system(place.workspace) or "unknown file system"
    try:
        resident, evicted = _try_eviction(place.workspace)
    except OSError as error:
        return [Finding(name, "unknown", f"{place.workspace}: {error.strerror or error}")]
    cost = "first loads find their files in memory: they are called invalid, because they are not cold"
    if resident is None or evicted is None:
        return [
            Finding(
                name, "warning", "the kernel does not tell what is in the page cache", "no first load is proven cold"
            )
        ]
    if not resident:
        return [
            Finding(
                name,
                "warning",
                "mincore says that a file just written is not in memory",
                "no first load is proven cold",
            )
        ]
    if evicted:
        fix = "export DYNOLAB_WORKSPACE=/var/tmp/dynolab  # or another folder on a disk"
        return [Finding(name, "problem", f"{kind} at {place.workspace} keeps its pages in memory", cost, fix)]
    return [Finding(name, "ok", f"files on {kind} at {place.workspace} can be put out of memory, and mincore tells")]


def _try_eviction(folder: Path) -> tuple[int | None, int | None]:
    """Resident bytes of a file just written, and after it was evicted."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="dynolab-doctor-") as file:
        file.write(bytes(_PROBE_BYTES))
        file.flush()
        path = Path(file.name)
        resident = pagecache.residency([path]).resident_bytes
        pagecache.evict(path, inside=path.parent)
        return resident, pagecache.residency([path]).resident_bytes
