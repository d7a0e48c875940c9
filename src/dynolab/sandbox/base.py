"""What a sandbox is: how a process that runs somebody's model is kept from everything else on the device."""

from __future__ import annotations

import marshal
import os
import resource
import stat
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, cast

from dynolab import errors, plugins
from dynolab.sandbox import _seccomp
from dynolab.sandbox._confined import Confined, news_channel
from dynolab.sandbox._environment import CONNECTING, is_tuning, own_environment, scrubbed
from dynolab.sandbox._order import LandlockOrder, MountOrder, Order
from dynolab.sandbox._python import OURS, confine_python
from dynolab.sandbox._users import own_id
from dynolab.spec import untrusted

__all__ = [
    "CONNECTING", "Confined", "Confinement", "Limits", "Sandbox", "accelerators", "all_by_strength", "confine_python",
    "is_tuning", "own_environment", "strongest",
]  # fmt: skip

PACKAGE = "dynolab.sandbox"
CHOICE = "DYNOLAB_SANDBOX"
REQUIRED = "DYNOLAB_REQUIRE_SANDBOX"
DEEPEST = 32
"""Folders inside each other that no runtime's caches and artifacts come near."""
INSTALL = "apt-get install bubblewrap"
_BOOTSTRAP = """
import sys
for name in ("dynolab", "dynolab.sandbox"):
    sys.modules[name] = type(sys)(name)
    sys.modules[name].__path__ = [sys.argv[1] + name[len("dynolab"):].replace(".", "/")]
from dynolab.sandbox._keeper import main
main()
"""
"""Stands for the packages themselves: importing them takes longer than all that the keeper does."""
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a confined process may take. What a limit does not fit is left as it is."""

    memory_bytes: int | None = None
    """Private memory of each process (RLIMIT_DATA); None: what the machine has, swap included."""
    processes: int = 1024 + 64 * (os.cpu_count() or 1)
    """Processes and threads together, besides those that its user has already."""
    file_bytes: int = 64 * _GIB
    """The largest file that may be written."""
    open_files: int = 4096


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a confined process may reach. The first of ``writable`` also holds its home and its temporary files."""

    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    """Nothing is seen but these and the writable ones: :func:`confine_python` tells what Python needs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables on top of the scrubbed ones."""
    limits: Limits = field(default_factory=Limits)
    devices: tuple[Path, ...] = ()
    """Device files that may be used: see :func:`accelerators`."""


