"""The kernel's namespaces, set up by ourselves: what bubblewrap does, where it is not installed."""

from __future__ import annotations

import sys

from dynolab.sandbox._order import Order
from dynolab.sandbox.base import Confinement, Sandbox, filtered, mount_order


class Namespaces(Sandbox):
    """Its own file system, processes, network and IPC; an ordinary user gets there by a user namespace."""

    name = "namespaces"
    rank = 2

    @property
    def protects(self) -> tuple[str, ...]:
        return ("files", "network", "processes", *filtered())

    def unavailable(self) -> str | None:
        if sys.platform != "linux":
            return "namespaces are Linux's"
        return self.trial()

    def wrap(self, confinement: Confinement, order: Order) -> tuple[list[str], Order]:
        return [], {**order, "mounts": mount_order(confinement)}


plugin = Namespaces()
