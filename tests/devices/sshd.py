"""OpenSSH's own server on a free port of this machine: a device that a test can watch, disturb and pull the cable of."""

from __future__ import annotations

import fcntl
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from dynolab.connections.base import connect

from .missing import Missing
from .processes import ENDS_WITH_US, children, name_of
from .ssh_client import SshClient

SSHD = "/usr/sbin/sshd"
ACCOUNT = "pi"
ACCOUNT_ID = 54_322
"""An account of the device's own, where the tests are root: known to its processes only, by a passwd file mounted for them."""
READY_WITHIN_S = 20.0
KEPT_WHEELS = "TEST_BOARD_WHEELS"
"""Names the folder of what all devices begin with; not set: each is new, and sent all that it needs."""
SENT_FIRST = ("null", "onnxruntime")
"""The runtimes that most tests of devices need there."""
NOISE = """\
echo "Welcome to the board! 3 updates can be installed."
echo '{"event": "not ours"}'
echo "a complaint of the profile" >&2
printf 'no end of line'
"""
"""A shell profile that speaks on both streams, also for commands that nobody types."""


class Sshd(SshClient):
    """A server, with a home of its own for who logs in. Files of the client's side lie in ``client``.

    With an ``account`` of its own the one who logs in is not who runs the tests: for root only, since the server must become it.
    ``mounts`` are folders by where the device sees them, ``variables`` what else is in the environment of who logs in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        own_account: bool = False,
        mounts: Mapping[str, Path] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        if not Path(SSHD).exists() or not shutil.which("ssh-keygen"):
            raise Missing("sshd is not installed: apt-get install openssh-server openssh-client")
        if (own_account or mounts) and os.geteuid() != 0:
            raise Missing("only root can give the device an account, or files of the system, of its own")
        self._mounts, self._variables = dict(mounts or {}), dict(variables or {})
        self.folder, self.own_account = folder, own_account
        self.home, self.client, self._server = folder / "home", folder / "client", folder / "server"
        for one in (self.home, self.client, self._server):
            one.mkdir(parents=True)
        self.user = ACCOUNT if own_account else getpass.getuser()
        self.port = free_port()
        self.key, self.known_hosts = self.client / "key", self.client / "known_hosts"
        _make_key(self.key)
        (self._server / "authorized_keys").write_bytes(self.key.with_suffix(".pub").read_bytes())
        if own_account:
            folder.chmod(0o755)
            os.chown(self.home, ACCOUNT_ID, ACCOUNT_ID)
        self._process: subprocess.Popen[bytes] | None = None
        self._new_host_key()
        self.trust()

    @property
    def cache(self) -> Path:
        """Where the device keeps what it was sent."""
        return self.home / ".cache" / "dynolab"

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return (self._server / "log").read_text(encoding="utf-8", errors="replace")

    def open(self) -> None:
        """Start it, and wait until it answers."""
        self._write_settings()
        with (self._server / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*ENDS_WITH_US, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + READY_WITHIN_S
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"sshd does not answer:\n{self.log}")

    def close(self) -> None:
        """Stop it, and whoever is logged in; a second time does nothing."""
        if self._process is None:
            return
        every = [self._process.pid, *children(self._process.pid)]
        for pid in every:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def sessions(self) -> list[int]:
        """The processes of the server that serve a connection now, not those of their users."""
        if self._process is None:
            return []
        return [pid for pid in children(self._process.pid) if name_of(pid).startswith("sshd")]

    def cut(self) -> list[int]:
        """Kill what serves the connections that are open: the cable is pulled. Their commands are left to themselves."""
        found = self.sessions()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return found

    def processes(self) -> list[int]:
        """All that those who are logged in, or were, have running here: told by their HOME, which nobody else has."""
        mark, found = b"HOME=" + os.fsencode(self.home), []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def trust(self) -> None:
        """Write down the host key for the client, as if a person had checked it."""
        self.known_hosts.write_text(known_host(self.port, self._server / "hostkey.pub"), encoding="utf-8")

    def trust_at(self, port: int) -> None:
        """Also when it is reached by another port of this machine, through a proxy."""
        with self.known_hosts.open("a", encoding="utf-8") as file:
            file.write(known_host(port, self._server / "hostkey.pub"))

    def change_host_key(self) -> None:
        """Another host key from now on, at the same address, as after a new installation or with somebody in between."""
        self.close()
        self._new_host_key()
        self.open()

    def write_profile(self, text: str = NOISE) -> None:
        """What the shell of who logs in reads first, for commands too (bash reads it when sshd starts it)."""
        (self.home / ".bashrc").write_text(text, encoding="utf-8")

    def _new_host_key(self) -> None:
        for one in ("hostkey", "hostkey.pub"):
            (self._server / one).unlink(missing_ok=True)
        _make_key(self._server / "hostkey")

    def _write_settings(self) -> None:
        """``SetEnv``: the caches of who logs in lie apart, whoever that is, and so do the locks of each of these boards."""
        variables = {"HOME": self.home, "DYNOLAB_LOCKS": self.home / "locks", **self._variables}
        (self._server / "settings").write_text(
            f"""\
