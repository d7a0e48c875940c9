"""Runtimes on a board that are not of dynolab's own wheels: of outside distributions, and what a board has installed itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynolab.testing.outside import SCALE, distribution

from ..devices.fixtures import present
from ..devices.sshd import Sshd, sshd

POINTS = {"dynolab.runtimes": {"scale": "dynolab_scale:plugin"}, "dynolab.formats": {"scale": "dynolab_scale:format"}}


@pytest.fixture(scope="module")
def board() -> Iterator[Sshd]:
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    """A model of the outside runtime's own format."""
    path = tmp_path / "half.scl"
    path.write_text("SCALE ")
    path.with_suffix(".wgt").write_text("0.5")
    return path


def dynolab(board: Sshd, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dynolab.cli.main", *map(str, words), "--json"]
    with board.as_home():
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def installed(folder: Path, source: str = SCALE, requires: tuple[str, ...] = ()) -> dict[str, str]:
    """An environment in which the outside distribution is installed; nothing of it is on the board."""
    distribution(folder, "dynolab-scale", source, POINTS, requires)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_outside_runtime_goes_to_the_board_with_its_format_and_what_it_needs(
    board: Sshd, scale: Path, tmp_path: Path
) -> None:
    source = SCALE.replace('("dynolab-scale",)', '("dynolab-scale", "packaging")')
    environment = installed(tmp_path / "theirs", source, ("dynolab", "packaging>=24", "nowhere ; extra == 'more'"))
    done = dynolab(board, "verify", scale, "--device-b", board.address, "--samples", 2, **environment)
    found = told(done)
    assert found["b"]["versions"]["dynolab-scale"] == "0.1"
    assert found["b"]["versions"]["packaging"], "what it asks for came as a wheel"
    assert found["accuracy"]["outputs"][0]["max_abs_error"] == 0
    assert "pushing dynolab-scale-0.1" in done.stderr


@pytest.mark.slow
def test_an_outside_runtime_with_machine_code_says_what_is_in_the_way(board: Sshd, scale: Path, tmp_path: Path) -> None:
    environment = installed(tmp_path / "theirs")
    package = tmp_path / "theirs" / "dynolab_scale"
    package.mkdir()
    (tmp_path / "theirs" / "dynolab_scale.py").rename(package / "__init__.py")
    (package / "kernel.cpython-311-x86_64-linux-gnu.so").write_bytes(b"\x7fELF")
    done = dynolab(board, "runtimes", "--device", board.address, "-r", "scale", **environment)
    row = next(one for one in told(done) if one["name"] == "scale")
    assert "no wheel of dynolab-scale==0.1" in row["unavailable"]
    assert "machine code of this machine" in row["unavailable"]
    assert "pip download dynolab-scale" in row["unavailable"], "the way out"


@pytest.mark.slow
def test_torch_of_the_boards_own_is_used(board: Sshd) -> None:
    pytest.importorskip("torch", reason="torch is not installed here: script/test --torch")
    done = dynolab(board, "runtimes", "--device", board.address, "-r", "torch", DYNOLAB_DEVICE_PYTHON=sys.executable)
    row = told(done)[0]
    assert (row["name"], row["unavailable"]) == ("torch", None)
    assert row["versions"]["torch"]
    assert "pushing torch" not in done.stderr


def test_a_board_without_torch_is_told_what_to_do(board: Sshd, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    done = dynolab(
        board, "runtimes", "--device", board.address, "-r", "torch", "-r", "null",
        DYNOLAB_DEVICE_PYTHON=str(tmp_path / "env" / "bin" / "python"),
    )  # fmt: skip
    rows = {row["name"]: row for row in told(done)}
    assert "is not brought to devices, and no Python of" in rows["torch"]["unavailable"]
    assert "pip install" in rows["torch"]["unavailable"]
    assert rows["null"]["unavailable"] is None


def test_a_named_python_that_is_none(board: Sshd) -> None:
    done = dynolab(board, "runtimes", "--device", board.address, DYNOLAB_DEVICE_PYTHON="/nowhere/python")
    assert done.returncode == 2
    assert "DYNOLAB_DEVICE_PYTHON names /nowhere/python" in done.stderr
