"""Finds and loads plug-ins: a module in a package's folder, or an entry point of an outside distribution, is one."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynolab.errors import Error, NotFound, PluginMissing

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint


_scanned: dict[tuple[tuple[str, int | None], ...], Any] = {}
"""The entry points of all groups, by the folders that were looked through and when something was last installed in them."""


def _points(group: str) -> Iterable[EntryPoint]:
    """The entry points of a group. To find them, a file of each installed distribution is opened: it is done once."""
    from importlib.metadata import entry_points  # a tenth of a worker's imports: only where it is needed

    state = tuple((place, _changed_ns(place)) for place in sys.path)
    if (points := _scanned.get(state)) is None:
        points = entry_points()
        _scanned.clear()
        _scanned[state] = points
    found: Iterable[EntryPoint] = points.select(group=group)
    return found


def _changed_ns(place: str) -> int | None:
    try:
        return Path(place).stat().st_mtime_ns
    except OSError:
        return None


def _outside(package: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in _points(package)}


def _inside(package: str) -> list[str]:
    folder = importlib.import_module(package).__path__
    found = (module.name for module in pkgutil.iter_modules(folder))
    return [name for name in found if name != "base" and not name.startswith("_")]


def names(package: str) -> list[str]:
    """The plug-ins of ``package`` (such as ``"dynolab.runtimes"``), sorted; nothing of them is imported."""
    return sorted({*_inside(package), *_outside(package)})


def is_own(package: str, name: str) -> bool:
    """Whether a plug-in is a module of the package itself."""
    if not name.isidentifier() or name == "base" or name.startswith("_"):
        return False
    found = importlib.util.find_spec(
        f"{package}.{name}"
    )  # no look through the folder, which is one for each reading of a worker
    return found is not None and found.origin is not None


def outside_names(group: str) -> list[str]:
    """The entry points that outside distributions have in a group, sorted; nothing of them is imported."""
    return sorted(_outside(group))


def unreachable(group: str, taken: Collection[str] = ()) -> list[tuple[str, str]]:
    """Entry points whose name is another's: each with its distribution. ``taken`` are dynolab's own names, which go before."""
    reached = _outside(group)
    points = (one for one in _points(group) if one.name in taken or reached[one.name] != one)
    return sorted({(one.name, _owner(one)) for one in points})


def owner(group: str, name: str) -> str | None:
    """The distribution that offers a plug-in of this name from outside; None: none does."""
    point = _outside(group).get(name)
    return None if point is None else _owner(point)


def distribution_of(group: str, name: str) -> Distribution | None:
    """The outside distribution that offers a plug-in of this name; None: none does."""
    point = _outside(group).get(name)
    return None if point is None else point.dist


def owner_of_module(group: str, module: str) -> str | None:
    """The outside distribution whose plug-ins of a group lie in a module, or in the package that the module is of."""
    root = module.partition(".")[0]
    return next((_owner(one) for one in _outside(group).values() if one.module.partition(".")[0] == root), None)


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def load_outside(group: str, name: str) -> object:
    """What an entry point names, imported now. Raises :class:`PluginMissing` where that fails, however it does."""
    return _load_outside(_outside(group)[name])


def _load_outside(point: EntryPoint) -> object:
    try:
        return point.load()
    except Error as error:
        raise PluginMissing(
            f"the plug-in {point.name!r} of {_owner(point)}: {error.message}", hint=error.hint
        ) from error
    except (Exception, SystemExit) as error:
        told = str(error) or "without a word"
        raise PluginMissing(
            f"the plug-in {point.name!r} of {_owner(point)} cannot be loaded from {point.value!r}: "
            f"{type(error).__name__}: {told}",
            hint=f"pip install --upgrade --force-reinstall {_owner(point)}",
        ) from error


def load(package: str, name: str) -> object:
    """The ``plugin`` object of one plug-in's module, imported now.

    Raises :class:`NotFound`, naming the nearest ones, when there is no such plug-in, and :class:`PluginMissing` when the
    distribution that offers it from outside cannot be imported. A vendor library is not touched here: plug-ins import
    theirs when they are used.
    """
    if is_own(package, name):
        plugin: object = importlib.import_module(f"{package}.{name}").plugin
        return plugin
    outside = _outside(package).get(name)
    if outside is not None:
        return _load_outside(outside)
    import difflib  # for this error only

    known = names(package)
    near = difflib.get_close_matches(name, known, n=3)
    kind = package.rsplit(".", 1)[-1].removesuffix("s")
    raise NotFound(
        f"there is no {kind} named {name!r}",
        hint=(f"did you mean {' or '.join(near)}? " if near else "") + f"Known: {', '.join(known)}.",
    )
