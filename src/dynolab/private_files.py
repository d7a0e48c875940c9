"""Files and folders for their owner's eyes only, whichever umask a process was started with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS = 0o077
"""The bits of a mode that let in somebody else."""


def close_new_files() -> None:
    """Have everything that this process and its children make from now on be closed to others."""
    os.umask(OTHERS)


def make_folder(path: Path) -> None:
    """Make the folder, if it is not there, and those above it: all closed, as the XDG Base Directory Specification asks for."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write(path: Path, text: str) -> None:
    """A file with this text, whole or not at all, in a folder that is made if need be."""
    make_folder(path.parent)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)  # it may have been left there, with another mode
        file.write(text)
    partial.replace(path)


def close(folder: Path) -> None:
    """Take the folder, and all below it, from others. Raises PermissionError for what is another user's.

    The folder itself comes last, so that who was cut short begins anew.
    """
    for inner, _, names in os.walk(folder, topdown=False):
        for name in names:
            _close(Path(inner, name))
        _close(Path(inner))


def _close(path: Path) -> None:
    mode = path.lstat().st_mode
    if mode & OTHERS and not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)
