"""What runtimes need on a device: wheels, an outside distribution's own files, and what must be installed there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dynolab import formats, plugins
from dynolab.connections._installed_there import NOT_BROUGHT
from dynolab.connections._outside import Packed, packed
from dynolab.connections._wheels import DeviceSystem, applies, requirements_of
from dynolab.errors import PluginMissing
from dynolab.runtimes.base import PACKAGE, runtime_named

NUMPY = "numpy>=2.3,<3"


@dataclass(frozen=True, slots=True)
class Needs:
    """Of some runtimes: requirements of wheels, zip files of outside distributions, and requirements that the device itself must meet."""

    wheels: tuple[str, ...]
    packed: tuple[Packed, ...]
    there: tuple[Requirement, ...]
    native: tuple[str, ...] = ()
    """Those of the wheels that are installed here with machine code of this machine."""


def needs_of(system: DeviceSystem, runtimes: Sequence[str]) -> Needs:
    """What the runtimes need on such a device.

    Raises :class:`~dynolab.errors.NotFound` for one that there is not, and :class:`PluginMissing` for one that is not for devices.
    """
    wanted, distributions = {NUMPY}, dict[str, Distribution]()
    for name in runtimes:
        runtime = runtime_named(name)
        if runtime.numbers_only:
            raise PluginMissing(
                f"the runtime {name} simulates a device on this machine, and is not brought to one",
                hint="leave it out, or run it here: without --device",
            )
        if not plugins.is_own(PACKAGE, name):
            kinds = [(formats.GROUP, str(kind)) for kind in runtime.formats]
            for group, plugin in [(PACKAGE, name), *kinds]:
                if (found := plugins.distribution_of(group, plugin)) is not None:
                    distributions[found.name] = found
        elif name != "null":
            wanted |= set(requirements_of(system, [name], base=False))
    zipped, native = list[Packed](), list[str]()
    for one in distributions.values():
        if (own := packed(one)) is None:
            native.append(f"{one.name}=={one.version}")
        else:
            zipped.append(own)
            wanted |= _dependencies(system, one)
    wanted |= {*native}
    read_here = {name for one in runtimes for names in runtime_named(one).described_by.values() for name in names}
    every = [one for one in map(Requirement, sorted(wanted)) if one.name not in read_here]
    there = tuple(one for one in every if canonicalize_name(one.name) in NOT_BROUGHT)
    return Needs(tuple(str(one) for one in every if one not in there), tuple(zipped), there, tuple(native))


def _dependencies(system: DeviceSystem, distribution: Distribution) -> set[str]:
    """What it asks for on such a device, without dynolab itself, which is there."""
    found = set[str]()
    for one in map(Requirement, distribution.requires or ()):
        if not applies(system, one):
            continue
        if canonicalize_name(one.name) == "dynolab":
            found |= set(requirements_of(system, sorted(one.extras), base=False)) if one.extras else set()
        else:
            one.marker = None
            found.add(str(one))
    return found
