"""The command line in this process, for tests that give many commands: starting Python and the libraries takes longer than most."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from dynolab.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended, with what :class:`subprocess.CompletedProcess` calls the same."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: object, text: str = "", environment: Mapping[str, str] | None = None) -> Done:
    """What ``dynolab`` with these arguments says, and its exit status. ``text`` is what it reads; no terminal is there.

    ``environment``: variables besides those of this process. Nothing is to be given here that serves until it is stopped.
    """
    told, complained, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["dynolab", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.StringIO(text)),
        mock.patch.object(sys, "dont_write_bytecode", True),  # it would be closed to the sandboxes of other tests
        mock.patch.dict(os.environ, environment or {}),
        redirect_stdout(told),
        redirect_stderr(complained),
        _left_as_it_was(),
    ):
        try:
            main.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Done(code, told.getvalue(), complained.getvalue())


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    """A command sets its process's umask and what signals do."""
    handlers, umask = {number: signal.getsignal(number) for number in main.STOPS}, os.umask(0o022)
    os.umask(umask)
    try:
        yield
    finally:
        os.umask(umask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
