"""The devices as pytest's fixtures: a device that this machine cannot have is a skip with its reason, or a failure where it is required."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import pytest

from .arm64_machine import Arm64Machine, arm64_machine
from .missing import Missing
from .phone import Phone, phone
from .sshd import Sshd, sshd

Device = TypeVar("Device")


@contextmanager
def present(name: str, device: AbstractContextManager[Device]) -> Iterator[Device]:
    """The device, or the end of the test: DYNOLAB_REQUIRED_DEVICES names those that may not be missing."""
    try:
        found = device.__enter__()
    except Missing as error:
        if name in os.environ.get("DYNOLAB_REQUIRED_DEVICES", "").split():
            pytest.fail(f"{name} is required: {error}")
        pytest.skip(str(error))
    try:
        yield found
    finally:
        device.__exit__(None, None, None)


@pytest.fixture(name="ssh_device")
def ssh_device_fixture() -> Iterator[Sshd]:
    """A device of the test's own behind sshd, with a home of its own: the user is who runs the tests."""
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture(name="new_ssh_device")
def new_ssh_device_fixture() -> Iterator[Sshd]:
    """The same, which was sent nothing yet."""
    with present("sshd", sshd(is_new=True)) as found:
        yield found


@pytest.fixture(name="ssh_account")
def ssh_account_fixture() -> Iterator[Sshd]:
    """The same, with an account of its own: for root only."""
    with present("sshd", sshd(own_account=True)) as found:
        yield found


@pytest.fixture(name="phone")
def phone_fixture() -> Iterator[Phone]:
    """A phone of the test's own behind adbd, and an adb server that leads to it."""
    with present("adbd", phone()) as found:
        yield found


@pytest.fixture(name="arm64_board", scope="session")
def arm64_board_fixture() -> Iterator[Arm64Machine]:
    """An emulated aarch64 machine for all tests of a session: its user is ``pi``, and what one test leaves there another finds."""
    with present("arm64", arm64_machine()) as found:
        yield found
