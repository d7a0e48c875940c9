"""Whether somebody else measures on the board: then it takes no job until it is free, and its page says who."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from dynolab import errors
from dynolab.agent.reached import SSH_ENVIRONMENT
from dynolab.measure.executor.board_lock import holders
from dynolab.sandbox.base import own_environment
from dynolab.spec import codec
from dynolab.spec.holding import BESIDE, Holder, HolderKind

log = logging.getLogger(__name__)


class Occupied:
    """Of one board. This machine is looked at; on one that is reached, a process waits until it is free."""

    def __init__(self, address: str = "") -> None:
        """``address`` leads to the board; empty: it is this machine."""
        self._address = address
        self._waiting: subprocess.Popen[bytes] | None = None
        self._why = ""

    def unfit(self) -> str:
        """Why the board must not take a job now; empty: nobody is in the way."""
        if not self._address:
            return told([one for one in holders() if one.kind not in BESIDE[HolderKind.AGENT]])
        if self._waiting is not None and self._waiting.poll() is not None:
            self._waiting, self._why = None, ""
        return self._why

    def found(self, error: errors.DeviceBusy) -> None:
        """An attempt or a probe found somebody there."""
        if not self._address or self._waiting is not None:
            return
        self._why = _who(error)
        command = [sys.executable, "-m", "dynolab.agent.reached", "wait", self._address, str(os.getpid())]
        self._waiting = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=own_environment(*SSH_ENVIRONMENT)
        )

    def close(self) -> None:
        """Wait no more."""
        if self._waiting is not None:
            self._waiting.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._waiting.wait(5)
            if self._waiting.poll() is None:
                self._waiting.kill()
                self._waiting.wait()
            self._waiting = None


def told(others: Sequence[Holder]) -> str:
    """Who has the board, in words that stay the same as time passes; empty: nobody."""
    now = datetime.now(UTC)
    return "; ".join(
        f"in use since {(now - timedelta(seconds=one.held_s)).strftime('%H:%M')} UTC by {one.by} ({one.what})"
        for one in others
    )


def _who(error: errors.DeviceBusy) -> str:
    with suppress(errors.SpecInvalid):
        return told(codec.decode(tuple[Holder, ...], error.details.get("holders"), "who has the board"))
    return error.message
