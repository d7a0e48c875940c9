"""The account's page and signing in, in a real Chromium."""

from __future__ import annotations

import configparser
import re
import secrets
import shlex
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from typing import Any

import httpx
import pytest

from dynolab import own_wheel
from dynolab.agent.http import HubDoor
from dynolab.errors import Forbidden, Unauthorized
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.spec.joining import JoinRequest

Visit = Callable[..., Any]


def make_token(page: Any, kind: str, label: str) -> str:
    """The secret of a new token."""
    page.get_by_label("Kind").select_option(kind)
    page.get_by_label("Label").fill(label)
    page.get_by_role("button", name="Create token").click()
    page.get_by_role("heading", name=f"New {kind} token").wait_for()
    return str(page.get_by_label("Secret").input_value())


def tokens(page: Any) -> Any:
    """The rows of the tokens that are good."""
    return page.get_by_role("region", name="Tokens", exact=True).get_by_role("row")


def revoke(page: Any, label: str) -> None:
    row = tokens(page).filter(has_text=label)
    row.get_by_text("Revoke", exact=False).first.click()
    row.get_by_role("button", name="Revoke permanently").click()
    row.wait_for(state="hidden")


def me(seeded: Any, token: str) -> int:
    """The status that a client with this token is answered with."""
    return httpx.get(
        f"{seeded.url}/api/hub/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ).status_code


def test_a_user_token_is_shown_once_fills_the_client_ini_and_is_revoked(seeded: Any, visit: Visit) -> None:
    page = visit("/account/")
    assert page.get_by_text("admin@localhost").first.is_visible()
    assert "api_token = YOUR_TOKEN" in page.get_by_role("region", name="client.ini").inner_text()
    secret = make_token(page, "user", "my <b>laptop")
    ini = configparser.ConfigParser()
    ini.read_string(page.get_by_role("region", name="client.ini").inner_text())
    assert dict(ini["api"]) == {
        "api_token": secret,
        "api_url": seeded.url,
        "web_url": seeded.url,
        "verbose": "True",
    }
    assert me(seeded, secret) == 200
    page.goto("/account/")
    assert secret not in page.content()
    revoke(page, "my <b>laptop")
    page.get_by_text(re.compile("revoked tokens?$")).click()
    assert "my <b>laptop" in page.get_by_role("region", name="Revoked").inner_text()
    assert me(seeded, secret) == 401


def test_a_reload_makes_no_second_token_and_the_language_can_be_changed(seeded: Any, visit: Visit) -> None:
    page = visit("/account/")
    secret = make_token(page, "user", "only one")
    assert page.url.split("#")[0] == f"{seeded.url}/account/"
    cookies = {one["name"]: one for one in page.context.cookies()}
    assert secret not in str(cookies)
    page.reload()
    assert page.get_by_label("Secret").count() == 0
    assert tokens(page).filter(has_text="only one").count() == 1
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="账户与令牌").wait_for()
    revoked = visit("/account/")
    revoke(revoked, "only one")
    revoked.get_by_role("status").get_by_text("The token “only one” is revoked.").wait_for()
    revoked.reload()
    assert revoked.get_by_text("is revoked.").count() == 0


def test_buttons_that_need_a_script_are_not_shown_without_it(visit: Visit) -> None:
    page = visit("/account/", java_script_enabled=False)
    page.get_by_role("region", name="client.ini").wait_for()
    assert page.get_by_role("button", name="Copy").count() == 0
    assert "within 5 minutes" in page.get_by_role("columnheader", name="Last used").inner_text()


def test_a_session_that_ended_elsewhere_says_so(seeded: Any, visit: Visit) -> None:
    token = seeded.account("ended@example.org")
    page, watching, other = (visit(place, token=token) for place in ("/account/", "/jobs/?text=kept", "/account/"))
    other.get_by_role("button", name="Sign out all others").click()
    other.get_by_role("status").get_by_text("All other browsers are signed out.").wait_for()
    watching.get_by_text("You were signed out:").wait_for()
    assert watching.get_by_text("Your last request was not carried out.").count() == 0
    watching.get_by_label("API token").fill(token)
    watching.get_by_role("button", name="Sign in").click()
    watching.wait_for_url("**/jobs/?text=kept*")
    page.get_by_label("Label").fill("too late")
    page.get_by_role("button", name="Create token").click()
    page.get_by_text("You were signed out:").wait_for()
    assert page.get_by_text("Your last request was not carried out.").is_visible()
    assert visit("/sign-in", signed_in=False).get_by_text("You were signed out").count() == 0


