"""The wall clocks of the hub and of its database are set, up to an hour forward or back, each by itself."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from pathlib import Path

from dynolab.hub.store.postgres import Postgres
from dynolab.testing.clocks import WallClock, wall_clock

from .devices import Blow
from .frame import LEASE_S, POOL, SETTINGS, Scene
from .processes import HubProcess, LightAgents

MOST_S = 3600


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """A hub and its database, each with a clock of its own."""
    own, others = stack.enter_context(wall_clock()), stack.enter_context(wall_clock())
    server = _database(folder / "postgres", others)
    stack.callback(server.stop)
    environment = {**SETTINGS, "DYNOLAB_DATABASE_URL": server.dsn}
    hub = HubProcess(folder / "hub", environment={**environment, **own.environment})
    hub.start()
    stack.callback(hub.end)
    agents = LightAgents(hub.url, hub.data / "agent.token", POOL, folder / "agents.log", count=8)
    agents.start()
    stack.callback(agents.kill)
    url, user = hub.url, hub.running.token

    def blows(draw: random.Random) -> Blow:
        """What is set stays so until it is set again; in the end both go right."""
        whose, by_s = draw.choice((("hub", own), ("database", others))), draw.randint(-MOST_S, MOST_S)
        name, clock = whose

        def strike() -> None:
            clock.set(by_s)

        return Blow(f"{name}'s clock set", strike, lambda: None, draw.uniform(0.5, 2.0) * LEASE_S)

    def right() -> None:
        own.set(0)
        others.set(0)

    return Scene(
        lambda: url, user, hub.data, environment, blows, printed=lambda: hub.printed, before_peace=right, every_s=6.0
    )


def _database(folder: Path, clock: WallClock) -> Postgres:
    kept = {name: os.environ.get(name) for name in clock.environment}
    os.environ.update(clock.environment)
    try:
        return Postgres.start(folder)
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
