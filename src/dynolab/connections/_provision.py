"""Brings to a device what it measures with: our measuring half and wheels, once, kept there by digest.

Below the device's root: ``wheels/<sha256>`` (unpacked), ``envs/<digest>`` (a virtual environment that names some of them),
``models/<sha256>``, ``workspaces``. What has a name is whole: it is unpacked beside and renamed. Before something is brought, room is made
for it (:mod:`dynolab.eviction`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynolab import board_holders, eviction
from dynolab.connections._installed_there import installed_there
from dynolab.connections._measuring_half import measuring_half
from dynolab.connections._remote import Remote
from dynolab.connections._runtime_needs import Needs, needs_of
from dynolab.connections._turns import turn
from dynolab.connections._wheels import DeviceSystem, wheels_for
from dynolab.connections.base import ModelFiles, Tell
from dynolab.errors import Error, PluginMissing, SpecInvalid, TransferFailed
from dynolab.spec.holding import Held, Holder, busy, holder_of, length

_PROBE = (
    "import importlib.util as u, json, platform, shutil, struct, sys; "
    "print(json.dumps({'python': sys.version_info[:2], 'architecture': platform.machine(), 'libc': platform.libc_ver(), "
    "'bits': struct.calcsize('P') * 8, 'lacks': [n for n in ('venv', 'zlib', 'ctypes') if u.find_spec(n) is None], "
    "'free': shutil.disk_usage(sys.argv[1]).free}))"
)
UNPACK_S = 1800.0
ASK_EVERY_S = 5.0
"""Whether somebody still measures there: each time a command is started beside it."""
_SHORT = 24
"""Digits of a digest that name an environment."""
SPARE_BYTES = 64 << 20
"""To be left free on the device beside what is brought."""
KEEPS, KEEPS_BYTES = "DYNOLAB_DEVICE_CACHE_BYTES", 4 * 10**9
"""What is kept on a device for the next time, at most."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to unpack on the device: a zip file here, and its digest."""

    name: str
    sha256: str
    content: Path | bytes

    @property
    def unpacked_bytes(self) -> int:
        """What it takes there, roughly twice with what Python compiles of it."""
        return 4 * (self.content.stat().st_size if isinstance(self.content, Path) else len(self.content))


def prepare(remote: Remote, runtimes: Sequence[str], tell: Tell, wait_s: float) -> str:
    """The path of an interpreter on the device that can measure with these runtimes.

    Nothing is brought while somebody measures there. Raises :class:`PluginMissing` where the device cannot have that,
    :class:`~dynolab.errors.DeviceBusy` when somebody still measures after ``wait_s``, and what a :class:`Remote` raises.
    """
    python = remote.interpreter(tell)
    system = _system(remote, python)
    needs, used = needs_of(system, runtimes), None
    if needs.there:
        used = installed_there(remote, needs.there)
        python = used.python
        system = _system(remote, python)
        needs = needs_of(system, runtimes)
    items = _items(system, needs, tell)
    folders = () if used is None else used.folders
    named = [python, *(one.sha256 for one in items), *folders]
    digest = hashlib.sha256("\n".join(named).encode()).hexdigest()
    env = f"{remote.root}/envs/{digest[:_SHORT]}"
    if "complete" not in _there(remote, env):
        wait_until_free(remote, python, wait_s, tell)
        with turn(remote, tell):
            there = _there(remote, env)
            if "complete" not in there:
                missing = [one for one in items if one.sha256 not in there]
                needed = sum(one.unpacked_bytes for one in missing)
                keep = [Path(env).name, *(one.sha256 for one in items)]
                _make_room(remote, python, needed, keep, f"for {', '.join(one.name for one in missing)}")
                _bring(remote, python, missing, tell)
                _make_environment(
                    remote, python, env, [*(f"{remote.root}/wheels/{one.sha256}" for one in items), *folders]
                )
    return f"{env}/bin/python"


def _there(remote: Remote, env: str) -> list[str]:
    """The digests of what is unpacked there, and ``complete`` where the environment is; it counts as used now."""
    return remote.ask(
        f"mkdir -p {_q(remote.root)}/wheels {_q(remote.root)}/envs; "
        f"[ -e {_q(env)}/complete ] && touch {_q(env)}/complete && echo complete; ls {_q(remote.root)}/wheels"
    ).split()