def test_a_form_is_not_sent_to_a_hub_that_is_away(seeded: Any, visit: Visit) -> None:
    page = visit("/account/")
    page.get_by_label("Label").fill("typed with care")
    page.route("**/*", lambda route: route.abort())
    page.get_by_role("button", name="Create token").click()
    page.get_by_text("Nothing was sent.").wait_for()
    assert page.get_by_label("Label").input_value() == "typed with care"
    page.unroute("**/*")
    page.get_by_text("Nothing was sent.").wait_for(state="hidden")
    page.get_by_role("button", name="Create token").click()
    page.get_by_label("Secret").wait_for()
    revoke(page, "typed with care")


def test_a_secret_is_copied(seeded: Any, visit: Visit) -> None:
    page = visit("/account/", permissions=["clipboard-read", "clipboard-write"])
    secret = make_token(page, "user", "copied")
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == secret


def test_an_agent_token_opens_the_agents_door_until_it_is_revoked(seeded: Any, visit: Visit) -> None:
    page = visit("/account/")
    secret = make_token(page, "agent", "rack")
    assert page.get_by_text("--token-file").is_visible()
    assert me(seeded, secret) == 401  # it opens no user's door
    with closing(HubDoor(seeded.url, secret)) as door:
        seeded.announce(door, device_id="rack-1")
        page.goto("/account/")
        revoke(page, "rack")
        with pytest.raises(Unauthorized):
            seeded.announce(door, device_id="rack-1")
    seeded.announce(seeded.door, device_id="bench-1")
    page.goto("/account/")
    with closing(HubDoor(seeded.url, make_token(page, "agent", "rack again"))) as again:
        assert seeded.announce(again, device_id="rack-1") is None  # the same machine, with its new token
        with pytest.raises(Forbidden):
            seeded.announce(again, device_id="bench-1")  # that of another token, which is good


def test_a_device_is_added_by_a_line_and_the_page_tells_when_it_has_joined(seeded: Any, visit: Visit) -> None:
    page = visit("/devices/", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Add a device").click()
    page.get_by_text("is reachable from this machine only").wait_for()
    page.get_by_label("Name of the device").fill("Pi <5>")
    page.get_by_role("button", name="Create the line").click()
    page.get_by_role("heading", name="Waiting for the machine").wait_for()
    page.get_by_role("button", name="Copy In a terminal on the machine").click()
    page.get_by_role("button", name="Copied").wait_for()
    line = str(page.evaluate("navigator.clipboard.readText()")).strip()
    words = shlex.split(line)
    assert words[:3] == ["python3", "-m", "venv"]
    assert words[-4:-1] == ["--hub", seeded.url, "--join-token"]
    wheel = next(word for word in words if "@ " in word).partition("@ ")[2]
    assert httpx.get(wheel, timeout=30).content == own_wheel.content()
    own = f"dla_{secrets.token_hex(20)}"
    asked = JoinRequest(AGENT_PROTOCOL, words[-1], sha256(own.encode()).hexdigest(), "joined-1", "its host")
    with closing(HubDoor(seeded.url, "")) as door:
        assert door.join(asked).name == "Pi <5>"
    page.get_by_role("heading", name="The machine has joined").wait_for()
    assert not page.get_by_role("heading", name="Run this line").is_visible(), "it is used up"
    with closing(HubDoor(seeded.url, own)) as door:
        door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer("joined-1", "Pi <5>", "12", agent_version="0.0.1")))
    page.get_by_role("heading", name="Pi <5> has joined").wait_for()
    page.get_by_role("button", name="Copy In a terminal on the machine").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert "dynolab agent unit" in str(page.evaluate("navigator.clipboard.readText()"))
    page.reload()
    assert page.get_by_role("heading", name="Pi <5> has joined").is_visible()
    assert words[-1] not in page.content(), "the token is shown once"
    page.get_by_role("link", name="Open its page").click()
    page.get_by_text("Its agent is dynolab 0.0.1, this hub is").wait_for()
    assert "pip install --upgrade" in page.get_by_role("region", name="In a terminal on the machine").inner_text()
    page.goto("/devices/")
    assert "agent 0.0.1, older than this hub" in page.get_by_role("region", name="Pi <5> 12").inner_text()
    page.goto("/account/")
    revoke(page, "Pi <5>")  # its own agent's token, by the device's name


