"""A real service manager of a user, ``systemd --user``, with a /run and processes of its own, on a machine that need not run systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .missing import Missing
from .processes import ENDS_WITH_US, children

SYSTEMD = "/usr/lib/systemd/systemd"
READY_WITHIN_S = 60.0
GROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
"""Where control groups of version 1, of both, or of version 2 alone are."""
BOOT = """\
folder=$0
mount -t tmpfs run /run
mkdir -p /run/systemd/system "/run/user/$(id -u)"
chmod 700 "/run/user/$(id -u)"
export XDG_RUNTIME_DIR="/run/user/$(id -u)" XDG_CONFIG_HOME="$folder/config" HOME="$folder/home"
for group in "$@"; do echo 0 > "$group/cgroup.procs"; done
"$systemd" --user --log-target=console > "$folder/systemd.log" 2>&1 &
wait
"""
"""/run/systemd/system is what tells a user's manager that systemd runs the machine (sd_booted(3)). The shell is the first process of the
namespace: systemd itself would take itself for the machine's manager."""


class UserSystemd:
    """A running one; units are those of its ``units`` folder."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            raise Missing("only root can give the tests' systemd its namespaces and control groups")
        if not Path(SYSTEMD).exists() or not shutil.which("systemctl"):
            raise Missing("systemd is not here: apt-get install systemd")
        self.folder, self.units = folder, folder / "config" / "systemd" / "user"
        self.units.mkdir(parents=True)
        (folder / "home").mkdir()
        self._groups = [
            Path(one, f"dynolab-test-{os.getpid()}") for one in GROUPS if Path(one, "cgroup.procs").exists()
        ]
        for one in self._groups:
            one.mkdir()
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [*ENDS_WITH_US, "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-ec"]
        command += [f"systemd={SYSTEMD}; {BOOT}", str(self.folder), *map(str, self._groups)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def wait_until_ready(self) -> None:
        end = time.monotonic() + READY_WITHIN_S
        while self.systemctl("is-system-running").strip() not in ("running", "degraded"):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"systemd --user does not start:\n{self.log}")
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What it and its services said."""
        path = self.folder / "systemd.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def systemctl(self, *arguments: str) -> str:
        """What the command prints, on both streams."""
        first = next(iter(children(self._process.pid)), None)
        if first is None:
            return ""
        user = os.getuid()
        inside = ["nsenter", "--target", str(first), "--mount", "--pid", "env", f"XDG_RUNTIME_DIR=/run/user/{user}"]
        done = subprocess.run(
            [*inside, "systemctl", "--user", "--no-pager", *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout + done.stderr

    def value(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value").strip()

    def close(self) -> None:
        self.systemctl("exit")
        self._process.kill()
        self._process.wait()
        end = time.monotonic() + READY_WITHIN_S
        while any(one.exists() for one in self._groups) and time.monotonic() < end:
            for one in self._groups:  # as long as the last of its processes ends, a group is busy
                for folder, _, _ in os.walk(one, topdown=False):
                    with suppress(OSError):
                        Path(folder).rmdir()
            time.sleep(0.05)


@contextmanager
def user_systemd() -> Iterator[UserSystemd]:
    """One until the block ends. Raises :class:`Missing`."""
    with tempfile.TemporaryDirectory(prefix="dynolab-systemd-") as folder:
        found = UserSystemd(Path(folder))
        try:
            found.wait_until_ready()
            yield found
        finally:
            found.close()
