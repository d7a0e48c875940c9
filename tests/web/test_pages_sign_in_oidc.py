"""Signing in by a real OpenID Connect provider, in a real browser, from the first click to the last."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

pytest.importorskip("pgqueuer")


from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub

from ..openid_provider.fixtures import OpenidProvider, openid_provider
from .conftest import WITHIN_MS, Seeded

__all__ = ["openid_provider"]
SIGN_IN = "Sign in with Example SSO"
PEOPLE = {
    "ana": {"email": "ana@example.org", "email_verified": True, "name": "Ana Díaz", "groups": ["staff"]},
    "boss": {"email": "boss@example.org", "email_verified": True, "name": "Boss", "groups": ["staff", "hub-admins"]},
    "mallory": {"email": "admin@example.org", "email_verified": False, "groups": ["staff"]},
    "guest": {"email": "guest@example.org", "email_verified": True, "groups": []},
    "far": {"email": "far@elsewhere.example", "email_verified": True, "groups": ["staff"]},
    "local": {"email": "Local@example.org", "email_verified": True, "groups": ["staff"]},
    "other-local": {"email": "local@example.org", "email_verified": True, "groups": ["staff"]},
    "leaves": {"email": "leaves@example.org", "email_verified": True, "groups": ["staff"]},
    "turns": {"email": "turns@example.org", "email_verified": True, "groups": ["staff"]},
}


@pytest.fixture(scope="module")
def hub(
    postgres: OwnDatabase, openid_provider: OpenidProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    rules = {
        "DYNOLAB_OIDC_DOMAINS": "example.org",
        "DYNOLAB_OIDC_REQUIRED_GROUP": "staff",
        "DYNOLAB_OIDC_ADMIN_GROUP": "hub-admins",
    }
    environment = openid_provider.environment(tmp_path_factory.mktemp("client"), **rules)
    environment["DYNOLAB_DATABASE_URL"] = postgres.dsn
    with running_hub(tmp_path_factory.mktemp("hub"), "--no-agent", environment=environment) as running:
        openid_provider.serve(running.url)
        openid_provider.tell(people=PEOPLE)
        yield running


@pytest.fixture
def browser(chromium: Any, hub: RunningHub) -> Iterator[Callable[[], Any]]:
    """Opens a page of a browser that knows nobody; the provider's own style wants a font from far away, which it does not get."""
    contexts = []

    def opened() -> Any:
        context = chromium.new_context(base_url=hub.url, viewport={"width": 1200, "height": 900})
        context.set_default_timeout(WITHIN_MS)
        context.route("https://**", lambda route: route.abort())
        contexts.append(context)
        return context.new_page()

    yield opened
    for one in contexts:
        one.close()


def at_provider(page: Any, login: str) -> None:
    """Sign in there, and agree to what the hub asks for."""
    page.get_by_placeholder("Enter any login").fill(login)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def signed_in(page: Any, login: str, path: str = "/account/") -> Any:
    page.goto(path)
    page.get_by_role("link", name=SIGN_IN).click()
    at_provider(page, login)
    return page


def refusal(page: Any) -> str:
    return str(page.get_by_role("alert").inner_text())


def test_from_the_first_click_to_signing_out_at_both_ends(
    browser: Callable[[], Any], hub: RunningHub, openid_provider: OpenidProvider
) -> None:
    page = signed_in(browser(), "ana", "/account/?from=here")
    page.wait_for_url(f"{hub.url}/account/?from=here")
    text = page.locator("main").inner_text()
    assert "ana@example.org" in text
    assert "Ana Díaz" in text
    row = page.get_by_role("region", name="Signed-in browsers").get_by_role("row").nth(1)
    assert "OpenID Connect" in row.inner_text()
    cookies = {one["name"]: one for one in page.context.cookies()}
    assert "dynolab_oidc" not in cookies
    assert all(cookies[name]["httpOnly"] for name in ("dynolab_session", "dynolab_oidc_hint"))
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    page.wait_for_url("**/sign-in?left=yes")
    page.get_by_role("link", name="Sign out of Example SSO too").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url(f"{hub.url}/sign-in")
    page.get_by_role("link", name=SIGN_IN).click()
    page.get_by_placeholder("Enter any login").wait_for()  # the provider forgot the browser, too


