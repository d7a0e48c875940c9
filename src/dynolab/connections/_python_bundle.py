"""A Python for devices that have none, or one too old: CPython with a C library of its own, made here of Debian's packages.

It is started through its own loader, so it runs where there is no C library at all (a phone), or an old one. Nothing of it comes with
dynolab: the packages are fetched by the digests in ``locks/python.json``, and their licences travel along (``share/doc``).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import platformdirs

from dynolab import private_files
from dynolab.connections import _debian
from dynolab.connections._debian import Package
from dynolab.connections.base import Tell
from dynolab.errors import PluginMissing

LOCK = Path(__file__).with_name("locks") / "python.json"
FORM = 1
"""Of what is kept: another one is made anew."""
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
"""By architecture, as its ABI names it."""
LIBRARIES = frozenset(
    [
        "libbz2.so.1.0",
        "libc.so.6",
        "libdl.so.2",
        "libexpat.so.1",
        "libffi.so.8",
        "libgcc_s.so.1",
        "liblzma.so.5",
        "libm.so.6",
        "libmvec.so.1",
        "libnss_files.so.2",
        "libpthread.so.0",
        "libresolv.so.2",
        "librt.so.1",
        "libstdc++.so.6",
        "libutil.so.1",
        "libz.so.1",
    ]
)
"""What Python and the runtimes' wheels are linked to (PEP 600 lists what a wheel may ask of a system)."""
STANDARD = re.compile(r"\./usr/lib/(python3\.\d+/.+)")
LICENCE = re.compile(r"\./usr/share/doc/([^/]+/copyright)")
LEFT_OUT = re.compile(
    r"python3\.\d+/(?:test|tkinter|idlelib|ensurepip|turtledemo|pydoc_data|lib2to3|curses|dbm|sqlite3|_sysconfigdata_d_?.*|sitecustomize\.py"
    r"|EXTERNALLY-MANAGED|config-3.*)(?:/|$)"
    r"|python3\.\d+/lib-dynload/_?(?:asyncio_test|crypt|ctypes_test|curses|curses_panel|dbm|gdbm|hashlib|interp.*|nis|readline|sqlite3|ssl|test.*"
    r"|tkinter|uuid|xxlimited.*|xx.*)\.cpython"
)
"""What a model's process never imports, or what needs libraries that do not come along."""


@dataclass(frozen=True, slots=True)
class PythonBundle:
    """An archive (``.tar.gz``) on this machine, and what it holds: ``bin/python3.N``, ``lib``, the loader among them."""

    path: Path
    sha256: str
    bytes_unpacked: int
    python: tuple[int, int]
    glibc: str
    loader: str


def python_bundle(architecture: str, tell: Tell) -> PythonBundle:
    """The bundle for an architecture (``aarch64``), made now if it is not there yet; ``tell`` hears so.

    Raises :class:`PluginMissing` for an architecture that has none, and where packages cannot be had.
    """
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    if architecture not in lock["packages"]:
        known = ", ".join(sorted(lock["packages"]))
        raise PluginMissing(
            f"there is no Python of dynolab's own for {architecture or 'an unknown architecture'}: there is one for {known}",
            hint="install Python 3.11 or newer on the device",
        )
    packages = tuple(_debian.package_of(one) for one in lock["packages"][architecture])
    key = sha256(json.dumps([FORM, architecture, [one.sha256 for one in packages]]).encode()).hexdigest()[:32]
    path = platformdirs.user_cache_path("dynolab") / "python" / f"{key}.tar.gz"
    if not path.exists():
        megabytes = sum(one.bytes for one in packages) / 1e6
        tell(f"making a Python for {architecture} of Debian's packages ({megabytes:.0f} MB are fetched once)")
        _make(path, packages, LOADERS[architecture])
    os.utime(path)  # it is used now: eviction goes by that
    return _described(path, lock, LOADERS[architecture])


def _described(path: Path, lock: dict[str, Any], loader: str) -> PythonBundle:
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    with path.open("rb") as file:
        file.seek(-4, io.SEEK_END)  # RFC 1952: the size before compression ends the file
        unpacked = int.from_bytes(file.read(4), "little")
    major, minor = map(int, lock["python"].split("."))
    return PythonBundle(path, digest, unpacked, (major, minor), lock["glibc"], loader)


def _make(path: Path, packages: tuple[Package, ...], loader: str) -> None:
    """Write the archive, the same bytes for the same packages; it is there whole or not at all."""
    entries: dict[str, tuple[int, bytes]] = {}
    for package in packages:
        entries.update(_chosen(_debian.fetch(package)))
    for needed in (f"lib/{loader}", "lib/libc.so.6", "lib/libstdc++.so.6"):
        if needed not in entries:
            raise PluginMissing(
                f"Debian's packages hold no {needed}", hint="write the lock anew: script/lock_python.py"
            )
    private_files.make_folder(path.parent)
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")  # two commands may make it at the same time
    with (
        partial.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(entries):
            mode, content = entries[name]
            head = tarfile.TarInfo(name)
            head.size, head.mode = len(content), mode
            archive.addfile(head, io.BytesIO(content))
    partial.replace(path)


def _chosen(package: bytes) -> Iterator[tuple[str, tuple[int, bytes]]]:
    """Name, mode and content of what the bundle takes of a package; links become copies of what they lead to."""
    files: dict[str, tuple[int, bytes]] = {}
    links: dict[str, str] = {}
    with _debian.opened(package) as archive:
        for member in archive:
            if member.isfile() and (content := archive.extractfile(member)) is not None:
                files[member.name] = (member.mode & 0o755, content.read())
            elif member.issym():
                links[member.name] = str(Path(member.name).parent / member.linkname)
    for name, target in links.items():
        found = files.get(f"./{target}" if not target.startswith("./") else target)
        if found is not None:
            files[name] = found
    for name, file in files.items():
        if (place := _place(name)) is not None:
            yield place, file


def _place(name: str) -> str | None:
    """Where a file of a package lies in the bundle; None: it is not taken."""
    if re.fullmatch(r"\./usr/bin/python3\.\d+", name):
        return f"bin/{Path(name).name}"
    if found := LICENCE.fullmatch(name):
        return f"share/doc/{found[1]}"
    if (found := STANDARD.fullmatch(name)) and not LEFT_OUT.match(found[1]):
        return f"lib/{found[1]}"
    file = Path(name).name
    return f"lib/{file}" if file in LIBRARIES or file in LOADERS.values() else None
