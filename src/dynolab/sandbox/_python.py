"""What a Python process must be able to read: its own installation and the libraries below it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

OURS = Path(__file__).parents[1]
"""The folder of dynolab's own package."""
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/localtime", "/etc/timezone", "/etc/alternatives", "/etc/OpenCL", "/etc/vulkan", "/opt/rocm", "/opt/intel",
    "/nix/store", "/gnu/store", "/system", "/vendor", "/apex",
)  # fmt: skip
"""Programs and shared libraries; the last three are Android's."""


def confine_python() -> tuple[Path, ...]:
    """The paths that a Python process like this one reads to start and to import; those that exist, none within another.

    A path of ``sys.path`` that holds the user's home (or is it) is left out: of a checkout there, only our own package.
    """
    wanted = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).absolute().parent]
    wanted += [Path(entry).absolute() for entry in sys.path[_skipped() :] if entry]
    wanted += [Path(path) for path in _SYSTEM]
    wanted += _library_folders()
    wanted += [OURS, *([Path(sys.pycache_prefix)] if sys.pycache_prefix else [])]
    homes = _homes()
    return outermost(path for path in set(wanted) if path.exists() and not _is_common(path) and not _holds(path, homes))


def _skipped() -> int:
    """How many entries stand before those of the installation: the script's folder, which ``-P`` leaves out."""
    first = Path(sys.path[0]).absolute()
    return int(not sys.flags.safe_path and first in (Path.cwd(), Path(sys.argv[0]).absolute().parent))


def _is_common(path: Path) -> bool:
    """Whether anybody may leave files there, as in /tmp."""
    return path.is_dir() and bool(path.stat().st_mode & 0o002)


def _homes() -> frozenset[Path]:
    """Folders that are somebody's home, or above one: by their names, and by where those lead."""
    homes = (Path.home(), Path("/root"), Path("/home/someone"))
    return frozenset(above for home in homes for one in (home, home.resolve()) for above in (one, *one.parents))


def _holds(path: Path, homes: frozenset[Path]) -> bool:
    """Whether somebody's home would lie open with this path."""
    return path in homes or path.resolve() in homes


def outermost(paths: Iterator[Path]) -> tuple[Path, ...]:
    """The paths, sorted, without those that lie within another."""
    kept: list[Path] = []
    for path in sorted(set(paths)):  # each stands behind all that it lies within, and these are next to each other
        if not kept or not path.is_relative_to(kept[-1]):
            kept.append(path)
    return tuple(kept)


def _library_folders() -> list[Path]:
    """Where the loader looks besides the usual folders (ld.so(8))."""
    found = [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry.startswith("/")]
    for file in (Path("/etc/ld.so.conf"), *sorted(Path("/etc/ld.so.conf.d").glob("*.conf"))):
        if file.is_file() and os.access(file, os.R_OK):
            found += [Path(line.strip()) for line in file.read_text().splitlines() if line.startswith("/")]
    found += [Path(file) for file in os.environ.get("LD_PRELOAD", "").replace(" ", ":").split(":") if file[:1] == "/"]
    return found
