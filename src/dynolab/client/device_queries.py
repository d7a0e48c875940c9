"""The part of the client that asks for devices, and for what runs on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynolab import formats
from dynolab.client.base import ClientBase
from dynolab.client.devices import Device, Framework
from dynolab.errors import NotFound
from dynolab.spec import options as options_module
from dynolab.spec.runtime_support import check_own_options, check_runtime_support


class DeviceQueries(ClientBase):
    """Devices and frameworks."""

    def get_devices(self, name: str = "", os: str = "", attributes: str | list[str] | None = None) -> list[Device]:
        """The device models that fit, newest system first."""
        wanted = Device(name, os, attributes or []).wanted
        found = self.api.get("devices", name=name or None, os=os or None, attribute=wanted["attributes"] or None)
        return [Device(one["name"], one["os"], one["attributes"]) for one in found["devices"]]

    def check_device(self, device: Device, options: str, model: Any) -> Device:
        """The same device, asked before anything is uploaded.

        Raises :class:`SpecInvalid` for options that nobody knows and for a device that cannot run a file of this name, and
        :class:`NotFound` for one that the hub does not have.
        """
        asked = options_module.parse(options)
        declared = formats.by_ending(Path(model).suffix) if isinstance(model, str | Path) else None
        boards = self.check_there(device)
        newest = [one.attributes for one in boards if (one.name, one.os) == (boards[0].name, boards[0].os)]
        check_runtime_support(
            boards[0].name, newest, runtime=asked.runtime, model_kind=declared.name if declared else None
        )
        check_own_options(asked, newest)
        return device

    def check_there(self, device: Device) -> list[Device]:
        """The device models that fit, at least one. Raises :class:`NotFound`, which names those that the hub has."""
        found = self.get_devices(device.name, device.os, device.attributes)
        if not found:
            shown = " ".join(filter(None, [device.name, device.os, *device.wanted["attributes"]]))
            raise NotFound(f"no device matches {shown!r}", hint="`dynolab devices` lists those that are known")
        return found

    def get_device_attributes(self) -> list[str]:
        """Every attribute that some device has."""
        return sorted({attribute for one in self.get_devices() for attribute in one.attributes})

    def get_frameworks(self) -> list[Framework]:
        """What the hub's devices run, by name, the newest version first."""
        found = self.api.get("frameworks")["frameworks"]
        return [Framework(one["name"], one["version"], [], one["version"]) for one in found]
