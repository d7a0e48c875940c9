"""dynolab as a wheel of its own making: what the build back end would make of the same sources, and what pip installs."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from dynolab import own_wheel

ROOT = Path(__file__).parents[2]


def held(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_holds_what_the_build_back_end_puts_into_one(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    assert built.name == own_wheel.file_name()
    theirs, ours = held(built.read_bytes()), held(own_wheel.content())
    assert ours.keys() == theirs.keys()
    package = [name for name in ours if not name.startswith("dynolab-")]
    assert [name for name in package if ours[name] != theirs[name]] == []


def test_its_record_tells_of_every_file() -> None:
    files = held(own_wheel.content())
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    rows = {name: (digest, size) for name, digest, size in csv.reader(files[record].decode().splitlines())}
    assert rows.keys() == files.keys()
    for name, content in files.items():
        if name != record:
            told = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert rows[name] == (f"sha256={told}", str(len(content)))


def test_it_is_the_same_each_time_and_holds_nothing_of_an_editor_or_of_python() -> None:
    first = own_wheel.content()
    own_wheel.content.cache_clear()
    assert own_wheel.content() == first
    assert not [name for name in held(first) if "__pycache__" in name or "/." in name or name.endswith(".pyc")]


def test_pip_installs_it(tmp_path: Path) -> None:
    wheel = tmp_path / own_wheel.file_name()
    wheel.write_bytes(own_wheel.content())
    pip = [sys.executable, "-I", "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(wheel)], check=True, env=environment)
    (found,) = metadata.distributions(name="dynolab", path=[str(tmp_path / "site")])
    assert found.version == metadata.version("dynolab")
    assert {point.name for point in found.entry_points} >= {"dynolab"}
    assert (tmp_path / "site" / "bin" / "dynolab").is_file()
