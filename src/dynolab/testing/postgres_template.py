"""A hub's PostgreSQL folder, made once for many tests: whole, with the newest schema; each hub begins with a copy."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from dynolab import private_files
from dynolab.hub.store.postgres import Postgres
from dynolab.testing.databases import Databases
from dynolab.testing.once import once

TEMPLATE = "TEST_POSTGRES_TEMPLATE"
"""Names the folder in which it is kept; not set: every hub makes its own."""


def give(data: Path, environment: Mapping[str, str]) -> None:
    """Have a hub's new data folder begin with a copy, where a template is to be had.

    What is there already, or open to others, stays as it is: how a hub treats that is for the hub to show.
    """
    place = environment.get(TEMPLATE)
    if not place or environment.get("DYNOLAB_DATABASE_URL") or not _is_new(data):
        return
    private_files.make_folder(data)
    folder = Path(place) / "postgres"
    once(folder.parent, lambda: _make(folder))
    copy = ["cp", "--archive", "--reflink=auto", str(folder), str(data / "postgres")]
    subprocess.run(copy, check=True)


def _is_new(data: Path) -> bool:
    if not data.exists():
        return True
    return data.is_dir() and not data.stat().st_mode & private_files.OTHERS and not any(data.iterdir())


def _make(folder: Path) -> None:
    server = Postgres.start(folder)
    try:
        Databases(server.dsn).prepare()
    finally:
        server.stop()
