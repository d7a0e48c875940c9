"""Who measures on this board now: locks of the kernel's, which end with the process that holds them, for all accounts of the board.

Each holder has a file of its own, which says who it is (:mod:`dynolab.board_holders`).
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dynolab.board_holders import PREFIX, folder, held_files, now_s, turn
from dynolab.spec import codec
from dynolab.spec.holding import Claim, Held, Holder, holder_of

LOOK_EVERY_S = 1.0


class BoardLock:
    """The board, claimed by this process, until :meth:`release` or the end of the process."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._path: Path | None = None
        self._record = b""
        self._seen: dict[str, Holder] = {}

    @property
    def is_held(self) -> bool:
        """Whether this process has the board."""
        return self._file is not None

    def take(self, claim: Claim) -> Held:
        """The board, if nobody is there beside whom the claim may not begin. What goes wrong with files is ``trouble``, and the board given."""
        try:
            with turn(folder()) as root:
                found = dict(_holders(root))
                if any(one.kind not in claim.beside for one in found.values()):
                    return Held(False, tuple(found.values()))
                self._record = json.dumps({"claim": codec.encode(claim), "since_s": now_s()}).encode()
                self._path, self._file = _written(root, self._record)
                self._seen = found
        except OSError as error:
            return Held(True, trouble=f"who else measures here is not known: {_reason(error)}")
        return Held(True, tuple(found.values()))

    def look(self) -> None:
        """See who else is there now: who comes and goes meanwhile is remembered. A file that somebody removed is made anew."""
        if self._path is None or self._file is None:
            return
        with suppress(OSError), turn(folder()) as root:
            if not self._path.exists():
                os.close(self._file)
                self._path, self._file = _written(root, self._record)
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
            with turn(folder()) as root:
                return tuple(one for _, one in _holders(root))
    return ()


def _holders(root: Path) -> Iterator[tuple[str, Holder]]:
    for name, content, owner in held_files(root):
        yield name, holder_of(content, owner, now_s())


def _written(root: Path, record: bytes) -> tuple[Path, int]:
    """A file of this process's own, locked, and its descriptor."""
    file, name = tempfile.mkstemp(prefix=PREFIX, dir=root)
    try:
        os.fchmod(file, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, record)
    except BaseException:
        os.close(file)
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name), file


def _reason(error: OSError) -> str:
    return f"{error.strerror} ({error.filename})" if error.strerror else str(error)
