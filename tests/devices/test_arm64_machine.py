"""The emulated aarch64 machine is a Linux of its own that sshd leads to."""

from __future__ import annotations

import subprocess

import pytest

from .arm64_machine import Arm64Machine

pytestmark = pytest.mark.slow


def test_it_is_an_aarch64_linux_with_python_and_a_user(arm64_board: Arm64Machine) -> None:
    settings = [
        "-o",
        f"UserKnownHostsFile={arm64_board.known_hosts}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-i",
        str(arm64_board.key),
    ]
    asked = "id -un; python3 -c 'import platform; print(platform.machine(), *platform.libc_ver(), platform.python_version_tuple()[1])'"
    command = ["ssh", "-F", "none", "-p", str(arm64_board.port), *settings, f"{arm64_board.user}@127.0.0.1", asked]
    done = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.stdout.split() == ["pi", "aarch64", "glibc", "2.36", "11"]
