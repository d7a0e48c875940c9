"""An OpenID Connect provider as the hub asks it: discovery, the code's exchange, the ID token's checks.

OpenID Connect Core 1.0 (the authorization code flow, section 3.1), Discovery 1.0, RP-Initiated Logout 1.0, Back-Channel Logout 1.0;
RFC 7636 (PKCE), RFC 9207 (the issuer in the answer). Nothing is followed, guessed or taken on trust: what does not fit is refused.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote_plus

import httpx
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet, import_key

from dynolab.errors import Error, Unauthorized, Unavailable
from dynolab.hub.oidc_settings import OidcSettings
from dynolab.hub.setting_types import is_safe_url
from dynolab.hub.store.oidc_flow import Flow
from dynolab.spec import untrusted

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures with a public key: never ``none``, nor a secret that the provider's public key could be taken for."""
LEEWAY_S = 60
"""By how much the two clocks may differ."""
FRESH_S = 600
"""A token that was issued longer ago is of no sign-in, and no logout, of now."""
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
KEYS_AGAIN_S = 30.0
"""How soon keys are asked for anew because a logout token names one that is not known: anybody may send such a token."""
KEPT_S = 3600.0
"""How long the provider's description and keys are taken for what they were."""
ASK_WITHIN_S = 10.0
ANSWER_MAX_BYTES = 1 << 20
SUBJECT_MOST = 255
"""Characters (OpenID Connect Core 1.0, section 2)."""
SESSION_MOST = 1000
"""Characters of what the provider calls a session of its own."""
EMAIL_MOST, GROUPS_MOST = 254, 10_000
Reason = Literal[
    "away", "setup", "denied", "provider", "state", "code", "clock", "token",
    "no-email", "unverified", "domain", "group", "no-account", "taken", "closed",
]  # fmt: skip
"""Why somebody was not let in; the pages have a text for each."""


def refused(reason: Reason, told: str) -> Error:
    """The error of a sign-in that went wrong; ``told`` is for whoever runs the hub."""
    kind = Unavailable if reason == "away" else Unauthorized
    return kind(told[:500], hint="sign in with an API token or a password", details={"reason": reason})


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in at the provider, by what it says."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool | None
    """None: it does not say."""
    name: str
    groups: tuple[str, ...]
    id_token: str
    """As it came: a hint for the provider at the sign-out."""
    session: str | None = None
    """What the provider calls its own session (``sid``); None: it does not say."""


@dataclass(frozen=True, slots=True)
class Logout:
    """Whose sessions the provider has ended; at least one of ``subject`` and ``session`` is there."""

    issuer: str
    subject: str | None
    session: str | None
    """The one that ended there; None: all of the person's."""
    token_id: str
    """Of the logout token (``jti``), which is good once."""


