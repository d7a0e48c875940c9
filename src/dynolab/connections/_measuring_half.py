"""What of this package works on a device, as a zip file: the executor, the worker, and what they import."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path

PARTS = (
    "__init__.py",
    "board_holders.py",
    "errors.py",
    "eviction.py",
    "plugins.py",
    "formats.py",
    "private_files.py",
    "spec",
    "measure",
    "doctor",
    "runtimes",
    "sandbox",
)
"""The rooms up to `measure`, as the import contracts have them, and the doctor, which is a process of its own."""
_NEVER = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can name: the same sources make the same file."""


@cache
def measuring_half() -> tuple[bytes, str]:
    """The zip file, and its SHA-256. It holds the distribution's metadata as well: messages and plug-ins ask for it."""
    root, out = Path(__file__).parents[1], io.BytesIO()
    places = [root / part for part in PARTS]
    files = sorted(
        path for place in places for path in ([place] if place.is_file() else place.rglob("*")) if _is_ours(path)
    )
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.writestr(zipfile.ZipInfo(f"dynolab/{path.relative_to(root)}", _NEVER), path.read_bytes())
        version = metadata.version("dynolab")
        told = f"Metadata-Version: 2.1\nName: dynolab\nVersion: {version}\n"
        archive.writestr(zipfile.ZipInfo(f"dynolab-{version}.dist-info/METADATA", _NEVER), told)
    content = out.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def _is_ours(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts
