"""Who may do what: the one rule that every use case asks. Pure; the table in docs/security.md says the same in words.

A thing (a job, model or dataset) is in a project, or in the personal space of the account that made it. What an account may do
with it follows from its role in that project, from who made it, and from whether it is shared with the account.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Role(IntEnum):
    """What an account is in an organisation or project; each may all that those before it may."""

    VIEWER = 1
    MEMBER = 2
    ADMIN = 3
    OWNER = 4

    @property
    def word(self) -> str:
        """As it is kept and shown."""
        return self.name.lower()


ROLES = {role.word: role for role in Role}
"""By the words that the database keeps."""


class Verb(StrEnum):
    """What is done, to a thing (up to ``delete``), in a project or organisation, or to a pool of devices."""

    READ = "read"
    """See it, fetch it, give it to a job."""
    CHANGE = "change"
    """Rename, upload the bytes of, cancel, pin."""
    SHARE = "share"
    DELETE = "delete"
    CREATE = "create"
    """Submit jobs, make models and datasets; send jobs to the organisation's devices."""
    SEE = "see"
    """The project or organisation itself: its name, members, usage."""
    MANAGE = "manage"
    """Projects, members, retention, devices."""
    OWN = "own"
    """Name owners, delete the organisation."""
    RUN = "run"
    """The hub: make organisations, set quotas."""


LEAST = {
    Verb.READ: Role.VIEWER,
    Verb.SEE: Role.VIEWER,
    Verb.CREATE: Role.MEMBER,
    Verb.CHANGE: Role.ADMIN,
    Verb.SHARE: Role.ADMIN,
    Verb.DELETE: Role.ADMIN,
    Verb.MANAGE: Role.ADMIN,
    Verb.OWN: Role.OWNER,
}
"""The least role in the project or organisation."""
MAKER_LEAST = {Verb.CHANGE: Role.MEMBER, Verb.SHARE: Role.MEMBER, Verb.DELETE: Role.MEMBER}
"""The least role of whoever made the thing; who was put out of the project has no right to it any more."""
OF_THE_HUB = frozenset({Verb.SEE, Verb.MANAGE, Verb.OWN, Verb.RUN})
"""What whoever runs the hub may everywhere; things are not among it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands to a thing, project or organisation. ``role``: in that project or organisation; None: in none."""

    role: Role | None = None
    in_project: bool = False
    """Of a thing: it is in a project, not in its maker's personal space."""
    is_maker: bool = False
    is_shared: bool = False
    """Of a thing: its maker shares it with the account, or with this e-mail address."""
    runs_hub: bool = False


NOBODY = Standing()


def may(verb: Verb, standing: Standing) -> bool:
    """Whether the account may do this."""
    if standing.runs_hub and verb in OF_THE_HUB:
        return True
    if verb is Verb.READ and standing.is_shared:
        return True
    if standing.is_maker and not standing.in_project:
        return verb in (Verb.READ, *MAKER_LEAST)
    if standing.role is None:
        return False
    made = standing.is_maker and standing.role >= MAKER_LEAST.get(verb, Role.OWNER)
    return made or standing.role >= LEAST.get(verb, Role.OWNER + 1)


def may_name(actor: Standing, named: Role | None, becomes: Role | None) -> bool:
    """Whether the account may make a member of role ``named`` (None: no member) one of role ``becomes`` (None: no more).

    Owners are named and removed by owners alone, and by whoever runs the hub.
    """
    verb = Verb.OWN if Role.OWNER in (named, becomes) else Verb.MANAGE
    return may(verb, actor)


def least_roles(verb: Verb) -> tuple[Role, ...]:
    """The roles that may do this in their project or organisation, whoever made the thing."""
    return tuple(role for role in Role if may(verb, Standing(role, in_project=True)))
