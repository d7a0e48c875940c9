"""An issuer that lies: nobody is signed in by it, each lie is told with its reason, and an honest answer after it is taken."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from html import unescape
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

pytest.importorskip("pgqueuer")

from joserfc import jwt

from dynolab.errors import Error
from dynolab.hub.oidc_settings import OidcSettings
from dynolab.hub.store.oidc import Provider
from dynolab.hub.store.oidc_flow import FLOW_LIFE_S, Flows
from dynolab.testing.commands import command
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub

from ..openid_provider.hostile import KEY, OTHER, UNKNOWN, Issuer, hostile_issuer

SECRET = "a secret: 100 % + more"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with hostile_issuer() as found:
        yield found


@pytest.fixture(scope="module")
def hub(postgres: OwnDatabase, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    secret = tmp_path_factory.mktemp("client") / "secret"
    secret.write_text(SECRET, encoding="utf-8")
    environment = {
        "DYNOLAB_DATABASE_URL": postgres.dsn,
        "DYNOLAB_OIDC_ISSUER": issuer.url,
        "DYNOLAB_OIDC_CLIENT_ID": "dynolab",
        "DYNOLAB_OIDC_CLIENT_SECRET_FILE": str(secret),
    }
    with running_hub(tmp_path_factory.mktemp("hub"), "--no-agent", environment=environment) as running:
        yield running


@pytest.fixture(autouse=True)
def honest(issuer: Issuer) -> None:
    fresh = Issuer(issuer.url)
    for name in ("header", "key", "published", "sign", "user_info", "token_answer"):
        setattr(issuer, name, getattr(fresh, name))
    issuer.asked.clear()
    issuer.authorizations.clear()


class Visitor:
    """A browser that was sent to the issuer."""

    def __init__(self, hub: RunningHub, following: str = "/jobs/") -> None:
        self.http = httpx.Client(base_url=hub.url, timeout=30)
        there = self.http.get("/sign-in/oidc", params={"next": following})
        assert there.status_code == 303, there.text
        self.asked = {name: one[0] for name, one in parse_qs(urlsplit(there.headers["location"]).query).items()}
        self.following = following

    def come_back(self, **changes: str) -> httpx.Response:
        brought = {"code": "code", "state": self.asked["state"], **changes}
        try:
            return self.http.get("/sign-in/oidc/callback", params={k: v for k, v in brought.items() if v})
        finally:
            self.http.close()


def refusal(answer: httpx.Response) -> str:
    """What the page says; nobody is signed in."""
    assert answer.status_code in (401, 503), (answer.status_code, answer.headers.get("location"))
    assert "dynolab_session" not in answer.cookies
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    assert found is not None
    return unescape(found[1])


def test_an_honest_answer_signs_in_and_proves_itself_with_pkce_and_the_secret(hub: RunningHub, issuer: Issuer) -> None:
    visitor = Visitor(hub, "/models/?name=x")
    issuer.claims = issuer.honest(visitor.asked["nonce"])
    answer = visitor.come_back()
    assert (answer.status_code, answer.headers["location"]) == (303, "/models/?name=x")
    assert "dynolab_session" in answer.cookies
    asked = issuer.asked[0]
    challenge = base64.urlsafe_b64encode(sha256(asked["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    assert visitor.asked["code_challenge"] == challenge
    assert visitor.asked["code_challenge_method"] == "S256"
    assert 43 <= len(asked["code_verifier"]) <= 128
    assert (asked["grant_type"], asked["code"]) == ("authorization_code", "code")
    assert asked["redirect_uri"] == visitor.asked["redirect_uri"] == f"{hub.url}/sign-in/oidc/callback"
    told = base64.b64decode(issuer.authorizations[0].removeprefix("Basic ")).decode()
    assert told == "dynolab:a+secret%3A+100+%25+%2B+more", "each half is form-encoded first (RFC 6749, 2.3.1)"
    assert SECRET not in str(visitor.asked)


def signed_in(hub: RunningHub, issuer: Issuer, **claims: Any) -> httpx.Response:
    visitor = Visitor(hub)
    issuer.claims = issuer.honest(visitor.asked["nonce"]) | claims
    return visitor.come_back()


def session_of(answer: httpx.Response) -> dict[str, str]:
    """The cookie of the browser that was signed in."""
    assert answer.status_code == 303, answer.text
    return {"dynolab_session": answer.cookies["dynolab_session"]}


def is_signed_in(hub: RunningHub, cookies: dict[str, str]) -> bool:
    return httpx.get(f"{hub.url}/account/", cookies=cookies, timeout=30).status_code == 200


def accounts(hub: RunningHub, postgres: OwnDatabase, *arguments: str) -> None:
    where = {"DYNOLAB_DATABASE_URL": postgres.dsn}
    done = command("hub", "--data", hub.data, "account", *arguments, environment=where)
    assert done.returncode == 0, done.stderr


def test_a_closed_account_is_not_opened_by_the_next_sign_in(
    hub: RunningHub, issuer: Issuer, postgres: OwnDatabase
) -> None:
    gone = {"sub": "gone", "email": "gone@example.org"}
    before = session_of(signed_in(hub, issuer, **gone))
    assert is_signed_in(hub, before)
    accounts(hub, postgres, "close", "gone@example.org", "--yes")
    assert not is_signed_in(hub, before)
    said = "Your account here was closed. Ask whoever runs this hub"
    assert said in refusal(signed_in(hub, issuer, **gone))
    assert said in refusal(signed_in(hub, issuer, sub="gone-anew", email="Gone@example.org")), (
        "made anew at the provider"
    )
    assert said in refusal(signed_in(hub, issuer, sub="gone", email="other@example.org")), "with another address there"
    accounts(hub, postgres, "open", "gone@example.org")
    assert not is_signed_in(hub, before), "what ended stays ended"
    assert is_signed_in(hub, session_of(signed_in(hub, issuer, **gone)))


LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


def logout(issuer: Issuer, **claims: Any) -> dict[str, Any]:
    """The claims of an honest logout token, as section 2.4 has it; what is None is not among them."""
    now = int(time.time())
    told = {
        "iss": issuer.url,
        "aud": "dynolab",
        "iat": now,
        "exp": now + 120,
        "jti": token_hex(8),
        "events": {LOGOUT: {}},
    }
    return {name: one for name, one in (told | claims).items() if one is not None}


def told_by_provider(hub: RunningHub, token: str) -> httpx.Response:
    return httpx.post(f"{hub.url}/sign-out/oidc/back-channel", data={"logout_token": token}, timeout=30)


def signed(issuer: Issuer, claims: dict[str, Any]) -> str:
    return issuer.sign(issuer.header, claims, issuer.key)


def test_the_provider_ends_the_session_that_it_names_or_all_of_a_person(hub: RunningHub, issuer: Issuer) -> None:
    eva = {"sub": "eva", "email": "eva@example.org"}
    one, two, unnamed = (
        session_of(signed_in(hub, issuer, **eva, **named)) for named in ({"sid": "1"}, {"sid": "2"}, {})
    )
    another = session_of(signed_in(hub, issuer, sub="ida", email="ida@example.org", sid="3"))
    answer = told_by_provider(hub, signed(issuer, logout(issuer, sid="1")))
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert [is_signed_in(hub, each) for each in (one, two, unnamed, another)] == [False, True, True, True]
    assert told_by_provider(hub, signed(issuer, logout(issuer, sub="eva", sid="3"))).status_code == 200
    assert is_signed_in(hub, another), "a session of another person's is not hers"
    assert not is_signed_in(hub, unnamed), "which of hers it is was not said"
    assert told_by_provider(hub, signed(issuer, logout(issuer, sub="eva"))).status_code == 200
    assert [is_signed_in(hub, each) for each in (two, another)] == [False, True]
    assert told_by_provider(hub, signed(issuer, logout(issuer, sub="nobody here"))).status_code == 200


def test_a_logout_token_is_good_once(hub: RunningHub, issuer: Issuer) -> None:
    eva = {"sub": "eva", "email": "eva@example.org"}
    token = signed(issuer, logout(issuer, sub="eva"))
    assert told_by_provider(hub, token).status_code == 200
    again = session_of(signed_in(hub, issuer, **eva))
    refused = told_by_provider(hub, token)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert "has come before" in refused.json()["error_description"]
    assert is_signed_in(hub, again)


def none_signed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts) + "."


def signed_with_the_public_key(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """The old confusion: a public key taken for the secret of an HMAC."""
    parts = ({"alg": "HS256", "kid": "first"}, claims)
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts)
    made = hmac.new(KEY.as_pem(private=False), signed.encode(), sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def cut(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    return jwt.encode(header, claims, key)[:-20]


def altered(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """Another's claims below a good signature."""
    head, _, signature = jwt.encode(header, claims, key).split(".")
    body = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "boss"}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


