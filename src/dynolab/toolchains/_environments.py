"""Environments of their own, for tools whose dependencies are not ours: made of a lock file with hashes, once, and kept.

Nothing of them is imported by us: a toolchain starts their Python as a process.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO

import platformdirs

from dynolab import private_files
from dynolab.errors import Conflict, PluginMissing
from dynolab.spec.untrusted import printable

LOCKS = Path(__file__).with_name("locks")
MADE_FILE = "made.json"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_FETCHED = re.compile(r"(?:Collecting ([A-Za-z0-9._-]+)|Processing \S*?([A-Za-z0-9._]+)-[^/\s]+\.whl)")
Note = Callable[[str], None]
"""Is told, in a line, what is done now."""


def root() -> Path:
    """Where environments are kept: ``DYNOLAB_TOOLCHAINS``, or a folder among the user's caches."""
    named = os.environ.get("DYNOLAB_TOOLCHAINS")
    return Path(named).absolute() if named else platformdirs.user_cache_path("dynolab") / "toolchains"


@dataclass(frozen=True)
class Environment:
    """A folder with a Python of its own and what a lock file names; made when it is needed first."""

    name: str
    lock: Path

    @cached_property
    def versions(self) -> dict[str, str]:
        """Version by distribution, as locked."""
        return dict(_PINNED.findall(self.lock.read_text(encoding="utf-8")))

    @cached_property
    def folder(self) -> Path:
        """Another one for another lock, another Python, and another place of Python: its programs lead there."""
        python = f"{sys.implementation.cache_tag} {sysconfig.get_platform()} {sys.base_prefix}"
        digest = sha256(self.lock.read_bytes() + python.encode()).hexdigest()
        return root() / f"{self.name}-{digest[:16]}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def is_made(self) -> bool:
        """Whether all of it is there, the Python that it was made with included."""
        return (self.folder / MADE_FILE).is_file() and self.python.exists()

    @property
    def bytes(self) -> int | None:
        """How much it takes; None: it is not made."""
        return int(json.loads((self.folder / MADE_FILE).read_text())["bytes"]) if self.is_made else None

    def make(self, note: Note) -> None:
        """Make it unless it is there; whoever makes it already is waited for.

        It is built beside its place and renamed in the end, so what was cut short is never taken for it.
        Raises :class:`PluginMissing` with the installer's reason.
        """
        if self.is_made:
            return
        with _lock(
            self.folder, fcntl.LOCK_EX, note, f"waiting for another process that makes the environment of {self.name}"
        ) as held:
            if self.is_made:
                return
            part = self.folder.with_name(f"{self.folder.name}.part")
            try:
                _remove(part, self.folder)
                self._build(part, held, note)
                size = sum(path.lstat().st_size for path in part.rglob("*") if path.is_file())
                (part / MADE_FILE).write_text(json.dumps({"bytes": size, "versions": self.versions}))
                part.rename(self.folder)
            except OSError as error:
                raise self._refusal(f"{error.strerror}: {error.filename}") from error
            finally:
                _remove(part)

    @contextmanager
    def in_use(self, note: Note) -> Iterator[Path]:
        """Its interpreter, made first if need be; until the end of the block nobody removes it."""
        while True:
            self.make(note)
            with _lock(self.folder, fcntl.LOCK_SH, note, f"waiting for the environment of {self.name}"):
                if self.is_made:  # it could be removed between the two
                    yield self.python
                    return

    def _build(self, part: Path, held: int, note: Note) -> None:
        """``held``: the lock, which the installer holds too, should we be killed and it go on."""
        note(f"making the environment of {self.name}, once: {len(self.versions)} distributions")
        pip = importlib.util.find_spec("pip") is not None
        with tempfile.TemporaryFile("w+") as said:
            venv = [sys.executable, "-I", "-m", "venv", *(["--without-pip"] if pip else []), str(part)]
            if _run(venv, held, said, lambda line: None):
                raise self._refusal(_last_words(said), hint="on Debian and Ubuntu: apt-get install python3-venv")
        python = str(part / "bin" / "python")
        installer = [sys.executable, "-I", "-m", "pip", "--python", python] if pip else [python, "-I", "-m", "pip"]
        # onnx2tf, for one, asks for a newer Python than it needs; what is installed was chosen with the lock, so nothing else
        # is asked for. Only wheels: a source's own program is not run.
        options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python"]
        quiet = ["--progress-bar", "off", "--disable-pip-version-check", "--no-input"]
        fetched: list[str] = []

        def tell(line: str) -> None:
            if (found := _FETCHED.search(line)) is not None:
                fetched.append(found[1] or found[2])
                note(f"environment of {self.name}: {fetched[-1]} ({len(fetched)} of {len(self.versions)})")
            elif line.startswith("Installing"):
                note(f"environment of {self.name}: installing")

        with tempfile.TemporaryFile("w+") as said:
            if _run([*installer, "install", *options, *quiet, "-r", str(self.lock)], held, said, tell):
                raise self._refusal(f"pip says: {_last_words(said)}")

    def _refusal(self, reason: str, hint: str | None = None) -> PluginMissing:
        retry = f"with a connection to a package index, again: dynolab toolchains install {self.name}"
        return PluginMissing(f"the environment of {self.name} cannot be made: {reason}", hint=hint or retry)


def environment(name: str) -> Environment:
    """That of a lock file of ours."""
    return Environment(name, LOCKS / f"{name}.txt")


def remove(name: str) -> int:
    """How many bytes are free after all environments of a name went, those of other locks and Pythons, too.

    Raises :class:`Conflict` while one is in use.
    """
    freed = 0
    for place in sorted(path for path in root().glob(f"{name}-*") if path.is_dir()):
        folder = place.with_name(place.name.removesuffix(".part"))
        with _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB, lambda text: None, ""):
            freed += sum(path.lstat().st_size for path in place.rglob("*") if path.is_file())
            _remove(place)
    return freed


@contextmanager
def _lock(folder: Path, kind: int, note: Note, waiting: str) -> Iterator[int]:
    """The lock beside a folder, held: its descriptor. Raises :class:`Conflict` where one is not to wait for it."""
    private_files.make_folder(folder.parent)
    descriptor = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if kind & fcntl.LOCK_NB:
                raise Conflict(f"{folder} is in use", hint="try again when nothing is compiled or installed") from error
            note(waiting)
            fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def _run(command: Sequence[str], held: int, said: IO[str], tell: Note) -> int:
    """The exit code of a program whose lines are told and kept in ``said``; it ends with us."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(held,),
    ) as process:
        try:
            for line in process.stdout or ():
                said.write(line)
                tell(line.strip())
            return process.wait()
        finally:
            process.kill()


def _last_words(said: IO[str]) -> str:
    """The last error that an installer told of, or its last line."""
    said.seek(0)
    lines = [printable(line.strip()) for line in said.read().splitlines() if line.strip()]
    errors = [line.partition(":")[2].strip() for line in lines if line.upper().startswith("ERROR:")]
    return (errors or lines or ["nothing"])[-1][:400]


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
