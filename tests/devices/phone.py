"""A phone as far as it can be had without one: Debian's real adbd as the user ``shell`` in a phone's file tree, with the processes, the
network and the mounts of its own; and an adb server of its own that leads to it. ``python -m tests.devices.phone`` starts one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from .missing import Missing
from .phone_root import READPROC_ID, SHELL_ID, phone_root
from .processes import ENDS_WITH_US, children, name_of
from .sshd import free_port
from .tcp_proxy import TcpProxy

ADBD_PORT = 5555
CLONE_NEWNET = 0x40000000
"""linux/sched.h."""
READY_WITHIN_S = 30.0
FIRST = Path(__file__).with_name("phone_first.py")
BOOT = f"""\
root=$0 data=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$data" "$root/data/local/tmp"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for one in null zero full random urandom tty; do : > "$root/dev/$one"; mount --bind "/dev/$one" "$root/dev/$one"; done
ip link set lo up
exec "$2" -I "$3" "$root" {SHELL_ID} {SHELL_ID},{READPROC_ID} /system/bin/env -i \\
  PATH=/system/bin HOME=/ TMPDIR=/data/local/tmp ANDROID_DATA=/data ANDROID_ROOT=/system /apex/adbd
"""


class Phone:
    """A running one. Its ``data`` is /data/local/tmp, seen from here; ``line`` is its cable, which a test may disturb."""

    def __init__(self, folder: Path, root: Path, server_port: int) -> None:
        self.data, self.server_port = folder / "data", server_port
        self._folder, self._root = folder, root
        self.data.mkdir()
        os.chown(self.data, SHELL_ID, SHELL_ID)
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0
        self.line = TcpProxy(ADBD_PORT, connect=self._connect)

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.line.port}"

    @property
    def address(self) -> str:
        """Where it is, as the command line takes it."""
        return f"adb://{self.serial}"

    @contextmanager
    def as_server(self) -> Iterator[None]:
        """This process, and those that it starts, ask this phone's adb server and no other."""
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("ADB_SERVER_SOCKET", raising=False)
            patch.setenv("ANDROID_ADB_SERVER_PORT", str(self.server_port))
            yield

    def adb(self, *arguments: str) -> str:
        """What adb's own client says."""
        return _adb(self.server_port, *arguments)

    def switch_on(self) -> None:
        """Boot it, with what lies on it, and lead the server to it."""
        namespaces = [*ENDS_WITH_US, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        command = [*namespaces, "sh", "-ec", BOOT, str(self._root), str(self.data), sys.executable, str(FIRST)]
        with (self._folder / "adbd.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._first = _first_process(self._process)
        end = time.monotonic() + READY_WITHIN_S
        while "connected to" not in (said := self.adb("connect", self.serial)):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"adbd does not answer: {said}")
        self.adb("-s", self.serial, "wait-for-device")

    def switch_off(self) -> None:
        """Without a word: adbd is the first process of its namespace, and all others end with it."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self._first or self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.line.reset()

    def unplug(self) -> None:
        """The server knows it no more."""
        self.adb("disconnect", self.serial)

    def processes(self) -> list[str]:
        """The command lines of all that runs there besides adbd."""
        found = []
        for pid in children(self._first):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            found.append(b" ".join(words).decode(errors="replace").strip())
        return [one for one in found if one]

    def mount_small(self, name: str, mebibytes: int) -> str:
        """A folder there that has no more room than this."""
        (self.data / name).mkdir()
        place = f"{phone_root()}/data/local/tmp/{name}"
        command = ["nsenter", "--target", str(self._first), "--mount", "mount", "-t", "tmpfs"]
        options = f"size={mebibytes}m,uid={SHELL_ID},gid={SHELL_ID},mode=700"
        subprocess.run([*command, "-o", options, "small", place], check=True)
        return f"/data/local/tmp/{name}"

    def close(self) -> None:
        self.switch_off()
        self.line.close()

    def _connect(self) -> socket.socket:
        """A connection to adbd from inside the phone's network: this thread goes there for as long as it takes to make a socket."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as here, open(f"/proc/{self._first}/ns/net", "rb") as there:  # noqa: PTH123 - not a file's content
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                return socket.create_connection(("127.0.0.1", ADBD_PORT), timeout=5)
            finally:
                libc.setns(here.fileno(), CLONE_NEWNET)


@contextmanager
def phone() -> Iterator[Phone]:
    """One until the block ends, with an adb server of its own. Raises :class:`Missing`."""
    if os.geteuid() != 0:
        raise Missing("only root can give the phone of the tests its namespaces and its file tree")
    for program, package in (("adb", "adb"), ("unshare", "util-linux"), ("ip", "iproute2")):
        if not shutil.which(program):
            raise Missing(f"{program} is not here: apt-get install {package}")
    root = phone_root()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dynolab-phone-")))
        found = Phone(folder, root, stack.enter_context(_adb_server(folder)))
        stack.callback(found.close)
        found.switch_on()
        yield found


@contextmanager
def _adb_server(folder: Path) -> Iterator[int]:
    """The port of an adb server with keys and settings of its own, which nobody else's clients ask."""
    port = free_port()
    environment = {**os.environ, "HOME": str(folder), "ADB_MDNS": "0"}
    with (folder / "adb.log").open("wb") as log:
        command = [*ENDS_WITH_US, "adb", "-P", str(port), "nodaemon", "server"]
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        end = time.monotonic() + READY_WITHIN_S
        while not _listens(port):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"adb's server does not answer: {(folder / 'adb.log').read_text(encoding='utf-8')}")
        yield port
    finally:
        server.kill()
        server.wait()


def _adb(port: int, *arguments: str) -> str:
    done = subprocess.run(
        ["adb", "-P", str(port), *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return done.stdout + done.stderr


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        time.sleep(0.01)
        return False
    return True


def _first_process(process: subprocess.Popen[bytes]) -> int:
    """The first process of the phone's namespace, once it has become adbd."""
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        for pid in children(process.pid):
            if name_of(pid) == "adbd":
                return pid
        time.sleep(0.01)
    raise RuntimeError("adbd did not start")


def main() -> None:
    """Start one, say how to reach it, and wait."""
    with phone() as found:
        print(f"adb -P {found.server_port} -s {found.serial} shell", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("It ends.")


if __name__ == "__main__":
    main()