NOW = int(time.time())
NOT_VERIFIED = "could not be verified"
LIES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://evil.example"}, {}, NOT_VERIFIED),
    "an issuer in a list": ({"iss": ["x"]}, {}, NOT_VERIFIED),
    "made for another client": ({"aud": "another"}, {}, NOT_VERIFIED),
    "made for nobody": ({"aud": []}, {}, NOT_VERIFIED),
    "made for two, presented by nobody": ({"aud": ["dynolab", "another"]}, {}, NOT_VERIFIED),
    "made for two, presented by another": ({"aud": ["dynolab", "another"], "azp": "another"}, {}, NOT_VERIFIED),
    "of another sign-in": ({"nonce": "another"}, {}, NOT_VERIFIED),
    "of no sign-in": ({"nonce": None}, {}, NOT_VERIFIED),
    "with nonces to choose from": ({"nonce": ["a", "b"]}, {}, NOT_VERIFIED),
    "over": ({"exp": NOW - 3600}, {}, "clocks"),
    "without an end": ({"exp": None}, {}, NOT_VERIFIED),
    "with an end that is none": ({"exp": "tomorrow"}, {}, NOT_VERIFIED),
    "not good yet": ({"nbf": NOW + 3600}, {}, "clocks"),
    "from the future": ({"iat": NOW + 3600, "exp": NOW + 7200}, {}, "clocks"),
    "of long ago": ({"iat": NOW - 7200, "exp": NOW + 7200}, {}, "clocks"),
    "unsigned": ({}, {"sign": none_signed}, NOT_VERIFIED),
    "signed with the public key": ({}, {"sign": signed_with_the_public_key}, NOT_VERIFIED),
    "cut short": ({}, {"sign": cut}, NOT_VERIFIED),
    "altered": ({}, {"sign": altered}, NOT_VERIFIED),
    "no token at all": ({}, {"sign": lambda *_: "rubbish"}, NOT_VERIFIED),
    "signed by an unknown key": ({}, {"key": UNKNOWN, "header": {"alg": "RS256", "kid": "third"}}, NOT_VERIFIED),
    "signed by another key of the same name": ({}, {"key": OTHER}, NOT_VERIFIED),
    "nobody": ({"sub": None}, {}, NOT_VERIFIED),
    "an empty subject": ({"sub": ""}, {}, NOT_VERIFIED),
    "a subject that is a number": ({"sub": 7}, {}, NOT_VERIFIED),
    "a subject with a line break": ({"sub": "a\nb"}, {}, NOT_VERIFIED),
    "a subject without end": ({"sub": "a" * 300}, {}, NOT_VERIFIED),
    "UserInfo of another": (
        {"email": None, "email_verified": None, "sub": "new-1"},
        {"user_info": {"sub": "boss", "email": "ana@example.org", "email_verified": True}},
        NOT_VERIFIED,
    ),
    "no address": ({"sub": "new-2", "email": None}, {}, "did not tell your e-mail address"),
    "an address that is none": ({"sub": "new-3", "email": "a b@c"}, {}, "did not tell your e-mail address"),
    "an address with NUL": ({"sub": "new-4", "email": "a\0@c.org"}, {}, "did not tell your e-mail address"),
    "an address that is not verified": ({"sub": "new-5", "email_verified": False}, {}, "has not verified"),
    "an address of which nothing is said": ({"sub": "new-6", "email_verified": None}, {}, "has not verified"),
    "an address verified in other words": ({"sub": "new-7", "email_verified": "yes"}, {}, "has not verified"),
    "no ID token": ({}, {"token_answer": (200, b'{"access_token": "at"}')}, "as they are set up"),
    "another's code": ({}, {"token_answer": (400, b'{"error": "invalid_grant"}')}, "was completed already"),
    "our secret is wrong": ({}, {"token_answer": (401, b'{"error": "invalid_client"}')}, "as they are set up"),
    "broken": ({}, {"token_answer": (500, b"oops")}, "does not answer"),
    "busy": ({}, {"token_answer": (429, b"{}")}, "does not answer"),
    "no JSON": ({}, {"token_answer": (200, b"<html>")}, "as they are set up"),
    "JSON without end": ({}, {"token_answer": (200, b"[" * 100_000)}, "as they are set up"),
    "a flood": ({}, {"token_answer": (200, b" " * (2 << 20))}, "as they are set up"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_signs_nobody_in_and_is_told(hub: RunningHub, issuer: Issuer, lie: str) -> None:
    claims, changes, said = LIES[lie]
    visitor = Visitor(hub)
    told = issuer.honest(visitor.asked["nonce"]) | claims
    issuer.claims = {name: value for name, value in told.items() if value is not None}
    for name, value in changes.items():
        setattr(issuer, name, value)
    assert said in refusal(visitor.come_back())


FALSE_LOGOUTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "of another issuer": ({"iss": "https://evil.example"}, {}, "does not fit"),
    "for another client": ({"aud": "another"}, {}, "does not fit"),
    "without an audience": ({"aud": None}, {}, "does not fit"),
    "over": ({"exp": NOW - 3600}, {}, "over already"),
    "without an end": ({"exp": None}, {}, "exp is no instant"),
    "without a beginning": ({"iat": None}, {}, "iat is no instant"),
    "of long ago": ({"iat": NOW - 7200, "exp": NOW + 7200}, {}, "was issued"),
    "from the future": ({"iat": NOW + 3600, "exp": NOW + 7200}, {}, "does not fit"),
    "an ID token": ({"events": None, "nonce": "n", "sub": "eva"}, {}, "events do not say so"),
    "with a nonce": ({"nonce": "n"}, {}, "has a nonce"),
    "of another event": ({"events": {"https://other.example": {}}}, {}, "events do not say so"),
    "with an event that is no object": ({"events": {LOGOUT: True}}, {}, "events do not say so"),
    "with a list of events": ({"events": [LOGOUT]}, {}, "events do not say so"),
    "without an id": ({"jti": None}, {}, "does not fit"),
    "with an id that is a number": ({"jti": 7}, {}, "jti"),
    "of nobody": ({"sub": None}, {}, "neither a person nor a session"),
    "of an empty name": ({"sub": ""}, {}, "sub"),
    "of a list of people": ({"sub": ["eva"]}, {}, "sub"),
    "of an endless session": ({"sid": "s" * 5000}, {}, "sid is none"),
    "unsigned": ({}, {"sign": none_signed}, "not good"),
    "signed with the public key": ({}, {"sign": signed_with_the_public_key}, "not good"),
    "altered": ({}, {"sign": altered}, "not good"),
    "signed by an unknown key": ({}, {"key": UNKNOWN, "header": {"alg": "RS256", "kid": "third"}}, "not good"),
    "no token at all": ({}, {"sign": lambda *_: "rubbish"}, "not good"),
    "nothing": ({}, {"sign": lambda *_: ""}, "not good"),
}


