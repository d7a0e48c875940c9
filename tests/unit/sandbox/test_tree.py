"""Who is below a process: by the kernel's lists of children, and without them by everybody's parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dynolab.sandbox._tree import descendants

CHAIN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "print(flush=True); input()"], stdin=subprocess.PIPE)
input()
child.communicate(b"")
"""


def recorded(root: Path, parents: dict[int, int], names: dict[int, str]) -> Path:
    """A /proc of a kernel without ``children``: a process and its parent, each with a name."""
    for pid, parent in parents.items():
        place = root / str(pid)
        place.mkdir()
        (place / "stat").write_text(f"{pid} ({names.get(pid, 'python')}) S {parent} {parent} 0 0 -1 4194560\n")
    return root


def test_without_lists_of_children_everybody_names_a_parent(tmp_path: Path) -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 10, 13: 12, 20: 1}
    proc = recorded(tmp_path, parents, {12: "a) R 1 (b"})
    assert sorted(descendants(10, proc)) == [11, 12, 13]
    assert descendants(13, proc) == []
    assert descendants(99, proc) == []


def test_both_ways_find_the_same_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", CHAIN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        by_lists = set(descendants(child.pid))
        stats = {path.parent.name: path.read_text() for path in Path("/proc").glob("[0-9]*/stat")}
        for pid, text in stats.items():
            (tmp_path / pid).mkdir()
            (tmp_path / pid / "stat").write_text(text)
        assert set(descendants(child.pid, tmp_path)) == by_lists
        assert len(by_lists) == 1
        assert child.pid in descendants(os.getpid(), tmp_path)
        child.communicate(b"\n")
