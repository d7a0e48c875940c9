"""A real aarch64 Linux with sshd, emulated on this machine: ``python -m tests.devices.arm64_machine`` starts one until Ctrl-C.

It reaches nothing outside. What is written to its disk is gone when it ends. Its times are those of an emulation.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .arm64_image import Image, image
from .missing import Missing
from .processes import ENDS_WITH_US
from .ssh_client import SshClient
from .sshd import answers, free_port, known_host

QEMU = "qemu-system-aarch64"
CPU = "cortex-a76"
"""The Raspberry Pi 5's."""
BOOTED_WITHIN_S = 300.0


class Arm64Machine(SshClient):
    """A running one: its user is ``pi``, without a password, and ``key`` lets in. Files of the client's side lie in ``client``."""

    user = "pi"

    def __init__(self, folder: Path, made: Image, process: subprocess.Popen[bytes], port: int) -> None:
        self.port, self.pid = port, process.pid
        self.key, self.client = made.key, folder
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(known_host(port, made.host_key.with_suffix(".pub")), encoding="utf-8")
        self._process, self._console = process, folder / "console"

    @property
    def console(self) -> str:
        """What it has written to its console."""
        return self._console.read_text(encoding="utf-8", errors="replace") if self._console.exists() else ""

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Pull the plug."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It stands still: connections stay open, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def arm64_machine(*, clock: str = "", cores: int = 2, memory_mib: int = 1024) -> Iterator[Arm64Machine]:
    """One until the block ends; ``clock`` sets its clock wrong (``2015-03-01T12:00:00``). Raises :class:`Missing`."""
    if not shutil.which(QEMU):
        raise Missing(f"{QEMU} is not here: apt-get install qemu-system-arm")
    made, port = image(), free_port()
    with tempfile.TemporaryDirectory(prefix="dynolab-arm64-") as name:
        folder = Path(name)
        machine = [
            QEMU,
            "-M",
            "virt",
            "-cpu",
            CPU,
            "-smp",
            str(cores),
            "-m",
            str(memory_mib),
            "-accel",
            "tcg,thread=multi",
        ]
        boot = ["-kernel", str(made.kernel), "-initrd", str(made.initramfs), "-append", "console=ttyAMA0 quiet panic=1"]
        disk = [
            *("-drive", f"file={made.disk},format=raw,if=none,id=disk,snapshot=on"),
            *("-device", "virtio-blk-device,drive=disk"),
        ]
        network = [
            *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
            *("-device", "virtio-net-device,netdev=net"),
        ]
        rest = ["-nodefaults", "-nographic", "-no-reboot", "-serial", f"file:{folder}/console"]
        rest += ["-rtc", f"base={clock}"] if clock else []
        with (folder / "qemu.log").open("wb") as log:
            process = subprocess.Popen(
                [*ENDS_WITH_US, *machine, *boot, *disk, *network, *rest],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "TMPDIR": name},  # where it keeps what is written to the disk
            )
        try:
            found = Arm64Machine(folder, made, process, port)
            _wait(found, folder / "qemu.log")
            yield found
        finally:
            process.kill()
            process.wait()


def _wait(machine: Arm64Machine, log: Path) -> None:
    end = time.monotonic() + BOOTED_WITHIN_S
    while not answers(machine.port):
        if not machine.running or time.monotonic() > end:
            raise RuntimeError(f"the machine did not boot:\n{log.read_text(encoding='utf-8')}\n{machine.console}")


def main() -> None:
    """Start one, say how to reach it, and wait."""
    start = time.monotonic()
    with arm64_machine() as machine:
        print(f"{machine.address} answers after {time.monotonic() - start:.1f} s")
        print(
            f"ssh -p {machine.port} -i {machine.key} -o UserKnownHostsFile={machine.known_hosts} pi@127.0.0.1",
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("It ends.")


if __name__ == "__main__":
    main()
