"""Kill -9 of the hub, its PostgreSQL, agents, and whole groups of them, at random."""

from __future__ import annotations

import random
import signal
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
    token = hub.data / "agent.token"
    agents = [
        LightAgents(hub.url, token, POOL, folder / f"agents-{number}.log", count=3, first=1 + 3 * number)
        for number in range(GROUPS)
    ]
    for one in agents:
        one.start()
        stack.callback(one.kill)
    url, user = hub.url, hub.running.token

    def postmaster() -> int:
        return int((hub.data / "postgres" / "postmaster.pid").read_text().split()[0])

    def kill_database() -> None:
        with suppress(FileNotFoundError):  # it is being started
            signal_all(below(postmaster()), signal.SIGKILL)

    def blows(draw: random.Random) -> Blow:
        one, away_s = draw.choice(agents), draw.uniform(0.2, 2.0) * LEASE_S
        return draw.choice(
            (
                Blow("hub killed", hub.kill, hub.start, draw.uniform(0.1, 3.0)),
                Blow("database killed", kill_database, lambda: None, 0.0),
                Blow("agents killed", one.kill, one.start, away_s),
            )
        )

    return Scene(lambda: url, user, hub.data, SETTINGS, blows, printed=lambda: hub.printed)
