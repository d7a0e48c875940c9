"""The OpenID Connect provider that people sign in by, put together from a hub's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dynolab.errors import SpecInvalid, Wrong
from dynolab.hub.settings import Settings

SECRET_MOST = 4096
"""Bytes of a client's secret."""


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """One provider, and whom it lets in; each as :class:`~dynolab.hub.settings.Settings` has it, ``oidc_`` before it."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    """None: a public client, which PKCE alone proves."""
    name: str = "OpenID Connect"
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    domains: tuple[str, ...] = ()
    groups_claim: str = "groups"
    required_group: str | None = None
    admin_group: str | None = None
    new_accounts: bool = True
    vouches_for_email: bool = False


def oidc_settings(settings: Settings) -> OidcSettings | None:
    """None: there is no provider. Raises :class:`SpecInvalid` for settings that do not go together."""
    if settings.oidc_issuer is None:
        return None
    wrong, client_id, client_secret = Wrong("settings of OpenID Connect", "each is told with its way out"), "", None
    with wrong.noted():
        client_id = (settings.oidc_client_id or "").strip()
        if not client_id:
            raise SpecInvalid(
                "oidc_issuer is set, oidc_client_id is not",
                hint="register the hub at the provider, with the redirect URI https://hub.example/sign-in/oidc/callback",
            )
    with wrong.noted():
        if "openid" not in settings.oidc_scopes:
            raise SpecInvalid(f"oidc_scopes: {','.join(settings.oidc_scopes)!r} does not hold openid")
    with wrong.noted():
        secret = settings.oidc_client_secret_file
        client_secret = None if secret is None else _secret(secret)
    wrong.check()
    return OidcSettings(
        issuer=settings.oidc_issuer,
        client_id=client_id,
        client_secret=client_secret,
        name=settings.oidc_name,
        scopes=settings.oidc_scopes,
        domains=settings.oidc_domains,
        groups_claim=settings.oidc_groups_claim,
        required_group=settings.oidc_required_group,
        admin_group=settings.oidc_admin_group,
        new_accounts=settings.oidc_new_accounts,
        vouches_for_email=settings.oidc_vouches_for_email,
    )


def _secret(place: Path) -> str:
    try:
        text = place.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        hint = "name a file that the hub's user may read, with the secret in one line"
        raise SpecInvalid(f"oidc_client_secret_file: {place} cannot be read: {said}", hint=hint) from error
    if not text or len(text) > SECRET_MOST:
        raise SpecInvalid(f"oidc_client_secret_file: {place} holds no secret", hint="one line, the secret itself")
    return text
