"""What a machine and a hub tell each other before the machine is a device: JSON documents of the agents' door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

JOIN_PREFIX, AGENT_PREFIX = "dlj_", "dla_"
"""What join tokens and agents' tokens begin with."""
EXTRAS = ("onnxruntime", "litert", "datasets")
"""What a device is given unless it is to have other runtimes: those of the two commonest formats, and inference jobs."""
PLACE = "~/dynolab"
"""Where dynolab is installed on a fresh machine, in an environment of its own: a shell sees the home in it."""


@dataclass(frozen=True, slots=True)
class HubGreeting:
    """What a hub says of itself to whoever asks."""

    protocol: int
    """See :data:`~dynolab.spec.agents.AGENT_PROTOCOL`."""
    version: str
    """Of dynolab there."""
    oldest: int | None = None
    """The least that it takes of an agent; None: its own protocol alone."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A machine shows a join token, and names the token that it will be known by from then on.

    It makes that one itself and sends its digest alone, so that it may ask again when the answer was lost on the way.
    """

    protocol: int
    join_token: str
    token_digest: str
    """SHA-256 of the machine's own token, in hexadecimal."""
    device_id: str
    name: str
    """Of the device that it will be; the token's label."""


@dataclass(frozen=True, slots=True)
class AgentAccount:
    """Whose agent a machine is."""

    account: str
    """The e-mail address."""
    name: str = ""
    """What the device is to be called, where whoever made its join token said so."""


@dataclass(frozen=True, slots=True)
class RotateRequest:
    """An agent's next token, made by itself: it may ask again with the same digest when the answer was lost."""

    token_digest: str
    """SHA-256 of it, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The hub knows the agent's next token; the one before is good for a while."""

    expires_at: str
    """When the next one is good no more, ISO 8601 in UTC; empty: it has no end."""


def join_command(address: str, wheel: str, join_token: str, extras: Sequence[str] = EXTRAS) -> str:
    """The line that installs dynolab on a fresh machine, from the hub itself, and makes it a device.

    ``address``: the hub's, without a slash at its end; ``wheel``: the file name of its own wheel.
    """
    return (
        f"python3 -m venv {PLACE} && {PLACE}/bin/pip install {_wanted(address, wheel, extras)}"
        f" && {PLACE}/bin/dynolab agent --hub {quote(address)} --join-token {join_token}"
    )


def upgrade_command(address: str, wheel: str, extras: Sequence[str] = EXTRAS) -> str:
    """The line that brings an agent that was installed so to the hub's version; it is to be started anew then."""
    return f"{PLACE}/bin/pip install --upgrade {_wanted(address, wheel, extras)}"


def _wanted(address: str, wheel: str, extras: Sequence[str]) -> str:
    """dynolab by its address at the hub, as a shell passes it on (PEP 508)."""
    return quote(f"dynolab[{','.join(extras)}] @ {address}/wheels/{wheel}")
