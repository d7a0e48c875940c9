"""The null runtime's models: what their files may not say is told by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynolab.errors import ModelInvalid
from dynolab.runtimes.null import read_model


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"threads": "x"}, 'threads is "x"'),
        ({"shape": 3}, "shape is 3"),
        ({"shape": [0]}, "sizes above 0"),
        ({"crash": 999}, "the number of a signal"),
        ({"at": "noon"}, '"load" or "inference"'),
        ({"busy_ns": -1}, "a whole number from 0 on"),
        ({"sleep_s": "1"}, "a number from 0 on"),
        ({"colour": "red"}, "keys must be among"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_wanted(tmp_path: Path, content: dict[str, object], words: str) -> None:
    path = tmp_path / "net.null"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelInvalid) as refused:
        read_model(path)
    assert refused.value.message.startswith("net.null is not a null model: ")
    assert words in refused.value.message