ListenAddress 127.0.0.1
Port {self.port}
HostKey {self._server}/hostkey
AuthorizedKeysFile {self._server}/authorized_keys
SetEnv {" ".join(f'"{name}={value}"' for name, value in variables.items())}
PidFile none
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
""",
            encoding="utf-8",
        )

    def _command(self) -> list[str]:
        serve = [SSHD, "-D", "-e", "-f", str(self._server / "settings")]
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # where it shuts itself in; else the init script makes it
        binds = {**{str(path): place for place, path in self._mounts.items()}}
        if self.own_account:
            self._write_account()
            binds |= {f"{self._server}/{file}": f"/etc/{file}" for file in ("passwd", "group", "shadow")}
        if not binds:
            return serve
        mounts = "; ".join(f"mount --bind {source} {place}" for source, place in binds.items())
        return ["unshare", "--mount", "--", "sh", "-ec", f'{mounts}; exec "$@"', "sh", *serve]

    def _write_account(self) -> None:
        """The system's accounts, and one more."""
        for file, line in (
            ("passwd", f"{ACCOUNT}:x:{ACCOUNT_ID}:{ACCOUNT_ID}::{self.home}:/bin/bash"),
            ("group", f"{ACCOUNT}:x:{ACCOUNT_ID}:"),
        ):
            known = Path("/etc", file).read_text(encoding="utf-8").rstrip("\n")
            (self._server / file).write_text(f"{known}\n{line}\n", encoding="utf-8")
        shadow = Path("/etc/shadow").read_text(encoding="utf-8").rstrip("\n")
        (self._server / "shadow").write_text(f"{shadow}\n{ACCOUNT}:*:1:0:99999:7:::\n", encoding="utf-8")


@contextmanager
def sshd(
    *,
    own_account: bool = False,
    mounts: Mapping[str, Path] | None = None,
    variables: Mapping[str, str] | None = None,
    is_new: bool = False,
) -> Iterator[Sshd]:
    """A running one, gone with all that was started through it when the block ends. Raises :class:`Missing`.

    It has the wheels that it was sent before, unpacked and compiled, but no environment of them; ``is_new``: nothing at all.
    """
    folder = Path(tempfile.mkdtemp(prefix="dynolab-sshd-"))  # short, and to be entered by another account
    try:
        made = Sshd(folder / "d", own_account=own_account, mounts=mounts, variables=variables)
        if not is_new:
            _give_wheels(made)
        with closing(made) as server:
            if own_account:
                folder.chmod(0o755)
            server.open()
            yield server
            for pid in server.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    finally:
        shutil.rmtree(folder)


def _give_wheels(device: Sshd) -> None:
    """What sending, unpacking and compiling the same for each device would take longer for than most of their tests do else."""
    if not (place := os.environ.get(KEPT_WHEELS)):
        return
    made, wheels = _made_wheels(Path(place)), device.cache / "wheels"
    wheels.mkdir(parents=True)
    # Nobody writes to a file of them: links do, but where they have to be another account's.
    copy = ["cp", "--archive", *([] if device.own_account else ["--link"]), f"{made}/.", str(wheels)]
    subprocess.run(copy, check=True)
    if device.own_account:
        subprocess.run(["chown", "-R", f"{ACCOUNT_ID}:{ACCOUNT_ID}", str(device.home)], check=True)


def _made_wheels(place: Path) -> Path:
    """They, by whoever of several processes needs them first, from a device that was sent them."""
    place.mkdir(exist_ok=True)
    with (place / "made").open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        if not os.fstat(made.fileno()).st_size:
            with (
                sshd(is_new=True) as first,
                first.as_home(),
                closing(connect(first.address)) as connection,
                connection.session(SENT_FIRST, lambda text: None),
            ):
                shutil.copytree(first.cache / "wheels", place / "wheels")
            made.write("whole")
    return place / "wheels"


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dynolab-test", "-f", str(path)], check=True)


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def known_host(port: int, public_key: Path) -> str:
    """A line of known_hosts for a port of this machine."""
    kind, key = public_key.read_text(encoding="utf-8").split()[:2]
    return f"[127.0.0.1]:{port} {kind} {key}\n"


def answers(port: int) -> bool:
    """Whether an SSH server speaks there; waits for its greeting."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
            return one.recv(256).startswith(b"SSH-")
    except OSError:
        time.sleep(0.01)
        return False
