"""What a reading is: a witness that the worker asks just before and just after a pass, never inside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal


class Unavailable(Exception):
    """This system does not offer the reading; the message says why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a reading: a ``counter`` only grows (its growth is kept), a ``gauge`` is kept before and after."""

    kind: Literal["counter", "gauge"]
    unit: str
    text: str


class Reading(ABC):
    """One witness. ``fields`` names every value that :meth:`read` may return, with kind and unit."""

    name: ClassVar[str]
    fields: ClassVar[Mapping[str, Field]]
    apart: ClassVar[bool] = False
    """Whether it is asked by the executor in passes of its own, and never by a worker around its own."""

    @abstractmethod
    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The values now, by field name; ``root`` stands before ``/proc`` and ``/sys`` (a recorded tree in tests).

        Raises :class:`Unavailable`. Standard library and numpy only: this runs in the worker.
        """


def read_text(root: Path, path: str) -> str:
    """The text of the file ``path`` (such as ``proc/stat``) below ``root``.

    Raises :class:`Unavailable`, naming the file, when the system has no such file or does not let us read it.
    """
    try:
        return (root / path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Unavailable(f"/{path}: {error.strerror or error}") from error


def read_number(path: Path) -> float | None:
    """The number that a one-value file of ``/sys`` holds, or None where there is none."""
    try:
        return float(path.read_text(encoding="ascii", errors="replace"))
    except (OSError, ValueError):
        return None


def read_tasks(root: Path, file: str) -> Iterator[str]:
    """The text of ``file`` for every thread of this process; a thread that is gone meanwhile is left out."""
    try:
        tasks = list((root / "proc/self/task").iterdir())
    except OSError as error:
        raise Unavailable(f"/proc/self/task: {error.strerror or error}") from error
    for task in tasks:
        try:
            yield (task / file).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as error:
            raise Unavailable(f"/proc/self/task/*/{file}: {error.strerror or error}") from error


def table(text: str) -> dict[str, list[str]]:
    """Lines of words as a dict: first word (without a colon) to the others, as in ``/proc/stat`` and ``/proc/vmstat``."""
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): row[1:] for row in rows if row}
