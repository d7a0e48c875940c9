"""Accounts, and signing in by password: the operator's command line, the JSON API, the official protocol's login."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

import asyncpg

from dynolab.hub.store.postgres import running
from dynolab.testing.commands import command
from dynolab.testing.running_hub import RunningHub, running_hub

from .official import environment

GOOD, OTHER = "correct horse battery", "staple of the nation"
BEHIND_A_PROXY = {"DYNOLAB_TRUSTED_PROXIES": "127.0.0.1"}
PLACES = (f"198.18.{number // 250}.{number % 250}" for number in range(60_000))
WRONG = "the e-mail address or the password is wrong"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub"), "--no-agent", environment=BEHIND_A_PROXY) as found:
        yield found


def account(data: Path, *arguments: str, text: str = "", code: int = 0) -> str:
    """What ``dynolab hub account`` prints; where it fails, what it says."""
    done = command("hub", "--data", data, "account", *arguments, text=text)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout.strip()


def login(hub: RunningHub, email: object, password: object, place: str = "") -> httpx.Response:
    """From a place of its own, where nothing is named: failures are bounded for each place."""
    asked, headers = {"email": email, "password": password}, {"X-Forwarded-For": place or next(PLACES)}
    return httpx.post(f"{hub.url}/api/v1/users/auth/login/", json=asked, headers=headers, timeout=30)


def api(hub: RunningHub, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, f"{hub.url}/api/hub/v1{path}", headers=headers, json=body, timeout=30)


def test_the_operator_lets_somebody_in_while_the_hub_runs(hub: RunningHub) -> None:
    token = account(hub.data, "add", "ana@example.org", "--name", "Ana")
    assert api(hub, token, "GET", "/me").json()["email"] == "ana@example.org"
    assert "already" in account(hub.data, "add", "ana@example.org", code=2)
    agent = account(hub.data, "token", "ana@example.org", "--agent")
    assert agent.startswith("dla_")
    assert api(hub, agent, "GET", "/me").status_code == 401
    assert "no account 'bo@example.org'" in account(hub.data, "token", "bo@example.org", code=2)
    assert "no e-mail address" in account(hub.data, "add", "nobody", code=2)
    assert "no account" in account(hub.data, "password", "bo@example.org", text=f"{GOOD}\n", code=2)
    assert "8 to 1024" in account(hub.data, "password", "ana@example.org", text="short\n", code=2)
    account(hub.data, "password", "ana@example.org", text=f"{GOOD}\n")
    key = login(hub, "ana@example.org", GOOD).json()["key"]
    assert api(hub, key, "GET", "/me").json()["name"] == "Ana"


def test_a_hub_that_does_not_run_is_changed_too_and_where_none_was_is_said_so(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", "--no-agent") as found:
        assert found.end() == 0
    token = account(found.data, "add", "late@example.org")
    assert "no hub's database" in account(tmp_path / "none", "add", "late@example.org", code=2)
    with running_hub(found.data, "--no-agent") as again:
        assert api(again, token, "GET", "/me").json()["email"] == "late@example.org"


def test_ones_own_password_is_set_changed_and_removed(hub: RunningHub) -> None:
    token = account(hub.data, "add", "own@example.org")
    assert login(hub, "own@example.org", GOOD).status_code == 400, "there is none"
    assert api(hub, token, "PUT", "/account/password", {"password": GOOD}).status_code == 204
    assert login(hub, "own@example.org", GOOD).status_code == 200
    for current in (None, OTHER):  # who finds a token cannot change it
        refused = api(hub, token, "PUT", "/account/password", {"password": OTHER, "current": current})
        assert (refused.status_code, refused.json()["code"]) == (403, "Forbidden")
    assert api(hub, token, "PUT", "/account/password", {"password": OTHER, "current": GOOD}).status_code == 204
    assert login(hub, "own@example.org", GOOD).status_code == 400
    assert login(hub, "own@example.org", OTHER).status_code == 200
    assert api(hub, token, "PUT", "/account/password", {"password": None, "current": OTHER}).status_code == 204
    assert login(hub, "own@example.org", OTHER).status_code == 400
    for wrong in ("short", "x" * 1025, 12345678):
        assert api(hub, token, "PUT", "/account/password", {"password": wrong}).status_code == 422


def test_a_wrong_password_and_nobodys_address_are_answered_alike(hub: RunningHub) -> None:
    account(hub.data, "add", "known@example.org")
    account(hub.data, "password", "known@example.org", text=f"{GOOD}\n")
    answers = [
        login(hub, email, password)
        for email, password in (
            ("known@example.org", "wrong" * 3),
            ("known@example.org", ""),
            ("known@example.org", GOOD + " "),
            ("known@example.org", GOOD.upper()),
            ("unknown@example.org", GOOD),
            ("unknown\x00@example.org", GOOD),
            ("u" * 100_000, "p" * 100_000),
        )
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(400, answers[0].text)}
    assert WRONG in answers[0].json()["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"email": 1, "password": "x"}', b"\xff", b'"\\ud800"', b"[" * 100_000]
)
def test_a_login_that_cannot_be_read_says_so(hub: RunningHub, body: bytes) -> None:
    answer = httpx.post(f"{hub.url}/api/v1/users/auth/login/", content=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_guessing_becomes_slow_for_that_address_alone(hub: RunningHub) -> None:
    for email in ("guessed@example.org", "spared@example.org"):
        account(hub.data, "add", email)
        account(hub.data, "password", email, text=f"{GOOD}\n")
    for email, place in (("guessed@example.org", "192.0.2.1"), ("nobody@example.org", "192.0.2.2")):
        statuses = []
        while 429 not in statuses:
            statuses.append(login(hub, email, "a wrong one", place).status_code)
            assert len(statuses) < 20
        assert statuses[:5] == [400] * 5
        refused = login(hub, email, GOOD, place)
        assert refused.status_code == 429, "nor is the right one looked at"
        assert int(refused.headers["retry-after"]) >= 1
    assert login(hub, "spared@example.org", GOOD, "192.0.2.1").status_code == 200


@pytest.mark.slow
def test_the_official_command_line_signs_in_by_password(hub: RunningHub, tmp_path: Path) -> None:
    account(hub.data, "add", "cli@example.org")
    account(hub.data, "password", "cli@example.org", text=f"{GOOD}\n")
    program = environment("0.56.0").with_name("qai-hub")
    where = ["--api_url", hub.url, "--web_url", hub.url, "--email", "cli@example.org"]
    surroundings = {**os.environ, "HOME": str(tmp_path), "no_proxy": "127.0.0.1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], env=surroundings, capture_output=True, text=True, check=False)

    wrong = run("configure", *where, "--password", OTHER)
    assert wrong.returncode != 0
    assert "Wrong Username / Password" in wrong.stderr, "the client's own words for 400"
    done = run("configure", *where, "--password", GOOD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dl_" in (tmp_path / ".qai_hub" / "client.ini").read_text()
    listed = run("list-frameworks", "--json")
    assert listed.returncode == 0, listed.stdout + listed.stderr


def test_what_is_kept_of_a_password_is_a_hash(hub: RunningHub) -> None:
    account(hub.data, "add", "hash@example.org")
    account(hub.data, "password", "hash@example.org", text=f"{GOOD}\n")

    async def kept() -> str:
        dsn = str(running(hub.data / "postgres")).replace("+asyncpg", "")
        connection = await asyncpg.connect(dsn)
        found = await connection.fetchval("SELECT password_hash FROM account WHERE email = 'hash@example.org'")
        await connection.close()
        return str(found)

    found = asyncio.run(kept())
    assert found.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert GOOD not in json.dumps(found)


def test_an_address_is_known_however_it_is_capitalised(hub: RunningHub) -> None:
    account(hub.data, "add", "Cap@Example.org")
    account(hub.data, "password", "cap@example.ORG", text=f"{GOOD}\n")
    assert "key" in login(hub, "CAP@example.org", GOOD).json()
    assert "already" in account(hub.data, "add", "cap@example.org", code=2)


def test_guesses_in_other_capitals_count_together(hub: RunningHub) -> None:
    account(hub.data, "add", "slow@example.org")
    account(hub.data, "password", "slow@example.org", text=f"{GOOD}\n")
    spellings = ["".join(letters) for letters in product("sS", "lL", "oO", "wW")]
    answered = [login(hub, f"{one}@example.org", "wrong").status_code for one in spellings]
    assert answered[0] == 400
    assert 429 in answered, "each pause is twice the one before: a slow machine runs into one of them, too"


def test_whoever_leaves_gets_in_nowhere_any_more(hub: RunningHub) -> None:
    token = account(hub.data, "add", "gone@example.org")
    account(hub.data, "password", "gone@example.org", text=f"{GOOD}\n")
    assert api(hub, token, "GET", "/me").status_code == 200
    assert "only one who runs the hub" in account(hub.data, "close", "admin@localhost", "--yes", code=2)
    assert "dynolab hub account list" in account(hub.data, "close", "nobody@example.org", "--yes", code=2)
    account(hub.data, "close", "Gone@example.org", "--yes")
    assert api(hub, token, "GET", "/me").status_code == 401
    assert WRONG in login(hub, "gone@example.org", GOOD).text
    listed = next(line for line in account(hub.data, "list").splitlines() if line.startswith("gone@example.org "))
    assert re.search(r"CLOSED since \S+ \S+ UTC, 0 tokens, no password", listed)


def test_a_closed_account_stays_closed_until_it_is_opened_again(hub: RunningHub, tmp_path: Path) -> None:
    token = account(hub.data, "add", "back@example.org")
    agent = tmp_path / "agent.token"
    agent.write_text(account(hub.data, "token", "back@example.org", "--agent"), encoding="utf-8")
    assert "agents take no more jobs" in closing(hub, "back@example.org")
    refused = api(hub, token, "GET", "/me")
    assert refused.status_code == 401
    assert refused.json()["message"] == "the account back@example.org was closed"
    assert "ask whoever runs this hub" in refused.json()["hint"]
    # a process of its own: its connections end with it
    words = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub.url, "--token-file", str(agent)]
    whole = {**os.environ, "DYNOLAB_STATE": str(tmp_path / "state")}
    served = subprocess.run(words, env=whole, capture_output=True, text=True, timeout=120, check=False)
    assert served.returncode == 2
    assert "the account back@example.org was closed" in served.stderr
    for given in (["add", "back@example.org"], ["token", "back@example.org"], ["password", "back@example.org"]):
        told = account(hub.data, *given, text=f"{GOOD}\n", code=2)
        assert "the account back@example.org was closed" in told
        assert "dynolab hub account open back@example.org" in told
    made = command("hub", "--data", hub.data, "organisation", "add", "left", "back@example.org")
    assert (made.returncode, "was closed" in made.stderr) == (2, True)
    closing(hub, "back@example.org")  # once more does no harm
    opened = command("hub", "--data", hub.data, "account", "open", "Back@Example.org")
    assert (opened.returncode, "back@example.org is open again" in opened.stderr) == (0, True), opened.stderr
    assert "is not closed" in account(hub.data, "open", "back@example.org", code=2)
    assert "was revoked at" in api(hub, token, "GET", "/me").text, "what ended stays ended"
    another = account(hub.data, "token", "back@example.org")
    assert api(hub, another, "GET", "/me").status_code == 200
    assert "CLOSED" not in next(line for line in account(hub.data, "list").splitlines() if line.startswith("back@"))


def closing(hub: RunningHub, email: str) -> str:
    done = command("hub", "--data", hub.data, "account", "close", email, "--yes")
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_bound_that_is_not_named_stays(hub: RunningHub) -> None:
    account(hub.data, "add", "bound@example.org")

    def quota(*arguments: str) -> str:
        done = command("hub", "--data", hub.data, "organisation", "quota", "Bound@example.org", *arguments)
        return " ".join((done.stdout if done.returncode == 0 else done.stderr).split())

    assert "jobs at once 0 of 20" in quota("--jobs", "20")
    told = quota("--minutes", "5")
    assert "jobs at once 0 of 20" in told
    assert "device minutes this month 0.0 of 5" in told
    assert "jobs at once 0, no limit" in quota("--jobs", "default")
    assert "neither `default` nor a number" in quota("--jobs", "few")


def test_who_runs_the_hub_is_told_the_projects_that_are_named_alike(hub: RunningHub) -> None:
    account(hub.data, "add", "alike@example.org")

    def told(*arguments: str, code: int = 0) -> str:
        done = command("hub", "--data", hub.data, "organisation", *arguments)
        assert done.returncode == code, done.stderr
        return done.stderr

    told("add", "alike", "alike@example.org")
    names = ["vision", *(f"a{number}" for number in range(11))]
    for name in names:
        told("project", "alike", name)
    said = " ".join(told("quota", "alike.visio", "--jobs", "3", code=2).split())
    assert "there is no project 'alike.visio' hint: projects of alike: alike.vision, " in said
    assert (said.count("alike.a"), said.endswith(", ...")) == (9, True), "ten of twelve"
    assert "alike.vision" in told("member", "alik.vision", "alike@example.org", "viewer", code=2), (
        "of all that there are"
    )


def test_commands_list_and_withdraw_invitations(hub: RunningHub) -> None:
    token = account(hub.data, "add", "invites@example.org")

    def told(*arguments: str, code: int = 0) -> str:
        done = command("hub", "--data", hub.data, "organisation", *arguments)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    told("add", "guests", "invites@example.org")
    told("project", "guests", "vision")
    for place, path in (("guests", "/organisations/guests"), ("guests.vision", "/projects/guests.vision")):
        assert told("invitations", place) == ""
        link = api(hub, token, "POST", f"{path}/invites", {"role": "viewer"}).json()["url"]
        [line] = told("invitations", place).splitlines()
        assert re.fullmatch(r"[0-9a-f]{16}  viewer +made by invites@example.org, ends \S+ \S+ UTC", line)
        assert link.rpartition("/")[2] not in line
        told("invitations", place, "--withdraw", line.split()[0])
        assert told("invitations", place) == ""
        assert "no invitation" in told("invitations", place, "--withdraw", line.split()[0], code=2)
    assert "no organisation 'nowhere'" in told("invitations", "nowhere", code=2)
