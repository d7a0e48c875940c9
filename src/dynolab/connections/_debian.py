"""Packages of Debian's archive, locked by digest, from wherever this machine or its user says that an archive is."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from dynolab.errors import PluginMissing

ARCHIVE = "DYNOLAB_DEBIAN_ARCHIVE"
"""The setting that names an archive: the address that ``pool/`` lies below, or a folder with the packages."""
ANSWERS_WITHIN_S = 30.0
MAGIC = b"!<arch>\n"
HEAD_BYTES = 60
"""ar(5): a name of 16 bytes, times and owners, the size in bytes 48 to 58, and two more."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package file: where it lies in an archive (``pool/…``), its size, its digest."""

    path: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        return Path(self.path).name.partition("_")[0]

    @property
    def file(self) -> str:
        return Path(self.path).name


def package_of(document: Mapping[str, Any]) -> Package:
    """A package as a lock file writes it."""
    return Package(str(document["path"]), int(document["bytes"]), str(document["sha256"]))


def fetch(package: Package) -> bytes:
    """The package file, whose digest is the locked one. Raises :class:`PluginMissing` with what each archive said."""
    said = []
    for archive in archives():
        try:
            content = _read(archive, package)
        except OSError as error:  # urllib's errors are some of these
            said.append(f"{archive}: {error}")
            continue
        if sha256(content).hexdigest() == package.sha256:
            return content
        said.append(f"{archive}: another file under this name")
    raise PluginMissing(
        f"{package.file} of Debian cannot be had" + "".join(f"; {one}" for one in said),
        hint=f"set {ARCHIVE} to the address of an archive that has it (Debian's snapshot service keeps every version), "
        "or to a folder that it was saved in",
    )


def archives() -> tuple[str, ...]:
    """Addresses or folders to look in: what the setting says, else what apt is set up with on a Debian."""
    named = os.environ.get(ARCHIVE)
    if named:
        return (named.rstrip("/"),)
    if not shutil.which("apt-get"):
        return ()
    form = "$(REPO_URI) $(COMPONENT) $(ORIGIN)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = [line.split() for line in done.stdout.splitlines()]
    found = [words[0].rstrip("/") for words in lines if words[1:] == ["main", "Debian"]]
    return tuple(dict.fromkeys(found))


def _read(archive: str, package: Package) -> bytes:
    """What lies there under the package's name, up to its size and a byte."""
    if "://" not in archive:
        with Path(archive, package.file).open("rb") as file:
            return file.read(package.bytes + 1)
    with urllib.request.urlopen(f"{archive}/{quote(package.path)}", timeout=ANSWERS_WITHIN_S) as answer:
        return bytes(answer.read(package.bytes + 1))


@contextmanager
def opened(package: bytes) -> Iterator[tarfile.TarFile]:
    """The files of a package (deb(5)): the member ``data.tar`` of an ar archive. Raises :class:`PluginMissing` for another compression."""
    for name, content in _members(package):
        if name.startswith("data.tar"):
            with _decompressed(name, content) as data, tarfile.open(fileobj=data, mode="r|") as archive:
                yield archive
            return
    raise PluginMissing("a package of Debian holds no files", hint="write the lock anew")


def _members(package: bytes) -> Iterator[tuple[str, bytes]]:
    at = len(MAGIC)
    while at + HEAD_BYTES <= len(package):
        name = package[at : at + 16].decode("ascii").strip().rstrip("/")
        size = int(package[at + 48 : at + 58])
        at += HEAD_BYTES
        yield name, package[at : at + size]
        at += size + size % 2


def _decompressed(name: str, content: bytes) -> IO[bytes]:
    if name != "data.tar.xz":
        raise PluginMissing(
            f"a package of Debian is compressed as {name}", hint="write the lock anew: dynolab reads .xz"
        )
    return lzma.open(BytesIO(content))
