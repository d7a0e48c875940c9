"""The devices that a job may ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from dynolab.errors import SpecInvalid
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


async def find_devices(hub: Hub, *, name: str = "", os: str = "", attributes: Sequence[str] = ()) -> list[DeviceModel]:
    """Device models with exactly this name, this system version (or one in ``[low,high)``) and all these attributes.

    Newest system first. Raises :class:`SpecInvalid` for an interval that is none.
    """
    statement = (
        select(device.c.name, device.c.os, device.c.attributes, func.min(device.c.description).label("description"))
        .group_by(device.c.name, device.c.os, device.c.attributes)
        .order_by(device.c.name)
    )
    if name:
        statement = statement.where(device.c.name == name)
    if attributes:
        statement = statement.where(device.c.attributes.contains(list(attributes)))
    async with hub.database.begin() as connection:
        rows = (await connection.execute(statement)).all()
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
