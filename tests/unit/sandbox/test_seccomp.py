"""The filter of system calls, interpreted step by step as the kernel does it."""

from __future__ import annotations

import os
import struct
from errno import EACCES, ENOSYS, EPERM

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.sandbox import _seccomp

PROGRAM = _seccomp.program()
STRICT = _seccomp.program(shared=True, signals=False)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="the numbers of this machine's system calls are not known")
ALLOWED = 0x7FFF0000
COLUMN, ARCHITECTURE = _seccomp._MACHINES.get(os.uname().machine, (0, 0))


def verdict(program: bytes | None, number: int, *arguments: int, architecture: int = ARCHITECTURE) -> int:
    """What the program returns for a call (linux/filter.h, struct seccomp_data)."""
    assert program is not None
    call = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            accumulator = struct.unpack_from("=I", call, value)[0]
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += if_true if holds else if_false


def refused(error: int) -> int:
    return 0x00050000 | error


@pytest.mark.parametrize("name", sorted(_seccomp._DENIED))
def test_what_is_on_the_list_is_refused(name: str) -> None:
    number = _seccomp._DENIED[name][COLUMN]
    if number is None:
        pytest.skip("this machine has no such call")
    assert verdict(PROGRAM, number) == verdict(STRICT, number) == refused(EPERM)


@given(st.integers(min_value=0, max_value=600), st.integers(min_value=0, max_value=2**64 - 1))
def test_all_else_is_allowed(number: int, argument: int) -> None:
    by_argument = _seccomp._CLONE, _seccomp._CLONE3, _seccomp._IOCTL, _seccomp._SOCKET
    special = {numbers[COLUMN] for numbers in by_argument}
    listed = {numbers[COLUMN] for numbers in _seccomp._DENIED.values()}
    if number not in special | listed:
        assert verdict(PROGRAM, number, argument) == ALLOWED


def test_namespaces_terminals_sockets_and_signals() -> None:
    clone, clone3, ioctl = _seccomp._CLONE[COLUMN], _seccomp._CLONE3[COLUMN], _seccomp._IOCTL[COLUMN]
    threads = 0x3D0F00  # what glibc starts a thread with
    assert verdict(PROGRAM, clone, threads) == ALLOWED
    for flag in (0x10000000, 0x20000, 0x40000000, 0x80):
        assert verdict(PROGRAM, clone, threads | flag) == refused(EPERM)
    assert verdict(PROGRAM, clone3) == refused(ENOSYS)
    assert verdict(PROGRAM, ioctl, 0, 0x5412) == refused(EPERM)
    assert verdict(PROGRAM, ioctl, 0, 0x5401) == ALLOWED
    socket, kill = _seccomp._SOCKET[COLUMN], _seccomp._KILL[COLUMN]
    for family, answer in (
        (1, ALLOWED),
        (2, ALLOWED),
        (10, ALLOWED),
        (16, ALLOWED),
        (17, refused(EACCES)),
        (40, refused(EACCES)),
    ):
        assert verdict(PROGRAM, socket, family) == answer
        assert verdict(STRICT, socket, family) == refused(EACCES)
    assert verdict(STRICT, kill, _seccomp.OWN_PID, 9) == ALLOWED
    assert verdict(STRICT, kill, 1, 9) == refused(EPERM)
    assert verdict(PROGRAM, kill, 1, 9) == ALLOWED
    prlimit = _seccomp._PRLIMIT[COLUMN]
    assert verdict(STRICT, prlimit, 0) == verdict(STRICT, prlimit, _seccomp.OWN_PID) == ALLOWED
    assert verdict(STRICT, prlimit, 1) == refused(EPERM)


@pytest.mark.parametrize("name", sorted({**_seccomp._SHARED, **_seccomp._FEIGNED}))
def test_who_shares_with_others_is_kept_from_more(name: str) -> None:
    number = {**_seccomp._SHARED, **_seccomp._FEIGNED}[name][COLUMN]
    if number is None:
        pytest.skip("this machine has no such call")
    done = 0 if name in _seccomp._FEIGNED else EPERM  # refused with "no error": skipped, and told as done
    assert (verdict(PROGRAM, number), verdict(STRICT, number)) == (ALLOWED, refused(done))


def test_calls_by_another_convention_do_not_exist() -> None:
    assert verdict(PROGRAM, 1, architecture=0x40000003) == refused(ENOSYS)  # i386
    if COLUMN == 0:
        assert verdict(PROGRAM, 0x40000000 | 1) == refused(ENOSYS)  # x32
