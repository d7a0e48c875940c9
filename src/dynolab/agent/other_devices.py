"""Devices that one agent serves beside its first: each by a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

AGAIN_FIRST_S, AGAIN_MOST_S = 5.0, 300.0
"""How long after its end a device's process is started again; ever longer, until it served for as long as the longest."""
log = logging.getLogger(__name__)


def serve_others(devices: Sequence[str], runtimes: str, hub: str, token: Callable[[], str]) -> None:
    """Serve these too, each by a process that ends with this one and is started again when it ended before.

    ``token`` tells the agent's as it is now: it is rotated from time to time.
    """
    for one in devices:
        threading.Thread(target=_keep_going, args=(one, runtimes, hub, token), daemon=True).start()


def _keep_going(device: str, runtimes: str, hub: str, token: Callable[[], str]) -> None:
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub, "--device", device]
    command += ["--runtimes", runtimes, "--wait-for-hub", "--parent", str(os.getpid())]
    pause_s = AGAIN_FIRST_S
    while True:
        begun = time.monotonic()
        code = subprocess.run(command, env={**os.environ, "DYNOLAB_AGENT_TOKEN": token()}, check=False).returncode
        if time.monotonic() - begun > AGAIN_MOST_S:
            pause_s = AGAIN_FIRST_S
        log.warning("the process for %s ended with code %s; it is started again in %.0f s", device, code, pause_s)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, AGAIN_MOST_S)
