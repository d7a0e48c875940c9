"""What all runtimes share."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from importlib import metadata

import pytest

from dynolab import plugins
from dynolab.runtimes.base import Runtime, install_command
from dynolab.runtimes.null import Null


def not_found(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


@pytest.mark.parametrize("name", sorted(set(plugins.names("dynolab.runtimes")) - {"null"}))
def test_a_missing_library_of_a_runtime_of_ours_comes_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    runtime = plugins.load("dynolab.runtimes", name)
    assert isinstance(runtime, Runtime)
    extra = {"qnnsimulator": "qnn"}.get(name, name)  # the same libraries build what it simulates
    assert extra in (metadata.metadata("dynolab").get_all("Provides-Extra") or [])
    monkeypatch.setattr(metadata, "version", not_found)
    assert runtime.unavailable() == f"{runtime.distributions[0]} is not installed: {install_command(extra)}"


class Installed:
    """A distribution, as far as it tells where it came from."""

    def __init__(self, origin: object) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.origin is None else json.dumps(self.origin)


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        (None, "'dynolab[litert]'"),
        (
            {"url": "https://example.org/dynolab.whl", "archive_info": {}},
            "'dynolab[litert] @ https://example.org/dynolab.whl'",
        ),
        ({"url": "file:///src/my%20lab", "dir_info": {"editable": True}}, "-e '/src/my lab[litert]'"),
    ],
)
def test_the_hint_installs_for_the_interpreter_in_use_and_from_the_checkout(
    monkeypatch: pytest.MonkeyPatch, origin: object, wanted: str
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(origin))
    assert install_command("litert") == f"{shlex.quote(sys.executable)} -m pip install {wanted}"


class Outside(Null):
    """As an outside distribution would offer it: ours has no extra for it."""

    name = "tensorfast"
    distributions = ("tensorfast-runtime", "tensorfast-extras")


def test_a_missing_library_of_an_outside_runtime_is_named_itself() -> None:
    command = f"{shlex.quote(sys.executable)} -m pip install tensorfast-runtime"
    assert Outside().unavailable() == f"tensorfast-runtime is not installed: {command}"


def test_what_only_asks_a_runtime_what_it_is_imports_no_numpy() -> None:
    code = """
import sys
sys.modules["numpy"] = None
import dynolab.cli.profile, dynolab.jobs.profile, dynolab.measure.executor.verbs
from dynolab import plugins
from dynolab.runtimes.base import PACKAGE
for name in plugins.names(PACKAGE):
    if plugins.is_own(PACKAGE, name):
        runtime = plugins.load(PACKAGE, name)
        runtime.unavailable(), runtime.versions()
        print(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "onnxruntime" in done.stdout.split()