def test_lines_that_wait_are_listed_and_revoked(seeded: Any, visit: Visit) -> None:
    page = visit("/add-device")
    for name in ("Rack <1>", "Rack <2>"):
        page.get_by_label("Name of the device").fill(name)
        page.get_by_role("button", name="Create the line").click()
        page.get_by_role("heading", name="Waiting for the machine").wait_for()
    waiting = page.get_by_role("region", name="Lines that wait for their machines")
    gone = waiting.get_by_role("row").filter(has_text="Rack <1>")
    gone.get_by_role("button").click()
    page.get_by_role("status").filter(has_text="“Rack <1>” is revoked").wait_for()
    assert gone.count() == 0
    assert waiting.get_by_role("row").filter(has_text="Rack <2>").count() == 1
    names = [one["name"] for one in seeded.api("GET", "join-tokens")["join_tokens"]]
    assert "Rack <2>" in names
    assert "Rack <1>" not in names


def test_python_begins_with_a_device_of_this_hub(seeded: Any, visit: Visit) -> None:
    page = visit("/account/")
    for name, module in (("Then in Python, after: pip install qai-hub", "qai_hub"), ("Then in Python", "dynolab")):
        lines = page.get_by_role("region", name=name, exact=True).inner_text()
        compile(lines, name, "exec")
        assert lines.startswith(f"import {module} as hub\n")
        assert 'hub.Device("Bench Phone")' in lines


def test_whoever_revokes_the_sessions_own_token_is_signed_out(seeded: Any, visit: Visit) -> None:
    secret = make_token(visit("/account/"), "user", "for one browser")
    page = visit("/account/", token=secret)
    row = tokens(page).filter(has_text="for one browser")
    assert re.search("used by this browser", row.inner_text())
    revoke(page, "for one browser")
    page.wait_for_url(re.compile("/sign-in[?]next="))


def test_a_password_is_set_signs_in_is_changed_and_removed(seeded: Any, visit: Visit) -> None:
    page = visit("/account/", token=seeded.account("ana@example.org"))

    def fill(**fields: str) -> None:
        for label, value in fields.items():
            page.get_by_label(label.replace("_", " "), exact=True).first.fill(value)

    fill(New_password="correct horse ", Repeat_new_password="another one")
    page.get_by_role("button", name="Set password").click()
    assert "not the same" in page.get_by_role("alert").inner_text()
    page.goto("/account/")
    fill(New_password="correct horse ", Repeat_new_password="correct horse ")
    page.get_by_role("button", name="Set password").click()
    page.get_by_text("The password is changed.").wait_for()

    other = visit("/account/", signed_in=False)

    def sign_in(password: str) -> None:
        if not other.get_by_label("Password", exact=True).is_visible():
            other.get_by_text("By e-mail address and password").click()
        other.get_by_label("E-mail address").fill("ana@example.org")
        other.get_by_label("Password", exact=True).fill(password)
        other.get_by_role("button", name="Sign in with password").click()

    sign_in("correct horse")
    assert "password is wrong" in other.get_by_role("alert").inner_text()
    sign_in("correct horse ")
    other.get_by_role("heading", name="Account and tokens").wait_for()
    assert other.get_by_text("ana@example.org").first.is_visible()
    fill(Current_password="wrong", New_password="battery staple", Repeat_new_password="battery staple")
    page.get_by_role("button", name="Set password").click()
    assert "current password is wrong" in page.get_by_role("alert").inner_text()
    page.goto("/account/")
    page.get_by_text("Remove password").first.click()
    page.get_by_label("Current password").last.fill("correct horse ")
    page.get_by_role("button", name="Remove password").click()
    page.get_by_text("No password is set").wait_for()


