"""Finds and loads plug-ins: a module in a package's folder, or an entry point of an outside distribution, is one."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING

from dynolab.errors import NotFound, PluginMissing

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def _outside(package: str) -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # a tenth of a worker's imports: only where it is needed

    return {point.name: point for point in entry_points(group=package)}


def _inside(package: str) -> list[str]:
    folder = importlib.import_module(package).__path__
    found = (module.name for module in pkgutil.iter_modules(folder))
    return [name for name in found if name != "base" and not name.startswith("_")]


def names(package: str) -> list[str]:
    """The plug-ins of ``package`` (such as ``"dynolab.runtimes"``), sorted; nothing of them is imported."""
    return sorted({*_inside(package), *_outside(package)})


def _load_outside(point: EntryPoint) -> object:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        owner = point.dist.name if point.dist else point.module
        raise PluginMissing(
            f"the plug-in {point.name!r} of {owner} cannot be loaded from {point.value!r}: {error}",
            hint=f"pip install --upgrade --force-reinstall {owner}",
        ) from error


def load(package: str, name: str) -> object:
    """The ``plugin`` object of one plug-in's module, imported now.

    Raises :class:`NotFound`, naming the nearest ones, when there is no such plug-in, and :class:`PluginMissing` when the
    distribution that offers it from outside cannot be imported. A vendor library is not touched here: plug-ins import
    theirs when they are used.
    """
    if name in _inside(package):
        plugin: object = importlib.import_module(f"{package}.{name}").plugin
        return plugin
    outside = _outside(package).get(name)
    if outside is not None:
        return _load_outside(outside)
    known = names(package)
    near = difflib.get_close_matches(name, known, n=3)
    kind = package.rsplit(".", 1)[-1].removesuffix("s")
    raise NotFound(
        f"there is no {kind} named {name!r}",
        hint=(f"did you mean {' or '.join(near)}? " if near else "") + f"Known: {', '.join(known)}.",
    )
