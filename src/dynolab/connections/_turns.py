"""What is kept on a device is added to by one command at a time; the others wait, and find it there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dynolab.connections._remote import Remote
from dynolab.connections.base import Tell
from dynolab.errors import DeviceLost

_LOCK = """\
exec 9< "$1"
if command -v flock > /dev/null 2>&1; then
    until flock -n 9; do printf '\\n~waits\\n'; sleep 1; done
fi
printf '\\n~mine\\n'
(
    exec 9<&-
    trap 'kill $!; exit' TERM
    while :; do sleep 5 & wait $!; echo "~beat" || exit; done
) &
cat > /dev/null
kill $!
wait
"""
"""Holds a lock until its input ends: with the line, when that breaks. It speaks, so that a line that is broken is found out; what it says
stands on lines of its own, whatever a shell's start-up files said before.
A device without flock(1) of util-linux, BusyBox or toybox has no lock."""


@contextmanager
def turn(remote: Remote, tell: Tell) -> Iterator[None]:
    """Nobody else adds to what is kept there meanwhile. Raises :class:`DeviceLost`."""
    stream = remote.start(["sh", "-c", _LOCK, "sh", remote.root])
    try:
        told = False
        while (line := stream.receive()) != "~mine":
            if line is None:
                raise DeviceLost(f"{remote.address} closed the line")
            if line == "~waits" and not told:
                told = True
                tell(f"waits for another command that brings something to {remote.address}")
        yield
    finally:
        stream.close()
