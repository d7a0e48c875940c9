"""The worker's side of a duet: it waits for its turn without spinning, takes it, and says how long each iteration took.

Both ways go over the worker's standard input, a socket that no library of a model writes to by chance. Numbers are int64 in
native byte order. When it is ready the worker says how long an iteration takes, in ns; a turn is the number of its
iterations, at most :data:`TURN_MOST`, and is answered by its witnesses (:data:`WITNESSES` numbers, read before and after it, 0 for
what this system does not tell), then by the durations in ns of one iteration more than asked for: the first one is warm-up. A
turn of 0 iterations, or the end of the stream, is the end.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from dynolab.measure.clock import loop
from dynolab.measure.window_witnesses import WindowEdge, WindowWitnesses

TURN_MOST = 400
"""Iterations of one turn: of a model that takes less than 50 us, windows are shorter than others'. All of them are kept."""
WITNESSES = 3
"""What the threads of the process waited for a CPU, in ns; the reference kernel's time before, and after."""
NUMBER = struct.Struct("=q")
_STDIN = 0
_NEVER_NS = (1 << 63) - 1


def take(run: Callable[[], object], expected_ns: int) -> None:
    """Say that this side is ready, then carry out turns to the last."""
    durations = memoryview(bytearray((TURN_MOST + 1) * NUMBER.size)).cast("q")
    witnesses = WindowWitnesses()
    _say(NUMBER.pack(expected_ns))
    while count := _asked():
        before = witnesses.read()
        made = loop(run, durations, 1 + count, _NEVER_NS)
        _say(_told(before, witnesses.read()) + bytes(durations[:made]))
    witnesses.close()


def _told(before: WindowEdge, after: WindowEdge) -> bytes:
    waited = (
        max(0, after.delay_ns - before.delay_ns) if before.delay_ns is not None and after.delay_ns is not None else 0
    )
    return struct.pack(f"={WITNESSES}q", waited, before.kernel_ns, after.kernel_ns)


def _asked() -> int:
    """Iterations of the next turn; 0: there is none."""
    content = b""
    while len(content) < NUMBER.size:
        part = os.read(_STDIN, NUMBER.size - len(content))
        if not part:
            return 0
        content += part
    return min(TURN_MOST, int(NUMBER.unpack(content)[0]))


def _say(content: bytes) -> None:
    while content:
        content = content[os.write(_STDIN, content) :]
