"""Sessions that were left on a device: what a process of this account that was killed has there is ended by the next one.

Each session has a file of its own here, locked by the kernel for as long as its process lives. The device is not asked who is gone:
only this machine knows.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dynolab import private_files, user_state
from dynolab.connections._remote import Remote
from dynolab.connections.base import Tell
from dynolab.errors import DeviceError


@dataclass(frozen=True, slots=True)
class LeftSession:
    """One whose process is gone, or could not end it there."""

    path: Path
    attaching: tuple[str, ...]
    """The command on the device that takes it up."""

    def end(self, remote: Remote, tell: Tell) -> None:
        """Have its keeper end it. A device that is not reached is asked the next time, or its lease was over before."""
        tell(f"what an earlier command left on {remote.address} is ended")
        with suppress(DeviceError):
            stream = remote.start(self.attaching)
            try:
                stream.send("~end")
                while stream.receive() is not None:
                    pass
            finally:
                stream.close()
            self.path.unlink(missing_ok=True)


class Note:
    """That this process has a session on a device. Where it cannot be written, the session's lease alone ends what is left."""

    def __init__(self, address: str, attaching: Sequence[str]) -> None:
        self._file: BinaryIO | None = None
        with suppress(OSError), _turn() as root:
            number, name = tempfile.mkstemp(suffix=".json", dir=root)
            self._path, self._file = Path(name), os.fdopen(number, "wb")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._file.write(json.dumps({"address": address, "attaching": list(attaching)}).encode())
            self._file.flush()

    def close(self, *, over: bool) -> None:
        """``over``: it has ended there; else the next session ends it."""
        with suppress(OSError):  # a full disk: it was not written
            if self._file is not None:
                if over:
                    self._path.unlink(missing_ok=True)
                self._file.close()


def find(address: str) -> list[LeftSession]:
    """Those on this device."""
    with suppress(OSError), _turn() as root:
        return [one for path in sorted(root.glob("*.json")) if (one := _left(path, address))]
    return []


def _left(path: Path, address: str) -> LeftSession | None:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        try:
            told = json.load(file)
            return LeftSession(path, tuple(map(str, told["attaching"]))) if told["address"] == address else None
        except (ValueError, KeyError, TypeError):  # its writer was killed amid it
            path.unlink(missing_ok=True)
            return None


@contextmanager
def _turn() -> Iterator[Path]:
    """The folder of these files; nobody else makes or reads one meanwhile."""
    root = user_state.folder() / "sessions"
    private_files.make_folder(root)
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root
    finally:
        os.close(lock)
