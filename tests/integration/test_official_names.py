"""The recorded names of the official client are those of the released package."""

from __future__ import annotations

import json
from pathlib import Path

from .official import ask

HERE = Path(__file__).parent
RECORDED = HERE.parent / "data" / "qai_hub_0.56.0_names.json"


def test_the_record_is_true() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert ask(recorded["version"], (HERE / "official_names.py").read_text()) == recorded
