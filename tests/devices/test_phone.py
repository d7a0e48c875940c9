"""The phone of the tests is as bare as a phone, and adb's own client works with it."""

from __future__ import annotations

import os
from pathlib import Path

from .phone import Phone
from .phone_root import SHELL_ID


def test_shell_is_a_phones_and_there_is_no_c_library(phone: Phone) -> None:
    said = phone.adb(
        "-s",
        phone.serial,
        "shell",
        "id -u; getprop ro.soc.model; dumpsys thermalservice | grep '^Thermal S'; ls /lib /usr; exit 7",
    )
    assert said.split("\n")[:3] == [str(SHELL_ID), "SM8650", "Thermal Status: 0"]
    assert said.count("No such file or directory") == 2


def test_files_arrive_as_the_users_shell_and_programs_of_this_machine_do_not_start(
    phone: Phone, tmp_path: Path
) -> None:
    (tmp_path / "sent").write_bytes(Path("/usr/bin/env").resolve().read_bytes())
    (tmp_path / "sent").chmod(0o755)
    phone.adb("-s", phone.serial, "push", str(tmp_path / "sent"), "/data/local/tmp/sent")
    assert (phone.data / "sent").stat().st_uid == SHELL_ID
    assert "No such file or directory" in phone.adb("-s", phone.serial, "shell", "/data/local/tmp/sent")


def test_it_has_processes_and_a_network_of_its_own(phone: Phone) -> None:
    assert not phone.processes()
    interfaces = phone.adb("-s", phone.serial, "shell", "cat /proc/net/dev").splitlines()[2:]
    assert [one.split(":")[0].strip() for one in interfaces] == ["lo"]
    assert f" {os.getpid()} " not in phone.adb("-s", phone.serial, "shell", "ps -ef")


def test_switched_off_it_is_gone_for_adb(phone: Phone) -> None:
    assert "\tdevice" in phone.adb("devices")
    phone.switch_off()
    said = phone.adb("-s", phone.serial, "shell", "true")
    assert "offline" in said or "not found" in said
    phone.switch_on()
    assert phone.adb("-s", phone.serial, "shell", "echo back") == "back\n"


def test_its_user_may_not_make_a_socket_or_a_fifo_but_folders_and_links(phone: Phone) -> None:
    """As Android's SELinux policy has it for ``shell`` in /data/local/tmp."""
    said = phone.adb(
        "-s", phone.serial, "shell", "cd /data/local/tmp && mkdir d && ln -s d l && echo made; toybox mkfifo fifo"
    )
    assert said.startswith("made\n")
    assert not (phone.data / "fifo").exists()
    assert "Permission denied" in said or "Operation not permitted" in said
