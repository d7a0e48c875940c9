"""systemd units of the agent (systemd.service(5), systemd.exec(5)): one of a user, one of the machine.

What confines the agent must leave its own means to confine models: bubblewrap makes namespaces of its own, mounts a
/proc of its own, which the kernel allows only where nothing covers parts of the one outside, and looks for control groups.
So there is no ProtectKernelTunables, ProtectProc, ProtectControlGroups, RestrictNamespaces, PrivateDevices (accelerators) or
SystemCallFilter here.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dynolab.agent import state

USER, SYSTEM_STATE, SYSTEM_CACHE = "dynolab", "/var/lib/dynolab", "/var/cache/dynolab"
HOMES = ("/home/", "/root/", "/run/user/")
RUNNING = """\
# Refused for good, by a wrong token say, it ends with 2: starting it again would help nobody.
Restart=always
RestartSec=10
RestartPreventExitStatus=2
# Told to end as it starts, it ends with 143.
SuccessExitStatus=143
# A model that takes all memory is killed, and the agent tells that; it must not be ended with it.
OOMPolicy=continue
KillMode=mixed
TimeoutStopSec=30
UMask=0077
# No program that a model starts gets more rights than it (sudo and the like).
NoNewPrivileges=yes
"""


def user_unit(options: Sequence[str] = ()) -> str:
    """The unit for this user, with this interpreter, state folder and these options of the agent."""
    kept = {
        name: os.environ[name]
        for name in ("DYNOLAB_STATE", "DYNOLAB_WORKSPACE", "DYNOLAB_LOCKS")
        if os.environ.get(name)
    }
    return f"""\
# Save this as ~/.config/systemd/user/dynolab-agent.service, then:
#   systemctl --user daemon-reload
#   systemctl --user enable --now dynolab-agent
#   sudo loginctl enable-linger "$USER"     # so that it also runs while you are not signed in
#   journalctl --user -u dynolab-agent -f   # what it says
# The machine joins its hub before that: {_shown(state.file())} keeps it.
[Unit]
Description=dynolab agent: this machine is a device of a hub

[Service]
ExecStart={_start(options)}
{_environment(kept)}{RUNNING}
[Install]
WantedBy=default.target
"""


def system_unit(options: Sequence[str] = ()) -> str:
    """The unit for the whole machine, as a user of its own."""
    joins = (
        f"sudo -u {USER} DYNOLAB_STATE={SYSTEM_STATE} {shlex.quote(str(program()))} agent --hub URL --join-token TOKEN"
    )
    home = "read-only" if str(program()).startswith(HOMES) else "yes"
    kept = {"DYNOLAB_STATE": SYSTEM_STATE, "XDG_CACHE_HOME": SYSTEM_CACHE}
    return f"""\
# Save this as /etc/systemd/system/dynolab-agent.service, then:
#   sudo useradd --system --create-home --home-dir {SYSTEM_STATE} --shell /usr/sbin/nologin {USER}
#   {joins} --only-join
#   sudo systemctl daemon-reload
#   sudo systemctl enable --now dynolab-agent
#   journalctl -u dynolab-agent -f          # what it says
[Unit]
Description=dynolab agent: this machine is a device of a hub
Wants=network-online.target
After=network-online.target

[Service]
User={USER}
ExecStart={_start(options)}
{_environment(kept)}StateDirectory={Path(SYSTEM_STATE).name}
StateDirectoryMode=0700
CacheDirectory={Path(SYSTEM_CACHE).name}
CacheDirectoryMode=0700
{RUNNING}# The system is read-only to it but for its own two folders, and it has a /tmp of its own.
ProtectSystem=strict
# There all who measure on a machine see each other.
ReadWritePaths=-/run/lock
ProtectHome={home}
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def program() -> Path:
    """The command beside the interpreter; the environment's own, not what it leads to."""
    return Path(sys.executable).with_name("dynolab")


def _start(options: Sequence[str]) -> str:
    return " ".join(map(_word, [str(program()), "agent", "--wait-for-hub", *options]))


def _word(text: str) -> str:
    """A word of a command line as systemd reads it (systemd.service(5), COMMAND LINES)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if text and not set(text) & set(" \t'\";\\") else f'"{escaped}"'


def _environment(values: dict[str, str]) -> str:
    words = (
        f"{name}={value}".replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") for name, value in values.items()
    )
    return "".join(f'Environment="{word}"\n' for word in words)


def _shown(path: Path) -> str:
    """A path in a comment, on one line."""
    return str(path).replace("\n", " ")
