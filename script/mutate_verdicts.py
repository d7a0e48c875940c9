"""What was noticed before: kept, so that a run which was broken off goes on, and new tests are tried on what survived alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Verdicts:
    """One line of JSON for each mistake that a test noticed; good while neither the file nor the test's module has changed."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else ()
        self._of: dict[str, dict[str, str]] = {found["mistake"]: found for found in map(json.loads, lines)}

    def forget(self) -> None:
        """All of them."""
        self._path.unlink(missing_ok=True)
        self._of.clear()

    def noticed_by(self, mistake: str) -> str | None:
        """The test that failed with it the last time, whatever has changed since."""
        found = self._of.get(mistake)
        return found["test"] if found else None

    def outcome(self, mistake: str, file: Path) -> str | None:
        """What was said of it, if that is still to be believed."""
        found = self._of.get(mistake)
        return found["outcome"] if found and found["digest"] == self._digest(file, found["test"]) else None

    def keep(self, mistake: str, file: Path, outcome: str, test: str) -> None:
        """At once, for the next run may be this one, broken off."""
        found = {"mistake": mistake, "outcome": outcome, "test": test, "digest": self._digest(file, test)}
        self._of[mistake] = found
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(found) + "\n")

    def _digest(self, file: Path, test: str) -> str:
        module = self._root / test.partition("::")[0]
        texts = [path.read_bytes() for path in (file, module) if path.is_file()]
        return hashlib.sha256(b"\0".join(texts)).hexdigest()


def draw(named: Mapping[str, T], seed: int, count: int) -> dict[str, T]:
    """As many as asked for, in an order that each one's name and the seed tell: the others may come and go."""

    def lot(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode()).digest()

    return {name: named[name] for name in sorted(named, key=lot)[:count]}
