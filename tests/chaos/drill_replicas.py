"""Two replicas of a hub behind a balancer, on one PostgreSQL server: one of them is killed about every eight seconds."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from dynolab.hub.store.postgres import Postgres

from ..integration.test_kills import Balancer, port_of
from .devices import Blow
from .frame import POOL, SETTINGS, Scene
from .processes import HubProcess, LightAgents


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """Two replicas, with a folder of blobs that both write."""
    server = Postgres.start(folder / "postgres")
    stack.callback(server.stop)
    environment = {**SETTINGS, "DYNOLAB_DATABASE_URL": server.dsn, "DYNOLAB_BLOBS_URL": f"file://{folder}/blobs"}
    hubs = [HubProcess(folder / name, environment=environment) for name in ("one", "two")]
    for hub in hubs:
        hub.start()
        stack.callback(hub.end)
    first = hubs[0]
    token, agent_token = first.running.token, first.data / "agent.token"
    balancer = Balancer([port_of(hub.running) for hub in hubs])
    stack.callback(balancer.close)
    for number in range(2):
        agents = LightAgents(
            balancer.url, agent_token, POOL, folder / f"agents-{number}.log", count=4, first=1 + 4 * number
        )
        agents.start()
        stack.callback(agents.kill)

    def blows(draw: random.Random) -> Blow:
        hub = draw.choice(hubs)
        return Blow("replica killed", hub.kill, hub.start, draw.uniform(0.2, 6.0))

    def printed() -> str:
        return "".join(hub.printed for hub in hubs)

    return Scene(lambda: balancer.url, token, first.data, environment, blows, printed=printed)