def _system(remote: Remote, python: str) -> DeviceSystem:
    """Raises :class:`PluginMissing` for a Python that lacks what is needed."""
    told = remote.ask(f"mkdir -p {_q(remote.root)}; {_q(python)} -c {_q(_PROBE)} {_q(remote.root)}")
    try:
        found: Mapping[str, Any] = json.loads(told)
        system = DeviceSystem(
            str(found["architecture"]),
            (int(found["python"][0]), int(found["python"][1])),
            (str(found["libc"][0]), str(found["libc"][1])),
        )
        lacks, bits = list(found["lacks"]), int(found["bits"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise PluginMissing(f"Python on {remote.address} answers {told[:200]!r}, and not what it is") from error
    if bits != 64:
        raise PluginMissing(
            f"Python on {remote.address} is one of {bits} bits, and the runtimes' wheels are for 64",
            hint="a system of 64 bits on the device",
        )
    if lacks:
        raise PluginMissing(
            f"Python on {remote.address} lacks its module {', '.join(lacks)}",
            hint="on Debian and its kin: apt install python3 python3-venv",
        )
    return system


def _items(system: DeviceSystem, needs: Needs, tell: Tell) -> list[Item]:
    """Everything that is brought; our own half first, then outside distributions, then wheels."""
    own, digest = measuring_half()
    try:
        wheels = wheels_for(system, needs.wheels, tell)
    except PluginMissing as error:
        if named := next((one for one in needs.native if one in error.message), None):
            error.message += f"; {named} is installed here with machine code of this machine, which is not for a device"
        raise
    return [
        Item("dynolab", digest, own),
        *(Item(one.name, one.sha256, one.content) for one in needs.packed),
        *(Item(one.path.name, one.sha256, one.path) for one in wheels),
    ]


def _bring(remote: Remote, python: str, items: Sequence[Item], tell: Tell) -> None:
    for one in items:
        size = one.unpacked_bytes / 4
        tell(f"pushing {one.name} to {remote.address} ({size / 1e6:.1f} MB)")
        at = f"{remote.root}/wheels/{one.sha256}"
        try:
            _push(remote, one, f"{at}.zip")
            remote.ask(_unpacking(python, at, one.sha256), timeout_s=UNPACK_S)
        except TransferFailed:
            _forget(remote, at)
            raise


def _push(remote: Remote, item: Item, target: str) -> None:
    if isinstance(item.content, Path):
        remote.push(item.content, target)
        return
    with tempfile.NamedTemporaryFile(prefix="dynolab-") as file:
        file.write(item.content)
        file.flush()
        remote.push(Path(file.name), target)


def _unpacking(python: str, at: str, sha256: str) -> str:
    """The script that checks, unpacks and compiles what was pushed, and names it when it is whole."""
    zipped, new = _q(f"{at}.zip"), _q(f"{at}.new")
    return (
        f"set -e; found=$(sha256sum < {zipped} | cut -c1-64); "
        f'[ "$found" = {sha256} ] || {{ echo "it came broken" >&2; exit 1; }}; '
        f"rm -rf {new}; {_q(python)} -m zipfile -e {zipped} {new}; "
        f"{_q(python)} -m compileall -q {new} >/dev/null 2>&1 || :; rm -f {zipped}; rm -rf {_q(at)}; mv {new} {_q(at)}"
    )


def _forget(remote: Remote, at: str) -> None:
    """Leave nothing half done."""
    with suppress(Error):
        remote.ask(f"rm -rf {_q(at + '.zip')} {_q(at + '.new')}")


def _make_environment(remote: Remote, python: str, env: str, paths: Sequence[str]) -> None:
    """``paths``: the folders of modules, those that go before first."""
    folders = "\\n".join(paths)
    new = f"{env}.new"
    remote.ask(
        f"set -e; rm -rf {_q(new)} {_q(env)}; {_q(python)} -m venv --without-pip {_q(env)}; "
        f"for site in {_q(env)}/lib/python*/site-packages; do printf {_q(folders + chr(92) + 'n')} > $site/dynolab.pth; done; "
        f": > {_q(env)}/complete",
        timeout_s=300,
    )


def wait_until_free(remote: Remote, python: str, wait_s: float, tell: Tell) -> None:
    """Return when nobody measures on the device. Raises :class:`~dynolab.errors.DeviceBusy` after so long."""
    source = Path(board_holders.__file__).read_text(encoding="utf-8")
    until, told = time.monotonic() + wait_s, False
    while others := _holders(remote, remote.ask(f"{_q(python)} -c {_q(source)}")):
        if time.monotonic() >= until:
            raise busy(remote.address, others)
        if not told:
            told = True
            tell(f"waits for {remote.address}, at most {length(wait_s)}: it is in use by {Held(False, others).who}")
        time.sleep(min(ASK_EVERY_S, max(0.0, until - time.monotonic())))


def _holders(remote: Remote, said: str) -> tuple[Holder, ...]:
    try:
        found = json.loads(said)
        return tuple(
            holder_of(str(content).encode(), str(owner), float(found["now_s"])) for content, owner in found["holders"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TransferFailed(f"{remote.address} answers {said[:200]!r}, and not who measures there") from error


def _make_room(remote: Remote, python: str, needed: int, keep: Sequence[str], what: str) -> None:
    """Remove what was used least lately, until there is room. Raises :class:`TransferFailed` where that is not enough."""
    most, needed = max(0, _keeps_bytes() - needed), needed + SPARE_BYTES
    source = Path(eviction.__file__).read_text(encoding="utf-8")
    words = [python, "-c", source, remote.root, str(most), str(needed), *keep]
    said = remote.ask(" ".join(map(_q, words)), timeout_s=UNPACK_S)
    try:
        removed = int(json.loads(said)["removed"])
    except (ValueError, KeyError, TypeError) as error:
        raise TransferFailed(f"{remote.address} answers {said[:200]!r} when room is made") from error
    free = _free_bytes(remote)
    if free < needed:
        also = f"; {removed / 1e6:.0f} MB that were kept there from before are removed already" if removed else ""
        raise TransferFailed(
            f"{remote.address} has {free / 1e6:.0f} MB free in {remote.root}, and {needed / 1e6:.0f} MB are needed {what}{also}",
            hint="make room there, or name another folder: DYNOLAB_DEVICE_ROOT",
        )


def _keeps_bytes() -> int:
    """``DYNOLAB_DEVICE_CACHE_BYTES``. Raises :class:`SpecInvalid`."""
    text = os.environ.get(KEEPS) or str(KEEPS_BYTES)
    if not text.isdecimal():
        raise SpecInvalid(f"{KEEPS}={text[:100]!r} is no number of bytes", hint=f"such as {KEEPS_BYTES}")
    return int(text)


def place_model(remote: Remote, python: str, model: ModelFiles, tell: Tell) -> tuple[str, ...]:
    """Where a model's files lie on the device: sent once, kept by the digest of what they hold and what they are called."""
    key = hashlib.sha256("\n".join([model.sha256, *model.paths]).encode()).hexdigest()
    at = f"{remote.root}/models/{key}"
    paths = tuple(f"{at}/{path}" for path in model.paths)
    if not _has_model(remote, at):
        with turn(remote, tell):
            if not _has_model(remote, at):
                needed = sum((model.folder / path).stat().st_size for path in model.paths)
                _make_room(remote, python, needed, [key], "for the model")
                tell(f"pushing the model to {remote.address} ({needed / 1e6:.1f} MB)")
                for path, target in zip(model.paths, paths, strict=True):
                    remote.push(model.folder / path, target)
                _check_sizes(remote, model, paths)
                remote.ask(f": > {_q(at)}/.complete")
    return paths


def _has_model(remote: Remote, at: str) -> bool:
    """Whether it is whole there; it counts as used now."""
    return remote.ask(f"[ -e {_q(at)}/.complete ] && touch {_q(at)}/.complete && echo there || :") == "there"


def _check_sizes(remote: Remote, model: ModelFiles, paths: Sequence[str]) -> None:
    """Raise :class:`TransferFailed`, with nothing left there, for files that are not whole."""
    sizes = remote.ask(" ".join(["stat -c %s", *map(_q, paths)])).split()
    expected = [str((model.folder / path).stat().st_size) for path in model.paths]
    if sizes != expected:
        with suppress(Error):
            remote.ask(f"rm -rf {_q(str(Path(paths[0]).parent))}")
        raise TransferFailed(f"the model came to {remote.address} in another size: {sizes} bytes, and not {expected}")


def _free_bytes(remote: Remote) -> int:
    """Free bytes where our folder is, by df(1) of POSIX."""
    line = remote.ask(f"mkdir -p {_q(remote.root)}; df -Pk {_q(remote.root)} | tail -n 1")
    try:
        return int(line.split()[-3]) * 1024
    except (ValueError, IndexError) as error:
        raise TransferFailed(f"df on {remote.address} answers {line[:200]!r}") from error


def _q(text: str) -> str:
    return shlex.quote(text)
