"""Landlock's system calls: what of the file system, the network and other processes a process keeps (landlock(7))."""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False  # as in _keeper
if TYPE_CHECKING:
    from dynolab.sandbox._order import LandlockOrder

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on every architecture
_VERSION, _PATH_BENEATH = 1, 1
# Rights by bit (linux/landlock.h): execute, write file, read file, read folder, remove folder, remove file, make device,
# make folder, make file, make socket, make FIFO, make block device, make link; since version 2 refer, 3 truncate, 5 ioctl.
_READ = 1 << 0 | 1 << 2 | 1 << 3
_WRITE = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13 | 1 << 14
_USE = 1 << 1 | 1 << 2 | 1 << 15
_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights a version knows; 16 later on."""
SIGNALS_SINCE, SOCKETS_SINCE = 6, 6
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm")


def version(kernel: ctypes.CDLL) -> int:
    """The version of Landlock that the kernel offers; 0: none."""
    return max(0, int(kernel.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def enforce(kernel: ctypes.CDLL, order: LandlockOrder) -> None:
    """Keep only what the order names; the process has given up new privileges before. Raises OSError where the kernel does not take it."""
    offered = version(kernel)
    handled = (1 << _KNOWN.get(offered, 16)) - 1
    network = 0b11 if offered >= 4 else 0  # bind and connect by TCP
    scoped = 0b11 if offered >= SIGNALS_SINCE else 0  # abstract sockets, signals
    attributes = struct.pack("=QQQ", handled, network, scoped)[: 8 if offered < 4 else 16 if offered < 6 else 24]
    rules = _call(kernel, _CREATE, attributes, len(attributes), 0)
    try:
        for path in order["readable"]:
            _allow(kernel, rules, path, _READ & handled)
        for path in order["writable"]:
            _allow(kernel, rules, path, (_READ | _WRITE) & handled)
        for path in (*order["devices"], *_DEVICES[:-1]):
            if os.access(path, os.F_OK):
                _allow(kernel, rules, path, (_USE | _READ) & handled)
        _allow(kernel, rules, "/proc/self", (_READ | _WRITE) & handled)
        _call(kernel, _RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(kernel: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if (
            os.fstat(descriptor).st_mode & 0o170000 != 0o040000
        ):  # no folder (inode(7)); the module stat takes long to import
            rights &= _OF_FILES
        _call(kernel, _ADD, rules, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(kernel: ctypes.CDLL, number: int, *arguments: int | bytes) -> int:
    words = (ctypes.c_size_t(one) if isinstance(one, int) else one for one in arguments)
    result = int(kernel.syscall(number, *words))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"landlock: {os.strerror(error)}")
    return result
