"""Devices and frameworks, as the official client lists and selects them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound
from dynolab.hub.aihub.device_words import FLOATS, announced, told
from dynolab.hub.aihub.replies import flag, protobuf, who
from dynolab.hub.aihub.versions import TOLD_NOT_FOUND, client_version
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.find_frameworks import find_frameworks

QAIRT, QAIRT_VERSION = "QAIRT", "2.50"
"""Published recipes look up this framework and the version that they were made for, and stop when it is not listed.

It says which version's options are understood here (qai-hub-models 0.65 sends those of 2.50). The full version says that
QAIRT itself is not here; recipes read no more of it than the two numbers.
"""

NAMES = 20
"""So many devices are named where none matches."""


def message(found: DeviceModel) -> pb.Device:
    """A device model."""
    return pb.Device(name=found.name, os=found.os, attributes=told(found.told), soc_description=found.description)


async def devices(request: Request) -> Response:
    """``GET devices/``: all that fit, or with ``select=True`` the best one (the newest system).

    Raises :class:`NotFound` where none is to be selected, with the names of those that there are.
    """
    hub, account = await who(request)
    query = request.query_params
    asked = query.getlist("attributes")
    found = await find_devices(
        hub, account, name=query.get("name", ""), os=query.get("os", ""), attributes=announced(asked)
    )
    fitting = [one for one in found if FLOATS not in asked or FLOATS in told(one.attributes)]
    if flag(request, "select") and not fitting and client_version(request) >= TOLD_NOT_FOUND:
        wanted = " ".join(filter(None, (query.get("name"), query.get("os"), *asked)))
        raise NotFound(f"no device matches {wanted!r}", hint=await _names(hub, account))
    models = fitting[:1] if flag(request, "select") else fitting
    return protobuf(pb.DeviceList(devices=map(message, models), total_query_count=len(models)))


async def _names(hub: Hub, account: Account) -> str:
    """The devices that there are; of many, some."""
    names = list(dict.fromkeys(one.name for one in await find_devices(hub, account)))
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"there are: {', '.join(names[:NAMES])}{more}" if names else "there is no device yet"


async def frameworks(request: Request) -> Response:
    """``GET frameworks/``: what the hub's devices run. The first version listed of each is its default."""
    hub, account = await who(request)
    found = [
        pb.Framework(name=name, api_version=version, api_tags=["default", "latest"], full_version=version)
        for name, version in await find_frameworks(hub, account)
    ]
    if all(one.name != QAIRT for one in found):
        full = f"{QAIRT_VERSION}.0-not-installed"
        found.append(
            pb.Framework(name=QAIRT, api_version=QAIRT_VERSION, api_tags=["default", "latest"], full_version=full)
        )
    return protobuf(pb.FrameworkList(frameworks=found, total_query_count=len(found)))


routes = [Route("/devices/", devices), Route("/frameworks/", frameworks)]
