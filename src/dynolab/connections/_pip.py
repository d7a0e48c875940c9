"""Asks this machine's pip for wheels of another machine, and tells why there are none."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

from dynolab.errors import PluginMissing
from dynolab.spec.untrusted import printable

OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
"""Minor versions of glibc 2 that the oldest wheels ask for (PEP 600: manylinux1 is 2.5); other architectures begin with 2.17."""
NEWEST_GLIBC = 60
"""One that is far off: which glibc a wheel needs is asked with it."""
PYTHONS = ((3, 13), (3, 12), (3, 11))
"""Those that dynolab is tested with, to look for wheels of another one."""
OPTIONS = (
    "--only-binary=:all:",
    "--no-deps",
    "--implementation=cp",
    "--no-input",
    "--disable-pip-version-check",
    "--retries=2",
)
NO_LINE = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)")
FETCHED = re.compile(r"^(?:Downloading|Using cached|Processing) (?:\S*/)?([^/\s]+\.whl)(?: \((\d[^)]*)\))?")
UNREACHABLE = re.compile(r"(?:Retrying \(.*after connection broken by|Could not fetch URL|ConnectionError|\bMaxRetry)")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DeviceSystem:
    """What wheels are chosen by.

    ``architecture``: of the device's Python, as wheels name it: ``aarch64``, ``x86_64``. A Python of 32 bits under a kernel
    of 64 says the kernel's in ``platform.machine()``: look at ``struct.calcsize("P")`` too. ``python``: (3, 11). ``libc``:
    what ``platform.libc_ver()`` says there, ``("glibc", "2.36")``; musl often says ``("", "")``.
    """

    architecture: str
    python: tuple[int, int]
    libc: tuple[str, str]

    def __str__(self) -> str:
        """As messages say it."""
        return f"{self.architecture}, Python {self.python[0]}.{self.python[1]}, {' '.join(self.libc).strip()}"

    @property
    def glibc(self) -> int | None:
        """The minor version of its glibc 2; None: it has another C library, or does not say which version."""
        found = re.match(r"2\.(\d+)", self.libc[1])
        return int(found[1]) if self.libc[0] == "glibc" and found else None


def check(system: DeviceSystem) -> None:
    """Refuse what no wheel can be for. Raises :class:`PluginMissing`."""
    asked = metadata.metadata("dynolab")["Requires-Python"]
    version = f"{system.python[0]}.{system.python[1]}"
    if asked and not SpecifierSet(asked).contains(version):
        raise PluginMissing(
            f"the device has Python {version}, and dynolab needs Python {asked}", hint="a newer Python on the device"
        )
    if system.glibc is None:
        has = " ".join(system.libc).strip() or "none that says so: musl, it may be"
        raise PluginMissing(
            f"the runtimes' wheels need glibc as the device's C library; it has {has} ({system.architecture}, Python {version})",
            hint="a system with glibc on the device, such as Debian, Ubuntu or Raspberry Pi OS; not Alpine",
        )


def download(system: DeviceSystem, requirements: Sequence[str], folder: Path, tell: Tell) -> None:
    """Fetch the wheels of these lines of a requirements file, and nothing that they depend on.

    Raises :class:`PluginMissing`: none fits, or no index answers.
    """

    def follow(line: str) -> None:
        if (found := FETCHED.match(line.strip())) is not None:
            tell(f"fetching {found[1]}" + (f" ({found[2]})" if found[2] else ""))

    with tempfile.TemporaryDirectory() as place:
        listed = Path(place, "requirements.txt")
        listed.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
        status, said = _pip("download", *_tags(system), "-d", str(folder), "-r", str(listed), follow=follow)
    if status:
        raise _refusal(system, requirements, said)


def _tags(system: DeviceSystem, glibc: int | None = None, python: tuple[int, int] | None = None) -> list[str]:
    """Options for what runs there. pip takes each tag as it is: an older glibc's is another one, and has to be listed."""
    newest, version = glibc or system.glibc or 0, python or system.python
    oldest = OLDEST_GLIBC.get(system.architecture, 17)
    names = [f"manylinux_2_{minor}" for minor in range(newest, oldest - 1, -1)]
    named = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    names += [name for minor, name in named.items() if oldest <= minor <= newest]
    options = [f"--platform={name}_{system.architecture}" for name in names] or [
        f"--platform=linux_{system.architecture}"
    ]
    return [*options, f"--python-version={version[0]}.{version[1]}"]


