"""Who measures on this board now: locks of the kernel's, which end with the process that holds them, for all accounts of the board.

Below a folder that every account can write to, each holder has a file of its own, which it locks (flock(2)) for as long as it
lives and which says who it is. Whoever looks or joins has the folder's own lock meanwhile. What others wrote there may be anything:
it is read as such, and to whom a file belongs is asked of the system.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dynolab.errors import SpecInvalid
from dynolab.measure.holding import Claim, Held, Holder, HolderKind
from dynolab.spec import codec, untrusted

SETTING = "DYNOLAB_LOCKS"
PLACES = ("/dev/shm", "/data/local/tmp")
"""Of Linux with glibc (shm_open(3)): the memory's own, without a service's private /tmp. Of Android: the one that ``shell`` may write to."""
FOLDER, PREFIX = "dynolab-board", "held-"
TEXT_MOST = 200
"""Characters of what a holder says of itself."""
RECORD_MOST_BYTES = 4096
TURN_WITHIN_S = 5.0
"""For the folder's own lock: who has it looks at a few files."""
LOOK_EVERY_S = 1.0


def folder() -> Path:
    """Where the holders' files lie: ``DYNOLAB_LOCKS``, or the same place for all accounts of this board."""
    named = os.environ.get(SETTING)
    if named:
        return Path(named)
    place = next((one for one in PLACES if os.access(one, os.W_OK | os.X_OK)), tempfile.gettempdir())
    return Path(place, FOLDER)


class BoardLock:
    """The board, claimed by this process, until :meth:`release` or the end of the process."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._path: Path | None = None
        self._seen: dict[str, Holder] = {}

    @property
    def is_held(self) -> bool:
        """Whether this process has the board."""
        return self._file is not None

    def take(self, claim: Claim) -> Held:
        """The board, if nobody is there beside whom the claim may not begin. What goes wrong with files is ``trouble``, and the board given."""
        try:
            with _turn(folder()) as root:
                found = dict(_holders(root))
                if any(one.kind not in claim.beside for one in found.values()):
                    return Held(False, tuple(found.values()))
                self._path, self._file = _written(root, claim)
                self._seen = found
        except OSError as error:  # a TimeoutError is one
            return Held(True, trouble=f"who else measures here is not known: {_reason(error)}")
        return Held(True, tuple(found.values()))

    def look(self) -> None:
        """See who else is there now: who comes and goes meanwhile is remembered."""
        if self._path is None:
            return
        with suppress(OSError), _turn(folder()) as root:
            self._seen |= {name: one for name, one in _holders(root) if name != self._path.name}

    @property
    def seen(self) -> Held:
        """All that were there at some time."""
        return Held(True, tuple(self._seen.values()))

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        if self._file is not None and self._path is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
        self._file = self._path = None


def holders() -> tuple[Holder, ...]:
    """Those who measure here now; nobody, where that cannot be told."""
    with suppress(OSError):
        if folder().is_dir():
            with _turn(folder()) as root:
                return tuple(one for _, one in _holders(root))
    return ()


@contextmanager
def _turn(root: Path) -> Iterator[Path]:
    """The folder, made if need be, with its own lock. Raises OSError, TimeoutError."""
    if not root.is_dir():
        with suppress(FileExistsError):
            root.mkdir(parents=True)
            root.chmod(0o1777)  # every account makes files there, and removes its own
    turn = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        until = time.monotonic() + TURN_WITHIN_S
        while True:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError(f"somebody keeps {root} locked") from None
                time.sleep(0.01)
        yield root
    finally:
        os.close(turn)


def _holders(root: Path) -> Iterator[tuple[str, Holder]]:
    """Name and content of the files that are locked; what dead holders left is removed."""
    for path in sorted(root.glob(f"{PREFIX}*")):
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        status = os.fstat(file)
        try:
            if not stat.S_ISREG(status.st_mode):
                continue
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            with suppress(OSError):  # another account's: it takes no room, and goes with the next start of the board
                path.unlink()
        except BlockingIOError:
            yield path.name, _holder(os.read(file, RECORD_MOST_BYTES), status.st_uid)
        finally:
            os.close(file)


def _holder(content: bytes, owner: int) -> Holder:
    """What a holder says of itself, as far as that can be read, and whose it is."""
    account = _account(owner)
    try:
        document = untrusted.load_document(content)
        held_s = max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - float(document["since_s"]))
        claim = codec.decode(Claim, document["claim"], "a holder's claim")
    except (ValueError, KeyError, TypeError, SpecInvalid):
        return Holder(account, "it does not say what for", HolderKind.REACHED, account, 0.0)
    by, what = (untrusted.printable(text)[:TEXT_MOST].replace("\n", " ") for text in (claim.by, claim.what))
    return Holder(by or account, what, claim.kind, account, held_s)


def _account(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def _written(root: Path, claim: Claim) -> tuple[Path, int]:
    """A file of this process's own, locked, and its descriptor."""
    document = {"claim": codec.encode(claim), "since_s": time.clock_gettime(time.CLOCK_BOOTTIME)}
    file, name = tempfile.mkstemp(prefix=PREFIX, dir=root)
    try:
        os.fchmod(file, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, json.dumps(document).encode())
    except BaseException:
        os.close(file)
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name), file


def _reason(error: OSError) -> str:
    return f"{error.strerror} ({error.filename})" if error.strerror else str(error)
