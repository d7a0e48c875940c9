"""Known amounts of known kinds of memory, for the null runtime: this process's own, and its children's."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from types import MappingProxyType

MADV_FREE: int | None = getattr(mmap, "MADV_FREE", None)


def touch(size: int, *, shared: bool = False, then: int | None = None) -> mmap.mmap | None:
    """``size`` bytes of anonymous memory, every page written, with an advice on them (madvise(2)); None for 0."""
    if not size:
        return None
    kind = mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE
    area = mmap.mmap(-1, size, flags=kind | mmap.MAP_ANONYMOUS)
    for offset in range(0, size, mmap.PAGESIZE):
        area[offset] = 1
    if then is not None:
        area.madvise(then)
    return area


def map_file(path: str | None, size: int) -> mmap.mmap | None:
    """``size`` bytes of a file, mapped, every page read; None for 0."""
    if not path or not size:
        return None
    with Path(path).open("rb") as file:
        view = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
    look(view)
    return view


def look(view: mmap.mmap | None) -> None:
    """Read a byte of every page."""
    if view is not None:
        sum(view[offset] for offset in range(0, len(view), mmap.PAGESIZE))


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """What a child keeps, what it has held and given back before it is ready, and the file that it maps."""

    keeps: int = 0
    held: int = 0
    file: str = ""
    file_bytes: int = 0


_PROGRAM = """
import mmap, os, sys
kind, keeps, held, path, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
if kind == "orphaned" and os.fork():
    os._exit(0)
def touch(size):
    area = mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, size, mmap.PAGESIZE):
        area[offset] = 1
    return area
touch(held).close()
kept = touch(keeps)
if size:
    with open(path, "rb") as file:
        view = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
    sum(view[offset] for offset in range(0, size, mmap.PAGESIZE))
print("ready", flush=True)
sys.stdin.read()
"""


def _other_program(kind: str) -> Callable[[ChildOrder, mmap.mmap | None], Callable[[], None]]:
    def start(order: ChildOrder, shared: mmap.mmap | None) -> Callable[[], None]:
        """A Python of its own; what ends it."""
        del shared
        arguments = [kind, *map(str, astuple(order))]
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        return lambda: _let_end(child)

    return start


def _let_end(child: subprocess.Popen[str]) -> None:
    child.communicate("")


def _forked(order: ChildOrder, shared: mmap.mmap | None) -> Callable[[], None]:
    """A copy of this process, which has all that it has; what ends it."""
    ours, theirs = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours[1])
        touch(order.held)
        kept = (touch(order.keeps), map_file(order.file, order.file_bytes))
        look(shared)
        os.write(theirs[1], b"ready")
        os.read(ours[0], 1)
        os._exit(len(kept) - 2)
    os.read(theirs[0], 5)

    def end() -> None:
        for descriptor in (*ours, *theirs):
            os.close(descriptor)
        os.waitpid(pid, 0)

    return end


CHILDREN: Mapping[str, Callable[[ChildOrder, mmap.mmap | None], Callable[[], None]]] = MappingProxyType(
    {"started": _other_program("started"), "orphaned": _other_program("orphaned"), "forked": _forked}
)
"""Ways of having another process: a program of its own, the same without a parent, a copy of this one. Each gives what ends it."""