def _pip(verb: str, *options: str, follow: Tell = lambda line: None) -> tuple[int, list[str]]:
    """The exit status of pip, and the lines that it said; it ends with us."""
    if importlib.util.find_spec("pip") is None:
        raise PluginMissing("wheels for a device are fetched with pip, which is not installed here", hint=_ensure_pip())
    command = [sys.executable, "-I", "-m", "pip", verb, *OPTIONS, "--progress-bar=off", *options]
    said: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                said.append(printable(line.strip()))
                follow(said[-1])
            return process.wait(), said
        finally:
            process.kill()


def _ensure_pip() -> str:
    return f"{sys.executable} -m ensurepip --upgrade"


def _refusal(system: DeviceSystem, requirements: Sequence[str], said: Sequence[str]) -> PluginMissing:
    text = "\n".join(said)
    if UNREACHABLE.search(text):
        return PluginMissing(
            f"wheels for {system} cannot be fetched: no package index answers",
            hint="connect this machine, or name an index that it reaches: PIP_INDEX_URL",
            details={"log": text[-2000:]},
        )
    none = NO_LINE.search(text)
    if none is None:
        errors = [line.partition(":")[2].strip() for line in said if line.startswith("ERROR:")]
        last = (errors or list(said) or ["nothing"])[-1][:400]
        return PluginMissing(f"wheels for {system} cannot be fetched: pip says: {last}", details={"log": text[-2000:]})
    line = next((one for one in requirements if re.match(re.escape(none[1]) + r"(?![\w.-])", one)), none[1])
    asked = line.partition(" --hash=")[0]
    return PluginMissing(f"there is no wheel of {asked} for {system}", hint=_way_out(system, line))


def _way_out(system: DeviceSystem, line: str) -> str:
    """Which part of the system is in the way: its glibc, its Python, or else its architecture."""
    name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
    if (found := _offered(line, _tags(system, glibc=NEWEST_GLIBC))) is not None:
        needs = min(int(minor) for minor in re.findall(r"manylinux_2_(\d+)", found))
        return (
            f"{name} needs glibc 2.{needs} or newer: a newer system on the device, or runtimes that do without {name}"
        )
    for python in PYTHONS:
        if python != system.python and _offered(line, _tags(system, python=python)) is not None:
            return f"there is one for Python {python[0]}.{python[1]}: install that on the device"
    if _offered(line, _tags(DeviceSystem("x86_64", PYTHONS[0], ("glibc", f"2.{NEWEST_GLIBC}")))) is None:
        return f"no index that pip asks here has it: `pip download {name}` tells more"
    return (
        f"{name} is not offered for {system.architecture}: a system of 64 bits on the device if its processor is one"
        f" (aarch64, x86_64), or runtimes that do without {name}"
    )


def _offered(line: str, tags: Sequence[str]) -> str | None:
    """The file name of the wheel that pip would take; None: there is none. Nothing is installed."""
    with tempfile.TemporaryDirectory() as place:
        listed, report = Path(place, "requirements.txt"), Path(place, "report.json")
        listed.write_text(f"{line}\n", encoding="utf-8")
        options = ["--dry-run", "--ignore-installed", "--target", place, "--report", str(report), "-r", str(listed)]
        status, _ = _pip("install", *tags, *options)
        if status or not report.is_file():
            return None
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return str(installed[0]["download_info"]["url"]).rpartition("/")[2].partition("#")[0] if installed else None
