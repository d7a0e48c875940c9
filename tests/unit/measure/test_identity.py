"""What tells a device from all others: two boards with copies of one card are two, and one board stays one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.measure.identity import hardware, identity

MACHINE_ID = "8c1d0f5a2b3c4d5e6f708192a3b4c5d6"


def board(folder: Path, **files: str) -> Path:
    """A tree of a board's files; ``__`` stands for a slash, ``_`` at the end of a name for nothing."""
    files = {"etc__machine-id": MACHINE_ID, **files}
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


def card(root: Path, name: str, address: str, *, bus: str = "pci0000:00/0000:01:00.0", kind: str = "0") -> None:
    """A network card as /sys shows it."""
    device, link = root / "sys/devices" / bus, root / "sys/class/net" / name
    device.mkdir(parents=True, exist_ok=True)
    link.mkdir(parents=True)
    (link / "device").symlink_to(device)
    (link / "address").write_text(f"{address}\n")
    (link / "addr_assign_type").write_text(f"{kind}\n")


def test_boards_with_copies_of_one_card_are_two(tmp_path: Path) -> None:
    one, other = board(tmp_path / "one"), board(tmp_path / "other")
    assert identity(one) == identity(other), "with nothing but the card there is nothing to tell them by"
    card(one, "eth0", "dc:a6:32:00:00:01")
    card(other, "eth0", "dc:a6:32:00:00:02")
    assert identity(one) != identity(other)
    assert len(identity(one)) == 16


@pytest.mark.parametrize(
    "files",
    [
        {"proc__device-tree__serial-number": "10000000abcdef01"},
        {"sys__devices__soc0__serial_number": "3735928550"},
        {"proc__cpuinfo": "processor\t: 0\nSerial\t\t: 00000000abcdef01"},
        {"sys__block__mmcblk0__device__type": "MMC", "sys__block__mmcblk0__device__cid": "150100445634"},
        {"sys__class__nvme__nvme0__serial": "S6Z1NX0T"},
    ],
)
def test_each_of_these_tells_boards_apart(tmp_path: Path, files: dict[str, str]) -> None:
    last = [*files][-1]
    one = board(tmp_path / "one", **files)
    other = board(tmp_path / "other", **{**files, last: files[last][:-1] + "9"})
    plain = board(tmp_path / "plain")
    assert len({identity(one), identity(other), identity(plain)}) == 3


def test_a_board_of_one_serial_number_is_the_same_with_another_card_or_system(tmp_path: Path) -> None:
    serial = {"proc__device-tree__serial-number": "10000000abcdef01"}
    one, other = board(tmp_path / "one", **serial), board(tmp_path / "other", **serial, **{"etc__machine-id": "f" * 32})
    card(other, "eth0", "dc:a6:32:00:00:02")
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"bus": "pci0000:00/usb1/1-1"},
        {"kind": "1"},
        {"kind": "3"},
        {"address": "00:00:00:00:00:00"},
    ],
)
def test_what_comes_and_goes_is_none_of_it(tmp_path: Path, changes: dict[str, str]) -> None:
    """An adapter at a cable, an address made up by software or set for a while."""
    one = board(tmp_path / "one")
    before = identity(one)
    card(one, "enx", changes.pop("address", "02:11:22:33:44:55"), **changes)
    assert identity(one) == before


def test_a_wireless_card_is_known_by_its_own_address_not_the_one_it_shows(tmp_path: Path) -> None:
    one = board(tmp_path / "one")
    card(one, "wlan0", "6a:00:00:00:00:01", kind="3")
    (one / "sys/class/net/wlan0/phy80211").mkdir()
    (one / "sys/class/net/wlan0/phy80211/macaddress").write_text("dc:a6:32:00:00:07\n")
    assert hardware(one) == "mac:dc:a6:32:00:00:07"


def test_a_card_that_may_move_to_another_board_is_none_of_it(tmp_path: Path) -> None:
    one = board(tmp_path / "one", sys__block__mmcblk0__device__type="SD", sys__block__mmcblk0__device__cid="035344")
    assert hardware(one) is None


@pytest.mark.parametrize("serial", ["0000000000000000", "To Be Filled By O.E.M.", "Default string", "unknown", ""])
def test_a_serial_number_that_is_none(tmp_path: Path, serial: str) -> None:
    one = board(tmp_path / "one", **{"proc__device-tree__serial-number": serial})
    assert identity(one) == identity(board(tmp_path / "other"))


def test_phones_are_told_apart_by_their_serial_number(tmp_path: Path) -> None:
    phones = [identity(tmp_path, {"ro.serialno": one}) for one in ("R5CX0000001", "R5CX0000002")]
    assert phones[0] != phones[1]
