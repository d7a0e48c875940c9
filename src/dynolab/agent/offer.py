"""What this machine offers to a hub: ``python -m dynolab.agent.offer`` prints it.

In a process of its own, because finding out imports what the agent then need not carry.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynolab import errors, formats, plugins, private_files, user_state
from dynolab.measure import deaths, environment, identity
from dynolab.sandbox import base as sandbox
from dynolab.spec import codec, device_attributes
from dynolab.spec.agents import OFFER_NULL, SANDBOX, DeviceOffer
from dynolab.spec.chipsets import CHIPSET, HEXAGON, SOC_MODEL, chipset_named
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.models import ModelFormat
from dynolab.spec.runtime_support import ENDS, RUNS, SIMULATED
from dynolab.spec.toolchain_support import LINK, MAKES, QUANTIZE, TOOLCHAINS_ONLY, made, toolchain

if TYPE_CHECKING:
    from dynolab.runtimes.base import Runtime

SIMULATORS = {"hexagon-v73": "sm8550"}
"""What can be simulated, and the chipset that models are built for then."""
ASKED_MOST = 3
"""Times that a machine is asked what it offers, if that is ended from outside."""
FRAMEWORKS = {ModelFormat.ONNX: "onnx", ModelFormat.TFLITE: "tflite"}
"""AI Hub's attribute ``framework:`` by the format that a runtime reads."""


@dataclass(frozen=True, slots=True)
class Serves:
    """What a machine can do: the runtimes that load there, its toolchains (as ``makes:`` tells of them) and its sandbox."""

    runtimes: Mapping[str, Runtime]
    sandbox: str
    toolchains: tuple[str, ...] = ()


def offer(name: str | None = None) -> DeviceOffer:
    """This machine's offer; ``name`` None: as people call it."""
    serves = Serves(_runtimes(), sandbox.strongest().name, tuple(_toolchains()))
    return offer_of(environment.device_facts(), serves, identity=_identity(), name=name)


def offer_of(facts: DeviceFacts, serves: Serves, *, identity: str, name: str | None = None) -> DeviceOffer:
    """The offer of a device with these facts, read on that very device. Pure."""
    read = {kind for runtime in serves.runtimes.values() for kind in runtime.formats}
    attributes = [
        *device_attributes.attributes(facts),
        f"{SANDBOX}{serves.sandbox}",
        *(f"framework:{FRAMEWORKS[kind]}" for kind in FRAMEWORKS if kind in read),
        *(f"{RUNS}{one}/{kind}" for one in sorted(serves.runtimes) for kind in serves.runtimes[one].formats),
        *(f"{ENDS}{ending}/{kind}" for kind in sorted(read) for ending in _endings(kind)),
        *(f"{MAKES}{one}" for one in serves.toolchains),
    ]
    return DeviceOffer(
        id=identity,
        name=name or facts.name,
        os=device_attributes.version(facts),
        attributes=tuple(attributes),
        description=device_attributes.description(facts),
        frameworks={key: value for runtime in serves.runtimes.values() for key, value in runtime.versions().items()},
    )


def toolchains_of(whole: DeviceOffer) -> DeviceOffer:
    """A machine that compiles and measures nothing: no device, with an id of its own beside the same machine's device.

    Raises :class:`~dynolab.errors.PluginMissing` where it has no toolchain.
    """
    if not made(whole.attributes):
        raise errors.PluginMissing(
            "this machine has no toolchain to serve", hint="`dynolab toolchains` tells what each of them needs"
        )
    kept = (one for one in whole.attributes if one.startswith((MAKES, SANDBOX, "os:", "abi:")))
    return replace(
        whole, id=f"{whole.id}-toolchains", attributes=(TOOLCHAINS_ONLY, *kept), name=f"{whole.name} toolchains"
    )


