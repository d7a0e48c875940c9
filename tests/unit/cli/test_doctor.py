"""``dynolab doctor`` as text."""

from __future__ import annotations

import pytest

from dynolab.cli import doctor
from dynolab.spec.findings import Finding


def test_what_is_not_fine_has_its_way_out_a_legend_and_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    doctor._show(
        [
            Finding("load", "problem", "busy", "threads wait", "ps [-e]"),
            Finding("speed", "warning", "unsteady", "a changing clock"),
            Finding("turbo", "unknown", "not available"),
            Finding("swap", "ok", "none"),
        ]
    )
    rows = [" ".join(row.split()) for row in capsys.readouterr().out.splitlines()]
    assert "mend: ps [-e]" in rows
    assert "mend: # nothing here can be set" in rows
    assert "✗ disturbs measurements now ! may disturb them ? cannot be told ✓ fine" in rows
    assert rows[-1] == "1 problem, 1 warning, 1 unknown, 1 fine"
