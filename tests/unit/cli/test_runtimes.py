"""``dynolab runtimes`` as text."""

from __future__ import annotations

import pytest

from dynolab.cli import runtimes


def test_the_way_to_install_one_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    why = "torch is not installed: pip install 'dynolab[torch]'"
    runtimes._show([{"name": "torch", "formats": ["torchscript"], "versions": {}, "unavailable": why}])
    assert "'dynolab[torch]'" in capsys.readouterr().out
