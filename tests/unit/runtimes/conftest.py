"""Fixtures of the runtimes' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.formats import EXTENSIONS
from dynolab.runtimes.base import Target
from dynolab.spec import options

REAL_MODELS = Path(__file__).parents[3].parent / "shared" / "models"


@pytest.fixture
def target(tmp_path: Path) -> Callable[..., Target]:
    """Makes a target with folders of its own; the format is what the file's name says."""

    def make(model: Path, text: str = "", **shapes: tuple[int, ...]) -> Target:
        folders = [tmp_path / name for name in ("artifact", "cache")]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        return Target(model, EXTENSIONS[model.suffix], *folders, options.parse(text), model.parent, shapes)

    return make


@pytest.fixture
def real_model() -> Callable[[str], Path]:
    """Finds a published model by its file's name; the test is skipped where it is not there."""

    def find(name: str) -> Path:
        path = REAL_MODELS / name
        if not path.exists():
            pytest.skip(f"{path} is not there")
        return path

    return find
