"""Which wheels a device needs, fetched on this machine: for its architecture, its Python and its C library.

pip fetches them, from whichever index it is set up for. It evaluates the markers of dependencies (``python_version < "3.13"``)
for the Python that it runs in, not for ``--python-version``, so it is asked for single distributions, and what they
depend on is read from their own metadata here. What is locked comes in the locked version, by its hash.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from functools import cache
from hashlib import file_digest, sha256
from importlib import metadata
from pathlib import Path

import platformdirs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from dynolab import eviction, private_files
from dynolab.connections import _pip
from dynolab.connections._pip import DeviceSystem, Tell
from dynolab.errors import NotFound, PluginMissing, SpecInvalid

__all__ = ["DeviceSystem", "Wheel", "applies", "requirements_of", "wheels_for"]

LOCK = Path(__file__).with_name("locks") / "devices.txt"
KEPT_FORM = 1
"""Of what is kept on the disk of an answer; another one is another answer."""
KEEPS, KEEPS_BYTES = "DYNOLAB_CACHE_BYTES", 8 * 10**9
"""Of wheels, and Pythons for devices without one, that are kept here, at most."""
FREE_BYTES = 500 * 10**6
"""What is to be free on the disk; with less, wheels go."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
LEFT_S = 24 * 3600
"""After which a folder that a killed process was fetching into is removed."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel file on this machine, kept by its digest."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The distribution, normalised as the package index does."""
        return str(parse_wheel_filename(self.path.name)[0])

    @property
    def version(self) -> str:
        """Its version."""
        return str(parse_wheel_filename(self.path.name)[1])


def requirements_of(system: DeviceSystem, extras: Iterable[str] = (), *, base: bool = True) -> tuple[str, ...]:
    """What dynolab itself asks for on such a system: always (``base``), and for extras such as ``litert``. Sorted.

    Read from the metadata of the distribution that is installed here. Raises :class:`NotFound` for an extra that it lacks.
    """
    wanted, known = list(extras), metadata.metadata("dynolab").get_all("Provides-Extra") or []
    for extra in wanted:
        if extra not in known:
            raise NotFound(f"dynolab has no extra {extra!r}", hint=f"known: {', '.join(sorted(known))}")
    found = set[str]()
    for line in metadata.requires("dynolab") or ():
        one = Requirement(line)
        always = one.marker is None or one.marker.evaluate(_environment(system, ""))
        if base if always else any(one.marker.evaluate(_environment(system, extra)) for extra in wanted if one.marker):
            one.marker = None
            found.add(str(one))
    return tuple(sorted(found))


def applies(system: DeviceSystem, requirement: Requirement) -> bool:
    """Whether a requirement, by its marker, is one of such a system; those of extras are none."""
    return requirement.marker is None or requirement.marker.evaluate(_environment(system, ""))


def wheels_for(system: DeviceSystem, requirements: Sequence[str], tell: Tell) -> tuple[Wheel, ...]:
    """The wheels of these requirements (PEP 508) and of all that they depend on, by name; ``tell`` hears what is fetched.

    The same question is answered from this machine's disk the next time, without an index. Raises :class:`PluginMissing`
    with the way out where there are none for the device's architecture, Python or C library, or no index answers;
    :class:`SpecInvalid` for a requirement that is none.
    """
    _pip.check(system)
    wanted = _parsed(requirements)
    question = [KEPT_FORM, system.architecture, system.python, system.libc, sorted(map(str, wanted)), _lock_digest()]
    answer = _folder() / "answers" / f"{sha256(json.dumps(question).encode()).hexdigest()[:32]}.json"
    if (kept := _read(answer)) is not None:
        return kept
    with _fetching() as folder:
        search = _Search(system, folder, tell)
        search.close_over(wanted)
        wheels = tuple(sorted(map(_keep, search.found.values()), key=lambda one: one.name))
    private_files.write(answer, json.dumps([[one.sha256, one.path.name] for one in wheels]))
    _bound()
    return wheels


def _bound() -> None:
    """Remove wheels that were used least lately, where more are kept than is wanted, or the disk is nearly full."""
    text = os.environ.get(KEEPS) or str(KEEPS_BYTES)
    if not text.isdecimal():
        raise SpecInvalid(f"{KEEPS}={text[:100]!r} is no number of bytes", hint=f"such as {KEEPS_BYTES}")

    def kept() -> list[Path]:
        pythons = (_folder().parent / "python").glob("*.tar.gz")  # of devices without one: made again when needed
        wheels = (one for one in _folder().iterdir() if _DIGEST.fullmatch(one.name))
        return eviction.oldest_first([*wheels, *pythons])

    eviction.evict(kept, kept, _folder(), most_bytes=int(text), free_bytes=FREE_BYTES)


