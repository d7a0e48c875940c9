"""Control groups: what a killed supervisor left is removed by the next one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dynolab.measure import cage


def test_groups_of_dead_supervisors_are_swept_and_those_of_living_ones_stay() -> None:
    made = cage.make(256 << 20)
    if not isinstance(made, cage.GroupCage):
        pytest.skip("no control group is delegated to us here")
    mine = made.folder
    dead = subprocess.run(
        [sys.executable, "-c", "from dynolab.measure import cage; print(cage.make(256 << 20).folder)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    folder = Path(dead)
    assert folder.is_dir()
    try:
        cage.make(256 << 20)  # mine exists already, so nothing new is made; but what is dead goes
        assert not folder.is_dir()
        assert mine.is_dir()
    finally:
        made.close()
    assert not mine.exists()
