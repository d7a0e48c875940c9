"""A filter of system calls as the kernel takes it: classic BPF (kernel: Documentation/userspace-api/seccomp_filter.rst)."""

from __future__ import annotations

import os
import struct
from errno import EACCES, ENOSYS, EPERM

# By name: the number on x86_64 and on arm64 (asm/unistd_64.h and asm-generic/unistd.h of Linux); None: there is none.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # other processes' memory and files
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "move_pages": (279, 239), "migrate_pages": (256, 238),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "open_tree": (428, 428), "mount_setattr": (442, 442),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fanotify_init": (300, 262),
    # the kernel itself
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "bpf": (321, 280), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "syslog": (103, 116),
    # io_uring does behind the filter's back what the filter forbids
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # the system as a whole
    "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58),
}  # fmt: skip
_SOCKET, _CLONE, _CLONE3, _IOCTL = (41, 198), (56, 220), (435, 435), (16, 29)
_PRLIMIT = (302, 261)
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (linux/socket.h): of these a network namespace has its own; AF_VSOCK is the machine's."""
# Who shares processes, IPC and the file system's owners with others is also kept from these.
_SHARED: dict[str, tuple[int | None, int | None]] = {
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "setpriority": (141, 140), "ioprio_set": (251, 30),
}  # fmt: skip
# Landlock has no rule for what changes whom files belong to and who may use them. Libraries ask for it as a matter of form and
# give up where it is refused, so they are told that it is done, and nothing is.
_FEIGNED: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None),
    "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "removexattr": (197, 14), "lremovexattr": (198, 15),
}  # fmt: skip
_KILL, _TGKILL = (62, 129), (234, 131)
_OTHER_SIGNALS = {"tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424)}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column above, and the architecture's number (linux/audit.h)."""
_X32_BIT = 0x40000000
_NAMESPACE_FLAGS = 0x7E020000 | 0x00000080
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME (linux/sched.h)."""
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: type into the terminal
OWN_PID = 0x7FFF_FFFD
"""Stands in a program for the process's own id, which is known when it runs only."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def program(*, shared: bool = False, signals: bool = True) -> bytes | None:
    """The filter for this machine: all is allowed but what is on the list. None where the numbers are not known here.

    ``shared``: network, processes and files are those of the system, so new sockets and what changes others are refused, too;
    ``signals``: those to others are allowed, since the kernel keeps them back by other means.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or struct.calcsize("P") != 8:
        return None
    column, architecture = machine
    rules = [
        _step(_LOAD, _ARCH), _step(_EQUAL, architecture, 1, 0), _refuse(ENOSYS), _step(_LOAD, _NUMBER),
        *([_step(_AT_LEAST, _X32_BIT, 0, 1), _refuse(ENOSYS)] if column == 0 else []),
    ]  # fmt: skip
    denied = [*_DENIED.values(), *(_SHARED.values() if shared else ()), *(() if signals else _OTHER_SIGNALS.values())]
    for numbers in denied:
        if numbers[column] is not None:
            rules += _when(numbers[column] or 0, [_refuse(EPERM)])
    for numbers in _FEIGNED.values() if shared else ():
        if numbers[column] is not None:
            rules += _when(numbers[column] or 0, [_refuse(0)])
    families = [_step(_EQUAL, family, 0, 1) + _allow() for family in (() if shared else _FAMILIES)]
    rules += _when(_SOCKET[column], [_argument(0), *families, _refuse(EACCES)])
    if shared:
        rules += _own(_PRLIMIT[column], 0)
    rules += _when(
        _CLONE3[column], [_refuse(ENOSYS)]
    )  # its flags are out of a filter's sight; the C library falls back
    rules += _when(_CLONE[column], [_argument(0), _step(_ANY_BIT, _NAMESPACE_FLAGS, 0, 1), _refuse(EPERM), _allow()])
    typing = [_step(_EQUAL, number, 0, 1) + _refuse(EPERM) for number in _TERMINAL_INPUT]
    rules += _when(_IOCTL[column], [_argument(1), *typing, _allow()])
    if not signals:
        rules += _own(_KILL[column]) + _own(_TGKILL[column])
    return b"".join([*rules, _allow()])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One ``struct sock_filter`` (linux/filter.h)."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(number: int, then: list[bytes]) -> list[bytes]:
    """Steps for one system call; they must end in a verdict."""
    return [_step(_EQUAL, number, 0, len(b"".join(then)) // 8), *then]


def _own(number: int, *also: int) -> list[bytes]:
    """Allow a call for the process itself only, which is its first argument."""
    allowed = (OWN_PID, *also)
    checks = [_step(_EQUAL, one, len(allowed) - at, 0) for at, one in enumerate(allowed)]
    return _when(number, [_argument(0), *checks, _refuse(EPERM), _allow()])


def _argument(index: int) -> bytes:
    """Load the lower half of an argument."""
    return _step(_LOAD, _ARGUMENTS + 8 * index)


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _ERRNO | error)


def _allow() -> bytes:
    return _step(_RETURN, _ALLOW)
