"""What a device has installed itself, and is used as it is: libraries too large, or too much of a device's own, to be brought."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement

from dynolab.connections._remote import Remote
from dynolab.errors import PluginMissing

NOT_BROUGHT = ("torch", "executorch")
"""Of 0.2 to 3 GB with what they bring, and in other builds for other devices: on Linux, the index's own torch for x86_64 is CUDA's."""
_CODE = """\
import importlib.metadata as m, json, sys
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
print(json.dumps({"python": sys.executable, "of": sys.version_info[:2], "versions": {one: version(one) for one in sys.argv[1:]},
    "folders": [one for one in sys.path if one.rstrip("/").endswith(("site-packages", "dist-packages"))]}))
"""


@dataclass(frozen=True, slots=True)
class InstalledThere:
    """An interpreter on the device, and the folders in which it has what was asked for."""

    python: str
    folders: tuple[str, ...]
    versions: Mapping[str, str]


def installed_there(remote: Remote, wanted: Sequence[Requirement]) -> InstalledThere:
    """The first Python of the device's own that has all of this. Raises :class:`PluginMissing` with the way out where none has."""
    names = [one.name for one in wanted]
    seen: list[str] = []
    for told in _asked(remote, names):
        versions = {name: told["versions"].get(name) for name in names}
        if all(found is not None and _fits(one, found) for one, found in zip(wanted, versions.values(), strict=True)):
            return InstalledThere(str(told["python"]), tuple(map(str, told["folders"])), dict(versions))
        seen += [f"{told['python']} has {name} {found}" for name, found in versions.items() if found is not None]
    asked = " and ".join(map(str, wanted))
    others = f" ({'; '.join(dict.fromkeys(seen))})" if seen else ""
    raise PluginMissing(
        f"{asked} is not brought to devices, and no Python of {remote.address} has it{others}",
        hint=f"install it there, such as: python3 -m pip install {shlex.join(map(str, wanted))}; if that is in an environment of its own, "
        "name its Python on the device: DYNOLAB_DEVICE_PYTHON=/home/pi/env/bin/python"
        if remote.pythons
        else "a phone has none: `dynolab compile MODEL` makes an ONNX or TFLite file of such a model, which runs there",
    )


def _fits(one: Requirement, version: str) -> bool:
    return one.specifier.contains(version, prereleases=True)


def _asked(remote: Remote, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """What each Python of the device's own tells, each once."""
    asked = shlex.join(["-c", _CODE, *names])
    tries = "; ".join(f"{shlex.quote(name)} {asked} 2>/dev/null" for name in remote.pythons)
    found: dict[str, Mapping[str, Any]] = {}
    for line in remote.ask(f"{tries}; :").splitlines() if remote.pythons else ():
        try:
            told = json.loads(line)
            found.setdefault(str(told["python"]), told)
        except (ValueError, KeyError, TypeError):
            continue  # a program that is called so, and is no Python
    return list(found.values())
