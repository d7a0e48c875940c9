"""Browsers that are signed in: what opens a session, and everything that ends one."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

pytest.importorskip("pgqueuer")

import asyncpg

from dynolab.hub.store.postgres import running
from dynolab.hub.usecases.log_in import LOGINS_MOST
from dynolab.hub.usecases.open_session import SESSIONS_MOST
from dynolab.testing.running_hub import RunningHub, running_hub

from .test_accounts import BEHIND_A_PROXY, GOOD, OTHER, account, api, login

COOKIE = "dynolab_session"
HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub"), "--no-agent", environment=BEHIND_A_PROXY) as found:
        yield found


def in_database(hub: RunningHub, statement: str, *values: Any) -> list[Any]:
    async def asked() -> list[Any]:
        connection = await asyncpg.connect(str(running(hub.data / "postgres")).replace("+asyncpg", ""))
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    return asyncio.run(asked())


class Browser:
    """One that keeps its cookie, as a person's does."""

    opened: ClassVar[list[httpx.Client]] = []

    def __init__(self, hub: RunningHub, **form: str) -> None:
        self.http = httpx.Client(base_url=hub.url, headers=HERE, timeout=30)
        self.opened.append(self.http)
        self.answer = self.http.post("/sign-in", data=form)

    @property
    def cookie(self) -> str:
        return str(self.http.cookies[COOKIE])

    @property
    def signed_in(self) -> bool:
        """Whether the pages open; the cookie is sent even where the browser was told to forget it."""
        return self.http.get("/account/").status_code == 200

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.http.post(path, data=form)


@pytest.fixture(autouse=True)
def browsers_closed() -> Iterator[None]:
    yield
    while Browser.opened:
        Browser.opened.pop().close()


def copied(hub: RunningHub, cookie: str) -> int:
    """What somebody gets who has a copy of the cookie."""
    return httpx.get(f"{hub.url}/account/", cookies={COOKIE: cookie}, timeout=30).status_code


def person(hub: RunningHub, name: str) -> tuple[str, str]:
    """The e-mail address and token of somebody new, who has a password."""
    email = f"{name}@example.org"
    token = account(hub.data, "add", email)
    account(hub.data, "password", email, text=f"{GOOD}\n")
    return email, token


