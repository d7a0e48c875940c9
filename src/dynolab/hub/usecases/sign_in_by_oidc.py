"""A browser signs in by what an OpenID Connect provider says of the person before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import NotFound
from dynolab.hub.oidc_settings import OidcSettings
from dynolab.hub.store.oidc_flow import Flow
from dynolab.hub.store.tables import account, identity
from dynolab.hub.usecases.audit import note, refusals_noted
from dynolab.hub.usecases.base import Hub, SignInProvider
from dynolab.hub.usecases.open_session import insert_session
from dynolab.hub.usecases.share_access import EMAIL
from dynolab.hub.usecases.sign_in import digest

if TYPE_CHECKING:
    from dynolab.hub.store.oidc import Person


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the browser keeps, where it goes on to, and the hint for the provider at the sign-out."""

    session: str
    following: str
    id_token: str


def the_provider(hub: Hub) -> SignInProvider:
    """Raises :class:`NotFound` where the hub has none."""
    if hub.oidc is None:
        raise NotFound("this hub signs nobody in by another provider", hint="sign in with an API token or a password")
    return hub.oidc


async def begin(hub: Hub, following: str, redirect_uri: str) -> tuple[Flow, str]:
    """The sign-in that begins, and the provider's address that the browser is sent to. ``following``: the hub's page after it."""
    there = the_provider(hub)
    flow = there.flows.begin(following)
    return flow, await there.provider.sign_in_url(flow, redirect_uri)


async def complete(hub: Hub, cookie: str, answer: Mapping[str, str], redirect_uri: str, browser: str) -> SignedIn:
    """Raises what :func:`dynolab.hub.store.oidc.refused` makes: :class:`Unauthorized`, or :class:`Unavailable`."""
    from dynolab.hub.store.oidc import refused

    there = the_provider(hub)
    flow = there.flows.read(cookie)
    if flow is None:
        raise refused("state", "the browser brought no sign-in that was begun here lately")
    async with refusals_noted(hub, "session.open", way="oidc"), hub.sign_in_throttle.counted("secret", digest(cookie)):
        person = await there.provider.redeem(answer, flow, redirect_uri)
        _check_person(person, there.provider.settings)
        async with hub.database.begin() as connection:
            owner = await _account_of(connection, person, there.provider.settings)
            session = await insert_session(connection, owner, "oidc", browser, provider_session=person.session)
    return SignedIn(session, flow.following, person.id_token)


def _check_person(person: Person, settings: OidcSettings) -> None:
    from dynolab.hub.store.oidc import refused

    if settings.domains:
        domain = (person.email or "").rpartition("@")[2].lower()
        if domain not in settings.domains or not _is_verified(person, settings):
            raise refused("domain", f"the address {person.email!r} is of no domain that is let in")
    if settings.required_group is not None and settings.required_group not in person.groups:
        raise refused("group", f"{person.email or person.subject!r} is not in the group {settings.required_group!r}")


def _is_verified(person: Person, settings: OidcSettings) -> bool:
    return person.email_verified is True or (person.email_verified is None and settings.vouches_for_email)


async def _account_of(connection: AsyncConnection, person: Person, settings: OidcSettings) -> int:
    """The account's id: the one that is linked with the person, or with the address; or a new one."""
    key = identity.c.issuer == person.issuer, identity.c.subject == person.subject
    known = await connection.scalar(select(identity.c.account_id).where(*key))
    if known is None:
        owner = await _by_address(connection, person, settings)
        values = {"issuer": person.issuer, "subject": person.subject, "account_id": owner}
        await connection.execute(upsert(identity).values(values).on_conflict_do_nothing())
        await note(connection, "account.link", "account", owner, account_id=owner, details={"issuer": person.issuer})
    # Locked: of two browsers that the same person signs in with at once, one changes the account after the other.
    found = select(identity, account.c.is_admin, account.c.closed_at).join(account).where(*key).with_for_update()
    row = (await connection.execute(found)).one()
    _check_open(row.closed_at, person)
    await connection.execute(update(identity).where(*key).values(seen_at=func.now()))
    await _keep_admin(connection, row, settings, person)
    return int(row.account_id)


async def _by_address(connection: AsyncConnection, person: Person, settings: OidcSettings) -> int:
    """Of somebody new: who has the verified address here, or a new account. What is shared goes by address, so it must be theirs."""
    from dynolab.hub.store.oidc import refused

    email = person.email
    if email is None or not EMAIL.fullmatch(email) or not email.isprintable():
        raise refused("no-email", f"the provider tells no e-mail address of {person.subject!r}")
    if not _is_verified(person, settings):
        raise refused("unverified", f"the provider does not say that {email} is verified")
    lower = func.lower(account.c.email) == email.lower()
    alike = select(account.c.id, account.c.closed_at).where(lower).with_for_update()
    found = (await connection.execute(alike)).all()
    if not found and not settings.new_accounts:
        raise refused("no-account", f"there is no account {email}, and signing in makes none")
    if not found:
        values: dict[str, Any] = {"email": email, "name": person.name or email.partition("@")[0]}
        made = upsert(account).values(values).on_conflict_do_nothing().returning(account.c.id)
        if (new := await connection.scalar(made)) is not None:
            await note(
                connection, "account.make", "account", new, account_id=new, details={"email": email, "way": "oidc"}
            )
        found = (await connection.execute(alike)).all()  # another browser may have been quicker
    if len(found) > 1:
        raise refused("taken", f"several accounts have the address {email}, written in different ways")
    _check_open(found[0].closed_at, person)
    await _check_not_anothers(connection, found[0].id, person)
    return int(found[0].id)


def _check_open(closed_at: datetime | None, person: Person) -> None:
    from dynolab.hub.store.oidc import refused

    if closed_at is not None:
        raise refused("closed", f"the account of {person.email or person.subject!r} was closed")


async def _check_not_anothers(connection: AsyncConnection, owner: int, person: Person) -> None:
    """Providers give an address to a new person when the old one leaves: the account does not go with it."""
    from dynolab.hub.store.oidc import refused

    linked = select(identity.c.subject).where(
        identity.c.account_id == owner, identity.c.issuer == person.issuer, identity.c.subject != person.subject
    )
    if await connection.scalar(linked.limit(1)) is not None:
        raise refused("taken", f"the account {person.email} is linked with another person at the provider")


async def _keep_admin(connection: AsyncConnection, row: Row[Any], settings: OidcSettings, person: Person) -> None:
    """Who is in the administrators' group runs the hub; who is not any more, and was for that alone, does not."""
    if settings.admin_group is None:
        return
    is_in = settings.admin_group in person.groups
    if is_in == row.is_admin or (row.is_admin and not row.gave_admin):
        return
    of = identity.c.issuer == row.issuer, identity.c.subject == row.subject
    await connection.execute(update(account).where(account.c.id == row.account_id).values(is_admin=is_in))
    await connection.execute(update(identity).where(*of).values(gave_admin=is_in))
    owner = row.account_id
    await note(
        connection,
        "account.admin",
        "account",
        owner,
        account_id=owner,
        details={"admin": is_in, "group": settings.admin_group},
    )
