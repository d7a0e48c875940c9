"""Files and documents that somebody may have forged: what a model's process left is read through here."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn

from dynolab.errors import Forbidden, WorkerCrashed

DOCUMENT_MAX_BYTES = 32 << 20
"""A million timed iterations are 12 MB of text."""
NESTING_MAX = 64
"""The documents of dynolab are a tenth of this deep; Python's own functions fail from about a thousand on."""
FILES_MAX = 100_000
CONTAINERS_MAX = 2_000_000
"""An empty list is 2 bytes of text and 56 of memory."""
_WHOLE_MAX = 2**63
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def open_file(path: Path, *, inside: Path) -> BinaryIO:
    """The regular file at ``path``, below the folder ``inside``, open for reading; no link below that is followed.

    Raises :class:`Forbidden` for a link, a folder, a device or a pipe, and for a path that leads out; ``FileNotFoundError``
    for what is not there.
    """
    parts = _parts(path, inside)
    folder = os.open(inside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            above, folder = folder, _open(part, os.O_RDONLY | os.O_DIRECTORY, folder, path)
            os.close(above)
        # Without O_NONBLOCK, a pipe would keep us waiting for somebody who writes into it.
        descriptor = _open(parts[-1], os.O_RDONLY | os.O_NONBLOCK, folder, path)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_file(path)
    return os.fdopen(descriptor, "rb")


def _parts(path: Path, inside: Path) -> tuple[str, ...]:
    try:
        parts = path.relative_to(inside).parts
    except ValueError as error:
        raise Forbidden(f"{_short(path)} lies outside {inside}") from error
    if not parts or ".." in parts or "\0" in str(path):
        raise Forbidden(f"{_short(path)} leads out of {inside}")
    return parts


def _open(part: str, flags: int, folder: int, path: Path) -> int:
    try:
        return os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:  # ELOOP or ENOTDIR for a link, ENXIO for a socket or a pipe
        raise _no_file(path) from error


def _no_file(path: Path) -> Forbidden:
    return Forbidden(f"{_short(path)} is a link or no regular file: it is not opened")


def _short(path: object) -> str:
    return repr(str(path)[:200])


def files_in(folder: Path, *, linked: bool = False) -> list[tuple[Path, int]]:
    """The regular files below a folder with their sizes, sorted by path; no link is followed.

    ``linked``: files that links name are taken for files, links to folders are not.
    Raises :class:`Forbidden` for more than :data:`FILES_MAX` entries.
    """
    found, waiting, seen = [], [folder], 0
    while waiting:  # no recursion, which deep folders would exhaust
        place = waiting.pop()
        with suppress(OSError), os.scandir(place) as entries:  # OSError: gone meanwhile, or a path too long
            for entry in entries:
                seen += 1
                if seen > FILES_MAX:
                    raise Forbidden(f"{folder} holds more than {FILES_MAX} files and folders: they are not looked at")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=linked):
                    found.append((Path(entry.path), entry.stat(follow_symlinks=linked).st_size))
    return sorted(found)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, however deep and whatever its permissions. What cannot be removed stays.

    Folders inside are first moved to the top one, so that neither our stack nor a path's length is ever exhausted.
    """
    with suppress(OSError):
        if folder.is_symlink():
            folder.unlink()
            return
        while _empty(folder):
            pass
        folder.rmdir()


def _empty(folder: Path) -> int:
    """Remove what is in the folder; how many folders from deeper down were moved into it and wait for the next call."""
    moved, mark = 0, secrets.token_hex(8)
    for entry in _entries(folder):
        if not entry.is_dir(follow_symlinks=False):
            _unlink(entry)
            continue
        for inner in _entries(entry.path):
            if not inner.is_dir(follow_symlinks=False):
                _unlink(inner)
                continue
            with suppress(OSError):
                Path(inner.path).chmod(0o700)  # a folder is written to when it gets another parent
                Path(inner.path).rename(folder / f"{mark}-{moved}")
                moved += 1
        with suppress(OSError):
            Path(entry.path).rmdir()
    return moved


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        Path(folder).chmod(0o700)
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _unlink(entry: os.DirEntry[str]) -> None:
    with suppress(OSError):
        Path(entry.path).unlink()


def read_bytes(path: Path, *, inside: Path, most: int) -> bytes:
    """The content of a file as :func:`open_file` opens it. Raises :class:`Forbidden` past ``most`` bytes, unread."""
    with open_file(path, inside=inside) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Forbidden(f"{_short(path)} holds more than {most} bytes: it is not read")
    return content


def read_document(path: Path, *, inside: Path, most: int = DOCUMENT_MAX_BYTES) -> Any:
    """What the JSON file at ``path`` says. Raises :class:`WorkerCrashed` for what no honest program would have written."""
    try:
        return load_document(read_bytes(path, inside=inside, most=most))
    except (Forbidden, ValueError) as error:
        raise WorkerCrashed(
            f"what a process of the model left cannot be read: {path.name}: {error}",
            hint="the model, or a library that it makes the runtime load, wrote over it",
        ) from error


def load_document(content: bytes) -> Any:
    """The JSON document, bounded in depth, in containers and in the size of numbers. Raises ``ValueError``."""
    if content.count(b"[") + content.count(b"{") > CONTAINERS_MAX:
        raise ValueError(f"more than {CONTAINERS_MAX} lists and objects")
    try:
        document = _DECODER.decode(content.decode(json.detect_encoding(content), "surrogatepass"))
    except RecursionError as error:
        raise ValueError(f"nested more than {NESTING_MAX} deep") from error
    _check_depth(document)
    plain = content.isascii() and b"\x7f" not in content and b"\\u" not in content
    return document if plain else _printable(document)


def printable(text: str) -> str:
    """The text as any terminal and file takes it: colours are left out, control characters and half surrogates replaced."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _COLOUR.sub("", text))


def _printable(document: Any) -> Any:
    if isinstance(document, str):
        return printable(document)
    if isinstance(document, list):
        return [_printable(one) for one in document]
    if isinstance(document, dict):
        return {printable(name): _printable(one) for name, one in document.items()}
    return document


def _check_depth(document: Any) -> None:
    level = [document] if isinstance(document, _CONTAINERS) else []
    for _ in range(NESTING_MAX):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, _CONTAINERS)
        ]
        if not level:
            return
    raise ValueError(f"nested more than {NESTING_MAX} deep")


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 20 else _WHOLE_MAX
    if abs(value) >= _WHOLE_MAX:
        raise ValueError(f"the number {text[:40]} has more than 63 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if abs(value) == float("inf"):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _refused(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_refused)
_CONTAINERS = dict, list


def relative_path(text: str) -> PurePosixPath:
    """A path that stays below the folder that it starts from. Raises :class:`Forbidden` for all others."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text or "\\" in text:
        raise Forbidden(f"{_short(text)} is no path inside a folder")
    return path
