"""An outside distribution for tests: a module and its metadata in a folder, as an installer would leave them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def distribution(folder: Path, name: str, source: str, points: Mapping[str, Mapping[str, str]]) -> Path:
    """The folder, which belongs on PYTHONPATH then; ``points`` are entry points by group, as in ``pyproject.toml``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name.replace('-', '_')}.py").write_text(source, encoding="utf-8")
    metadata = folder / f"{name.replace('-', '_')}-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n", encoding="utf-8")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()) for group, values in points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder
