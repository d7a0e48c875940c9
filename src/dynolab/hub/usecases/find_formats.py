"""Formats that devices read besides dynolab's own: whoever serves a device may have added runtimes and formats to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_devices import find_devices
from dynolab.spec.runtime_support import told_endings, told_kinds


@dataclass(frozen=True, slots=True)
class OfferedFormats:
    """What the devices read that an account's models may go to."""

    kinds: frozenset[str]
    endings: Mapping[str, str]
    """Formats by the ending of their files, of those that dynolab does not declare itself."""


async def find_formats(hub: Hub, account: Account) -> OfferedFormats:
    """What the account's models may be, besides what a hub keeps anyway."""
    attributes = [word for one in await find_devices(hub, account) for word in one.attributes]
    return OfferedFormats(frozenset(told_kinds(attributes)), told_endings(attributes))
