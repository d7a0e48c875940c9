"""No sandbox: a scrubbed environment, limits and no new privileges, where there is nothing better."""

from __future__ import annotations

from dynolab.sandbox._order import Order
from dynolab.sandbox.base import Confinement, Sandbox


class NoSandbox(Sandbox):
    """The model runs with the rights of whoever runs dynolab."""

    name = "none"
    rank = 0

    @property
    def protects(self) -> tuple[str, ...]:
        return ()

    def unavailable(self) -> str | None:
        return None

    def wrap(self, confinement: Confinement, order: Order) -> tuple[list[str], Order]:
        del confinement
        return [], {**order, "isolated": False, "user": None, "filter": ""}


plugin = NoSandbox()
