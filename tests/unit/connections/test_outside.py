"""What is brought to a device of runtimes that are not dynolab's own, and of those that no lock names."""

from __future__ import annotations

import io
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from dynolab import plugins
from dynolab.connections import _wheels
from dynolab.connections._installed_there import NOT_BROUGHT
from dynolab.connections._outside import packed
from dynolab.errors import PluginMissing
from dynolab.runtimes.base import PACKAGE, runtime_named
from dynolab.testing.outside import SCALE, distribution

POINTS = {"dynolab.runtimes": {"scale": "dynolab_scale:plugin"}}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of modules in which it is."""
    folder = distribution(tmp_path / "site", "dynolab-scale", SCALE, POINTS)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "dynolab_scale", raising=False)
    return folder


def of(folder: Path) -> Distribution:
    return PathDistribution(folder / "dynolab_scale-0.1.dist-info")


def listed(folder: Path, *names: str) -> None:
    record = folder / "dynolab_scale-0.1.dist-info" / "RECORD"
    record.write_text("".join(f"{name},,\n" for name in names))


def content(folder: Path) -> dict[str, bytes]:
    found = packed(of(folder))
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(found.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_its_installer_lists_is_packed_but_for_programs_and_bytecode(installed: Path) -> None:
    (installed / "data").mkdir()
    (installed / "data" / "table.txt").write_text("1")
    (installed / "__pycache__").mkdir()
    (installed / "__pycache__" / "dynolab_scale.cpython-311.pyc").write_bytes(b"")
    (installed.parent / "program").write_text("")
    listed(
        installed,
        "dynolab_scale.py",
        "data/table.txt",
        "../program",
        "__pycache__/dynolab_scale.cpython-311.pyc",
        "dynolab_scale-0.1.dist-info/METADATA",
    )
    info = "dynolab_scale-0.1.dist-info"
    found = content(installed)
    assert set(found) == {"dynolab_scale.py", "data/table.txt", f"{info}/METADATA", f"{info}/entry_points.txt"}
    assert b"dynolab_scale:plugin" in found[f"{info}/entry_points.txt"]


def test_the_same_files_make_the_same_zip_file(installed: Path) -> None:
    first = packed(of(installed))
    (installed / "dynolab_scale.py").touch()
    assert packed(of(installed)) == first


def test_modules_of_an_editable_install_are_looked_for(installed: Path) -> None:
    (installed / "dynolab_scale.pth").write_text("/somewhere/src")
    listed(installed, "dynolab_scale.pth", "dynolab_scale-0.1.dist-info/METADATA")
    assert "dynolab_scale.py" in content(installed)
    assert "dynolab_scale.pth" not in content(installed)


def test_machine_code_is_not_packed(installed: Path) -> None:
    (installed / "kernel.so.1.2").write_bytes(b"")
    listed(installed, "dynolab_scale.py", "kernel.so.1.2")
    assert packed(of(installed)) is None


def test_a_distribution_whose_module_is_gone(installed: Path) -> None:
    (installed / "dynolab_scale.py").unlink()
    with pytest.raises(PluginMissing, match="module dynolab_scale of dynolab-scale") as caught:
        packed(of(installed))
    assert "--force-reinstall" in str(caught.value.hint)


@pytest.mark.parametrize("name", [name for name in plugins.names(PACKAGE) if plugins.is_own(PACKAGE, name)])
def test_every_runtimes_library_is_locked_for_devices_or_is_the_devices_own(name: str) -> None:
    runtime = runtime_named(name)
    if name == "null" or runtime.numbers_only:
        return
    library = canonicalize_name(runtime.distributions[0])
    is_locked = any(line.lower().startswith(f"{library}==") for line in _wheels._lock_lines())
    assert is_locked != (library in NOT_BROUGHT)
