"""What all runtimes share."""

from __future__ import annotations

from importlib import metadata

import pytest

from dynolab import plugins
from dynolab.runtimes.base import Runtime
from dynolab.runtimes.null import Null


def not_found(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


@pytest.mark.parametrize("name", sorted(set(plugins.names("dynolab.runtimes")) - {"null"}))
def test_a_missing_library_of_a_runtime_of_ours_comes_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    runtime = plugins.load("dynolab.runtimes", name)
    assert isinstance(runtime, Runtime)
    assert name in (metadata.metadata("dynolab").get_all("Provides-Extra") or [])
    monkeypatch.setattr(metadata, "version", not_found)
    assert runtime.unavailable() == f"{runtime.distributions[0]} is not installed: pip install 'dynolab[{name}]'"


class Outside(Null):
    """As an outside distribution would offer it: ours has no extra for it."""

    name = "tensorfast"
    distributions = ("tensorfast-runtime", "tensorfast-extras")


def test_a_missing_library_of_an_outside_runtime_is_named_itself() -> None:
    assert Outside().unavailable() == "tensorfast-runtime is not installed: pip install tensorfast-runtime"
