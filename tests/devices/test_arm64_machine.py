"""The emulated aarch64 machine is a Linux of its own that sshd leads to; and what dynolab finds out about it, there."""

from __future__ import annotations

import json
import subprocess

import pytest

from dynolab.connections._measuring_half import measuring_half

from .arm64_machine import Arm64Machine

pytestmark = pytest.mark.slow
FACTS = """
import json, sys
sys.path.insert(0, "half.zip")
from dynolab.measure import environment
from dynolab.measure.readings import energy
from dynolab.spec import codec, device_attributes
facts = environment.device_facts()
told = {"facts": codec.encode(facts), "attributes": device_attributes.attributes(facts)}
print(json.dumps(told | {"environment": environment.environment(), "energy": energy.plugin.told()[1]}))
"""


def asked(board: Arm64Machine, *command: str, given: bytes = b"") -> str:
    """What a command says there."""
    settings = [
        "-o",
        f"UserKnownHostsFile={board.known_hosts}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-i",
        str(board.key),
    ]
    whole = ["ssh", "-F", "none", "-p", str(board.port), *settings, f"{board.user}@127.0.0.1", *command]
    return subprocess.run(whole, check=True, capture_output=True, input=given).stdout.decode()


def test_it_is_an_aarch64_linux_with_python_and_a_user(arm64_board: Arm64Machine) -> None:
    wanted = "id -un; python3 -c 'import platform; print(platform.machine(), *platform.libc_ver(), platform.python_version_tuple()[1])'"
    assert asked(arm64_board, wanted).split() == ["pi", "aarch64", "glibc", "2.36", "11"]


def test_it_is_recognised_as_emulated_and_named_after_what_emulates_it(arm64_board: Arm64Machine) -> None:
    """Its device tree calls it ``linux,dummy-virt``, and its CPU is a Raspberry Pi's."""
    half, _ = measuring_half()
    asked(arm64_board, "cat > half.zip", given=half)
    told = json.loads(asked(arm64_board, "python3 -", given=FACTS.encode()))
    facts = told["facts"]
    assert (facts["name"], facts["architecture"]) == ("QEMU virtual machine (aarch64)", "aarch64")
    assert facts["core_types"] == [{"name": "cortex-a76", "count": facts["cores"], "max_hz": None}]
    assert told["environment"]["emulation"] == "emulated: a machine of QEMU that shows no KVM"
    assert told["environment"]["virtualisation"] == "virtual machine (qemu)"
    assert told["attributes"] == ["os:linux", "os:debian", "format:compute", "abi:aarch64-linux", "chipset:cortex-a76"]
    assert set(told["energy"]) == {"rapl", "board", "nvidia", "battery"}
