"""Released versions of the official client and of its recipes, each in a virtual environment of its own.

``DYNOLAB_TEST_VENVS`` names a folder that keeps them from one run to the next; without it each run makes them anew: a client in
about 6 s, the recipes in some minutes (5 GB). Everything that `pip install` brings is installed, as users have it: leaving
out what ``import qai_hub`` does not need saves nothing to speak of.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_UNREACHABLE = ("(from versions: none)", "connection broken by", "ReadTimeoutError", "ConnectTimeoutError")
"""What pip says without a way to the index; anything else that goes wrong is a failure."""


def environment(version: str) -> Path:
    """The Python of an environment with this version of ``qai-hub``. Skips if the package index cannot be reached."""
    return _ready(f"qai-hub=={version}")


def recipes() -> Path:
    """The Python of an environment with AI Hub's recipes: ``DYNOLAB_TEST_QAI_HUB_MODELS``, or a new one. Skips likewise."""
    if named := os.environ.get("DYNOLAB_TEST_QAI_HUB_MODELS"):
        return Path(named)
    return _ready("qai-hub-models==0.65.0", "qai-hub==0.56.0")


def _ready(*requirements: str) -> Path:
    python, trouble = _made(*requirements)
    if trouble and os.environ.get("CI") == "true":
        pytest.fail(trouble)
    if trouble:
        pytest.skip(trouble)
    return python


def ask(version: str, program: str, question: Any = None) -> Any:
    """What a program answers that runs beside the client: JSON into its standard input, JSON out of its output."""
    child = subprocess.run(
        [environment(version), "-c", program], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


@cache
def _root() -> Path:
    folder = Path(os.environ["DYNOLAB_TEST_VENVS"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _made(*requirements: str) -> tuple[Path, str]:
    """The environment's Python, and why it is not there."""
    name = f"{requirements[0].replace('==', '-')}-python{sys.version_info.major}.{sys.version_info.minor}"
    folder = _root() / name
    python, done = folder / "bin" / "python", folder / "installed"
    with (_root() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another session may be making the same one
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(
                folder, symlinks=True
            )  # pip comes from outside: to install it there takes as long as the client
            if trouble := _install(python, *requirements):
                return python, trouble
            done.touch()
    return python, ""


def _install(python: Path, *requirements: str) -> str:
    # --no-compile: half of the time is for modules that nobody imports here.
    options = ["--no-compile", "--retries=1", "--timeout=20"]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, *requirements]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    text = child.stdout + child.stderr
    if child.returncode and any(sign in text for sign in _UNREACHABLE):
        return f"the package index cannot be reached for {requirements[0]}: {text.strip().splitlines()[-1]}"
    assert child.returncode == 0, text
    return ""
