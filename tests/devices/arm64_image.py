"""A disk with a small Debian for aarch64, its kernel and its initramfs, made of packages alone.

No root, no debootstrap, no script of a package: files are unpacked, and the handful of settings that a board needs is written. It is
kept in the user's cache folder by the digest of this program, and made anew when that changes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from .debian import Archive, unpack
from .missing import Missing

RELEASE = "bookworm"
"""Python 3.11, the oldest that dynolab runs on, and glibc 2.36."""
PACKAGES = [
    "base-files",
    "bash",
    "busybox-static",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "gzip",
    "iproute2",
    "libgcc-s1",
    "libstdc++6",
    "netbase",
    "openssh-server",
    "procps",
    "python3",
    "sed",
    "tar",
    "util-linux",
]
LEFT_OUT = re.compile(
    r"(adduser|debconf|debianutils|dpkg|init-system-helpers|libdebconf|libgdbm|libpam-runtime|libperl|libfile-find|libnumber|libtext-glob"
    r"|perl|runit|ucf|usrmerge)"
)
"""What only the packages' own scripts need."""
NOT_UNPACKED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info")
MODULES = ("virtio_mmio", "virtio_blk", "virtio_net")
DISK_SIZE = "3G"
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
{insert}
until [ -e /dev/vda ]; do /bin/busybox sleep 0.05; done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /usr/sbin/board-init
"""
BOARD_INIT = """\
#!/bin/busybox sh
# The first process of the board: what is mounted, its network, and sshd.
b=/bin/busybox
export PATH=/usr/sbin:/usr/bin
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
[ -c /dev/null ] || $b mount -t devtmpfs dev /dev
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
for one in /dev/shm /run /tmp; do $b mount -t tmpfs -o mode=1777 tmpfs $one; done
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
$b mount -o remount,rw /
$b mkdir -p -m 755 /run/sshd
$b chown -R 1000:1000 /home/pi
$b hostname board
$b ip link set lo up
$b ip addr add 10.0.2.15/24 dev eth0
$b ip link set eth0 up
$b ip route add default via 10.0.2.2
/usr/sbin/sshd -D -e 2>/dev/console &
while :; do wait; $b sleep 60; done
"""
SSHD = """\
HostKey /etc/ssh/host_key
UsePAM no
UseDNS no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""
PASSWD = """\
root:x:0:0:root:/root:/bin/bash
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
pi:x:1000:1000::/home/pi:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = "root:x:0:\npi:x:1000:\nnogroup:x:65534:\n"
SHADOW = "".join(f"{name}:*:1:0:99999:7:::\n" for name in ("root", "sshd", "pi"))


@dataclass(frozen=True, slots=True)
class Image:
    """Files of an image; ``key`` lets the user ``pi`` in, and the board shows ``host_key``."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        return self.folder / "initramfs"

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def host_key(self) -> Path:
        return self.folder / "host_key"


def image() -> Image:
    """The image, made now if there is none of this program's yet. Raises :class:`Missing` where it cannot be made."""
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    kept = platformdirs.user_cache_path("dynolab-tests") / f"arm64-{digest}"
    if (kept / "disk").exists():
        return Image(kept)
    for program, package in (("mke2fs", "e2fsprogs"), ("ssh-keygen", "openssh-client")):
        if not _program(program):
            raise Missing(f"{program} is not here: apt-get install {package}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{kept.name}.", dir=kept.parent))
    try:
        _make(making)
        if kept.exists():  # another made it meanwhile
            return Image(kept)
        making.rename(kept)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Image(kept)


def _make(folder: Path) -> None:
    archive = Archive(folder / "apt", RELEASE, "arm64")
    root, kernel = folder / "root", folder / "kernel"
    packages = [one for one in archive.download(*PACKAGES) if not LEFT_OUT.match(one.name)]
    _make_root(root, packages)
    (newest,) = (one for one in archive.depends("linux-image-cloud-arm64") if one.startswith("linux-image-"))
    (package,) = archive.download_alone(newest)
    unpack(package, kernel)
    shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    (folder / "initramfs").write_bytes(_initramfs(root / "usr/bin/busybox", kernel / "lib/modules"))
    _make_keys(folder, root)
    _make_disk(root, folder / "disk")
    for made in ("apt", "root", "kernel"):
        shutil.rmtree(folder / made)


def _make_root(root: Path, packages: Iterable[Path]) -> None:
    """The file tree: a merged /usr, the packages, and what a board's owner would have set."""
    for name in (
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "root",
        "home/pi",
        "etc/ssh",
        "var/log",
        "var/empty",
    ):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        unpack(package, root, without=NOT_UNPACKED)
    (root / "usr/bin/sh").unlink(missing_ok=True)
    (root / "usr/bin/sh").symlink_to("dash")  # a script of its package does that
    written = {
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        "etc/shadow": SHADOW,
        "etc/hostname": "board\n",
        "etc/hosts": "127.0.0.1 localhost board\n",
        "etc/ssh/sshd_config": SSHD,
        "usr/sbin/board-init": BOARD_INIT,
    }
    for name, text in written.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "usr/sbin/board-init").chmod(0o755)


def _make_keys(folder: Path, root: Path) -> None:
    for name in ("key", "host_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dynolab-test", "-f", str(folder / name)], check=True
        )
    shutil.copy(folder / "host_key", root / "etc/ssh")
    (root / "home/pi/.ssh").mkdir(mode=0o700)
    shutil.copy(folder / "key.pub", root / "home/pi/.ssh/authorized_keys")


def _make_disk(root: Path, disk: Path) -> None:
    """An ext4 file system with the tree, in which all belongs to root: as somebody else, in a namespace where we are it."""
    command = [_program("mke2fs"), "-q", "-t", "ext4", "-d", str(root), "-O", "^has_journal", str(disk), DISK_SIZE]
    if os.geteuid() != 0:
        command = ["unshare", "--map-root-user", *command]
    subprocess.run(command, check=True)


def _initramfs(busybox: Path, modules: Path) -> bytes:
    """An archive of busybox, the modules in the order of their needs, and a script that goes over to the disk."""
    found = {path.name.partition(".ko")[0].replace("-", "_"): path for path in modules.rglob("*.ko*")}
    order = _in_order(MODULES, found)
    insert = "\n".join(f"/bin/busybox insmod /{name}.ko" for name in order)
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "dev", "root")]
    entries.append(("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()))
    entries += [(f"{name}.ko", stat.S_IFREG | 0o644, found[name].read_bytes()) for name in order]
    entries.append(("init", stat.S_IFREG | 0o755, INIT.format(insert=insert).encode()))
    return gzip.compress(_cpio(entries), 1)


def _in_order(wanted: Iterable[str], found: dict[str, Path]) -> list[str]:
    """The modules wanted and those that they depend on, which come first; what the kernel has built in has no file."""
    order: list[str] = []
    for name in wanted:
        if name in found and name not in order:
            needs = re.search(rb"\0depends=([^\0]*)\0", found[name].read_bytes())
            names = needs[1].decode().split(",") if needs else []
            order += [one for one in _in_order(names, found) if one not in order]
            order.append(name)
    return order


def _cpio(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """An archive that the kernel unpacks: cpio's "newc" (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        out += head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)
    return bytes(out)


def _program(name: str) -> str:
    """Where a program is that may lie among root's, or nothing."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin") or ""
