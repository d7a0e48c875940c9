"""Hub and agent speak the same protocol, or not at all."""

from __future__ import annotations

from dynolab import errors
from dynolab.spec.agents import AGENT_PROTOCOL


def check_protocol(spoken: int) -> None:
    """Raise :class:`Conflict` for an agent that speaks another."""
    if spoken != AGENT_PROTOCOL:
        raise errors.Conflict(
            f"the agent speaks protocol {spoken}, this hub speaks {AGENT_PROTOCOL}",
            hint="install the same version of dynolab on both sides",
        )
