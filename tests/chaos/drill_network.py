"""The network between the hub and its agents is cut, loses 30 % of its packets, or takes 5 s there and back."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from .devices import Blow
from .frame import LEASE_S, POOL, SETTINGS, Scene
from .packets import PacketNetwork
from .processes import HubProcess, LightAgents

LOSS, THERE_AND_BACK_S = 0.3, 5.0
SLOW = {**SETTINGS, "DYNOLAB_LEASE_S": "12"}
"""Of a hub whose agents are 5 s away: one that renews every third of a lease must be heard of in time."""


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """One hub, half of whose agents are behind the network; the others and the user are beside it."""
    network = PacketNetwork()
    stack.callback(network.close)
    hub = HubProcess(folder / "hub", "--host", "0.0.0.0", environment=SLOW)
    hub.start()
    stack.callback(hub.end)
    port = hub.url.rpartition(":")[2]
    token, far = hub.data / "agent.token", f"http://{network.near}:{port}"
    beside = LightAgents(hub.url, token, POOL, folder / "beside.log", count=2)
    behind = LightAgents(far, token, POOL, folder / "behind.log", count=6, first=11, before=network.within)
    for one in (beside, behind):
        one.start()
        stack.callback(one.kill)
    url, user = hub.url, hub.running.token

    def lose() -> None:
        network.loss = LOSS

    def delay() -> None:
        network.delay_s = THERE_AND_BACK_S / 2

    def cut() -> None:
        network.is_cut = True

    def blows(draw: random.Random) -> Blow:
        lasts_s = draw.uniform(2, 8) * LEASE_S
        return draw.choice(
            (
                Blow("30 % loss", lose, network.mend, lasts_s),
                Blow("5 s latency", delay, network.mend, lasts_s),
                Blow("network cut", cut, network.mend, lasts_s),
            )
        )

    def figures() -> dict[str, object]:
        return {"packets": {"carried": network.carried, "dropped": network.dropped}}

    def after() -> list[str]:
        return [] if network.carried and network.dropped else ["no packet was carried, or none dropped"]

    return Scene(
        lambda: url, user, hub.data, SLOW, blows, printed=lambda: hub.printed, after=after, figures=figures, every_s=4.0
    )
