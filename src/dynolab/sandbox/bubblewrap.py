"""bubblewrap (https://github.com/containers/bubblewrap): namespaces set up by a program that distributions ship."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dynolab.sandbox._order import Order
from dynolab.sandbox.base import INSTALL, Confinement, Sandbox, filtered, mount_order


class Bubblewrap(Sandbox):
    """Its own file system, processes, network and IPC, by ``bwrap``."""

    name = "bubblewrap"
    rank = 3

    @property
    def protects(self) -> tuple[str, ...]:
        return ("files", "network", "processes", *filtered())

    def unavailable(self) -> str | None:
        if shutil.which("bwrap") is None:
            return f"bwrap is not installed ({INSTALL})"
        return self.trial()

    def wrap(self, confinement: Confinement, order: Order) -> tuple[list[str], Order]:
        plan = mount_order(confinement)
        command = [
            shutil.which("bwrap") or "bwrap",
            "--die-with-parent", "--as-pid-1", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
            "--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys",
            "--perms", "1777", "--tmpfs", "/dev/shm",
            "--perms", "1777", "--tmpfs", "/tmp",
        ]  # fmt: skip
        if os.geteuid() == 0:
            command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
            command += ["--cap-add", "CAP_DAC_READ_SEARCH"] if order["reads_all"] else []
        else:
            command += ["--unshare-user"]
        for source, target, writable in plan["binds"]:
            for parent in reversed(Path(target).parents[:-1]):  # which it would close to all but their owner
                command += ["--perms", "0755", "--dir", str(parent)]
            command += ["--bind" if writable else "--ro-bind", source, target]
        for device in plan["devices"]:
            command += ["--dev-bind", device, device]
        return [*command, "--remount-ro", "/", "--chdir", "/"], order


plugin = Bubblewrap()
