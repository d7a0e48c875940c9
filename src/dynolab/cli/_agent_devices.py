"""``dynolab agent --device``: devices that this machine reaches, each served by a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynolab.agent.state import Membership
    from dynolab.cli.agent import Asked

AGAIN_FIRST_S, AGAIN_MOST_S = 5.0, 300.0
"""How long after its end a device's process is started again; ever longer, until it served for as long as the longest."""


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
    from dynolab.agent.reached import RUNTIMES

    names = tuple(dict.fromkeys(one.strip() for one in runtimes.split(",") if one.strip())) or RUNTIMES
    for one in names:
        plugins.load("dynolab.runtimes", one)
    return names


def written(devices: Sequence[str], runtimes: str) -> list[str]:
    """The options as they are typed."""
    named = [word for one in devices for word in ("--device", one)]
    return [*named, *(["--runtimes", runtimes] if runtimes else [])]


def start_others(devices: Sequence[str], runtimes: str, member: Membership) -> None:
    """Serve these too, each by a process that ends with this one and is started again when it ended before."""
    import threading

    for one in devices:
        threading.Thread(target=_keep_going, args=(one, runtimes, member), daemon=True).start()


def _keep_going(device: str, runtimes: str, member: Membership) -> None:
    import logging
    import os
    import subprocess
    import sys
    import time

    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", member.hub, "--device", device]
    command += ["--runtimes", runtimes, "--wait-for-hub", "--parent", str(os.getpid())]
    pause_s = AGAIN_FIRST_S
    while True:
        begun = time.monotonic()
        code = subprocess.run(command, env={**os.environ, "DYNOLAB_AGENT_TOKEN": member.token}, check=False).returncode
        if time.monotonic() - begun > AGAIN_MOST_S:
            pause_s = AGAIN_FIRST_S
        logging.warning("the process for %s ended with code %s; it is started again in %.0f s", device, code, pause_s)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, AGAIN_MOST_S)