def tokens(hub: RunningHub, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api(hub, token, "GET", "/tokens").json()["tokens"]
    return found


def sessions(hub: RunningHub, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api(hub, token, "GET", "/sessions").json()["sessions"]
    return found


def test_signing_in_makes_no_token_and_signing_out_ends_a_copied_cookie_too(hub: RunningHub) -> None:
    email, token = person(hub, "copied")
    before = tokens(hub, token)
    browser = Browser(hub, email=email, password=GOOD)
    cookie = browser.cookie
    assert browser.signed_in
    assert copied(hub, cookie) == 200
    assert [one["id"] for one in tokens(hub, token)] == [one["id"] for one in before]
    assert [one["way"] for one in sessions(hub, token)] == ["password"]
    browser.post("/sign-out")
    assert copied(hub, cookie) == 303
    assert sessions(hub, token) == []


def test_whoever_signs_in_again_leaves_no_session_behind(hub: RunningHub) -> None:
    email, token = person(hub, "again")
    browser = Browser(hub, token=token)
    first = browser.cookie
    browser.post("/sign-in", email=email, password=GOOD)
    assert browser.signed_in
    assert copied(hub, first) == 303
    assert [one["way"] for one in sessions(hub, token)] == ["password"]


def test_an_old_session_opens_nothing(hub: RunningHub) -> None:
    _, token = person(hub, "old")
    browser = Browser(hub, token=token)
    mine = sessions(hub, token)[0]["id"]
    in_database(hub, "UPDATE session SET expires_at = now() - interval '1 second' WHERE id = $1", mine)
    assert not browser.signed_in
    assert sessions(hub, token) == []


def test_another_password_signs_all_others_out(hub: RunningHub) -> None:
    email, token = person(hub, "changed")
    mine, other, by_token = (
        Browser(hub, email=email, password=GOOD),
        Browser(hub, email=email, password=GOOD),
        Browser(hub, token=token),
    )
    done = mine.post("/account/password", current=GOOD, password=OTHER, again=OTHER)
    assert done.status_code == 303, done.text
    assert (mine.signed_in, other.signed_in, by_token.signed_in) == (True, False, False)
    account(hub.data, "password", email, text=f"{GOOD}\n")
    assert not mine.signed_in, "whoever runs the hub changed it: that may be because it was lost"
    again = Browser(hub, email=email, password=GOOD)
    body = {"password": OTHER, "current": GOOD}
    assert api(hub, token, "PUT", "/account/password", body).status_code == 204
    assert not again.signed_in


def test_a_session_ends_with_the_token_that_opened_it(hub: RunningHub) -> None:
    email, token = person(hub, "revoked")
    by_password, secret = Browser(hub, email=email, password=GOOD), api(hub, token, "POST", "/tokens", {}).json()
    by_token = Browser(hub, token=secret["secret"])
    assert (by_password.signed_in, by_token.signed_in) == (True, True)
    api(hub, token, "DELETE", f"/tokens/{secret['id']}")
    assert (by_password.signed_in, by_token.signed_in) == (True, False)
    assert Browser(hub, token=secret["secret"]).answer.status_code == 401


def test_one_browser_is_signed_out_or_all_others_and_nobody_elses(hub: RunningHub) -> None:
    email, token = person(hub, "many")
    mine, *others = (Browser(hub, email=email, password=GOOD) for _ in range(4))
    _, other_token = person(hub, "bystander")
    bystander = Browser(hub, token=other_token)
    listed = {one["id"] for one in sessions(hub, token)}
    assert len(listed) == 4
    first = in_database(
        hub, "SELECT id FROM session WHERE digest = encode(sha256($1::bytea), 'hex')", others[0].cookie.encode()
    )[0]["id"]
    assert bystander.post(f"/account/sessions/{first}/end").status_code == 404
    assert api(hub, other_token, "DELETE", f"/sessions/{first}").status_code == 404
    assert others[0].signed_in
    assert mine.post(f"/account/sessions/{first}/end").status_code == 303
    assert not others[0].signed_in
    assert mine.post(f"/account/sessions/{first}/end").status_code == 404
    assert mine.post("/account/sessions/end-others").status_code == 303
    assert [one.signed_in for one in (mine, *others, bystander)] == [True, False, False, False, True]
    assert api(hub, token, "DELETE", f"/sessions/{sessions(hub, token)[0]['id']}").status_code == 204
    assert not mine.signed_in


def test_browsers_do_not_pile_up_without_bound(hub: RunningHub) -> None:
    _, token = person(hub, "piling")
    longest = Browser(hub, token=token)
    owner = in_database(hub, "SELECT account_id FROM session ORDER BY created_at DESC LIMIT 1")[0]["account_id"]
    in_database(hub, "UPDATE session SET seen_at = now() - interval '1 hour' WHERE account_id = $1", owner)
    statement = (
        "INSERT INTO session (id, account_id, digest, way, expires_at) "
        "SELECT 'sfill' || n, $1, 'fill' || n, 'token', now() + interval '1 day' FROM generate_series(2, $2) n"
    )
    in_database(hub, statement, owner, SESSIONS_MOST)
    newest = Browser(hub, token=token)
    assert len(sessions(hub, token)) == SESSIONS_MOST
    assert (newest.signed_in, longest.signed_in) == (True, False)


def test_when_a_browser_was_last_seen_is_written_down_now_and_then(hub: RunningHub) -> None:
    _, token = person(hub, "seen")
    browser = Browser(hub, token=token)
    before = sessions(hub, token)[0]["seen_at"]
    assert browser.signed_in
    assert sessions(hub, token)[0]["seen_at"] == before, "a page that is open asks every second"
    mine = sessions(hub, token)[0]["id"]
    in_database(hub, "UPDATE session SET seen_at = now() - interval '6 minutes' WHERE id = $1", mine)
    assert browser.signed_in
    assert sessions(hub, token)[0]["seen_at"] > before


def test_tokens_that_clients_fetch_by_password_do_not_pile_up(hub: RunningHub) -> None:
    email, token = person(hub, "clients")
    keys = [login(hub, email, GOOD).json()["key"] for _ in range(3)]
    assert api(hub, keys[1], "GET", "/me").status_code == 200
    made = [one for one in tokens(hub, token) if one["label"] == "login by password"]
    assert len(made) == 3
    assert [one["used_at"] is not None for one in made] == [False, True, False]
    long_ago = "SET created_at = now() - interval '91 days', used_at = used_at - interval '{}'"
    in_database(
        hub,
        f"UPDATE token {long_ago.format('89 days')} "
        "WHERE by_password AND account_id = (SELECT id FROM account WHERE email = $1)",
        email,
    )
    named = api(hub, token, "POST", "/tokens", {"label": "login by password"}).json()
    in_database(hub, "UPDATE token SET created_at = now() - interval '1 year' WHERE id = $1", named["id"])
    keys.append(login(hub, email, GOOD).json()["key"])
    assert [api(hub, key, "GET", "/me").status_code for key in keys] == [401, 200, 401, 200]
    assert named["id"] in [one["id"] for one in tokens(hub, token)], "one that its owner made stays"
    statement = (
        "INSERT INTO token (id, account_id, kind, digest, label, by_password, created_at) SELECT 'tfill' || n, account_id, "
        "'user', 'fill' || n, label, true, now() - interval '1 hour' FROM token, generate_series(1, $1) n WHERE digest = encode(sha256($2::bytea), 'hex')"
    )
    in_database(hub, statement, LOGINS_MOST - 2, keys[3].encode())
    of_key = "WHERE digest = encode(sha256($1::bytea), 'hex')"
    in_database(hub, f"UPDATE token SET used_at = now() - interval '2 hours' {of_key}", keys[1].encode())
    keys.append(login(hub, email, GOOD).json()["key"])
    assert len([one for one in tokens(hub, token) if one["label"] == "login by password"]) == LOGINS_MOST + 1
    assert [api(hub, key, "GET", "/me").status_code for key in keys[3:]] == [200, 200]
    assert api(hub, keys[1], "GET", "/me").status_code == 401, "of too many the longest unused goes, at once"


def test_where_a_log_keeps_the_output_nothing_in_it_signs_in(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--no-agent") as first:
        text = "".join(first.lines)
        assert first.token not in text
        assert "/welcome/" not in text
        assert f"sign in at {first.url}/sign-in with the API token in {first.ini}" in text
    with running_hub(tmp_path, "--no-agent", "--show-link") as again:
        link = re.search(r"open (\S+/welcome/\S+)", "".join(again.lines))
        assert link is not None
        assert httpx.head(link[1], timeout=30).status_code == 401
        with httpx.Client(base_url=again.url, timeout=30) as browser:
            assert browser.get(link[1]).headers["location"] == "/jobs/"
            assert browser.get("/account/").status_code == 200
            assert browser.get(link[1]).headers["location"] == "/jobs/", "whom it let in is in"
        refused = httpx.get(link[1], timeout=30)
        assert refused.status_code == 401
        assert "it works once" in refused.text
        assert COOKIE not in refused.cookies
        again.command("account", "add", "--admin", "own@example.org")
        again.command("account", "close", "admin@localhost", "--yes")
    with running_hub(tmp_path, "--no-agent") as closed:
        text = "".join(closed.lines)
        assert f"pages: sign in at {closed.url}/sign-in; `dynolab hub account add` lets people in" in text
        assert str(closed.ini) not in text, "its token is good no more"


def test_a_link_is_good_for_a_quarter_of_an_hour(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--no-agent", "--show-link") as hub:
        link = re.search(r"open (\S+/welcome/\S+)", "".join(hub.lines))
        assert link is not None
        left = "SELECT extract(epoch FROM expires_at - now()) AS left_s FROM invitation"
        assert 14 * 60 < float(in_database(hub, left)[0]["left_s"]) <= 15 * 60
        in_database(hub, "UPDATE invitation SET expires_at = now()")
        assert httpx.get(link[1], timeout=30).status_code == 401


def test_on_a_terminal_the_link_is_printed(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(tmp_path), "--port", "0", "--no-agent"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    text = ""
    try:
        while "hub ready" not in text:
            text += os.read(ours, 4096).decode()
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)
    assert re.search(r"open \S+/welcome/\S+", text)
    assert "API token (shown this once): dl_" in text
