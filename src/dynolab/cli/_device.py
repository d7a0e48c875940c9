"""``--device``: where a command runs its models: here, or on a device at an address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dynolab.connections.base import Connection
    from dynolab.spec.holding import Claim

Command = TypeVar("Command", bound=Callable[..., Any])


def option(text: str, name: str = "--device") -> Callable[[Command], Command]:
    """The option; ``text`` says what is done there."""
    return click.option(name, metavar="ADDRESS", help=f"{text}, such as ssh://pi@board. Default: here (local).")


def is_here(address: str | None) -> bool:
    """Whether this machine is meant."""
    from dynolab.connections.base import HERE

    return address in (None, HERE)


def check(address: str | None, *, require_sandbox: bool = False) -> None:
    """Raise :class:`~dynolab.errors.SpecInvalid` for what is no address; whether a device has a sandbox shows there."""
    from dynolab.connections.base import check_address
    from dynolab.sandbox import base as sandbox

    if address is None or is_here(address):
        if require_sandbox:
            sandbox.require()
    else:
        check_address(address)


BROUGHT = "With --device: a runtime to bring there and try; may be repeated. Default: onnxruntime and litert."
"""The help of ``--runtime`` where a device is looked at."""


def brought(runtimes: tuple[str, ...]) -> tuple[str, ...]:
    """The runtimes to bring, each once. Raises :class:`~dynolab.errors.NotFound` for one that there is not."""
    from dynolab.connections.base import USUAL_RUNTIMES
    from dynolab.runtimes.base import runtime_named

    names = tuple(dict.fromkeys(runtimes)) or USUAL_RUNTIMES
    for one in names:
        runtime_named(one)
    return names


def refuse_runtimes(runtimes: tuple[str, ...]) -> None:
    """Raise :class:`~dynolab.errors.SpecInvalid` for runtimes that were named where nothing is brought."""
    from dynolab.errors import SpecInvalid

    if runtimes:
        raise SpecInvalid(
            f"--runtime {runtimes[0]} is for a device: here all that are installed are looked at",
            hint="name one with --device, such as ssh://pi@board, or leave it out",
        )


def look_claim() -> Claim:
    """Why a device is held while it is looked at."""
    from dynolab.jobs.base import Asking

    return Asking("a look at what the device is").claim("", here=False)


@contextmanager
def opened(
    address: str | None, tell: Callable[[str], None] | None = None, *, require_sandbox: bool = False
) -> Iterator[Connection]:
    """The device, let go at the end of the block; ``tell`` hears what is pushed to look whether it has a sandbox.

    Raises what :func:`~dynolab.connections.base.connect` does, and :class:`~dynolab.errors.PluginMissing` for a device where
    nothing confines a model and that is required.
    """
    from contextlib import closing

    from dynolab.connections.base import connect, this_machine

    check(address, require_sandbox=require_sandbox)
    with closing(this_machine() if address is None or is_here(address) else connect(address)) as connection:
        if require_sandbox and not connection.is_here:
            _require_sandbox(connection, tell or say)
        yield connection


def _require_sandbox(connection: Connection, tell: Callable[[str], None]) -> None:
    from dynolab.doctor import reached
    from dynolab.errors import PluginMissing

    survey = reached.survey_of(connection, look_claim(), tell)
    if survey.sandbox == "none":
        raise PluginMissing(
            f"nothing confines a model on {connection.address}: {survey.environment.get('sandbox', '')}",
            hint=f"`dynolab doctor --device {connection.address}` tells what would; or leave out --require-sandbox",
        )


def say(text: str) -> None:
    """What is done on the way, on standard error."""
    from dynolab.report.base import line

    click.echo(line(text), err=True)
