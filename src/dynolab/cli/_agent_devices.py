"""The options of ``dynolab agent --device``: devices that this machine reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynolab.cli.agent import Asked


def check(asked: Asked, devices: Sequence[str], runtimes: str) -> None:
    """Raise :class:`~dynolab.errors.SpecInvalid` for what does not go together, and for what is no address."""
    from dynolab.connections.base import check_address
    from dynolab.errors import SpecInvalid

    if asked.simulate or asked.toolchains_only:
        raise SpecInvalid(
            "--device and --simulate or --toolchains-only contradict each other", hint="start an agent for each"
        )
    if asked.name and len(devices) > 1:
        raise SpecInvalid(f"{len(devices)} devices cannot all be called {asked.name!r}", hint="an agent for each")
    for one in devices:
        check_address(one)
    parsed(runtimes)


def parsed(runtimes: str) -> tuple[str, ...]:
    """The runtimes of ``--runtimes``. Raises :class:`~dynolab.errors.NotFound`."""
    from dynolab import plugins
    from dynolab.connections.base import USUAL_RUNTIMES

    names = tuple(dict.fromkeys(one.strip() for one in runtimes.split(",") if one.strip())) or USUAL_RUNTIMES
    for one in names:
        plugins.load("dynolab.runtimes", one)
    return names


def written(devices: Sequence[str], runtimes: str) -> list[str]:
    """The options as they are typed."""
    named = [word for one in devices for word in ("--device", one)]
    return [*named, *(["--runtimes", runtimes] if runtimes else [])]
