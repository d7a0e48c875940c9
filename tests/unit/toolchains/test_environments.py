"""Environments of toolchains: made whole or not at all, once, of what their lock names and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from dynolab.errors import Conflict, PluginMissing
from dynolab.toolchains import _environments as environments
from dynolab.toolchains._environments import LOCKS, Environment


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Names a wheel of one module, which lies in a folder; there is no other index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "greeting-1.0-py3-none-any.whl"
    info = "greeting-1.0.dist-info"
    files = {
        "greeting.py": "WORD = 'good morning'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\nRequires-Python: >=3.99\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(wheel, "w") as packed:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            packed.writestr(name, text)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", wheels.as_uri())
    monkeypatch.setenv("DYNOLAB_TOOLCHAINS", str(tmp_path / "environments"))
    path = tmp_path / "morning.txt"
    path.write_text(f"greeting==1.0 \\\n    --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n")
    return path


def word(own: Environment) -> str:
    program = [str(own.python), "-I", "-c", "import greeting; print(greeting.WORD)"]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip()


def nothing(_text: str) -> None:
    pass


def left() -> list[str]:
    """What stands in the folder of environments, locks apart."""
    return sorted(path.name for path in environments.root().iterdir() if not path.name.startswith("."))


def test_what_the_lock_names_is_there_and_ours_is_not(lock: Path) -> None:
    own, told = Environment("morning", lock), list[str]()
    assert (own.is_made, own.bytes, own.versions) == (False, None, {"greeting": "1.0"})
    own.make(told.append)
    assert (own.is_made, word(own)) == (True, "good morning")
    assert own.bytes
    assert own.bytes > 100
    assert left() == [own.folder.name]
    assert "environment of morning: greeting (1 of 1)" in told
    program = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, ('dynolab', 'numpy'))))"
    assert subprocess.run([own.python, "-I", "-c", program], check=False).returncode == 0
    again: list[str] = []
    own.make(again.append)
    assert again == [], "it is made once"


@pytest.mark.slow  # making an environment with a pip of its own takes ten seconds and more
def test_where_we_have_no_pip_the_environment_brings_its_own(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments.importlib.util, "find_spec", lambda name: None)
    own = Environment("morning", lock)
    own.make(nothing)
    assert word(own) == "good morning"
    assert (
        subprocess.run([own.python, "-I", "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0
    )


def test_another_lock_is_another_environment(lock: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(lock.read_text() + "\n# changed\n")
    assert Environment("morning", lock).folder != Environment("morning", other).folder


def test_a_file_that_is_not_the_locked_one_is_refused_and_nothing_stays(lock: Path) -> None:
    lock.write_text(re.sub(r"sha256:\w{4}", "sha256:0000", lock.read_text()))
    own = Environment("morning", lock)
    with pytest.raises(PluginMissing, match=r"environment of morning cannot be made: pip says: .*HASH") as told:
        own.make(nothing)
    assert "dynolab toolchains install morning" in (told.value.hint or "")
    assert (own.is_made, left()) == (False, [])


def test_without_an_index_pips_last_words_are_told(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(PluginMissing, match=r"pip says: No matching distribution found for greeting==1\.0"):
        Environment("morning", lock).make(nothing)


def test_of_two_at_once_one_makes_it_and_both_have_it(lock: Path) -> None:
    told: list[list[str]] = [[], []]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda notes: Environment("morning", lock).make(notes.append), told))
    assert word(Environment("morning", lock)) == "good morning"
    assert sum(any("greeting (1 of 1)" in text for text in one) for one in told) == 1
    assert any("waiting for another process" in text for one in told for text in one)


def test_what_was_killed_half_way_is_made_anew(lock: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from dynolab.toolchains._environments import Environment
Environment("morning", Path(sys.argv[1])).make(lambda text: "greeting" in text and os.kill(os.getpid(), signal.SIGKILL))
"""
    done = subprocess.run([sys.executable, "-c", program, str(lock)], check=False)
    own = Environment("morning", lock)
    assert done.returncode == -signal.SIGKILL
    assert (own.is_made, left()) == (False, [f"{own.folder.name}.part"])
    own.make(nothing)
    assert (word(own), left()) == ("good morning", [own.folder.name])


def test_one_whose_python_is_gone_is_made_anew(lock: Path) -> None:
    own = Environment("morning", lock)
    own.make(nothing)
    own.python.unlink()
    own.python.symlink_to("/nowhere/python")
    assert not own.is_made
    own.make(nothing)
    assert word(own) == "good morning"


def test_it_is_removed_when_nobody_uses_it(lock: Path) -> None:
    own = Environment("morning", lock)
    assert environments.remove("morning") == 0
    with own.in_use(nothing) as python:
        assert python.exists()
        with pytest.raises(Conflict, match="is in use"):
            environments.remove("morning")
        with own.in_use(nothing):
            pass  # others use it at the same time
    old = own.folder.with_name("morning-0123456789abcdef")
    old.mkdir()
    assert environments.remove("morning") > 0
    assert left() == []


@pytest.mark.parametrize("path", sorted(LOCKS.iterdir()), ids=lambda path: path.name)
def test_locks_hold_versions_and_hashes_alone(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    shapes = r"[a-z0-9._-]+==[\w.]+( ; [\w =<>.'\"]+)? \\", r"    --hash=sha256:[0-9a-f]{64}( \\)?"
    assert [line for line in lines if not any(re.fullmatch(shape, line) for shape in shapes)] == []


@pytest.mark.parametrize("path", sorted(LOCKS.iterdir()), ids=lambda path: path.name)
def test_the_licence_of_all_that_a_lock_brings_is_told(path: Path) -> None:
    own = Environment(path.stem, path)
    page = (Path(__file__).parents[3] / "THIRD_PARTY.md").read_text(encoding="utf-8")
    told = page.partition("## In an environment of its own")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| ([a-z0-9-]+) \| [A-Z].+? \| .+? \|$", told, flags=re.MULTILINE)
    assert f"dynolab toolchains install {own.name}" in told
    assert set(own.versions) <= set(listed)
