"""What a machine offers to a hub."""

from __future__ import annotations

import platform
import uuid
from pathlib import Path

import pytest

from dynolab.agent.offer import offer, system_words
from dynolab.sandbox.base import strongest


def test_the_sandbox_is_an_attribute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path))
    assert f"sandbox:{strongest().name}" in offer().attributes
    monkeypatch.setenv("DYNOLAB_SANDBOX", "none")
    assert "sandbox:none" in offer().attributes


def test_a_machine_keeps_its_id_which_is_no_other_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ids = []
    for state in ("one", "one", "other"):
        monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path / state))
        ids.append(offer().id)
    assert ids[0] == ids[1] != ids[2]
    assert all(str(uuid.UUID(one)) == one for one in ids)
    assert (tmp_path / "one" / "device-id").stat().st_mode & 0o777 == 0o600
    assert offer("bench").name == "bench"


@pytest.mark.parametrize(
    ("system", "distribution", "words"),
    [
        ("Linux", "Debian GNU/Linux", ("os:linux", "os:debian")),
        ("Linux", "Ubuntu", ("os:linux", "os:ubuntu")),
        ("Windows", "Windows", ("os:windows",)),
    ],
)
def test_the_system_is_told_before_its_distribution(system: str, distribution: str, words: tuple[str, ...]) -> None:
    """AI Hub's recipes read the first, and stop at one that they do not know."""
    assert system_words(system, distribution) == words


def test_a_computer_is_called_what_ai_hub_calls_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path))
    found = offer().attributes
    assert (found[0], "format:compute" in found) == (f"os:{platform.system().lower()}", True)