def test_the_link_that_the_hub_prints_signs_in_once(seeded: Any, visit: Visit) -> None:
    printed = next(line for line in seeded.hub.lines if "/welcome/" in line)
    link = re.search(r"open (\S+)", printed)
    assert link is not None
    page = visit(link[1], signed_in=False)
    page.wait_for_url("**/jobs/")
    page.goto("/account/")
    assert page.get_by_text("admin@localhost").first.is_visible()
    assert "link printed by the hub" in browsers(page).inner_text()
    page.goto(link[1])
    page.wait_for_url("**/jobs/")  # who is signed in already goes on
    late = visit(link[1], signed_in=False)
    assert "it works once" in late.get_by_role("alert").inner_text()
    late.get_by_label("API token").fill(seeded.hub.token)
    late.get_by_role("button", name="Sign in").click()
    late.wait_for_url("**/jobs/")


def browsers(page: Any) -> Any:
    """The table of the browsers that are signed in."""
    return page.get_by_role("region", name="Signed-in browsers").get_by_role("table")


def test_browsers_that_are_signed_in_are_seen_and_signed_out(seeded: Any, visit: Visit) -> None:
    token = seeded.account("rooms@example.org")
    page, phone, lost = visit("/account/", token=token), visit("/jobs/", token=token), visit("/jobs/", token=token)
    page.reload()
    rows = browsers(page).get_by_role("row")
    assert rows.count() == 4  # with the heading
    mine = rows.filter(has_text="this browser")
    assert "token" in mine.inner_text()
    assert "made with the account" in mine.inner_text()
    rows.last.get_by_role("button", name="Sign out").click()
    browsers(page).get_by_role("row").nth(3).wait_for(state="detached")
    page.get_by_role("button", name="Sign out all others").click()
    browsers(page).get_by_role("row").nth(2).wait_for(state="detached")
    for other in (phone, lost):
        other.evaluate("setTimeout(() => location.reload())")  # unless it has just left by itself
        other.get_by_role("heading", level=1, name="Sign in", exact=True).wait_for()
    assert page.get_by_role("button", name="Sign out all others").count() == 0
    browsers(page).get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/sign-in"))


def test_tokens_of_others_and_forms_of_other_sites_are_refused(seeded: Any) -> None:
    origin = {"Origin": seeded.url, "Sec-Fetch-Site": "same-origin"}
    theirs = seeded.account("victim@example.org")
    token_id = httpx.get(
        f"{seeded.url}/api/hub/v1/tokens", headers={"Authorization": f"Bearer {theirs}"}, timeout=30
    ).json()
    with httpx.Client(base_url=seeded.url, timeout=30) as browser:
        browser.post("/sign-in", data={"token": seeded.hub.token}, headers=origin)
        path = f"/account/tokens/{token_id['tokens'][0]['id']}/revoke"
        assert browser.post(path, headers=origin).status_code == 404
        for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            assert browser.post("/account/tokens", data={"kind": "user"}, headers=foreign).status_code == 403
            assert browser.post("/account/password", data={"password": "x" * 9}, headers=foreign).status_code == 403
        assert browser.post("/account/tokens", data={"kind": "root"}, headers=origin).status_code == 422
    assert me(seeded, theirs) == 200


def test_on_a_phone_everything_of_a_token_is_seen_without_scrolling_sideways(seeded: Any, visit: Visit) -> None:
    page = visit("/account/", viewport={"width": 390, "height": 844})
    make_token(page, "user", "on a phone")
    page.goto("/account/")
    row = tokens(page).filter(has_text="on a phone")
    for part in (row.get_by_role("time").first, row.get_by_text("Revoke", exact=False).first):
        box = part.bounding_box()
        assert box["x"] + box["width"] <= 390
    for name in ("Tokens", "Signed-in browsers"):
        region = page.locator(".scroll").and_(page.get_by_role("region", name=name, exact=True))
        # each is rounded to a whole pixel
        assert region.evaluate("one => one.scrollWidth - one.clientWidth") <= 1, name
    revoke(page, "on a phone")