def test_who_signs_out_at_the_provider_is_signed_out_of_the_hub_in_that_browser_alone(
    browser: Callable[[], Any], openid_provider: OpenidProvider
) -> None:
    here, there = (signed_in(browser(), "ana") for _ in range(2))
    for page in (here, there):
        page.wait_for_url("**/account/")
    here.goto(f"{openid_provider.issuer}/session/end")
    here.get_by_role("button", name="Yes, sign me out").click()
    here.get_by_text("Sign-out Success").wait_for()
    here.goto("/account/")
    assert "/sign-in" in here.url, "the provider told the hub itself"
    there.goto("/account/")
    assert "/account/" in there.url


def account(hub: RunningHub, postgres: OwnDatabase, *arguments: str) -> None:
    """``dynolab hub account``, in a process of its own: Playwright has this one's event loop."""
    words = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(hub.data), "account", *arguments]
    subprocess.run(words, env={**os.environ, "DYNOLAB_DATABASE_URL": postgres.dsn}, timeout=120, check=True)


def test_whose_account_was_closed_is_told_so(
    browser: Callable[[], Any], hub: RunningHub, postgres: OwnDatabase
) -> None:
    signed_in(browser(), "leaves").wait_for_url("**/account/")
    account(hub, postgres, "close", "leaves@example.org", "--yes")
    page = signed_in(browser(), "leaves")
    assert refusal(page) == "Your account here was closed. Ask whoever runs this hub, who can open it again."
    account(hub, postgres, "open", "leaves@example.org")
    signed_in(browser(), "leaves").wait_for_url("**/account/")


def test_a_local_account_is_linked_by_its_verified_address_and_not_given_to_the_next_who_has_it(
    browser: Callable[[], Any], seeded: Seeded
) -> None:
    token = seeded.account("local@example.org")
    page = signed_in(browser(), "local")
    page.wait_for_url("**/account/")
    assert "made with the account" in page.get_by_role("region", name="Tokens").first.inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    found = seeded.http.get(f"{seeded.url}/api/hub/v1/sessions", headers=headers)
    assert found.status_code == 200, (token[:4], len(token), found.text)
    assert [one["way"] for one in found.json()["sessions"]] == ["oidc"]
    other = signed_in(browser(), "other-local")
    assert "belongs to another person" in refusal(other)


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ("mallory", "of your domain are not let in"),
        ("guest", "not in the group"),
        ("far", "of your domain are not let in"),
    ],
)
def test_who_is_not_let_in_is_told_why(browser: Callable[[], Any], login: str, said: str) -> None:
    page = signed_in(browser(), login)
    assert said in refusal(page)
    assert page.get_by_role("link", name=SIGN_IN).is_visible(), "the way to try another account"
    page.goto("/account/")
    assert "/sign-in" in page.url


def test_whoever_declines_at_the_provider_comes_back_to_a_page(browser: Callable[[], Any]) -> None:
    page = browser()
    page.goto("/sign-in")
    page.get_by_role("link", name=SIGN_IN).click()
    page.get_by_role("link", name="[ Cancel ]").click()
    page.wait_for_url("**/sign-in/oidc/callback?**")
    assert "did not let you in, or you declined" in refusal(page)


def test_an_answer_that_was_used_or_stolen_opens_nothing(browser: Callable[[], Any], hub: RunningHub) -> None:
    page, came = browser(), []
    page.on("request", lambda one: came.append(one.url) if "/callback?" in one.url else None)
    signed_in(page, "ana")
    page.wait_for_url("**/account/")
    page.goto(came[0])
    assert "was not begun in this browser" in refusal(page)
    thief = browser()
    thief.goto(f"{hub.url}/sign-in/oidc?next=/jobs/")
    thief.goto(came[0])
    assert "was not begun in this browser" in refusal(thief)
    thief.goto("/account/")
    assert "/sign-in" in thief.url


