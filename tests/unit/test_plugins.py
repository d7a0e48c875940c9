"""Plug-ins: a file in a folder, or an entry point from outside, is all the registration there is."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from dynolab import plugins
from dynolab.errors import NotFound, PluginMissing

PACKAGE = "shop_of_runtimes"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with two plug-ins; it is forgotten afterwards."""
    package = tmp_path / PACKAGE
    package.mkdir()
    for name in ("__init__", "base", "_private"):
        (package / f"{name}.py").write_text("")
    for name in ("tensorfast", "tensorslow"):
        (package / f"{name}.py").write_text(f"plugin = '{name} itself'\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield package
    for module in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[module]


def offer(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Entry points of outside distributions, name by name."""
    points = [EntryPoint(name, value, PACKAGE) for name, value in values.items()]
    monkeypatch.setattr(metadata, "entry_points", lambda: EntryPoints(points))
    monkeypatch.setattr(plugins, "_scanned", {})


def test_every_file_is_a_plugin_save_base_and_private_ones(folder: Path) -> None:
    assert plugins.names(PACKAGE) == ["tensorfast", "tensorslow"]
    (folder / "another.py").write_text("plugin = 1\n")
    (folder / "folder").mkdir()
    (folder / "folder" / "__init__.py").write_text("plugin = 2\n")
    importlib.invalidate_caches()
    assert plugins.names(PACKAGE) == ["another", "folder", "tensorfast", "tensorslow"]
    assert plugins.load(PACKAGE, "folder") == 2


def test_listing_imports_no_plugin_and_loading_imports_one(folder: Path) -> None:
    plugins.names(PACKAGE)
    assert not [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]
    assert plugins.load(PACKAGE, "tensorfast") == "tensorfast itself"
    assert [name for name in sys.modules if name.startswith(f"{PACKAGE}.")] == [f"{PACKAGE}.tensorfast"]


def test_an_outside_plugin_is_listed_and_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, abacus="math:pi", tensorfast="math:e")
    assert plugins.names(PACKAGE) == ["abacus", "tensorfast", "tensorslow"]
    assert plugins.load(PACKAGE, "abacus") == pytest.approx(3.14159, abs=1e-5)
    assert plugins.load(PACKAGE, "tensorfast") == "tensorfast itself"


@pytest.mark.parametrize("value", ["no_such_distribution.x:plugin", "math:no_such_name"])
def test_an_outside_plugin_that_is_broken_is_a_matter_of_setup(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    offer(monkeypatch, abacus=value)
    with pytest.raises(PluginMissing) as refused:
        plugins.load(PACKAGE, "abacus")
    assert "'abacus'" in refused.value.message
    assert value in refused.value.message
    assert (refused.value.hint or "").startswith("pip install")


@pytest.mark.parametrize(("name", "hint"), [("tensorfst", "did you mean tensorfast"), ("zzz", "Known: tensorfast, tensorslow."),
                                            ("base", "Known:"), ("_private", "Known:"), ("", "Known:")])  # fmt: skip
def test_an_unknown_name_is_not_found_with_the_nearest_ones(folder: Path, name: str, hint: str) -> None:
    with pytest.raises(NotFound) as refused:
        plugins.load(PACKAGE, name)
    assert refused.value.message == f"there is no {PACKAGE.removesuffix('s')} named {name!r}"
    assert hint in (refused.value.hint or "")


def test_a_mistake_inside_a_plugin_of_ours_is_not_hidden(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_module_of_ours\n")
    (folder / "empty.py").write_text("")
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match="no_such_module_of_ours"):
        plugins.load(PACKAGE, "broken")
    with pytest.raises(AttributeError, match="plugin"):
        plugins.load(PACKAGE, "empty")


def test_dynolabs_own_runtimes_are_found_without_importing_them() -> None:
    assert "null" in plugins.names("dynolab.runtimes")
    with pytest.raises(NotFound, match="there is no runtime named 'nul'") as refused:
        plugins.load("dynolab.runtimes", "nul")
    assert "null" in (refused.value.hint or "")


def test_distributions_are_looked_through_once_and_again_when_one_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    really = metadata.entry_points

    def entry_points() -> object:
        looked.append(1)
        return really()

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    monkeypatch.setattr(plugins, "_scanned", {})
    monkeypatch.syspath_prepend(tmp_path)
    assert [plugins.outside_names(PACKAGE), plugins.outside_names("another")] == [[], []]
    assert len(looked) == 1
    about = tmp_path / "abacus-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[{PACKAGE}]\nabacus = math:pi\n")
    os.utime(
        tmp_path, ns=(0, tmp_path.stat().st_mtime_ns + 1)
    )  # a file system's clock may stand still for milliseconds
    assert plugins.outside_names(PACKAGE) == ["abacus"]
    assert plugins.owner(PACKAGE, "abacus") == "abacus"
    assert len(looked) == 2
