"""The device behind sshd is what tests of connections take it for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dynolab.testing.waiting import until

from .sshd import ACCOUNT_ID, Sshd
from .tcp_proxy import tcp_proxy


def _ssh(device: Sshd, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    config = device.write_client_settings(**settings)
    return subprocess.run(
        ["ssh", "-F", str(config), "board", *command],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(params=["own home", "own account"])
def device(request: pytest.FixtureRequest) -> Sshd:
    name = {"own home": "ssh_device", "own account": "ssh_account"}[request.param]
    found: Sshd = request.getfixturevalue(name)
    return found


def test_caches_of_the_device_lie_apart(device: Sshd) -> None:
    done = _ssh(device, "mkdir -p ~/.cache/dynolab; touch ~/.cache/dynolab/here; id -u")
    assert (device.cache / "here").exists()
    assert int(done.stdout) == (ACCOUNT_ID if device.own_account else os.geteuid())


def test_files_travel_to_the_account_of_the_device(device: Sshd, tmp_path: Path) -> None:
    (tmp_path / "sent").write_text("bytes", encoding="utf-8")
    config = device.write_client_settings()
    batch = tmp_path / "batch"
    batch.write_text(f"put {tmp_path}/sent {device.home}/sent\n", encoding="utf-8")
    subprocess.run(["sftp", "-q", "-b", str(batch), "-F", str(config), "board"], check=True, capture_output=True)
    assert (device.home / "sent").read_text(encoding="utf-8") == "bytes"
    assert (device.home / "sent").stat().st_uid == (ACCOUNT_ID if device.own_account else os.geteuid())


def test_profile_makes_noise_before_every_command(device: Sshd) -> None:
    device.write_profile()
    done = _ssh(device, "echo answer")
    assert done.stdout.splitlines()[-1] == "no end of lineanswer"
    assert "a complaint of the profile" in done.stderr


def test_another_host_key_is_refused_and_a_wrong_key_too(ssh_device: Sshd) -> None:
    assert _ssh(ssh_device, "true").returncode == 0
    wrong = ssh_device.client / "wrong"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(wrong)], check=True)
    assert "Permission denied (publickey)" in _ssh(ssh_device, "true", IdentityFile=str(wrong)).stderr
    ssh_device.change_host_key()
    assert "Host key verification failed" in _ssh(ssh_device, "true").stderr
    ssh_device.trust()
    assert _ssh(ssh_device, "true").returncode == 0


def test_pulled_cable_ends_the_session_and_leaves_the_command(ssh_device: Sshd) -> None:
    config = ssh_device.write_client_settings()
    command = ["ssh", "-F", str(config), "board", "echo began; exec sleep 600"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"began\n"
        running = ssh_device.processes()
        assert running
        assert ssh_device.cut()
        assert client.wait() == 255
    until(lambda: not ssh_device.sessions(), "the server to see the end, which may be later than the client")
    assert ssh_device.processes() == running
    assert _ssh(ssh_device, "true").returncode == 0, "the device itself goes on"


def test_reached_through_a_bad_line(ssh_device: Sshd, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "sent").write_bytes(content)
    with tcp_proxy(ssh_device.port) as line:
        ssh_device.trust_at(line.port)
        config = ssh_device.write_client_settings(Port=str(line.port))
        command = ["scp", "-q", "-F", str(config), str(tmp_path / "sent"), f"board:{ssh_device.home}/there"]
        line.reset_after([1_000_000])
        assert subprocess.run(command, check=False, capture_output=True).returncode != 0
        assert line.resets == 1
        assert 0 < (ssh_device.home / "there").stat().st_size < len(content), "some of it is there"
        subprocess.run(command, check=True, capture_output=True)
    assert (ssh_device.home / "there").read_bytes() == content
