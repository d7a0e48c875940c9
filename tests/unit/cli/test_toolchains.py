"""``dynolab toolchains``: what is quantised stands beside the targets, and says what it lacks."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from dynolab import plugins
from dynolab.cli.toolchains import command
from dynolab.spec.models import ModelFormat
from dynolab.toolchains import base
from dynolab.toolchains._quantizers.base import PACKAGE, quantizer_of


def test_every_quantizer_is_listed_with_what_it_makes_and_needs() -> None:
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(command, ["--json"]).output)["quantizers"]}
    assert sorted(rows) == sorted(plugins.names(PACKAGE))
    for name, row in rows.items():
        one = quantizer_of(ModelFormat(name))
        assert [tuple(pair) for pair in row["types"]] == list(one.types)
        assert (row["needs"], row["options"]) == (list(one.needs), list(one.options))


def test_what_a_quantizer_lacks_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    there = base.installed_version
    monkeypatch.setattr(base, "installed_version", lambda name: None if name == "ai-edge-quantizer" else there(name))
    (row,) = (
        one
        for one in json.loads(CliRunner().invoke(command, ["--json"]).output)["quantizers"]
        if one["unavailable"] and "ai-edge-quantizer" in one["unavailable"]
    )
    assert row["name"] == "tflite"
    assert "ai-edge-quantizer" not in row["versions"]
    shown = " ".join(CliRunner().invoke(command, []).output.split())
    assert "unavailable: " in shown
    assert "quantises weights/activations versions onnx int8/int8 int8/int16" in shown
