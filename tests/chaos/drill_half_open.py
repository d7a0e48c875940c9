"""Half-open connections: while the network is cut, the hub or the agents are killed, so that the other end is told of no end."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from .devices import Blow
from .frame import LEASE_S, POOL, SETTINGS, Scene
from .packets import PacketNetwork
from .processes import HubProcess, LightAgents


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """One hub, all of whose agents are behind the network."""
    network = PacketNetwork()
    stack.callback(network.close)
    hub = HubProcess(folder / "hub", "--host", "0.0.0.0", environment=SETTINGS)
    hub.start()
    stack.callback(hub.end)
    port = hub.url.rpartition(":")[2]
    token, far = hub.data / "agent.token", f"http://{network.near}:{port}"
    groups = [
        LightAgents(far, token, POOL, folder / f"{number}.log", count=3, first=1 + 3 * number, before=network.within)
        for number in range(2)
    ]
    for one in groups:
        one.start()
        stack.callback(one.kill)
    url, user = hub.url, hub.running.token

    def blows(draw: random.Random) -> Blow:
        group, lasts_s = draw.choice(groups), draw.uniform(0.5, 3.0) * LEASE_S

        def lose_agents() -> None:
            network.is_cut = True
            group.kill()
            group.start()

        def lose_hub() -> None:
            network.is_cut = True
            hub.kill()
            hub.start()

        def cut() -> None:
            network.is_cut = True

        return draw.choice(
            (
                Blow("agents gone behind a cut", lose_agents, network.mend, lasts_s),
                Blow("hub gone behind a cut", lose_hub, network.mend, lasts_s),
                Blow("cut", cut, network.mend, lasts_s),
            )
        )

    def after() -> list[str]:
        return [] if network.dropped else ["no packet was dropped"]

    return Scene(lambda: url, user, hub.data, SETTINGS, blows, printed=lambda: hub.printed, after=after, every_s=10.0)
