"""What a machine offers to a hub."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from dynolab.agent.offer import offer
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
