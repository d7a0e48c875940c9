"""The object store answers a third of all requests with errors, every one 4 s late, hangs up, or is away."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

from dynolab.testing.object_stores import s3, s3_environment

from .devices import Blow
from .faulty_store import FaultyStore
from .frame import LEASE_S, POOL, SETTINGS, Scene
from .processes import HubProcess, LightAgents

SHARE, LATE_S = 0.33, 4.0


def set_up(folder: Path, stack: ExitStack) -> Scene:
    """A hub with its blobs in an S3 store behind a proxy."""
    store = stack.enter_context(s3())
    proxy = FaultyStore(store.environment["AWS_ENDPOINT"])
    stack.callback(proxy.close)
    environment = {**SETTINGS, **s3_environment(proxy.url), "DYNOLAB_BLOBS_URL": f"{store.url}/drill"}
    hub = HubProcess(folder / "hub", environment=environment)
    hub.start()
    stack.callback(hub.end)
    agents = LightAgents(hub.url, hub.data / "agent.token", POOL, folder / "agents.log", count=8)
    agents.start()
    stack.callback(agents.kill)
    url, user = hub.url, hub.running.token

    def errors() -> None:
        proxy.error_share = SHARE

    def late() -> None:
        proxy.slow_s = LATE_S

    def hang_up() -> None:
        proxy.reset_share = SHARE

    def away() -> None:
        proxy.reset_share = 1.0

    def blows(draw: random.Random) -> Blow:
        kind, strike = draw.choice(
            (("store's errors", errors), ("store late", late), ("store hangs up", hang_up), ("store away", away))
        )
        return Blow(kind, strike, proxy.mend, draw.uniform(0.5, 5.0) * LEASE_S)

    return Scene(
        lambda: url,
        user,
        hub.data,
        environment,
        blows,
        printed=lambda: hub.printed,
        figures=lambda: {"store": dict(proxy.answered)},
    )
