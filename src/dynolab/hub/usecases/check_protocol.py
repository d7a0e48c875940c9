"""Which agents a hub understands: those of its own protocol, and of some before, so that they can be updated after it."""

from __future__ import annotations

from dynolab import errors
from dynolab.spec.agents import AGENT_PROTOCOL, OLDEST_AGENT_PROTOCOL


def check_protocol(spoken: int) -> None:
    """Raise :class:`Conflict` for an agent that speaks another."""
    if not OLDEST_AGENT_PROTOCOL <= spoken <= AGENT_PROTOCOL:
        raise errors.Conflict(
            f"the agent speaks protocol {spoken}, this hub speaks {AGENT_PROTOCOL}",
            hint="install the same version of dynolab on both sides",
        )
