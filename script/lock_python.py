"""Writes src/dynolab/connections/locks/python.json anew: which of Debian's packages make the Python of devices that have none.

    .venv/bin/python script/lock_python.py

On a Debian, whose apt says where the archive is; the names of hosts are not written down. See connections/_python_bundle.py.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.devices.debian import Archive  # noqa: E402 - the path is set first

RELEASE = "trixie"
PYTHON = "python3.13"
PACKAGES = (
    f"{PYTHON}-minimal",
    f"lib{PYTHON}-minimal",
    f"lib{PYTHON}-stdlib",
    "libc6",
    "libstdc++6",
    "gcc-14-base",  # the licence of the one before and the next
    "libgcc-s1",
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "zlib1g",
)
LOCK = ROOT / "src" / "dynolab" / "connections" / "locks" / "python.json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def locked(architecture: str) -> list[dict[str, str | int]]:
    """The packages in their newest versions: path in the archive, size, SHA-256."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for line in Archive(Path(folder), RELEASE, architecture, alone=True).addresses(*PACKAGES):
            address, _, size, digest = line.split()
            path = unquote(urlsplit(address.strip("'")).path)
            name = path[path.index("/pool/") + 1 :]
            found.append({"path": name, "bytes": int(size), "sha256": digest.removeprefix("SHA256:")})
        return sorted(found, key=lambda one: str(one["path"]))


def main() -> None:
    """Write the lock."""
    packages = {name: locked(architecture) for name, architecture in ARCHITECTURES.items()}
    libc = next(
        Path(str(one["path"])).name.split("_")[1] for one in packages["x86_64"] if "/libc6_" in str(one["path"])
    )
    document = {"python": PYTHON.removeprefix("python"), "glibc": libc.split("-")[0], "packages": packages}
    LOCK.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
