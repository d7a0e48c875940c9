"""What tells this device from others of its kind, from boot to boot, also from those whose memory card is a copy of its own."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from dynolab.measure import android

SERIAL = "proc/device-tree/serial-number"
"""The board's own, where its firmware tells one."""
SYSTEM = ("etc/machine-id", "var/lib/dbus/machine-id")
"""The system's own id (machine-id(5)): copies of one card share it."""
PERMANENT = "0\n"
"""NET_ADDR_PERM (linux/netdevice.h): the address is the hardware's own; others are made up, or set for a while."""
NO_SERIAL = re.compile(r"0*|1234567890?|(?:unknown|none|default.*|to be filled.*|n/?a)", re.IGNORECASE)
"""What makers write who write none."""


def identity(root: Path = Path("/"), told: Mapping[str, str] | None = None) -> str:
    """16 digits and letters, of the board's serial number, or else of the system's id and the hardware together.

    machine-id(5) asks that the id itself be told to nobody, so all is hashed. Only what every account may read counts: who asks
    makes no difference. ``told``: Android's properties; None: as this system tells them.
    """
    told = (android.properties() if root == Path("/") else {}) if told is None else told
    if (phone := android.identity(told)) is not None:
        return hashed(f"android:{phone}")
    if serial := _read(root / SERIAL):
        return hashed(f"{SERIAL}:{serial}")
    of_system = next((f"{one}:{found}" for one in SYSTEM if (found := _read(root / one))), f"host:{platform.node()}")
    of_hardware = hardware(root)
    return hashed(of_system if of_hardware is None else f"{of_system}|{of_hardware}")


def hardware(root: Path = Path("/")) -> str | None:
    """What the hardware says of itself that no other has, with where it says so; None: nothing that is known of."""
    return next(_of_hardware(root), None)


def hashed(text: str) -> str:
    """16 digits and letters."""
    return hashlib.sha256(f"dynolab:{text}".encode()).hexdigest()[:16]


def _of_hardware(root: Path) -> Iterator[str]:
    """The chip's serial number, the first network card's address, the built-in storage's number: what cannot be copied."""
    for source in (SERIAL, "sys/devices/soc0/serial_number"):
        if found := _read(root / source):
            yield f"{source}:{found}"
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "Serial" and not NO_SERIAL.fullmatch(value.strip()):
            yield f"cpu:{value.strip()}"
    for kind, told in (("mac", _addresses(root)), ("emmc", _built_in_flash(root)), ("nvme", _drives(root))):
        if numbers := sorted(told):
            yield f"{kind}:{numbers[0]}"


def _addresses(root: Path) -> Iterator[str]:
    """Of network cards that are part of the machine (no cable's adapter, nothing made by software), as their makers gave them."""
    for card in (root / "sys/class/net").glob("*"):
        device = card / "device"
        if not device.exists() or "/usb" in str(device.resolve()):
            continue
        if (card / "phy80211").exists():  # systems make up others for each network
            address = _read(card / "phy80211" / "macaddress")
        elif (card / "bonding_slave").exists():
            address = _read(card / "bonding_slave" / "perm_hwaddr")
        else:
            address = _read(card / "address") if _text(card / "addr_assign_type") == PERMANENT else ""
        if address.strip("0:"):
            yield address


def _built_in_flash(root: Path) -> Iterator[str]:
    """Of memory that is soldered in: a card (``SD``) may move to another board."""
    for one in (root / "sys/block").glob("mmcblk*"):
        if _read(one / "device" / "type") == "MMC" and (number := _read(one / "device" / "cid")):
            yield number


def _drives(root: Path) -> Iterator[str]:
    for one in (root / "sys/class/nvme").glob("*"):
        if number := _read(one / "serial"):
            yield number


def _read(path: Path) -> str:
    """A line of the kernel's or the system's; empty: there is none, or one that is nobody's."""
    told = _text(path).strip("\0 \n")
    return "" if told == "uninitialized" or NO_SERIAL.fullmatch(told) else told


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
