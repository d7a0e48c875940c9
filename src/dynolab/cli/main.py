"""The ``dynolab`` command: one sub-command a file; the last door that errors come to."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from dynolab import errors, plugins


class Commands(click.Group):
    """Finds its commands in this folder; one is imported when it is asked for (``--help`` asks for all)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in plugins.names("dynolab.cli") if name != "main"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"dynolab.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the nearest commands when there is none of that name."""
        import difflib

        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            near = difflib.get_close_matches(args[0], known, n=2)
            guess = f"did you mean {' or '.join(near)}? " if near else ""
            ctx.fail(f"there is no command {args[0]!r}; {guess}Commands: {', '.join(known)}.")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dynolab", message="%(prog)s %(version)s")
def cli() -> None:
    """dynolab runs a model on a real device and tells what it costs there.

    \b
    Start with:  dynolab profile MODEL
    """  # noqa: D301 - click wants the backspace character itself


def show(error: errors.Error) -> None:
    """An error as a person reads it: what, the log's end where a worker died, and the way out."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    log = str(error.details.get("log") or "").strip()
    if log and error.blame in ("model", "us", "device"):
        click.secho("  the end of the log:", dim=True, err=True)
        for line in log.splitlines()[-12:]:
            click.secho(f"  | {line}", dim=True, err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the command in order: everything started is ended, everything made is removed."""


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every ``finally`` on the way; a second signal must not cut that short."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _heed_stops() -> None:
    """What is ignored already stays so: that is how ``nohup`` works."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _unwind)


def _stopped(status: int, by: str = "", left: str = "nothing was kept") -> NoReturn:
    """Say that the command was stopped and what it left, where anybody still listens."""
    with suppress(OSError):
        click.echo(f"stopped{by}: {left}", err=True)
    _leave(status)


def _leave(status: int) -> NoReturn:
    """Exit, without Python's own words on output that its closing cannot write any more."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def main() -> None:
    """Run the command line.

    The exit status is 0, 1 (a requirement is not met), 2 (an error), 3 (a gate cannot tell), 70 (a bug), 130 (Ctrl-C) or 128 and the number of
    another signal.
    """
    _heed_stops()
    try:
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except errors.Error as error:
        show(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort) as stop:
        # click puts its Abort in the place of the interrupt, which says what goes on without us where something does.
        _stopped(130, left=str(stop.__cause__ or stop) or "nothing was kept")
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code - 128 in STOPS:
            left = "; ".join(getattr(stop, "__notes__", ())) or "nothing was kept"
            _stopped(stop.code, f" by {signal.Signals(stop.code - 128).name}", left)
        raise
    except BrokenPipeError:
        _leave(141)
    except OSError as error:
        show(_system_error(error))
        _leave(errors.Error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last door: what comes here is a bug of ours, and is said to be one
        traceback.print_exc()
        show(
            errors.Bug(
                f"dynolab failed: {type(error).__name__}: {error}", hint="please report this with the lines above"
            )
        )
        sys.exit(errors.Bug.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _system_error(error: OSError) -> errors.Error:
    """What the system refused, in its own words: a full disk or a lost terminal is no bug of ours."""
    place = f"{error.filename}: " if error.filename else ""
    hint = "make room on the disk" if error.errno == errno.ENOSPC else None
    return errors.Forbidden(f"the system refused: {place}{error.strerror or error}", hint=hint)


if __name__ == "__main__":
    main()
