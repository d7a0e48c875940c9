"""The PostgreSQL server that writes is killed, its standby takes over, and a new standby is made of it; the hub knows both addresses."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from .devices import Blow
from .frame import LEASE_S, POOL, SETTINGS, Scene
from .postgres_pair import Pair
from .processes import HubProcess, LightAgents


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """One hub, and two servers."""
    pair = Pair(folder / "postgres")
    stack.callback(pair.stop)
    environment = {**SETTINGS, "DYNOLAB_DATABASE_URL": pair.url, "DYNOLAB_BLOBS_URL": f"file://{folder}/blobs"}
    hub = HubProcess(folder / "hub", environment=environment)
    hub.start()
    stack.callback(hub.end)
    agents = LightAgents(hub.url, hub.data / "agent.token", POOL, folder / "agents.log", count=8)
    agents.start()
    stack.callback(agents.kill)
    url, user = hub.url, hub.running.token

    def blows(draw: random.Random) -> Blow:
        return Blow(
            "server killed, standby took over", pair.fail_over, pair.add_standby, draw.uniform(0.2, 2.0) * LEASE_S
        )

    return Scene(
        lambda: url,
        user,
        hub.data,
        environment,
        blows,
        every_s=12.0,
        printed=lambda: hub.printed,
        figures=lambda: {"took_over_in_s": pair.took_s},
    )
