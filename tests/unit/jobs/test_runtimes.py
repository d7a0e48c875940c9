"""Which runtime a job's model gets, and what is said on a device that has none for it."""

from __future__ import annotations

import importlib

import pytest

from dynolab import formats
from dynolab.errors import PluginMissing, SpecInvalid
from dynolab.jobs._campaigns import runtime_for
from dynolab.runtimes import base
from dynolab.runtimes.base import runtime_named
from dynolab.spec.models import ModelFormat

RUN_HERE = [one for one in formats.OURS if one.runtime is not None]
"""Others are built for hardware that dynolab has no runtime for."""


def test_every_format_has_a_runtime_that_takes_it() -> None:
    for declared in RUN_HERE:
        assert declared.kind in runtime_named(str(declared.runtime)).formats


@pytest.mark.parametrize("kind", [one.kind for one in RUN_HERE if one.kind != ModelFormat.NULL])
def test_a_device_without_the_runtime_of_a_model_says_what_to_install(
    kind: ModelFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "installed_version", lambda name: None)
    for module in ("onnxruntime", "openvino", "litert", "torch", "_htp"):
        plugin = importlib.import_module(f"dynolab.runtimes.{module}")
        monkeypatch.setattr(plugin, "installed_version", lambda name: None, raising=False)
    with pytest.raises(PluginMissing, match="is not installed") as caught:
        runtime_for(None, kind)
    assert "pip install" in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert caught.value.blame == "setup"


def test_a_runtime_that_does_not_take_the_format_is_the_users_choice() -> None:
    with pytest.raises(SpecInvalid, match="litert does not run onnx") as caught:
        runtime_for("litert", ModelFormat.ONNX)
    assert "onnxruntime" in (caught.value.hint or "")
