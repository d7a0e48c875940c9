"""Namespaces of one's own, and in them a file system of what may be seen: the inner side of ``namespaces``."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dynolab.sandbox._system_calls import PR_SET_PDEATHSIG, SIGKILL, check, hold, prctl

if TYPE_CHECKING:
    from dynolab.sandbox._order import MountOrder, Order

_NEW_MOUNTS, _NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
"""linux/sched.h; os.unshare is in Python 3.12 and later only."""
_NOSUID, _NODEV, _NOEXEC, _BIND, _RECURSIVE, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18  # mount(2)
_DETACH = 2  # umount2(2)
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4  # mount_setattr(2), Linux 5.12
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_NEW_ROOT = Path("/proc")
"""Where the new file system is put together: a folder that is there, and that nothing is taken from."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def enter(order: Order, news: int) -> None:
    """Return in the first process of the new namespaces; the one that called waits for its end, and ends alike."""
    kernel = ctypes.CDLL(None, use_errno=True)
    if order["user"] is None:
        _map_user(kernel)
    hold(kernel, order["parent"], SIGKILL)  # a new user namespace undoes it
    new = _NEW_MOUNTS | _NEW_UTS | _NEW_IPC | _NEW_PROCESSES | _NEW_NETWORK
    check(kernel.unshare(new), "new namespaces")
    alive, ours = os.pipe()
    child = os.fork()
    if child:
        os.close(alive)
        os.close(news)
        _, status = os.waitpid(child, 0)
        os._exit(0 if status == 0 else 1)
    os.close(ours)
    prctl(kernel, PR_SET_PDEATHSIG, SIGKILL)  # the parent is out of sight here, so its end is told by the pipe
    os.set_blocking(alive, False)
    try:
        if os.read(alive, 1) == b"":
            os._exit(1)
    except BlockingIOError:
        os.close(alive)
    if order["mounts"] is not None:
        before = os.umask(0o022)  # others are to pass the folders that we make
        _build(kernel, order["mounts"])
        os.umask(before)


def _map_user(kernel: ctypes.CDLL) -> None:
    """Move into a new user namespace as the one that we are: there we may mount."""
    user, group = os.geteuid(), os.getegid()
    check(kernel.unshare(_NEW_USER), "new user namespace")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")  # user_namespaces(7) asks for it before gid_map
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def _build(kernel: ctypes.CDLL, order: MountOrder) -> None:
    """The new file system, as the root."""
    check(kernel.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None), "mounts of our own")
    _memory(kernel, _NEW_ROOT, "0755", 1 << 20)
    place = _inside("/tmp")
    place.mkdir()
    _memory(kernel, place, "1777", order["temporary_bytes"])
    _devices(kernel, order)
    for source, target, writable in [("/sys", "/sys", False), *order["binds"]]:
        _bind(kernel, source, _inside(target), _ATTR_NOSUID | _ATTR_NODEV | (0 if writable else _ATTR_RDONLY))
    proc = _inside("/proc")
    proc.mkdir()
    flags = _NOSUID | _NODEV | _NOEXEC
    check(kernel.mount(b"proc", bytes(proc), b"proc", flags, None), "/proc of its own")
    _set(kernel, _NEW_ROOT, _ATTR_RDONLY | _ATTR_NOSUID, 0)
    os.chdir(_NEW_ROOT)
    check(kernel.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    check(kernel.umount2(b".", _DETACH), "leaving the old root")
    os.chdir("/")


def _inside(path: str) -> Path:
    return _NEW_ROOT / path.lstrip("/")


def _memory(kernel: ctypes.CDLL, place: Path, mode: str, size: int) -> None:
    """A file system in memory."""
    text = f"mode={mode},size={size}".encode()
    check(kernel.mount(b"tmpfs", bytes(place), b"tmpfs", _NOSUID | _NODEV, text), f"tmpfs on {place}")


def _devices(kernel: ctypes.CDLL, order: MountOrder) -> None:
    """/dev: what reads as nothing or at random, shared memory, and the devices asked for."""
    folder = _inside("/dev")
    for one in (folder, folder / "shm"):
        one.mkdir()
    _memory(kernel, folder / "shm", "1777", order["temporary_bytes"])
    for source in [*(f"/dev/{name}" for name in _DEVICES), *order["devices"]]:
        _bind(kernel, source, _inside(source), _ATTR_NOSUID)
    for name, target in _LINKS.items():
        (folder / name).symlink_to(target)


def _bind(kernel: ctypes.CDLL, source: str, target: Path, attributes: int) -> None:
    """Show ``source`` at ``target``, with all that is mounted in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not Path(source).is_dir():
        target.touch()
    else:
        target.mkdir(exist_ok=True)
    check(kernel.mount(source.encode(), bytes(target), None, _BIND | _RECURSIVE, None), f"showing {source}")
    _set(kernel, target, attributes, _AT_RECURSIVE)


def _set(kernel: ctypes.CDLL, place: Path, attributes: int, flags: int) -> None:
    """Forbid something of a mount."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)  # struct mount_attr: set, clear, propagation, user namespace
    arguments = (ctypes.c_long(_AT_FDCWD), bytes(place), ctypes.c_long(flags), wanted, ctypes.c_size_t(32))
    check(kernel.syscall(_MOUNT_SETATTR, *arguments), f"protecting {place}")
