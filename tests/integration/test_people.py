"""The people of a hub, for whoever runs it: the list, accounts that are made, closed and opened, and who runs the hub."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest

pytest.importorskip("pgqueuer")


from dynolab.testing.commands import command
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

ADMIN = "admin@localhost"


@dataclass
class Asker:
    """Somebody who asks the JSON API."""

    hub: RunningHub
    http: httpx.Client
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, f"{self.hub.url}/api/hub/v1{path}", headers=headers, json=body)

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.is_success, answer.text
        return answer.json()

    def person(self, name: str = "", **more: Any) -> tuple[str, Asker]:
        """The address of somebody new, and how they ask."""
        email = f"{name or 'somebody'}-{secrets.token_hex(4)}@example.org"
        made = self.post("/accounts", {"email": email, **more})
        return email, Asker(self.hub, self.http, made["secret"])


@pytest.fixture(scope="module")
def admin(hub: RunningHub) -> Iterator[Asker]:
    with httpx.Client(timeout=30) as http:
        yield Asker(hub, http, hub.token)


def at(email: str, act: str = "") -> str:
    return f"/accounts/{quote(email, safe='')}{act}"


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    for one in words:
        assert one in answer.text


def test_an_account_is_made_and_its_token_opens_the_hub(admin: Asker, postgres: OwnDatabase) -> None:
    email = f"Ana-{secrets.token_hex(4)}@Example.org"
    made = admin.post("/accounts", {"email": email, "name": "Ana"})
    assert (made["email"], made["name"], made["is_admin"], made["tokens"]) == (email, "Ana", False, 1)
    person = Asker(admin.hub, admin.http, made["secret"])
    assert person.get("/me")["email"] == email
    refused(admin.ask("POST", "/accounts", {"email": email.lower()}), 409, "already")
    refused(admin.ask("POST", "/accounts", {"email": "nobody"}), 422, "no e-mail address")
    assert admin.get(at(email.upper()))["seen_at"] is not None
    rows = postgres.rows(
        "SELECT verb, who, door FROM audit WHERE thing = $1 OR account_id = $2 ORDER BY id",
        str(made["id"]),
        made["id"],
    )
    assert [(one["verb"], one["who"], one["door"]) for one in rows] == [
        ("account.make", ADMIN, "api"),
        ("token.make", ADMIN, "api"),
    ]
    told = postgres.rows("SELECT details::text AS told FROM audit")
    assert not any(made["secret"] in one["told"] for one in told)


def test_who_does_not_run_the_hub_is_told_nothing(admin: Asker) -> None:
    email, person = admin.person("plain")
    other, _ = admin.person("other")
    for method, path in (
        ("GET", "/accounts"),
        ("GET", at(other)),
        ("GET", at("nobody@example.org")),
        ("POST", at(other, "/close")),
        ("POST", at(other, "/open")),
        ("POST", at(email, "/close")),
    ):
        answer = person.ask(method, path)
        refused(answer, 403, "for those who run the hub")
        assert other not in answer.text
    refused(person.ask("PATCH", at(email), {"is_admin": True}), 403)
    refused(person.ask("POST", "/accounts", {"email": "more@example.org"}), 403)
    weak = admin.post("/tokens", {"scopes": ["submit"]})["secret"]
    refused(Asker(admin.hub, admin.http, weak).ask("GET", "/accounts"), 403, "scope")
    refused(Asker(admin.hub, admin.http, weak).ask("POST", at(other, "/close")), 403, "scope")
    admin.post("/organisations", {"name": f"o-{secrets.token_hex(4)}", "owner": ADMIN})


def test_a_token_that_works_in_one_project_closes_nobody(admin: Asker) -> None:
    named = f"o-{secrets.token_hex(4)}"
    admin.post("/organisations", {"name": named, "owner": ADMIN})
    project = admin.post(f"/organisations/{named}/projects", {"name": "vision"})["id"]
    bound = Asker(admin.hub, admin.http, admin.post("/tokens", {"project": project})["secret"])
    email, _ = admin.person()
    for method, path in (("GET", "/accounts"), ("POST", at(email, "/close"))):
        refused(bound.ask(method, path), 403, "in the project")


def test_closing_ends_all_and_opening_brings_nothing_back(admin: Asker, postgres: OwnDatabase) -> None:
    email, person = admin.person("leaves")
    assert person.ask("PUT", "/account/password", {"password": "correct horse"}).status_code == 204
    assert person.get("/me")["email"] == email
    closed = admin.post(at(email.upper(), "/close"))
    assert (closed["email"], closed["tokens"]) == (email, 1)
    refused(person.ask("GET", "/me"), 401, "was closed")
    told = admin.get(at(email))
    assert (told["closed_at"] is None, told["has_password"], told["tokens"]) == (False, False, 0)
    refused(admin.ask("PATCH", at(email), {"is_admin": True}), 409, "was closed")
    assert admin.post(at(email, "/open"))["closed_at"] is None
    refused(admin.ask("POST", at(email, "/open")), 409, "is not closed")
    refused(person.ask("GET", "/me"), 401)
    refused(admin.ask("POST", at("nobody@example.org", "/close")), 404, "no account 'nobody@example.org'")
    rows = postgres.rows("SELECT verb, who FROM audit WHERE thing = $1 ORDER BY id", str(told["id"]))
    acts = [(one["verb"], one["who"]) for one in rows if one["verb"] in ("account.close", "account.open")]
    assert acts == [("account.close", ADMIN), ("account.open", ADMIN)]


def test_an_organisations_only_owner_is_replaced_first(admin: Asker) -> None:
    email, _ = admin.person("owner")
    admin.post("/organisations", {"name": (named := f"o-{secrets.token_hex(4)}"), "owner": email})
    refused(admin.ask("POST", at(email, "/close")), 409, f"is the only owner of {named}")


def test_running_the_hub_is_given_and_taken_and_holds_at_once(admin: Asker, postgres: OwnDatabase) -> None:
    email, person = admin.person("second")
    refused(person.ask("GET", "/accounts"), 403)
    for _ in range(2):  # said twice, it is done once
        assert admin.ask("PATCH", at(email), {"is_admin": True}).json()["is_admin"]
    assert person.get("/accounts?limit=1")["accounts"]
    refused(person.ask("PATCH", at(email), {"is_admin": False}), 409, "their own right")
    refused(person.ask("POST", at(email, "/close")), 409, "their own account")
    assert not admin.ask("PATCH", at(email), {"is_admin": False}).json()["is_admin"]
    refused(person.ask("GET", "/accounts"), 403)
    rows = postgres.rows("SELECT details FROM audit WHERE verb = 'account.admin' AND details->>'email' = $1", email)
    assert len(rows) == 2


def test_of_two_who_end_each_others_rights_at_once_one_goes_on(admin: Asker) -> None:
    """Whichever way each of them takes, and however often: somebody always runs the hub."""
    for first, second in ((True, True), (True, False), (False, False)):
        email, other = admin.person("pair", is_admin=True)
        ways = [(other, ADMIN, first), (admin, email, second)]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda way: ended(*way), ways))
        assert sorted(one.is_success for one in answers) == [False, True], [one.text for one in answers]
        lost = next(one for one in answers if not one.is_success)
        assert lost.status_code in (401, 403, 409)
        if answers[0].is_success:  # the other one runs it now: the first admin comes back for the next turn
            if first:
                other.post(at(ADMIN, "/open"))
                token = command(
                    "hub", "--data", admin.hub.data, "account", "token", ADMIN, environment=admin.hub.environment
                )
                admin.token = token.stdout.strip()
            assert other.ask("PATCH", at(ADMIN), {"is_admin": True}).is_success
            assert admin.post(at(email, "/close"))["email"] == email


def ended(who: Asker, email: str, closes: bool) -> httpx.Response:
    return who.ask("POST", at(email, "/close")) if closes else who.ask("PATCH", at(email), {"is_admin": False})


def test_a_command_gives_and_ends_the_same(hub: RunningHub, admin: Asker) -> None:
    email, _ = admin.person("by-command")

    def told(*words: str) -> tuple[int, str]:
        done = command("hub", "--data", hub.data, "account", *words, environment=hub.environment)
        return done.returncode, done.stderr + done.stdout

    assert told("admin", email) == (0, f"{email} runs the hub\n")
    assert admin.get(at(email))["is_admin"]
    assert told("admin", email.upper(), "--end") == (0, f"{email} does not run the hub any more\n")
    code, text = told("admin", "nobody@example.org")
    assert (code, "no account 'nobody@example.org'" in text) == (2, True)
    assert "runs the hub" not in next(line for line in told("list")[1].splitlines() if line.startswith(email))


def test_the_list_is_paged_and_searched(admin: Asker, postgres: OwnDatabase) -> None:
    mark = secrets.token_hex(4)
    statement = (
        "INSERT INTO account (email, name, closed_at, created_at)"
        " SELECT 'many-' || n || $1 || '@example.org', 'Person % ' || n, CASE WHEN n % 3 = 0 THEN now() END,"
        " now() - make_interval(secs => n / 4) FROM generate_series(1, 120) AS n"
    )
    postgres.rows(statement, mark)  # four of each instant: the cursor has to tell them apart
    seen: list[str] = []
    before = ""
    while True:
        found = admin.get(f"/accounts?text={mark}&limit=50{before}")
        seen += [one["email"] for one in found["accounts"]]
        if found["next"] is None:
            break
        before = f"&before={found['next']}"
    assert len(seen) == len(set(seen)) == 120
    ordered = "SELECT email FROM account WHERE email LIKE '%' || $1 || '%' ORDER BY created_at DESC, id DESC"
    assert seen == [one["email"] for one in postgres.rows(ordered, mark)]
    assert len(admin.get(f"/accounts?text={mark}&state=closed&limit=200")["accounts"]) == 40
    assert len(admin.get(f"/accounts?text={mark}&state=open&limit=200")["accounts"]) == 80
    assert admin.get(f"/accounts?text={mark}&state=admin")["accounts"] == []
    assert admin.get(f"/accounts?text={quote('person % 1')}&limit=1")["accounts"]
    assert admin.get(f"/accounts?text={quote('person _ 1')}")["accounts"] == [], "a sign stands for itself"
    assert ADMIN in [one["email"] for one in admin.get("/accounts?state=admin&limit=200")["accounts"]]
    refused(admin.ask("GET", "/accounts?before=bm90aGluZw=="), 422, "no place in a list")
    wrong = "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCB4eXo="  # an instant, and no number
    refused(admin.ask("GET", f"/accounts?before={wrong}"), 422, "no place in the list of accounts")
    refused(admin.ask("GET", "/accounts?state=odd"), 422)


def test_how_somebody_signs_in_and_when_they_were_seen_is_told(admin: Asker, postgres: OwnDatabase) -> None:
    email, _ = admin.person("ways")
    told = admin.get(at(email))
    assert (told["has_password"], told["by_provider"], told["tokens"], told["seen_at"]) == (False, False, 1, None)
    postgres.rows(
        "INSERT INTO identity (issuer, subject, account_id, seen_at) VALUES ('https://id.example', $1, $2, '2026-01-02T03:04:05Z')",
        email,
        told["id"],
    )
    told = admin.get(at(email))
    assert (told["by_provider"], told["seen_at"]) == (True, "2026-01-02T03:04:05Z")
