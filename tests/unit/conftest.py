"""Fixtures of recorded devices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

DEVICES = Path(__file__).parents[1] / "data" / "devices"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a device's files are put; it is not there until they are."""
    return tmp_path / "root"


@pytest.fixture
def recorded(root: Path) -> Callable[[str], Path]:
    """Lays out the files that were recorded on a device, and returns their root."""

    def lay_out(device: str) -> Path:
        for name, content in json.loads((DEVICES / f"{device}.json").read_text(encoding="utf-8")).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return root

    return lay_out