def test_a_false_logout_ends_no_session_and_is_told(hub: RunningHub, issuer: Issuer) -> None:
    kept = session_of(signed_in(hub, issuer, sub="eva", email="eva@example.org", sid="kept"))
    for lie, (claims, changes, said) in FALSE_LOGOUTS.items():
        told = logout(issuer, **({"sub": "eva"} | claims))
        honest = Issuer(issuer.url)
        for name, value in changes.items():
            setattr(honest, name, value)
        answer = told_by_provider(hub, signed(honest, told))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), lie
        assert said in answer.json()["error_description"], (lie, answer.text)
    assert is_signed_in(hub, kept)
    assert httpx.post(f"{hub.url}/sign-out/oidc/back-channel", timeout=30).status_code == 400
    assert httpx.get(f"{hub.url}/sign-out/oidc/back-channel", timeout=30).status_code == 405


@pytest.mark.parametrize("skew", [-50, 50])
def test_clocks_that_differ_by_less_than_a_minute_do_no_harm(hub: RunningHub, issuer: Issuer, skew: int) -> None:
    visitor, now = Visitor(hub), int(time.time()) + skew
    issuer.claims = issuer.honest(visitor.asked["nonce"]) | {"iat": now, "nbf": now, "exp": now + 5}
    assert visitor.come_back().status_code == 303