class Provider:
    """One provider. It is first asked when somebody signs in."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._http: httpx.AsyncClient | None = None
        self._described: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, list[Key]] | None = None
        self._asking = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def sign_in_url(self, flow: Flow, redirect_uri: str) -> str:
        """Where the browser is sent. Raises what :func:`refused` makes."""
        described = await self._description()
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        }
        return str(httpx.URL(described["authorization_endpoint"]).copy_merge_params(asked))

    async def sign_out_url(self, id_token: str, back: str) -> str | None:
        """Where the browser ends its session at the provider; None where that offers no such thing."""
        described = await self._description()
        place = described.get("end_session_endpoint")
        if not isinstance(place, str) or not is_safe_url(place):
            return None
        asked = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back}
        return str(httpx.URL(place).copy_merge_params(asked | ({"id_token_hint": id_token} if id_token else {})))

    async def redeem(self, answer: Mapping[str, str], flow: Flow, redirect_uri: str) -> Person:
        """Who it was, by the answer that the browser brought back. Raises what :func:`refused` makes."""
        described = await self._description()
        self._check_answer(answer, flow, described)
        tokens = await self._exchange(answer["code"], flow, redirect_uri, described)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise refused("setup", "the provider's token endpoint gave no ID token")
        claims = await self._claims(id_token, described, "the ID token", sub={"essential": True})
        self._check_sign_in(claims, flow)
        return self._person(await self._with_user_info(claims, tokens, described), id_token)

    async def read_logout(self, logout_token: str) -> Logout:
        """Whose sessions ended, by a logout token (Back-Channel Logout 1.0, section 2.6). Raises what :func:`refused` makes."""
        claims = await self._claims(
            logout_token,
            await self._description(),
            "the logout token",
            again_after_s=KEYS_AGAIN_S,
            jti={"essential": True},
        )
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise refused("token", "the logout token is of no logout: its events do not say so")
        if "nonce" in claims:
            raise refused("token", "the logout token has a nonce, as only ID tokens have")
        subject, session = claims.get("sub"), claims.get("sid")
        told = {"sub": (subject, SUBJECT_MOST), "sid": (session, SESSION_MOST), "jti": (claims["jti"], SESSION_MOST)}
        for name, (text, most) in told.items():
            if text is not None and not _is_name(text, most):
                raise refused("token", f"the logout token's {name} is none: {str(text)[:100]!r}")
        if subject is None and session is None:
            raise refused("token", "the logout token names neither a person nor a session")
        return Logout(self.settings.issuer, subject, session, claims["jti"])

    def _check_answer(self, answer: Mapping[str, str], flow: Flow, described: Mapping[str, Any]) -> None:
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise refused("state", "the provider's answer belongs to another sign-in")
        told = answer.get("iss")
        if told is None and described.get("authorization_response_iss_parameter_supported") is True:
            raise refused("state", "the answer does not say which provider it comes from, though this one always does")
        if told is not None and told != self.settings.issuer:
            raise refused("state", f"the answer comes from another provider: {told!r}")
        if error := answer.get("error"):
            reason: Reason = "denied" if error == "access_denied" else "provider"
            raise refused(reason, f"the provider refused: {error[:100]}: {answer.get('error_description', '')[:300]}")
        if not answer.get("code"):
            raise refused("state", "the provider's answer holds no code")

    async def _description(self) -> Mapping[str, Any]:
        """The discovery document. Raises what :func:`refused` makes."""
        async with self._asking:
            if self._described is None or time.monotonic() - self._described[0] > KEPT_S:
                self._described = time.monotonic(), await self._discover()
            return self._described[1]

    async def _discover(self) -> Mapping[str, Any]:
        issuer = self.settings.issuer
        found = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise refused("setup", f"the provider at {issuer} calls itself {found.get('issuer')!r}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            place = found.get(name)
            if not isinstance(place, str) or not is_safe_url(place):
                raise refused("setup", f"the provider's {name} is no safe address: {place!r}")
        return found

    async def _exchange(
        self, code: str, flow: Flow, redirect_uri: str, described: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": flow.verifier}
        secret, authorization = self.settings.client_secret, None
        ways = described.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if secret is None:
            form["client_id"] = self.settings.client_id
        elif "client_secret_basic" in ways or "client_secret_post" not in ways:
            authorization = httpx.BasicAuth(_quoted(self.settings.client_id), _quoted(secret))
        else:
            form |= {"client_id": self.settings.client_id, "client_secret": secret}
        return await self._ask("POST", described["token_endpoint"], form=form, authorization=authorization)

    async def _claims(
        self, token: str, described: Mapping[str, Any], what: str, *, again_after_s: float = 0.0, **more: Any
    ) -> dict[str, Any]:
        """The claims of a token of the provider's for this hub, once signature, issuer, audience and times are found good.

        ``what`` it is called; ``more``: claims that it must have.
        """
        try:
            claims = await self._decoded(token, described, again_after_s)
            _check_times(claims, what)
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self.settings.issuer},
                aud={"essential": True, "value": self.settings.client_id},
                **more,
            ).validate(claims)
        except ExpiredTokenError as error:
            raise refused("clock", f"{what} is over already: {error}") from error
        except ClaimError as error:
            clock = getattr(error, "claim", "") in ("nbf", "iat")
            raise refused("clock" if clock else "token", f"{what} does not fit: {error}") from error
        except (JoseError, ValueError, RecursionError) as error:
            raise refused("token", f"{what} is not good: {type(error).__name__}: {error}") from error
        return claims

    def _check_sign_in(self, claims: Mapping[str, Any], flow: Flow) -> None:
        """What section 3.1.3.7 of the core specification asks of an ID token besides."""
        if claims.get("nonce") != flow.nonce:
            raise refused("token", "the ID token's nonce is of another sign-in")
        audience = claims["aud"]
        party = claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if (several and party is None) or (party is not None and party != self.settings.client_id):
            raise refused("token", f"the ID token was made for another: azp {party!r}")

    async def _decoded(self, token: str, described: Mapping[str, Any], again_after_s: float) -> dict[str, Any]:
        """Its claims once the signature is good; a key that is not known yet is asked for: providers change theirs."""
        for again in (False, True):
            keys = KeySet(await self._signing_keys(described, again_after_s if again else KEPT_S))
            try:
                return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            except InvalidKeyIdError:
                if again:
                    raise
        raise AssertionError("two tries, of which the last one answers or raises")

    async def _signing_keys(self, described: Mapping[str, Any], kept_s: float) -> list[Key]:
        async with self._asking:
            if self._keys is None or time.monotonic() - self._keys[0] > kept_s:
                listed = (await self._ask("GET", described["jwks_uri"])).get("keys")
                self._keys = time.monotonic(), _keys(listed if isinstance(listed, list) else [])
            return self._keys[1]

    async def _with_user_info(
        self, claims: dict[str, Any], tokens: Mapping[str, Any], described: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The claims, and those that the provider tells at its UserInfo endpoint alone."""
        groups = self.settings.required_group or self.settings.admin_group
        wanted = {"email", "email_verified", *([self.settings.groups_claim] if groups else [])}
        place, access = described.get("userinfo_endpoint"), tokens.get("access_token")
        if wanted <= claims.keys() or not isinstance(place, str) or not isinstance(access, str):
            return claims
        if not is_safe_url(place):
            raise refused("setup", f"the provider's userinfo_endpoint is no safe address: {place!r}")
        found = await self._ask("GET", place, bearer=access)
        if found.get("sub") != claims["sub"]:
            raise refused("token", "UserInfo speaks of another person than the ID token")
        return {**found, **claims}

    def _person(self, claims: Mapping[str, Any], id_token: str) -> Person:
        subject, email = claims["sub"], claims.get("email")
        if not _is_name(subject, SUBJECT_MOST):
            raise refused("token", f"the subject {subject[:SUBJECT_MOST]!r} is none")
        verified, listed = claims.get("email_verified"), claims.get(self.settings.groups_claim)
        groups = listed if isinstance(listed, list) else [listed]
        return Person(
            issuer=self.settings.issuer,
            subject=subject,
            email=email.strip() if isinstance(email, str) and 0 < len(email.strip()) <= EMAIL_MOST else None,
            # Some providers write it as a text.
            email_verified={True: True, "true": True, None: None}.get(verified, False) if _plain(verified) else False,
            name=_name(claims),
            groups=tuple(one for one in groups[:GROUPS_MOST] if isinstance(one, str)),
            id_token=id_token,
            session=claims["sid"] if _is_name(claims.get("sid"), SESSION_MOST) else None,
        )

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        authorization: httpx.BasicAuth | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        """A JSON object. Raises what :func:`refused` makes; no answer's own text is told that could hold a secret."""
        if self._http is None:
            self._http = await asyncio.to_thread(httpx.AsyncClient, timeout=httpx.Timeout(ASK_WITHIN_S, connect=5))
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        auth = httpx.USE_CLIENT_DEFAULT if authorization is None else authorization
        try:
            async with (
                asyncio.timeout(ASK_WITHIN_S),
                self._http.stream(method, url, data=form, headers=headers, auth=auth) as answer,
            ):
                content = await _bounded(answer, url)
        except (httpx.HTTPError, TimeoutError) as error:
            raise refused("away", f"{url} does not answer: {type(error).__name__}: {error}") from error
        return _document(answer, content, url)


