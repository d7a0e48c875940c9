"""Starts one confined process as a test asked, tells who it is and how it ended: one JSON line each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from dynolab import plugins
from dynolab.sandbox.base import Confinement, Limits, Sandbox, confine_python, hand_over, tidy


def main(order: dict[str, object]) -> None:
    os.umask(0o077)  # as the agent has it
    means = plugins.load("dynolab.sandbox", str(order["means"]))
    assert isinstance(means, Sandbox)
    work = Path(str(order["work"]))
    work.mkdir(exist_ok=True)
    hand_over([work])
    readable = (*confine_python(), *map(Path, order["readable"]))  # type: ignore[call-overload] # JSON
    confinement = Confinement(writable=(work,), readable=readable, limits=Limits(**order["limits"]))  # type: ignore[arg-type] # JSON
    command = [sys.executable, "-P", "-c", str(order["code"]), *map(str, order["arguments"])]  # type: ignore[call-overload] # JSON
    process = means.start(command, confinement, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    tell(pid=process.pid, comm=name(process.pid))
    if order["kill_after_s"] is not None:
        threading.Timer(float(str(order["kill_after_s"])), process.kill).start()
    assert process.stdout is not None
    said = process.stdout.read().decode("utf-8", "replace")
    code = process.wait(60.0)
    process.kill()
    tidy([work])
    tell(code=code, said=said)


def name(pid: int) -> str:
    """Of a process; empty where it has ended already: it is the sandbox's child, which takes note of that."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tell(**news: object) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
