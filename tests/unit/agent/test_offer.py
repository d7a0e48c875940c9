"""What a machine offers to a hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.agent.offer import offer
from dynolab.sandbox.base import strongest


def test_the_sandbox_is_an_attribute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path))
    assert f"sandbox:{strongest().name}" in offer().attributes
    monkeypatch.setenv("DYNOLAB_SANDBOX", "none")
    assert "sandbox:none" in offer().attributes
