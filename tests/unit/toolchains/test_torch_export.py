"""What is told of a model that PyTorch's exporters give up on."""

from __future__ import annotations

import pytest

from dynolab.toolchains._torch_export import _reason


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "cannot export Not  [Caused by the value '110 defined in (%1)'\n Inputs:\n  ) (type 'Tensor')",
            "cannot export Not",
        ),
        (
            "Failed to export the model.\nwhile executing aten.foo\nno decomposition of aten.foo",
            "no decomposition of aten.foo",
        ),
    ],
)
def test_the_reason_is_what_an_exporter_says_first_or_last(said: str, told: str) -> None:
    assert _reason(RuntimeError(said)) == told