def test_the_same_code_twice_is_refused_by_the_provider_and_said(browser: Callable[[], Any], hub: RunningHub) -> None:
    page, came, brought = browser(), [], []
    page.on("request", lambda one: came.append(one.url) if "/callback?" in one.url else None)
    page.goto("/sign-in/oidc?next=/jobs/")
    brought += [one for one in page.context.cookies(f"{hub.url}/sign-in/oidc") if one["name"] == "dynolab_oidc"]
    at_provider(page, "ana")
    page.wait_for_url("**/jobs/")
    again = httpx.get(came[0], cookies={"dynolab_oidc": brought[0]["value"]})
    assert again.status_code == 401
    assert "was completed already" in again.text
    assert "dynolab_session" not in again.cookies


def is_admin(postgres: OwnDatabase, email: str) -> bool:
    """Whether the account runs the hub, by its row."""
    return bool(postgres.rows("SELECT is_admin FROM account WHERE email = $1", email)[0]["is_admin"])


def test_administrators_come_and_go_with_their_group(
    browser: Callable[[], Any], openid_provider: OpenidProvider, postgres: OwnDatabase
) -> None:
    signed_in(browser(), "boss").wait_for_url("**/account/")
    assert is_admin(postgres, "boss@example.org")
    openid_provider.tell(people={"boss": {**PEOPLE["boss"], "groups": ["staff"]}})
    signed_in(browser(), "boss").wait_for_url("**/account/")
    assert not is_admin(postgres, "boss@example.org")
    openid_provider.tell(people={"boss": PEOPLE["boss"]})


def test_what_a_group_gives_is_ended_there_and_what_is_given_by_hand_is_not(
    browser: Callable[[], Any], hub: RunningHub, openid_provider: OpenidProvider, postgres: OwnDatabase
) -> None:
    signed_in(browser(), "boss").wait_for_url("**/account/")
    headers = {"Authorization": f"Bearer {hub.command('account', 'add', 'runs@example.org', '--admin')}"}
    place = f"{hub.url}/api/hub/v1/accounts/"
    refused = httpx.patch(f"{place}boss@example.org", json={"is_admin": False}, headers=headers)
    assert refused.status_code == 409
    assert "as one of the group 'hub-admins'" in refused.json()["message"]
    assert is_admin(postgres, "boss@example.org")
    signed_in(browser(), "ana").wait_for_url("**/account/")
    httpx.patch(f"{place}ana@example.org", json={"is_admin": True}, headers=headers).raise_for_status()
    signed_in(browser(), "ana").wait_for_url("**/account/")
    assert is_admin(postgres, "ana@example.org")
    httpx.patch(f"{place}ana@example.org", json={"is_admin": False}, headers=headers).raise_for_status()
    assert not is_admin(postgres, "ana@example.org")
    told = httpx.get(f"{place}ana@example.org", headers=headers).json()
    assert (told["by_provider"], told["seen_at"] is None) == (True, False)


def test_the_provider_changes_its_keys(browser: Callable[[], Any], openid_provider: OpenidProvider) -> None:
    signed_in(browser(), "turns").wait_for_url("**/account/")
    openid_provider.tell(rotate=True)
    signed_in(browser(), "turns").wait_for_url("**/account/")


@pytest.mark.parametrize(
    "there",
    ["https://evil.example/", "//evil.example/", "/\\evil.example/", "\\evil", "javascript:alert(1)", "/%0d%0a"],
)
def test_nobody_is_led_elsewhere(browser: Callable[[], Any], hub: RunningHub, there: str) -> None:
    page = browser()
    page.goto(f"/sign-in/oidc?next={quote(there, safe='')}")
    at_provider(page, "ana")
    page.wait_for_load_state()
    assert page.url.startswith(f"{hub.url}/")
    assert "evil" not in page.url
