"""Landlock (https://landlock.io): rules that a process lays on itself, where namespaces are not to be had."""

from __future__ import annotations

import ctypes
import sys

from dynolab.sandbox import _landlock_rules, _seccomp
from dynolab.sandbox._order import Order
from dynolab.sandbox.base import Confinement, Sandbox, filtered, landlock_order


class Landlock(Sandbox):
    """Files by rules on paths; network and other processes by the filter of system calls, as far as there is one."""

    name = "landlock"
    rank = 1

    @property
    def protects(self) -> tuple[str, ...]:
        return ("files", *(("network", "processes") if filtered() else ()), *filtered())

    def unavailable(self) -> str | None:
        if sys.platform != "linux":
            return "Landlock is Linux's"
        if not _version():
            return (
                "this kernel has no Landlock (Linux 5.13 and later do, where it is among the security modules in use)"
            )
        return self.trial()

    def wrap(self, confinement: Confinement, order: Order) -> tuple[list[str], Order]:
        signals = _version() >= _landlock_rules.SIGNALS_SINCE
        return [], {
            **order,
            "isolated": False,
            "reads_all": order["user"] is not None,
            "filter": (_seccomp.program(shared=True, signals=signals) or b"").hex(),
            "landlock": landlock_order(confinement),
        }


def _version() -> int:
    return _landlock_rules.version(ctypes.CDLL(None, use_errno=True))


plugin = Landlock()