def simulator_of(whole: DeviceOffer, simulated: str, name: str | None) -> DeviceOffer:
    """A device that this machine only simulates, with an id of its own beside the machine's.

    Raises :class:`~dynolab.errors.SpecInvalid` for one that there is not, and :class:`~dynolab.errors.PluginMissing`.
    """
    from dynolab.runtimes.base import Runtime

    if simulated not in SIMULATORS:
        raise errors.SpecInvalid(
            f"there is no simulator of {simulated[:100]!r}", hint=f"there are: {', '.join(SIMULATORS)}"
        )
    chipset, runtime = chipset_named(SIMULATORS[simulated]), plugins.load("dynolab.runtimes", "qnnsimulator")
    assert isinstance(runtime, Runtime)
    if (reason := runtime.unavailable()) is not None:
        raise errors.PluginMissing(f"nothing is simulated here: {reason}")
    kept = (one for one in whole.attributes if one.startswith((SANDBOX, "os:")))
    return replace(
        whole,
        id=f"{whole.id}-{simulated}",
        name=name or f"Hexagon {chipset.hexagon} simulator",
        attributes=(
            *kept,
            f"{SIMULATED}{simulated}",
            "format:compute",
            *(f"{CHIPSET}{one}" for one in chipset.names[:1]),
            f"{HEXAGON}{chipset.hexagon}",
            f"{SOC_MODEL}{chipset.soc_model}",
            "htp-supports-fp16:true",
            "htp-supports-weight-sharing:true",
            "framework:qnn",
            "framework:onnx",  # what AI Hub's client asks for where ONNX holds what was built
            *(f"{RUNS}{runtime.name}/{kind}" for kind in runtime.formats),
        ),
        description=f"simulated on {whole.description}: numbers, and no times",
        frameworks=runtime.versions(),
    )


def ask(name: str | None = None, simulated: str = "") -> DeviceOffer:
    """The same, or that of a simulator, found out in a process of its own. Raises what :func:`simulator_of` does.

    Raises :class:`~dynolab.errors.DeviceLost` where somebody ends that process again and again, as a system without memory does.
    """
    for _ in range(ASKED_MOST - 1):
        with suppress(errors.DeviceLost):
            return _asked(name, simulated)
    return _asked(name, simulated)


def _asked(name: str | None, simulated: str) -> DeviceOffer:
    command = [sys.executable, "-m", "dynolab.agent.offer", name or "", simulated]
    # The umask: bytecode is for workers, too.
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022)
    if done.returncode:
        log = done.stderr[-4000:]
        killed = deaths.from_outside(done.returncode, "what finds out what this machine offers", log=log)
        raise killed or errors.Bug(f"what this machine offers cannot be told: code {done.returncode}: {log}")
    told = json.loads(done.stdout)
    if "error" in told:
        raise errors.from_dict(told["error"])
    return codec.decode(DeviceOffer, told, "this machine's offer")


def _runtimes() -> dict[str, Runtime]:
    """Those that load here, by name; what only simulates a device is none of this machine's."""
    from dynolab.runtimes.base import loaded_runtimes  # with numpy, which the agent itself has no use for

    offers_null = os.environ.get(OFFER_NULL) == "1"
    found = (one for one in loaded_runtimes() if one.unavailable is None and (one.name != "null" or offers_null))
    able = {one.name: one.runtime for one in found if one.runtime is not None}
    return {name: one for name, one in able.items() if not one.numbers_only}


def _endings(kind: ModelFormat) -> tuple[str, ...]:
    """How files of a format end that an outside distribution declares; a hub knows dynolab's own."""
    found = formats.by_name(kind)
    return () if found is None or found in formats.OURS else found.endings


def _toolchains() -> list[str]:
    """What the toolchains here make."""
    from dynolab.toolchains._quantizers import base as quantizers
    from dynolab.toolchains.base import PACKAGE, toolchain_named  # with numpy, too

    every = (toolchain_named(name) for name in sorted(plugins.names(PACKAGE)))
    found = [toolchain(one.name, kind) for one in every for kind in one.sources if one.unavailable(kind) is None]
    kinds = (ModelFormat(name) for name in sorted(plugins.names(quantizers.PACKAGE)))
    able = (kind for kind in kinds if quantizers.quantizer_of(kind).unavailable() is None)
    links = toolchain_named("qnn_dlc").unavailable(ModelFormat.ONNX) is None
    linked = [toolchain(LINK, ModelFormat.QNN_DLC)] if links else []
    return [*found, *(toolchain(QUANTIZE, kind) for kind in able), *linked]


def _identity() -> str:
    """This device's id, made when it is first needed, and anew on hardware that it was not made on: its card is a copy, or moved."""
    path, own = user_state.folder() / "device-id", identity.hardware()
    mark = "" if own is None else identity.hashed(own)
    found, made_on = "", ""
    if path.exists():
        found, _, made_on = path.read_text(encoding="ascii").strip().partition("\n")
    if not found or (mark and made_on and mark != made_on):
        found, made_on = str(uuid.uuid4()), ""
    if (mark or made_on) != made_on or not path.exists():
        private_files.write(path, f"{found}\n{mark}".strip())
    return found


def _told(name: str, simulated: str) -> object:
    """What is printed: the offer, or the error that there is in its place."""
    try:
        whole = offer(name or None)
        return codec.encode(simulator_of(whole, simulated, name or None) if simulated else whole)
    except errors.Error as error:
        return {"error": error.to_dict()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_told(*sys.argv[1:3])) + "\n")
