"""What an operator writes of an OpenID Connect provider: taken as it is meant, or refused with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.errors import SpecInvalid
from dynolab.hub.configuration import load
from dynolab.hub.oidc_settings import OidcSettings, oidc_settings

LEAST = {"DYNOLAB_OIDC_ISSUER": "https://login.example.org/realm", "DYNOLAB_OIDC_CLIENT_ID": "dynolab"}


def read(monkeypatch: pytest.MonkeyPatch, **more: str) -> OidcSettings | None:
    for name, value in {**LEAST, **more}.items():
        monkeypatch.setenv(name, value)
    return oidc_settings(load().settings)


def test_without_an_issuer_there_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, DYNOLAB_OIDC_ISSUER="") is None


def test_the_least_that_is_said_and_the_most(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read(monkeypatch) == OidcSettings("https://login.example.org/realm", "dynolab")
    secret = tmp_path / "secret"
    secret.write_text("  hush\n", encoding="utf-8")
    found = read(
        monkeypatch,
        DYNOLAB_OIDC_CLIENT_SECRET_FILE=str(secret),
        DYNOLAB_OIDC_NAME="Example SSO",
        DYNOLAB_OIDC_SCOPES="openid,email",
        DYNOLAB_OIDC_DOMAINS="Example.org, @example.com",
        DYNOLAB_OIDC_GROUPS_CLAIM="roles",
        DYNOLAB_OIDC_REQUIRED_GROUP="staff",
        DYNOLAB_OIDC_ADMIN_GROUP="admins",
        DYNOLAB_OIDC_NEW_ACCOUNTS="no",
        DYNOLAB_OIDC_VOUCHES_FOR_EMAIL="1",
    )
    assert found == OidcSettings(
        issuer="https://login.example.org/realm",
        client_id="dynolab",
        client_secret="hush",
        name="Example SSO",
        scopes=("openid", "email"),
        domains=("example.org", "example.com"),
        groups_claim="roles",
        required_group="staff",
        admin_group="admins",
        new_accounts=False,
        vouches_for_email=True,
    )


@pytest.mark.parametrize(
    "issuer",
    [
        "login.example.org", "http://login.example.org", "https://", "https://a@login.example.org", "https://x.org?a=b",
        "ftp://x.org", "https://x.org#a", "http://10.0.0.1:80", "https://[", "http://localhost.evil.example",
    ],
)  # fmt: skip
def test_issuers_that_are_none(monkeypatch: pytest.MonkeyPatch, issuer: str) -> None:
    with pytest.raises(SpecInvalid, match="DYNOLAB_OIDC_ISSUER"):
        read(monkeypatch, DYNOLAB_OIDC_ISSUER=issuer)


@pytest.mark.parametrize("issuer", ["http://localhost:9000", "http://127.0.0.1:9000", "http://[::1]:9000/x"])
def test_on_this_machine_it_may_speak_plain_http(monkeypatch: pytest.MonkeyPatch, issuer: str) -> None:
    found = read(monkeypatch, DYNOLAB_OIDC_ISSUER=issuer)
    assert found is not None
    assert found.issuer == issuer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DYNOLAB_OIDC_CLIENT_ID", " "),
        ("DYNOLAB_OIDC_CLIENT_SECRET_FILE", "/nowhere/secret"),
        ("DYNOLAB_OIDC_CLIENT_SECRET_FILE", "/dev/null"),
        ("DYNOLAB_OIDC_SCOPES", "email,profile"),
        ("DYNOLAB_OIDC_DOMAINS", "example.org,*.example.com"),
        ("DYNOLAB_OIDC_NEW_ACCOUNTS", "perhaps"),
        ("DYNOLAB_OIDC_VOUCHES_FOR_EMAIL", "2"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SpecInvalid, match=f"(?i){name.removeprefix('DYNOLAB_')}"):
        read(monkeypatch, **{name: value})