async def _bounded(answer: httpx.Response, url: str) -> bytes:
    content = b""
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > ANSWER_MAX_BYTES:
            raise refused("setup", f"{url} answers with more than {ANSWER_MAX_BYTES} bytes")
    return content


def _document(answer: httpx.Response, content: bytes, url: str) -> dict[str, Any]:
    try:
        found = untrusted.load_document(content)
    except ValueError:
        found = None
    if answer.is_success and isinstance(found, dict):
        return found
    told = found.get("error") if isinstance(found, dict) else None
    what = f"{url} answered {answer.status_code}" + (f": {told[:100]}" if isinstance(told, str) else "")
    if told == "invalid_grant":
        raise refused("code", f"{what}: the code was used, is too old, or another's")
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise refused("away", what)
    raise refused("setup", what)


def _keys(listed: list[object]) -> list[Key]:
    """Those that signatures may be checked with; others in the list are none of ours."""
    found = []
    for one in listed[:100]:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") == "oct":
            continue
        try:
            found.append(import_key(one))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


def _check_times(claims: Mapping[str, Any], what: str) -> None:
    """Raises what :func:`refused` makes; ``exp`` and ``iat`` must be there, and a token of long ago is of nothing that happens now."""
    for name in ("exp", "iat"):
        if not isinstance(claims.get(name), int | float) or isinstance(claims.get(name), bool):
            raise refused("token", f"{what}'s {name} is no instant: {claims.get(name)!r}")
    if claims["iat"] < time.time() - FRESH_S - LEEWAY_S:
        raise refused("clock", f"{what} was issued {time.time() - claims['iat']:.0f} s ago")


def _is_name(text: object, most: int) -> bool:
    """Whether it is what a provider may call somebody or something."""
    return isinstance(text, str) and 0 < len(text) <= most and text.isprintable()


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bool | str)


def _name(claims: Mapping[str, Any]) -> str:
    found = next((claims[one] for one in ("name", "preferred_username", "nickname") if claims.get(one)), "")
    text = found if isinstance(found, str) else ""
    return "".join(one for one in text if one.isprintable() and one != "/").strip()[:200]


def _quoted(text: str) -> str:
    """As the form encoding has it, which Basic wants of client credentials (RFC 6749, section 2.3.1)."""
    return quote_plus(text)
