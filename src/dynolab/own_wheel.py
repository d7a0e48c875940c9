"""dynolab itself as a wheel, made of the files that run here: for machines that no package index serves."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from dynolab.errors import Bug

DISTRIBUTION = "dynolab"
DATED = (1980, 1, 1, 0, 0, 0)
"""Of every file inside: the same files make the same wheel."""
KEPT = ("METADATA", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE")
"""What of the metadata of the distribution here belongs to one that is made of it."""


def file_name() -> str:
    """The wheel's name, as pip needs it (PEP 427)."""
    return f"{DISTRIBUTION}-{metadata.version(DISTRIBUTION)}-py3-none-any.whl"


@cache
def content() -> bytes:
    """The wheel, 2 MB; it is made once, in about a second."""
    name = f"{DISTRIBUTION}-{metadata.version(DISTRIBUTION)}.dist-info"
    wheel = "Wheel-Version: 1.0\nGenerator: dynolab\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = [*_package(), *((f"{name}/{path}", data) for path, data in _metadata()), (f"{name}/WHEEL", wheel.encode())]
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files) + f"{name}/RECORD,,\n"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in (*files, (f"{name}/RECORD", record.encode())):
            archive.writestr(_entry(path), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _package() -> Iterator[tuple[str, bytes]]:
    """The package's files, without what Python or an editor left beside them."""
    root = Path(__file__).parent
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root.parent).parts
        if path.is_file() and "__pycache__" not in parts and not any(part.startswith(".") for part in parts):
            yield "/".join(parts), path.read_bytes()


def _metadata() -> Iterator[tuple[str, bytes]]:
    """Files of the distribution's metadata: the same for a checkout, which is installed by a link to its sources."""
    own = metadata.distribution(DISTRIBUTION)
    for name in KEPT:
        text = own.read_text(name)
        if text is not None:
            yield name, text.encode()
        elif name == "METADATA":
            raise Bug(f"the metadata of {DISTRIBUTION} {own.version} is not there")


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, DATED)
    entry.external_attr = 0o644 << 16
    return entry


def _digest(data: bytes) -> str:
    """As RECORD has it (PEP 376)."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")
