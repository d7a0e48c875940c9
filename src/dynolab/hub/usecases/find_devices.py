"""The devices that a job may ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, func, or_, select

from dynolab.errors import SpecInvalid
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import device
from dynolab.hub.usecases.base import Hub

_INTERVAL = re.compile(r"\[([0-9.]*),([0-9.]*)\)")


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """Devices of one name, system and set of attributes: a job asks for such a model, and any of its boards may run it."""

    name: str
    os: str
    attributes: tuple[str, ...]
    description: str

    @property
    def queue(self) -> str:
        """The queue of jobs for any board of this model."""
        return pool(self.name, self.os)


def pool(name: str, os: str) -> str:
    """The queue that all boards of a model share."""
    return f"pool:{name}|{os}"


def board_queue(device_id: str) -> str:
    """The queue that one board alone looks into; notified too when the board is free again."""
    return f"device:{device_id}"


def _finding() -> Prepared:
    """Those of this name, or of any where it is empty, with all these attributes."""
    wanted = bindparam("name", type_=Text)
    named = or_(wanted == "", device.c.name == wanted)
    models = device.c.name, device.c.os, device.c.attributes
    found = select(*models, func.min(device.c.description).label("description"))
    having = device.c.attributes.contains(bindparam("attributes"))
    return Prepared(found.where(named, having).group_by(*models).order_by(device.c.name))


FINDING = _finding()


async def find_devices(hub: Hub, *, name: str = "", os: str = "", attributes: Sequence[str] = ()) -> list[DeviceModel]:
    """Device models with exactly this name, this system version (or one in ``[low,high)``) and all these attributes.

    Newest system first. Raises :class:`SpecInvalid` for an interval that is none.
    """
    async with hub.database.single() as connection:
        rows = await FINDING.all(connection, name=name, attributes=list(attributes))
    found = [DeviceModel(row.name, row.os, tuple(row.attributes), row.description) for row in rows]
    wanted = [one for one in found if not os or _fits(one.os, os)]
    return sorted(wanted, key=lambda one: version(one.os), reverse=True)


def version(text: str) -> tuple[int, ...]:
    """The numbers of a system's version, for comparing."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _fits(actual: str, wanted: str) -> bool:
    if not wanted.startswith("["):
        return actual == wanted or (version(actual) == version(wanted) != ())
    bounds = _INTERVAL.fullmatch(wanted.replace(" ", ""))
    if bounds is None:
        raise SpecInvalid(f"the system interval {wanted!r} is not [low,high)", hint="such as [14,15), [14,) or [,15)")
    low, high = bounds.groups()
    return (not low or version(actual) >= version(low)) and (not high or version(actual) < version(high))
