"""A package index of a test's own, for what fetches wheels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynolab.connections import _wheels


@contextmanager
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """The folder that pip looks into, and the lock, which is empty: what is made for a test has other hashes."""
    folder, lock = tmp_path / "index", tmp_path / "devices.txt"
    folder.mkdir()
    lock.touch()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_wheels, "LOCK", lock)
    _wheels._lock_lines.cache_clear()
    yield folder, lock
    _wheels._lock_lines.cache_clear()
