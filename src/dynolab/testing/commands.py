"""The command line in this process, for tests that give many commands: starting Python and the libraries takes longer than most."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn
from unittest import mock

from dynolab.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended, with what :class:`subprocess.CompletedProcess` calls the same."""

    returncode: int
    stdout: str
    stderr: str


WITHIN_S = 120
"""A command that takes longer fails its test, as one that serves by mistake would."""


def command(
    *arguments: object, text: str = "", environment: Mapping[str, str | None] | None = None, cwd: Path | None = None
) -> Done:
    """What ``dynolab`` with these arguments says, and its exit status. ``text`` is what it reads; no terminal is there.

    ``environment``: variables besides those of this process, None for one that is not to be there; ``cwd``: the folder that it is given in,
    this process's own if None. Nothing is to be given here that serves until it is stopped. Raises TimeoutError.
    """
    told, complained, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["dynolab", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.StringIO(text)),
        mock.patch.object(sys, "dont_write_bytecode", True),  # it would be closed to the sandboxes of other tests
        mock.patch.dict(os.environ),
        chdir(cwd or Path.cwd()),
        redirect_stdout(told),
        redirect_stderr(complained),
        _left_as_it_was(),
        _in_time(arguments),
    ):
        for name, value in (environment or {}).items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        try:
            main.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Done(code, told.getvalue(), complained.getvalue())


@contextmanager
def _in_time(arguments: tuple[object, ...]) -> Iterator[None]:
    """Ends with TimeoutError what takes longer than any command of a test."""

    def late(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"`dynolab {' '.join(map(str, arguments))}` has not ended within {WITHIN_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(WITHIN_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
