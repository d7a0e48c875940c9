"""The folder with all that a hub keeps: made, or found, and closed to others."""

from __future__ import annotations

import stat
from pathlib import Path

from dynolab import private_files
from dynolab.hub.store.blobs import folder_of

OURS = ("blobs", "postgres", "client.ini")
"""What is in a folder where a hub has been."""


def prepare(data: Path, blobs_url: str | None) -> list[str]:
    """Make the data folder, and that of the blobs, and close both; what stays open, in words, for the operator."""
    blobs = folder_of(blobs_url) if blobs_url else None
    for folder in (data, blobs):
        if folder is not None:
            private_files.make_folder(folder)
    found = [closed(data), None if blobs is None else closed(blobs, whole=True)]
    return [told for told in found if told is not None]


def closed(folder: Path, *, whole: bool = False) -> str | None:
    """Close a hub's folder to others; None once it is, else why it stays as it is.

    ``whole``: all that is there is the hub's. Else a folder that holds other things before a hub's first start is somebody's
    home, or everybody's: a mistaken ``--data`` must not change it.
    """
    folder = folder.resolve()
    mode = folder.stat().st_mode
    if not mode & private_files.OTHERS:
        return None
    names = {path.name for path in folder.iterdir()}
    if mode & stat.S_ISVTX or folder in (Path("/"), Path.home()) or not (whole or not names or names & set(OURS)):
        return f"others may look into {folder}, which is not the hub's alone: give the hub a folder of its own"
    try:
        private_files.close(folder)
    except PermissionError as error:
        return (
            f"others may look into {error.filename}, which is another user's: its owner should run chmod -R go= on it"
        )
    return None
