"""What an agent keeps on its machine: which hub it serves, and with which token; for its owner's eyes only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dynolab import private_files, user_state
from dynolab.errors import SpecInvalid
from dynolab.spec import codec


@dataclass(frozen=True, slots=True)
class Membership:
    """A hub and the token that it knows this machine by. ``name``: what the device is called; empty: as the machine."""

    hub: str
    token: str
    name: str = ""


def file() -> Path:
    """Of the hub that this machine joined."""
    return user_state.folder() / "agent.json"


def asked_file() -> Path:
    """Of the hub that it asked to join and that has not answered yet."""
    return user_state.folder() / "joining.json"


def load(path: Path) -> Membership | None:
    """What a file of the two keeps; None: it is not there. Raises :class:`SpecInvalid` for one that cannot be read."""
    try:
        return codec.decode(Membership, json.loads(path.read_text(encoding="utf-8")), "it")
    except FileNotFoundError:
        return None
    except (ValueError, SpecInvalid) as error:
        hint = "remove it, and join the hub again with a new join token"
        raise SpecInvalid(f"{path} cannot be read: {error}", hint=hint) from error


def save(path: Path, membership: Membership) -> None:
    """Keep it, whole or not at all."""
    private_files.write(path, json.dumps(codec.encode(membership)))
