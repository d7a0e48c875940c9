"""Bounds what is kept in a folder for the next time: what was used least lately goes first, and nothing that is in use.

On a device, below the root of ours: ``envs`` name ``wheels`` and maybe a ``python``, ``models`` stand alone. Who uses one has its folder
locked (flock(2)), so that the kernel tells. Standard library only, and nothing of ours: devices that have nothing of dynolab yet are sent
this file as ``python -c``.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

GRACE_S = 600.0
"""What was used so lately stays: somebody may be about to lock it."""
LEFT_S = 86_400.0
"""After which what a transfer that broke off left is removed."""
PARTS = (".zip", ".new", ".old", ".partial", ".tar.gz")
"""How that is called."""
MARKS = ("complete", ".complete")
"""Files in an item's folder whose time is that of its last use; else its folder's own is."""

Finder = Callable[[], "list[Path]"]


def evict(
    find: Finder, of_all: Finder, disk: Path, *, most_bytes: int, free_bytes: int, keep: Iterable[str] = ()
) -> int:
    """The bytes that were removed: until no more than ``most_bytes`` are kept and ``free_bytes`` of the disk are free, as far as that goes.

    ``find`` tells what may be removed now, in that order, ``of_all`` all that is kept; ``keep`` names items that are about to be used.
    """
    sizes: dict[Path, int] = {}
    removed, wanted = 0, set(keep)
    while True:
        kept = 0
        for path in of_all():
            kept += sizes.setdefault(path, _bytes(path))
        if kept <= most_bytes and shutil.disk_usage(disk).free >= free_bytes:
            return removed
        gone = next((one for one in find() if one.name not in wanted and _is_unused(one) and _removed(one)), None)
        if gone is None:
            return removed
        removed += sizes.get(gone, 0)


def evict_device(root: Path, *, most_bytes: int, free_bytes: int, keep: Sequence[str] = ()) -> int:
    """The same of a device's root. Wheels and Pythons go with the last environment that names them."""

    def named() -> str:
        files = [*root.glob("envs/*/lib/python*/site-packages/dynolab.pth"), *root.glob("envs/*/pyvenv.cfg")]
        return "\n".join(_text(one) for one in files)

    def find() -> list[Path]:
        names = named()
        orphans = [one for one in _below(root, "wheels", "python") if one.name not in names]
        return [*oldest_first(orphans), *oldest_first(_below(root, "envs", "models"))]

    _sweep(root)
    return evict(
        find,
        lambda: list(_below(root, "envs", "models", "wheels", "python")),
        root,
        most_bytes=most_bytes,
        free_bytes=free_bytes,
        keep=keep,
    )


def oldest_first(paths: Iterable[Path]) -> list[Path]:
    """By when they were last used."""
    return sorted(paths, key=_used_s)


def use(folder: Path) -> int | None:
    """Lock a folder against eviction for as long as this process lives; its descriptor, or None where it is not there."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # it goes at this moment
            os.close(file)
            raise
        return file
    return None


def use_own_environment() -> list[int]:
    """The same of the environment that this process runs in, and of the wheels that it names, where it is one of a device's root."""
    environment = Path(sys.prefix)
    if environment.parent.name != "envs":
        return []
    listed = [
        Path(line)
        for one in environment.glob("lib/python*/site-packages/dynolab.pth")
        for line in _text(one).split("\n")
    ]
    found = (use(one) for one in [environment, *(one for one in listed if one.parent.name == "wheels")])
    return [one for one in found if one is not None]


def use_models(files: Iterable[str]) -> list[int]:
    """The same of the folders of models that these files lie in."""
    folders = {parent for one in files for parent in Path(one).parents if parent.parent.name == "models"}
    return [found for one in sorted(folders) if (found := use(one)) is not None]


def _below(root: Path, *kinds: str) -> Iterator[Path]:
    for kind in kinds:
        with suppress(OSError):
            yield from (one for one in (root / kind).iterdir() if one.is_dir() and not one.name.endswith(PARTS))


def _used_s(path: Path) -> float:
    for mark in (*(path / one for one in MARKS), path):
        with suppress(OSError):
            return mark.stat().st_mtime
    return 0.0


def _is_unused(path: Path) -> bool:
    """Whether nobody is at it, and was not just now. A time in the future is of a clock that was wrong, and tells nothing."""
    if 0 <= time.time() - _used_s(path) < GRACE_S:
        return False
    if not path.is_dir():
        return True
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def _removed(path: Path) -> bool:
    """Whether it is gone: what has a name is whole, so it loses its name first."""
    old = path.with_name(f"{path.name}.old")
    try:
        path.rename(old)
    except OSError:
        return False
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)
    return True


def _sweep(root: Path) -> None:
    for kind in ("envs", "models", "wheels", "python"):
        for one in (root / kind).glob("*"):
            with suppress(OSError):
                if one.name.endswith(PARTS) and abs(time.time() - one.stat().st_mtime) > LEFT_S:
                    shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink()


def _bytes(path: Path) -> int:
    """What it takes on the disk."""
    total = 0
    for folder, _, names in os.walk(path) if path.is_dir() else [(str(path.parent), [], [path.name])]:
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).lstat().st_blocks * 512
    return total


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def main(arguments: Sequence[str]) -> None:
    """``ROOT MOST_BYTES FREE_BYTES NAME ...`` on a device: what was removed, and what is free now, as JSON."""
    root, most, free, *keep = arguments
    removed = evict_device(Path(root), most_bytes=int(most), free_bytes=int(free), keep=keep)
    sys.stdout.write(json.dumps({"removed": removed, "free": shutil.disk_usage(root).free}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