def test_a_new_key_is_asked_for_and_the_old_one_is_good_no_more(hub: RunningHub, issuer: Issuer) -> None:
    issuer.key, issuer.header, issuer.published = OTHER, {"alg": "RS256", "kid": "second"}, [OTHER]
    visitor = Visitor(hub)
    issuer.claims = issuer.honest(visitor.asked["nonce"])
    assert visitor.come_back().status_code == 303
    issuer.key, issuer.header = KEY, {"alg": "RS256", "kid": "first"}
    visitor = Visitor(hub)
    issuer.claims = issuer.honest(visitor.asked["nonce"])
    assert NOT_VERIFIED in refusal(visitor.come_back())


@pytest.mark.parametrize(
    ("brought", "said"),
    [
        ({"state": "another"}, "not begun in this browser"),
        ({"state": ""}, "not begun in this browser"),
        ({"code": ""}, "not begun in this browser"),
        ({"iss": "https://evil.example"}, "not begun in this browser"),
        ({"error": "access_denied", "code": ""}, "did not let you in"),
        ({"error": "server_error", "error_description": "<script>alert(1)</script>"}, "reported a problem"),
        ({"error": "access_denied", "state": "another"}, "not begun in this browser"),
    ],
)
def test_what_the_browser_brings_is_not_believed(
    hub: RunningHub, issuer: Issuer, brought: dict[str, str], said: str
) -> None:
    visitor = Visitor(hub)
    issuer.claims = issuer.honest(visitor.asked["nonce"])
    answer = visitor.come_back(**brought)
    assert said in refusal(answer)
    assert issuer.asked == [], "no code was sent on"
    assert "<script>alert" not in answer.text


