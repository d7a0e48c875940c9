"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

EXAMPLES = Path(__file__).parents[1] / "examples" / "models"


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the user's records or workspaces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNOLAB_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("DYNOLAB_WORKSPACE", str(tmp_path_factory.mktemp("workspaces")))
        yield


@pytest.fixture
def null_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes a model for the null runtime and returns its path."""

    def write(**content: Any) -> Path:
        path = tmp_path / "model.null"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def null_harness(tmp_path: Path, null_model: Callable[..., Path]) -> Callable[..., Harness]:
    """A harness around a null model with the content given, inspected already."""

    def make(**content: Any) -> Harness:
        harness = Harness(Path(tempfile.mkdtemp(dir=tmp_path)), null_model(**content), ModelFormat.NULL, "null")
        harness.inspect()
        return harness

    return make
