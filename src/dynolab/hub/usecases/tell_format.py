"""A model's format by its file's name, or by the names in its ZIP file: what the client tells of a file it uploads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType

from dynolab.errors import ModelInvalid
from dynolab.formats import ARCHIVE, EXTENSIONS
from dynolab.hub.usecases.base import NAME_MAX
from dynolab.hub.usecases.create_model import ENDINGS
from dynolab.spec.models import ModelFormat

TAKEN = {ending: kind for ending, kind in EXTENSIONS.items() if kind in ENDINGS}
"""Formats by the ending of their files. OpenVINO's is a pair of files, and so comes as a ``.zip``."""
WHOLE = sorted({*(ending for ending, kind in TAKEN.items() if kind != ModelFormat.OPENVINO_IR), ARCHIVE})
"""Endings of what comes as one file."""
END_BYTES = 1 << 20
"""So much of a ZIP file's end is looked at: its list of files stands there, about 100 bytes for each."""


def whole(told: Mapping[str, str]) -> list[str]:
    """Endings of what comes as one file, with those that devices tell of formats of their own."""
    return sorted({*WHOLE, *told})


def format_of(file_name: str, told: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """The format of a file by its ending; None: a ZIP file, of which :func:`format_inside` tells.

    ``told``: formats that devices read besides dynolab's own, by the ending of their files. Raises :class:`ModelInvalid` for others.
    """
    ending = PurePosixPath(file_name).suffix.lower()
    if ending == ARCHIVE:
        return None
    if TAKEN.get(ending) == ModelFormat.OPENVINO_IR:
        raise ModelInvalid(
            f"{file_name} is one file of two", hint="an OpenVINO model is a pair of files: put both into one .zip"
        )
    if ending not in TAKEN and ending not in told:
        raise ModelInvalid(f"{file_name} is no model by its name", hint=_known(told))
    return TAKEN.get(ending) or told[ending]


def format_inside(file_name: str, end: bytes, size: int, told: Mapping[str, str] = MappingProxyType({})) -> str:
    """The format of the one model in a ZIP file of ``size`` bytes, of which ``end`` is the last :data:`END_BYTES` or all.

    Raises :class:`ModelInvalid` when it holds none, models of several formats, or is no ZIP file.
    """
    try:
        with zipfile.ZipFile(_End(end, size)) as archive:
            names: Sequence[str] = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ModelInvalid(f"{file_name} is no ZIP file that can be read: {error}", hint="pack it anew") from error
    taken = {**told, **TAKEN}
    found = {taken[ending] for name in names if (ending := PurePosixPath(name).suffix.lower()) in taken}
    if len(found) != 1:
        what = "no model" if not found else f"models of {len(found)} formats"
        raise ModelInvalid(f"{file_name} holds {what}", hint=_known(told))
    return found.pop()


def called(file_name: str) -> str:
    """What to call a model or dataset that comes as this file: its name without folder and ending."""
    stem = PurePosixPath(file_name.replace("\\", "/")).stem
    return "".join(character for character in stem if character.isprintable()).strip(". ")[:NAME_MAX]


class _End(io.RawIOBase):
    """A file of which the end alone is known; what stands before it reads as zeros."""

    def __init__(self, end: bytes, size: int) -> None:
        self._end, self._size, self._at = end, max(size, len(end)), 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(f"there is no byte {start + offset}")  # as of a file: zipfile looks for it
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        upto = self._size if count < 0 else min(self._size, self._at + count)
        before = self._size - len(self._end)
        zeros = b"\0" * min(max(0, min(upto, before) - self._at), END_BYTES)
        found = zeros + self._end[max(0, self._at - before) : max(0, upto - before)]
        self._at = max(upto, self._at)
        return found


def _known(told: Mapping[str, str]) -> str:
    return f"known endings: {', '.join(whole(told))}"