def test_a_head_does_not_use_the_answer_up(hub: RunningHub, issuer: Issuer) -> None:
    visitor = Visitor(hub)
    issuer.claims = issuer.honest(visitor.asked["nonce"])
    with closing(visitor.http):
        assert visitor.http.head(
            "/sign-in/oidc/callback", params={"code": "c", "state": visitor.asked["state"]}
        ).is_error
    assert issuer.asked == []


# ---- the provider itself ---------------------------------------------------------------------------------------------


def asked_to_begin(url: str) -> Error | str:
    """Where somebody is sent by the provider at that address, or why nobody is."""

    async def ask() -> Error | str:
        provider = Provider(OidcSettings(url, "dynolab"))
        try:
            return await provider.sign_in_url(Flows("secret").begin("/"), "https://hub.example/sign-in/oidc/callback")
        except Error as error:
            return error
        finally:
            await provider.close()

    return asyncio.run(ask())


DESCRIPTIONS: dict[str, tuple[Callable[[Issuer], None], str]] = {
    "another's name": (lambda one: one.described.update(issuer="https://evil.example"), "setup"),
    "a name but for a slash": (lambda one: one.described.update(issuer=f"{one.url}/"), "setup"),
    "keys from anywhere": (lambda one: one.described.update(jwks_uri="http://evil.example/keys"), "setup"),
    "keys from a file": (lambda one: one.described.update(jwks_uri="file:///etc/passwd"), "setup"),
    "tokens over plain HTTP": (lambda one: one.described.update(token_endpoint="http://evil.example/"), "setup"),
    "no place to go": (lambda one: one.described.update(authorization_endpoint=None), "setup"),
    "a place for scripts": (lambda one: one.described.update(authorization_endpoint="javascript:alert(1)"), "setup"),
    "no document": (lambda one: setattr(one, "discovery_answer", (404, b"nothing")), "setup"),
    "a list": (lambda one: setattr(one, "discovery_answer", (200, b"[]")), "setup"),
    "down": (lambda one: setattr(one, "discovery_answer", (503, b"")), "away"),
}


@pytest.mark.parametrize("lie", DESCRIPTIONS)
def test_a_description_that_lies_is_refused(lie: str) -> None:
    change, reason = DESCRIPTIONS[lie]
    with hostile_issuer() as issuer:
        change(issuer)
        found = asked_to_begin(issuer.url)
        assert isinstance(found, Error)
        assert found.details["reason"] == reason


def test_a_provider_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    with hostile_issuer() as issuer:
        assert str(asked_to_begin(issuer.url)).startswith(f"{issuer.url}/auth?")
    found = asked_to_begin(issuer.url)
    assert isinstance(found, Error)
    assert (found.http_status, found.details["reason"]) == (503, "away")


def test_a_flow_is_known_by_its_cookie_alone_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    flows = Flows("secret")
    flow = flows.begin("/jobs/")
    assert flows.read(flow.cookie) == flow
    assert Flows("another").read(flow.cookie) is None
    told, signature = flow.cookie.rsplit(".", 1)
    assert flows.read(f"{told}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}") is None
    assert all(text not in flow.cookie for text in (flow.state, flow.nonce, flow.verifier))
    later = time.time() + FLOW_LIFE_S + 2
    monkeypatch.setattr(time, "time", lambda: later)
    assert flows.read(flow.cookie) is None
