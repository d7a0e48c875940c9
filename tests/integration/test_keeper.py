"""The keeper of an executor, spoken to as connections do: no line comes twice, and none is lost."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynolab.measure.executor import keeper
from dynolab.measure.orders import Verb, document_of, line_of
from dynolab.testing.waiting import until

WAIT_S = 60.0


@contextmanager
def _opened(root: Path) -> Iterator[Path]:
    command = [sys.executable, "-P", "-m", keeper.__name__, "open", str(root), "60"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        said = next(line for line in process.stdout if line.startswith("~opened "))
        workspace = Path(said.removeprefix("~opened ").rstrip("\n"))
        yield workspace
        with _attaching(workspace) as link:
            link.sendall(b"~attach 0\n~end\n")
            while link.recv(1 << 16):
                pass
    assert not workspace.exists()


@contextmanager
def _attaching(workspace: Path) -> Iterator[socket.socket]:
    """A line to the keeper on which nothing was said yet."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(WAIT_S)
        link.connect(keeper._address(workspace))
        yield link


def _order(number: int, name: str) -> bytes:
    place = {"name": name, "files": [], "given": [], "memory_limit_bytes": None}
    return (line_of({"order": number, "verb": Verb.PREPARE, "with": place}) + "\n").encode()


def _answers(link: socket.socket, last: int) -> list[int]:
    """The numbers of the answers that come, up to one."""
    found: list[int] = []
    with link.makefile("r", encoding="utf-8") as lines:
        while last not in found:
            line = lines.readline()
            assert line, "the keeper closed the line"
            document = document_of(line.rstrip("\n"))
            if document is not None and "answer" in document:
                found.append(document["answer"])
    return found


def test_answer_that_comes_before_somebody_has_attached_comes_once(tmp_path: Path) -> None:
    with _opened(tmp_path) as workspace, _attaching(workspace) as link:
        link.sendall(_order(1, "first"))
        until((workspace / "first").exists, "the executor to have done it: it answers then")
        link.sendall(_order(2, "second"))
        until((workspace / "second").exists, "the second")
        link.sendall(b"~attach 0\n" + _order(3, "third"))
        assert _answers(link, 3) == [1, 2, 3]


def test_who_attaches_again_gets_what_it_has_not_had(tmp_path: Path) -> None:
    with _opened(tmp_path) as workspace:
        with _attaching(workspace) as link:
            link.sendall(b"~attach 0\n" + _order(1, "first") + _order(2, "second"))
            assert _answers(link, 2) == [1, 2]
        with _attaching(workspace) as link:
            link.sendall(b"~attach 1\n" + _order(3, "third"))
            assert _answers(link, 3) == [2, 3]
