"""Devices and frameworks, as the official client lists and selects them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.aihub.replies import flag, protobuf, who
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.find_frameworks import find_frameworks

QAIRT = "QAIRT"
"""Published recipes look this name up and stop when it is not listed."""


def message(found: DeviceModel) -> pb.Device:
    """A device model."""
    return pb.Device(name=found.name, os=found.os, attributes=found.told, soc_description=found.description)


async def devices(request: Request) -> Response:
    """``GET devices/``: all that fit, or with ``select=True`` the best one (the newest system)."""
    hub, account = await who(request)
    query = request.query_params
    found = await find_devices(
        hub, account, name=query.get("name", ""), os=query.get("os", ""), attributes=query.getlist("attributes")
    )
    models = found[:1] if flag(request, "select") else found
    return protobuf(pb.DeviceList(devices=map(message, models), total_query_count=len(models)))


async def frameworks(request: Request) -> Response:
    """``GET frameworks/``: what the hub's devices run. The first version listed of each is its default."""
    hub, account = await who(request)
    found = [
        pb.Framework(name=name, api_version=version, api_tags=["default", "latest"], full_version=version)
        for name, version in await find_frameworks(hub, account)
    ]
    if all(one.name != QAIRT for one in found):
        found.append(pb.Framework(name=QAIRT, api_version="0.0", api_tags=["default", "latest"], full_version="0.0.0"))
    return protobuf(pb.FrameworkList(frameworks=found, total_query_count=len(found)))


routes = [Route("/devices/", devices), Route("/frameworks/", frameworks)]
