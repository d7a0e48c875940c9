"""The part of the client that knows what a hub offers: devices, and what runs on them."""

from __future__ import annotations

from dynolab.client.connected import Connected
from dynolab.client.devices import Device, Framework
from dynolab.errors import NotFound


class Offered(Connected):
    """Devices and frameworks."""

    def get_devices(self, name: str = "", os: str = "", attributes: str | list[str] | None = None) -> list[Device]:
        """The device models that fit, newest system first."""
        wanted = Device(name, os, attributes or []).wanted
        found = self.api.get("devices", name=name or None, os=os or None, attribute=wanted["attributes"] or None)
        return [Device(one["name"], one["os"], one["attributes"]) for one in found["devices"]]

    def known(self, device: Device) -> Device:
        """The same device. Raises :class:`NotFound` before anything is uploaded for one that the hub does not have."""
        if not self.get_devices(device.name, device.os, device.attributes):
            shown = " ".join(filter(None, [device.name, device.os, *device.wanted["attributes"]]))
            raise NotFound(f"no device matches {shown!r}", hint="`dynolab devices` lists those that are known")
        return device

    def get_device_attributes(self) -> list[str]:
        """Every attribute that some device has."""
        return sorted({attribute for one in self.get_devices() for attribute in one.attributes})

    def get_frameworks(self) -> list[Framework]:
        """What the hub's devices run, by name, the newest version first."""
        found = self.api.get("frameworks")["frameworks"]
        return [Framework(one["name"], one["version"], [], one["version"]) for one in found]
