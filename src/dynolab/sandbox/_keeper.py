"""The first process in a sandbox: starts the confined one, reaps what it leaves, and tells the outside how it ended.

Started with ``-I -S`` and little imported, since one is there for every run. What it tells goes over a socket, a
line each: ``I`` (it is there), ``W`` (the confined process is), ``E`` and a wait status (it ended), ``F`` and a text
(it could not be started). The kernel adds the sender's process id as the receiver sees it (unix(7), SO_PASSCRED).
"""

from __future__ import annotations

import ctypes
import marshal
import os
import resource
import sys

from dynolab.sandbox import _landlock_rules, _seccomp
from dynolab.sandbox._system_calls import PR_SET_CHILD_SUBREAPER, SIGKILL, SIGTERM, check, hold, prctl

TYPE_CHECKING = False  # typing, signal, socket, json and pathlib would take longer than all that is done here
if TYPE_CHECKING:
    from typing import NoReturn

    from dynolab.sandbox._order import Order

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # prctl(2)
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_SET_KEEPCAPS, _PR_SET_SECUREBITS = 47, 2, 8, 28
_SECBIT_NO_SETUID_FIXUP, _SECBIT_KEEP_CAPS = 1 << 2, 1 << 4  # capabilities(7)
_CAP_DAC_READ_SEARCH = 2
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _SPEC_ALLOW = 1, 4
"""The latter: a filter is no reason to slow the process down against Spectre, as kernels before 5.16 else do (seccomp(2))."""


def keep(order: Order, news: int) -> NoReturn:
    """Start the confined process, and stay until it and all its children are gone."""
    kernel = ctypes.CDLL(None, use_errno=True)
    if not order["isolated"]:
        import signal

        signal.signal(SIGTERM, _leave)
        hold(kernel, order["parent"], SIGTERM)
    prctl(kernel, PR_SET_CHILD_SUBREAPER, 1)
    prctl(kernel, _PR_SET_DUMPABLE, 0)
    os.write(news, b"I%d\n" % os.getpid())
    pid = os.fork()
    if pid == 0:
        _become(order, news, kernel)
    _end(order, news, _reap(pid))


def _reap(pid: int) -> int:
    """The wait status of ``pid``; other children that end meanwhile are reaped."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return status


def _end(order: Order, news: int, status: int) -> NoReturn:
    if not order["isolated"]:
        _kill_the_rest()
    os.write(news, b"E%d\n" % status)
    os._exit(0)


def _kill_the_rest() -> None:
    """End what the confined process left; in a process namespace the kernel does it."""
    from dynolab.sandbox._tree import kill_descendants

    kill_descendants(os.getpid())
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def _leave(*_: object) -> NoReturn:
    """Our caller is gone: all that we started goes too."""
    _kill_the_rest()
    os._exit(1)


def _become(order: Order, news: int, kernel: ctypes.CDLL) -> NoReturn:
    """In the child: confine oneself, and become the command."""
    parent = os.getppid()
    try:
        os.setsid()
        for name, limit in order["limits"].items():
            _limit(name, limit)
        _volunteer()
        _drop(order, kernel)
        if order["cwd"] is not None:
            os.chdir(order["cwd"])
        hold(kernel, parent, SIGKILL)  # after the change of user, which undoes it
        _restrict(order, kernel)
        os.write(news, b"W%d\n" % os.getpid())
        os.execvpe(order["command"][0], order["command"], order["environment"])
    except (OSError, ValueError) as error:
        os.write(news, f"F{error}: {order['command'][0]}"[:1000].encode() + b"\n")
    os._exit(127)


def _limit(name: str, limit: int) -> None:
    """Set a limit, or leave it where a lower one is set already."""
    number = getattr(resource, name, None)
    if number is None:
        return
    hard = resource.getrlimit(number)[1]
    value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(number, (value, value))


def _volunteer() -> None:
    """When memory runs out, the kernel is to end this process and none of its callers (proc_pid_oom_score_adj(5))."""
    try:
        choice = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return  # without /proc there is no such choice
    os.write(choice, b"1000")
    os.close(choice)


def _drop(order: Order, kernel: ctypes.CDLL) -> None:
    """Become an ordinary user, if we are root."""
    user = order["user"]
    if user is None:
        return
    os.setgroups(order["groups"])
    os.setresgid(user, user, user)
    if order["reads_all"]:
        _keep_over_change_of_user(kernel)
    os.setresuid(user, user, user)
    if order["reads_all"]:
        _keep_one_capability(kernel)


def _keep_over_change_of_user(kernel: ctypes.CDLL) -> None:
    """And have access(2) count what is kept, as open(2) does: g++ asks it whether it may use its temporary folder."""
    try:
        prctl(kernel, _PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP | _SECBIT_KEEP_CAPS)
    except PermissionError:  # in a container without CAP_SETPCAP
        prctl(kernel, _PR_SET_KEEPCAPS, 1)


def _keep_one_capability(kernel: ctypes.CDLL) -> None:
    """Keep the right to pass closed folders, and no other, over exec (capabilities(7)). What may be read is restricted after."""
    bit = 1 << _CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    check(kernel.capset(header, sets), "capset")
    prctl(kernel, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH)


def _restrict(order: Order, kernel: ctypes.CDLL) -> None:
    """Landlock, no new privileges, and the filter of system calls."""
    prctl(kernel, _PR_SET_NO_NEW_PRIVS, 1)
    if order["landlock"] is not None:
        _landlock_rules.enforce(kernel, order["landlock"])
    if order["filter"]:
        _filter(kernel, bytes.fromhex(order["filter"]))


def _filter(kernel: ctypes.CDLL, program: bytes) -> None:
    """Install a filter of system calls (seccomp(2)); the process's own id is put in where it stands for it."""
    order = sys.byteorder
    program = program.replace(_seccomp.OWN_PID.to_bytes(4, order), os.getpid().to_bytes(4, order))
    steps = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    whole = Program(len(program) // 8, ctypes.addressof(steps))
    number = _SECCOMP[os.uname().machine]
    check(kernel.syscall(number, _SET_MODE_FILTER, _SPEC_ALLOW, ctypes.byref(whole)), "seccomp")


def main() -> None:
    """``_keeper NEWS ORDER``: the number of the socket, and the order as :mod:`marshal` writes it, in hexadecimal."""
    news = int(sys.argv[-2])
    os.set_inheritable(news, False)
    order: Order = marshal.loads(bytes.fromhex(sys.argv[-1]))
    try:
        if order["mounts"] is not None:
            from dynolab.sandbox._mounts import enter

            enter(order, news)
        keep(order, news)
    except OSError as error:
        os.write(news, f"F{error}"[:1000].encode() + b"\n")
    os._exit(1)
