"""How far a loop is that is still running, from the durations that it writes."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from dynolab import errors
from dynolab.spec import untrusted


class LoopWatch:
    """Looks into the values of a loop that is still running; each is read once, however often it is looked at."""

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self.count = 0
        """Iterations done so far."""
        self.minimum_ns = 0
        """The shortest of them; 0 before there is one."""

    def look(self) -> None:
        """Read what has come since the last look.

        The file is read, not mapped: whoever writes it might cut it off meanwhile, which ends who has it mapped (SIGBUS).
        """
        while new := self._next():
            self.count += len(new)
            self.minimum_ns = min(new) if self.minimum_ns == 0 else min(self.minimum_ns, *new)
            if len(new) < _VALUES_AT_ONCE:
                return

    def _next(self) -> list[int]:
        try:
            with untrusted.open_file(self._path, inside=self._path.parent) as file:
                file.seek(8 * self.count)
                content = file.read(8 * min(_VALUES_AT_ONCE, self._most - self.count))
        except (OSError, errors.Forbidden):
            return []
        values = memoryview(content[: len(content) // 8 * 8]).cast("q").tolist()
        return list(takewhile(lambda value: value > 0, values))


_VALUES_AT_ONCE = 1 << 14
"""Room for later values is there already, as zeros: of a long loop's, no more than these are read in vain."""