@dataclass
class _Search:
    """Fetches level by level: what is asked for, what that depends on, and so on."""

    system: DeviceSystem
    folder: Path
    tell: Tell
    found: dict[str, Path] = field(default_factory=dict)
    _asked: set[tuple[str, str]] = field(default_factory=set)
    """Name and extra (empty: none) whose dependencies were looked up."""

    def close_over(self, wanted: Sequence[Requirement]) -> None:
        level = list(wanted)
        while level:
            _fetch(self.system, self._new(level), self.folder, self.tell)
            self._take()
            for one in level:
                self._check(one)
            level = [below for one in level for below in self._dependencies(one)]

    def _new(self, level: Sequence[Requirement]) -> dict[str, SpecifierSet]:
        """What is not here yet: the versions that fit everybody of this level, by name."""
        new: dict[str, SpecifierSet] = {}
        for one in level:
            name = canonicalize_name(one.name)
            if name not in self.found:
                new[name] = new.get(name, SpecifierSet()) & one.specifier
        return new

    def _take(self) -> None:
        for path in self.folder.glob("*.whl"):
            self.found.setdefault(parse_wheel_filename(path.name)[0], path)

    def _check(self, one: Requirement) -> None:
        path = self.found[canonicalize_name(one.name)]
        version = parse_wheel_filename(path.name)[1]
        if not one.specifier.contains(version, prereleases=True):
            raise PluginMissing(
                f"{one} is needed, and {path.name} is what fits the rest", hint="ask for fewer runtimes at once"
            )

    def _dependencies(self, one: Requirement) -> Iterator[Requirement]:
        name = canonicalize_name(one.name)
        for extra in ("", *sorted(one.extras)):
            if (name, extra) in self._asked:
                continue
            self._asked.add((name, extra))
            for below in _requires(self.found[name]):
                if canonicalize_name(below.name) == "dynolab":  # it is there, and no index need have it
                    continue
                if below.marker is None or below.marker.evaluate(_environment(self.system, extra)):
                    yield below


def _fetch(system: DeviceSystem, new: Mapping[str, SpecifierSet], folder: Path, tell: Tell) -> None:
    """Fetch distributions: the locked ones by their hashes, the others in the newest version that fits."""
    locked = _lock(system)
    hashed = [locked[name] for name in new if name in locked]
    free = [f"{name}{specifier}" for name, specifier in new.items() if name not in locked]
    if hashed:
        _pip.download(system, hashed, folder, tell)
    if free:
        _pip.download(system, free, folder, tell)


def _parsed(requirements: Sequence[str]) -> list[Requirement]:
    try:
        return [Requirement(one) for one in requirements]
    except InvalidRequirement as error:
        raise SpecInvalid(f"what a device is to have is no requirement: {error}", hint="such as numpy>=2.3") from error


def _environment(system: DeviceSystem, extra: str) -> dict[str, str]:
    """What markers ask of (PEP 508), as the device's Python would answer; of the oldest patch, which needs the most."""
    python = f"{system.python[0]}.{system.python[1]}"
    return {
        "extra": extra,
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": system.architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def _requires(wheel: Path) -> list[Requirement]:
    """What the metadata of a wheel asks for, markers and all."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.count("/") == 1 and one.endswith(".dist-info/METADATA"))
        headers = BytesParser().parsebytes(archive.read(name), headersonly=True)
    return [Requirement(line) for line in headers.get_all("Requires-Dist") or ()]


@cache
def _lock_lines() -> tuple[str, ...]:
    """An entry a line, hashes included."""
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", " ")
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _lock_digest() -> str:
    return sha256("\n".join(_lock_lines()).encode()).hexdigest()


def _lock(system: DeviceSystem) -> dict[str, str]:
    """What is locked for such a system: by name, a line for pip with version and hashes."""
    found = {}
    for line in _lock_lines():
        asked, mark, hashes = line.partition(" --hash=")
        one = Requirement(asked)
        if one.marker is None or one.marker.evaluate(_environment(system, "")):
            found[canonicalize_name(one.name)] = f"{one.name}{one.specifier}{mark}{hashes}"
    return {str(name): line for name, line in found.items()}


def _folder() -> Path:
    """Where wheels are kept: ``wheels/SHA-256/FILE`` among the user's caches."""
    return platformdirs.user_cache_path("dynolab") / "wheels"


@contextmanager
def _fetching() -> Iterator[Path]:
    """A folder to fetch into, gone at the end; those of killed processes go as well."""
    private_files.make_folder(_folder())
    for left in _folder().glob("new-*"):
        if time.time() - left.stat().st_mtime > LEFT_S:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="new-", dir=_folder()) as folder:
        yield Path(folder)


def _keep(path: Path) -> Wheel:
    """A fetched file in its place; one that another process put there meanwhile is the same."""
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    target = _folder() / digest / path.name
    private_files.make_folder(target.parent)
    path.replace(target)
    os.utime(target.parent)
    return Wheel(target, digest)


def _read(answer: Path) -> tuple[Wheel, ...] | None:
    """What was found before, if all of it is still there; None: it is to be looked for."""
    try:
        kept = json.loads(answer.read_text(encoding="utf-8"))
        wheels = tuple(Wheel(_folder() / digest / name, digest) for digest, name in kept)
    except (OSError, ValueError):
        return None
    if not all(one.path.is_file() for one in wheels):
        return None
    for one in wheels:
        with suppress(OSError):
            os.utime(one.path.parent)  # it is used now: eviction goes by that
    return wheels
