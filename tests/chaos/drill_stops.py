"""The hub, its PostgreSQL, or processes of agents stand still (SIGSTOP), for up to three leases."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from .devices import Blow
from .frame import LEASE_S, POOL, SETTINGS, Scene
from .processes import HubProcess, LightAgents, below, signal_all

GROUPS = 3


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """One hub with a PostgreSQL of its own, and three processes of agents."""
    hub = HubProcess(folder / "hub", environment=SETTINGS)
    hub.start()
    stack.callback(hub.end)
    agents = [
        LightAgents(
            hub.url, hub.data / "agent.token", POOL, folder / f"agents-{number}.log", count=3, first=1 + 3 * number
        )
        for number in range(GROUPS)
    ]
    for one in agents:
        one.start()
        stack.callback(one.kill)
    url, user = hub.url, hub.running.token

    def database() -> list[int]:
        with suppress(FileNotFoundError):
            server = int((hub.data / "postgres" / "postmaster.pid").read_text().split()[0])
            signal_all([server], signal.SIGSTOP)  # first the one that starts the others, so that none comes after
            return below(server)
        return []

    def blows(draw: random.Random) -> Blow:
        away_s = draw.uniform(0.3, 3.0) * LEASE_S
        one = draw.choice(agents)
        return draw.choice(
            (
                _stop("hub stopped", lambda: [hub.pid], away_s),
                _stop("database stopped", database, away_s),
                _stop("agents stopped", lambda: below(one.pid), away_s),
            )
        )

    return Scene(lambda: url, user, hub.data, SETTINGS, blows, printed=lambda: hub.printed)


def _stop(kind: str, whom: Callable[[], list[int]], lasts_s: float) -> Blow:
    stopped: list[int] = []

    def strike() -> None:
        stopped.extend(whom())
        signal_all(stopped, signal.SIGSTOP)

    return Blow(kind, strike, lambda: signal_all(stopped, signal.SIGCONT), lasts_s)
