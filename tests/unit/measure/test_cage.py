"""Control groups: what a killed supervisor left is removed by the next one."""

from __future__ import annotations

import os
import subprocess
import sys

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
    assert os.path.isdir(dead)
    try:
        cage.make(256 << 20)  # mine exists already, so nothing new is made; but what is dead goes
        assert not os.path.isdir(dead)
        assert mine.is_dir()
    finally:
        made.close()
    assert not mine.exists()
