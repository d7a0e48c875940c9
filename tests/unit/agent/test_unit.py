"""systemd units of the agent: what systemd itself says of them, and that nothing in them keeps models from being confined."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dynolab.agent import unit
from dynolab.cli.main import cli

BREAKS = (
    "ProtectKernelTunables", "ProtectKernelLogs", "ProtectProc", "ProcSubset", "ProtectControlGroups", "RestrictNamespaces",
    "PrivateUsers", "PrivateDevices", "SystemCallFilter", "RestrictAddressFamilies", "MemoryDenyWriteExecute", "PrivateMounts",
)  # fmt: skip
"""What leaves no room for a sandbox inside, for accelerators, or for runtimes that compile while they run."""


def settings(text: str) -> dict[str, list[str]]:
    """Values by name of a unit's lines."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("system", [False, True], ids=["user", "system"])
@pytest.mark.parametrize("options", [(), ("--name", 'Pi "5" at 100% $HOME\\x')], ids=["plain", "odd name"])
def test_systemd_takes_the_unit(system: bool, options: tuple[str, ...], tmp_path: Path) -> None:
    text = unit.system_unit(options) if system else unit.user_unit(options)
    found = settings(text)
    assert {line for line in text.splitlines() if line.startswith("[")} == {"[Unit]", "[Service]", "[Install]"}
    assert found["RestartPreventExitStatus"] == ["2"]
    assert found["SuccessExitStatus"] == ["143"], "told to end as it starts"
    assert not set(found) & set(BREAKS)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("what is written in the unit holds; systemd-analyze is not installed: apt-get install systemd")
    path = tmp_path / "dynolab-agent.service"
    path.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *([] if system else ["--user"]), str(path)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "dynolab-agent" in line]
    assert ours == [], done.stderr


def test_systemd_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    """Else the test above would be met by a systemd-analyze that says nothing."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "dynolab-agent.service"
    path.write_text(unit.system_unit().replace("Restart=always", "Restart=perhaps"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    assert "perhaps" in done.stderr


def test_a_command_line_is_one_that_systemd_reads_back() -> None:
    (start,) = settings(unit.user_unit(("--name", "a b", "--join", "x@example.org", "100%", "$5")))["ExecStart"]
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(start)]
    assert words[0] == str(Path(sys.executable).with_name("dynolab"))
    assert words[1:] == ["agent", "--wait-for-hub", "--name", "a b", "--join", "x@example.org", "100%", "$5"]


def test_a_users_unit_keeps_the_folders_that_were_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", "/srv/50% state")
    for name in ("DYNOLAB_WORKSPACE", "DYNOLAB_LOCKS"):
        monkeypatch.delenv(name, raising=False)
    assert settings(unit.user_unit())["Environment"] == ['"DYNOLAB_STATE=/srv/50%% state"']


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, text in (((), unit.user_unit()), (("--system",), unit.system_unit())):
        cli.main(["agent", "unit", *arguments], standalone_mode=False)
        assert capsys.readouterr().out == text
    cli.main(["agent", "unit", "--", "--toolchains-only"], standalone_mode=False)
    assert capsys.readouterr().out == unit.user_unit(["--toolchains-only"])


def test_nothing_gets_more_rights_and_models_are_confined_all_the_same() -> None:
    """As the units have it: no new privileges."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not installed")
    program = "from dynolab.sandbox import base; print(base.strongest().name)"
    plain = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    command = ["setpriv", "--no-new-privs", sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == plain
