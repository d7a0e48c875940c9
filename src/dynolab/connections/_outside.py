"""An outside distribution that is installed here, as a zip file for a device: its own modules and data, and its metadata."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from dynolab.errors import PluginMissing

NATIVE = re.compile(r"\.(?:so|dylib|pyd|dll)(?:\.[0-9.]+)?$")
"""Files of machine code, which are for this machine's processor and system."""
_NEVER = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can name: the same files make the same zip file."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A distribution's own files in a zip file."""

    name: str
    sha256: str
    content: bytes


def packed(distribution: Distribution) -> Packed | None:
    """The distribution as it is installed here, whichever way; None: it holds machine code of this machine.

    Raises :class:`PluginMissing` where its modules are not to be found.
    """
    files = _files(distribution)
    if any(NATIVE.search(name) for name in files):
        return None
    name, out = f"{distribution.name}-{distribution.version}", io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for target, path in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(target, _NEVER), path.read_bytes())
        info = f"{re.sub(r'[^A-Za-z0-9.]+', '_', distribution.name)}-{distribution.version}.dist-info"
        for told in ("METADATA", "entry_points.txt"):
            text = distribution.read_text(told) or (distribution.read_text("PKG-INFO") if told == "METADATA" else None)
            archive.writestr(zipfile.ZipInfo(f"{info}/{told}", _NEVER), text or "")
    return Packed(name, hashlib.sha256(out.getvalue()).hexdigest(), out.getvalue())


def _files(distribution: Distribution) -> dict[str, Path]:
    """What it consists of besides its metadata, by its place below the folder of modules.

    Programs and what else lies outside that folder stay here. An editable install lists none of its modules: they are looked for.
    """
    listed = {
        str(one): Path(str(distribution.locate_file(one)))
        for one in distribution.files or ()
        if ".." not in one.parts and not one.parts[0].endswith((".dist-info", ".egg-info"))
    }
    found = {name: path for name, path in listed.items() if _is_brought(path)}
    for root in {one.module.partition(".")[0] for one in distribution.entry_points}:
        if f"{root}.py" not in found and not any(name.startswith(f"{root}/") for name in found):
            found |= dict(_module(root, distribution))
    return found


def _is_brought(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".pyc", ".pth") and "__pycache__" not in path.parts


def _module(root: str, distribution: Distribution) -> Iterator[tuple[str, Path]]:
    spec = importlib.util.find_spec(root)
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise PluginMissing(
            f"the module {root} of {distribution.name} is not to be found here, and cannot be brought to a device",
            hint=f"pip install --force-reinstall {distribution.name}",
        )
    if not spec.submodule_search_locations:
        path = Path(str(spec.origin))
        yield path.name, path
        return
    for folder in map(Path, spec.submodule_search_locations):
        for path in folder.rglob("*"):
            if _is_brought(path):
                yield f"{root}/{path.relative_to(folder)}", path
