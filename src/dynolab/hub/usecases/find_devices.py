"""The devices that a job may ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, all_, any_, bindparam, func, not_, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import device, organisation, pool, token
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.access import Given
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.pool_rights import Sends, may_send, trusts
from dynolab.spec.device_wishes import family, is_member, version, wanted_versions
from dynolab.spec.toolchain_support import TOOLCHAINS_ONLY

Missing = Literal["trust", "sandbox"]
"""The account trusts the owner with its models; the device confines the models of others than who serves it."""
By = Literal["name", "begins", "all"]
"""How devices are named: by their name, by what the names of a family begin with, or not at all."""
OWNER = "owner:"
"""An attribute that the hub itself gives: whose pool a device is in, by the account's e-mail address. No agent may announce it."""


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """Devices of one pool, system and set of attributes: a job asks for such a model, and any of its boards may run it."""

    name: str
    os: str
    attributes: tuple[str, ...]
    description: str
    pool_id: str
    owner: str
    """The e-mail address of the account that answers for the pool."""
    is_own: bool
    """Whether that is who asks."""
    names_owner: bool
    """Whether name and system do not tell which pool is meant, or the owner was asked for: then ``told`` does."""

    organisation: str = ""
    """The name of the one that its pool belongs to."""

    @property
    def told(self) -> tuple[str, ...]:
        """The attributes as they are listed; a job that asks for all of them goes to this pool."""
        return (*self.attributes, f"{OWNER}{self.owner}") if self.names_owner else self.attributes

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """What tells it from all others."""
        return self.pool_id, self.os, self.attributes


def pool_queue(pool_id: str, line: str, served_by: int | None = None) -> str:
    """The queue of jobs for the devices of a pool with this system, or with this toolchain.

    ``served_by``: of the jobs of this account, which serves some of them: its devices without a sandbox take no others.
    """
    return f"pool:{pool_id}|{line}" if served_by is None else f"pool:{pool_id}|{line}|{served_by}"


def board_queue(device_id: str) -> str:
    """What one board alone hears of: that it is free again. No job is ever put into this queue."""
    return f"device:{device_id}"


async def find_devices(
    hub: Hub,
    account: Sends,
    *,
    name: str = "",
    os: str = "",
    attributes: Sequence[str] = (),
    but: Missing | None = None,
    pools: Collection[str] | None = None,
    within: AsyncConnection | None = None,
) -> list[DeviceModel]:
    """Device models that the account's jobs may go to.

    They have exactly this name (or are of the family ``NAME (Family)``), this system version (or one in an interval such as
    ``[14,15)``) and all these attributes, ``owner:ADDRESS`` among them. ``but``: those that it may send jobs to and to which these do not go, for lack of that. ``pools``: in these only.
    ``within``: a transaction in which they are looked up. Its own come first,
    then the administrators', then the newest system. Raises :class:`SpecInvalid` for an interval that is none.
    """
    for text, what in ((name, "name"), (os, "os")):
        bounds.check_text(text, what)
    bounds.check_texts(attributes, "attributes", bounds.ATTRIBUTES)
    begins, is_wanted = family(name), wanted_versions(os)
    owners = [one.removeprefix(OWNER) for one in attributes if one.startswith(OWNER)]
    asked = {
        "begins": begins,
        "name": name,
        "attributes": [one for one in attributes if not one.startswith(OWNER)],
        "owners": owners,
        "pools": list(pools or ()),
    }
    by: By = "name" if name and begins is None else "begins" if name else "all"
    finding = _finding(account.given, but, by, bool(attributes), pools is not None)
    async with hub.database.single() if within is None else nullcontext(within) as connection:
        rows = await finding.all(connection, **asked, **account.told)
    able = [row for row in rows if TOOLCHAINS_ONLY not in row.attributes]  # the database would ask each board
    named = [row for row in able if begins is None or is_member(row.name, begins)]
    fitting = [row for row in named if is_wanted(row.os)]
    best_first = sorted(fitting, key=lambda row: (row.id == account.id, row.is_admin, version(row.os)), reverse=True)
    several = Counter((name, os) for name, os, _ in {(row.name, row.os, row.pool_id) for row in fitting})
    return [_model(row, account, bool(owners) or several[row.name, row.os] > 1) for row in best_first]


@cache
def _finding(who: Given, but: Missing | None, by: By, with_attributes: bool, in_pools: bool) -> Prepared:
    models = (
        *(device.c.name, device.c.os, device.c.attributes, device.c.pool_id),
        *(accounts.c.email, accounts.c.id, accounts.c.is_admin, organisation.c.name.label("organisation")),
    )
    has = {"trust": trusts(who), "sandbox": or_(device.c.is_confined, token.c.account_id == who.id)}
    words, owners, pools = (bindparam(name, type_=ARRAY(Text)) for name in ("attributes", "owners", "pools"))
    named: dict[By, ColumnElement[bool]] = {
        "name": device.c.name == bindparam("name"),
        "begins": func.starts_with(device.c.name, bindparam("begins", type_=Text)),
        "all": true(),
    }
    found = select(*models, func.min(device.c.description).label("description"))
    found = found.join(pool, pool.c.id == device.c.pool_id).join(accounts, accounts.c.id == pool.c.account_id)
    found = found.outerjoin(organisation, organisation.c.id == pool.c.organisation_id)
    found = found.join(token, token.c.id == device.c.token_id)
    found = found.where(may_send(who), *([not_(has[but])] if but else has.values()), named[by])
    if in_pools:
        found = found.where(device.c.pool_id == any_(pools))
    if with_attributes:
        found = found.where(device.c.attributes.contains(words), accounts.c.email == all_(owners))
    return Prepared(found.group_by(*models[:-1], organisation.c.name).order_by(device.c.name, accounts.c.email))


def _model(row: Any, account: Sends, names_owner: bool) -> DeviceModel:
    told = row.name, row.os, tuple(row.attributes), row.description, row.pool_id, row.email
    return DeviceModel(*told, is_own=row.id == account.id, names_owner=names_owner, organisation=row.organisation or "")