class Sandbox(ABC):
    """One means of confining. A plug-in says whether it works here, and how the first process inside is started."""

    name: ClassVar[str]
    rank: ClassVar[int]
    """The strongest has the largest."""

    @property
    @abstractmethod
    def protects(self) -> tuple[str, ...]:
        """What is kept from the process, in words: files, network, processes, system calls."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why it does not work on this system, or None. It is tried, not guessed: :func:`problem` keeps the answer."""

    @abstractmethod
    def wrap(self, confinement: Confinement, order: Order) -> tuple[list[str], Order]:
        """The command that comes before the keeper's (often none), and the keeper's order with this means' part in it."""

    def start(
        self,
        command: Sequence[str],
        confinement: Confinement,
        *,
        cwd: Path | None = None,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> Confined:
        """The process, confined from its first instruction on; it dies with this thread.

        Raises :class:`~dynolab.errors.DeviceUnstable` when the sandbox cannot be set up.
        """
        hand_over(confinement.writable)
        before, order = self.wrap(confinement, _order(command, confinement, cwd))
        ours, theirs = news_channel()
        keeper = [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, str(OURS)]
        with theirs:
            try:
                process = subprocess.Popen(
                    [*before, *keeper, str(theirs.fileno()), marshal.dumps(cast(Any, order)).hex()],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env={"PATH": os.environ.get("PATH", os.defpath)},
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise errors.DeviceUnstable(f"the sandbox {self.name} cannot be started: {error}") from error
        return Confined(process, ours, self.name)

    def trial(self) -> str | None:
        """Why a small program cannot be run inside, or None."""
        with tempfile.TemporaryDirectory(prefix="dynolab-sandbox-") as folder, tempfile.TemporaryFile() as said:
            confinement = Confinement(writable=(Path(folder),), readable=confine_python())
            program = "import pathlib, tempfile; pathlib.Path(tempfile.gettempdir(), 'file').write_text('')"
            try:
                process = self.start([sys.executable, "-I", "-S", "-c", program], confinement, stderr=said)
                code = process.wait(30.0)
                process.kill()
                problem = None if code == 0 else f"a trial ended with code {code}"
            except errors.DeviceUnstable as error:
                problem = error.message
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").strip().splitlines()
            return f"{problem} ({lines[-1]})" if problem and lines else problem


def all_by_strength() -> list[Sandbox]:
    """Every means there is, the strongest first, whether it works here or not."""
    found = [plugins.load(PACKAGE, name) for name in plugins.names(PACKAGE)]
    return sorted((one for one in found if isinstance(one, Sandbox)), key=lambda one: -one.rank)


def strongest(*, required: bool = False) -> Sandbox:
    """The strongest means that works here, or the one that ``DYNOLAB_SANDBOX`` names.

    Raises :class:`~dynolab.errors.PluginMissing` when one is required (so too by ``DYNOLAB_REQUIRE_SANDBOX``) and there is
    none, or the named one does not work.
    """
    named = os.environ.get(CHOICE)
    required = required or bool(os.environ.get(REQUIRED))
    chosen = _named(named) if named else next(one for one in all_by_strength() if problem(one.name) is None)
    if required and not chosen.protects:
        reasons = "; ".join(f"{one.name}: {problem(one.name)}" for one in all_by_strength() if one.protects)
        told = f"{CHOICE} is {named}" if named else reasons
        raise errors.PluginMissing(
            f"a sandbox is required, and there is none here ({told})",
            hint=f"{INSTALL}, or without --require-sandbox",
        )
    return chosen


def require() -> None:
    """Have every process that we start refuse to run a model without a sandbox, and refuse at once where there is none."""
    strongest(required=True)
    os.environ[REQUIRED] = "1"


def _named(name: str) -> Sandbox:
    if name not in plugins.names(PACKAGE):
        raise errors.SpecInvalid(
            f"{CHOICE} is {name!r}, and there is no such sandbox",
            hint=f"one of {', '.join(one.name for one in all_by_strength())}, or unset",
        )
    reason = problem(name)
    if reason is not None:
        raise errors.PluginMissing(
            f"{CHOICE} is {name}, which does not work here: {reason}",
            hint=f"unset {CHOICE} for the strongest that works",
        )
    return _load(name)


def _load(name: str) -> Sandbox:
    found = plugins.load(PACKAGE, name)
    if not isinstance(found, Sandbox):
        raise errors.Bug(f"{PACKAGE}.{name} holds no Sandbox, but {type(found).__name__}")
    return found


_problems: dict[str, str | None] = {}


def problem(name: str) -> str | None:
    """Why a means does not work here, or None; asked once in a process's life."""
    if name not in _problems:
        _problems[name] = _load(name).unavailable()
    return _problems[name]


def working() -> tuple[str, ...]:
    """The means that were found to work so far, for a process of ours on this system to :func:`expect`: a trial takes two processes."""
    return tuple(name for name, reason in _problems.items() if reason is None)


def expect(names: Iterable[str]) -> None:
    """Take these means as working without a trial. One that then does not cannot be set up, which is an error, and no way around it."""
    for name in names:
        _problems.setdefault(name, None)


def unprivileged() -> int | None:
    """The id that a confined process takes on; None: it keeps ours, which is an ordinary one already."""
    return own_id() if os.geteuid() == 0 else None


def accelerators() -> tuple[Path, ...]:
    """Device files of GPUs and NPUs that are there."""
    patterns = ("nvidia*", "dri", "kfd", "accel", "apex_*", "fastrpc-*", "adsprpc-*", "mali*", "rknpu*", "davinci*", "hailo*", "dma_heap")  # fmt: skip
    return tuple(sorted(path for pattern in patterns for path in Path("/dev").glob(pattern)))


def hand_over(folders: Sequence[Path]) -> None:
    """Make the first folder's ``home`` and ``tmp``, and give the folders and what is in them to whom we confine as."""
    for name in ("home", "tmp"):
        (folders[0] / name).mkdir(exist_ok=True)
    give(one for folder in folders for one in (folder, *folder.rglob("*")))


def give(paths: Iterable[Path]) -> None:
    """Make files and folders those of whom we confine as, if that is not who we are.

    Links are given as links, and files with a second name are left: either could be somebody else's.
    """
    user = unprivileged()
    if user is None:
        return
    for path in paths:
        found = path.lstat()
        if found.st_uid != user and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1):
            os.chown(path, user, user, follow_symlinks=False)


def tidy(folders: Sequence[Path]) -> None:
    """Leave nothing in the folders but plain files of one name and folders, all of them open to us.

    A link could lead anybody who reads what a model left to somewhere else, a pipe would make them wait, and folders inside
    folders without end are more than a path or a recursion can take: those below :data:`DEEPEST` go.
    """
    waiting = [(folder, 0) for folder in folders]
    while waiting:
        place, depth = waiting.pop()
        _open(place, 0o700)
        for one in list(place.iterdir()):
            found = one.lstat()
            if stat.S_ISDIR(found.st_mode) and depth < DEEPEST:
                waiting.append((one, depth + 1))
            elif stat.S_ISDIR(found.st_mode):
                untrusted.remove(one)
            elif stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                _open(one, 0o600)
            else:
                one.unlink()


def _open(path: Path, ours: int) -> None:
    """Let the owner use a file or folder, whatever was forbidden."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ours != ours:
        path.chmod(mode | ours)


def told(sandbox: Sandbox) -> str:
    """A sandbox in words: its name, and what it keeps from the process."""
    kept = (
        f" (keeps from the model: {', '.join(sandbox.protects)})"
        if sandbox.protects
        else " (the model runs unconfined)"
    )
    return sandbox.name + kept


def _order(command: Sequence[str], confinement: Confinement, cwd: Path | None) -> Order:
    limits = confinement.limits
    user, calls = unprivileged(), _seccomp.program() or b""
    groups = {path.stat().st_gid for device in confinement.devices for path in (device, *device.rglob("*"))}
    return Order(
        command=list(command),
        environment=scrubbed(confinement.writable[0], confinement.environment),
        cwd=str(cwd or confinement.writable[0]),
        limits={
            "RLIMIT_DATA": limits.memory_bytes or _machine_bytes(),
            "RLIMIT_NPROC": limits.processes + _threads_of(os.geteuid() if user is None else user),
            "RLIMIT_FSIZE": limits.file_bytes,
            "RLIMIT_NOFILE": limits.open_files,
            "RLIMIT_CORE": 0,
        },
        parent=os.getpid(),
        isolated=True,
        user=user,
        groups=sorted(groups - {0}),
        reads_all=user is not None and bool(calls) and any(map(_is_closed, confinement.readable)),
        filter=calls.hex(),
        landlock=None,
        mounts=None,
    )


def _is_closed(path: Path) -> bool:
    """Whether only its owner may read it: root's own, where it keeps its files closed."""
    mode = path.stat().st_mode
    wanted = 0o005 if stat.S_ISDIR(mode) else 0o004
    return mode & wanted != wanted


def filtered() -> tuple[str, ...]:
    """``system calls``, where this kernel, on this machine, takes a filter of them."""
    status = Path("/proc/self/status")
    known = _seccomp.program() is not None and status.exists()
    return ("system calls",) if known and "Seccomp:" in status.read_text() else ()


def _threads_of(user: int) -> int:
    """Threads of a user, those of other sandboxes among them: they count against the limit too.

    Kernels that count each user namespace apart allow that much more.
    """
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            total += place.joinpath("task").stat().st_nlink - 2 if place.stat().st_uid == user else 0
    return total


def _machine_bytes() -> int:
    """Memory and swap of the machine; without /proc, no limit."""
    try:
        rows = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
    except OSError:
        return resource.RLIM_INFINITY
    return sum(int(row[1]) * 1024 for row in rows if row[0] in ("MemTotal:", "SwapTotal:"))


def bindings(confinement: Confinement) -> list[tuple[str, str, bool]]:
    """What is to be seen, as (from, to, whether to write), parents first: for means that build a file system.

    A path that leads over symbolic links is there by both names.
    """
    wanted: dict[Path, bool] = {}
    for path in (*confinement.readable, *confinement.writable):
        writable = path in confinement.writable
        real = path.resolve()
        wanted[real] = writable
        if path.absolute() != real:
            wanted.setdefault(path.absolute(), writable)
    kept: list[tuple[Path, bool]] = []
    above: list[tuple[Path, bool]] = []
    for path, writable in sorted(wanted.items()):
        while above and not path.is_relative_to(above[-1][0]):
            above.pop()
        if not (above and above[-1][1] == writable) and path.exists():
            kept.append((path, writable))
            above.append((path, writable))
    return [(str(path), str(path), writable) for path, writable in kept]


def mount_order(confinement: Confinement) -> MountOrder:
    """The file system of a sandbox that builds one."""
    return MountOrder(
        binds=bindings(confinement), devices=[str(path) for path in confinement.devices], temporary_bytes=_GIB // 4
    )


def landlock_order(confinement: Confinement) -> LandlockOrder:
    """The same as rules on paths. What the kernel tells is in sight, but for what only a tracer of a process may see."""
    return LandlockOrder(
        readable=["/proc", "/sys", *(str(path) for path in confinement.readable)],
        writable=[str(path) for path in confinement.writable],
        devices=[str(path) for path in confinement.devices],
    )
