"""The audit log: every act leaves a row, by every door; nobody changes one; no secret is in it."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

import asyncpg

from dynolab.hub.store.tables import audit
from dynolab.hub.usecases.audit import VERBS
from dynolab.spec.agents import AGENT_PROTOCOL, Outcome
from dynolab.testing import commands
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

from .test_routes import ADMINS, ENDS, MARK, OWNER, RUNS_HUB, TABLE, USERS, World, invites_into, made

HERE = {"Sec-Fetch-Site": "same-origin"}
ITS_OWN_RECORD = "what it makes or ends is kept with who, when and where, and there are too many"
OF_AGENTS = "attempts and probes are kept with the token and the instant, and there are too many"
NOTHING = "it changes nothing that is kept"
UNWATCHED = {
    **dict.fromkeys((
        "POST /api/hub/v1/models", "POST /api/hub/v1/datasets", "POST /api/hub/v1/jobs", "POST /api/hub/v1/jobs/{id}/cancel",
        "POST /api/hub/v1/jobs/{id}/rerun", "POST /api/hub/v1/models/{id}/uploads", "POST /api/hub/v1/datasets/{id}/uploads",
        "POST /api/hub/v1/models/{id}/uploads/{upload_id}/addresses", "POST /api/hub/v1/datasets/{id}/uploads/{upload_id}/addresses",
        "POST /api/hub/v1/models/{id}/uploads/{upload_id}/complete", "POST /api/hub/v1/datasets/{id}/uploads/{upload_id}/complete",
        "POST /api/v1/models/", "POST /api/v1/datasets/", "POST /api/v1/jobs/", "POST /api/v1/projects/{project}/models/",
        "POST /api/v1/projects/{project}/datasets/", "POST /api/v1/projects/{project}/jobs/", "POST /api/v1/models/{id}/multipart_upload/",
        "PATCH /api/v1/datasets/{id}/", "POST /submit", "POST /submit/uploads/{what}", "POST /submit/uploads/{what}/{id}/complete",
        "POST /submit/uploads/{what}/{id}/give-up", "POST /jobs/{id}/rerun", "POST /jobs/{id}/cancel", "POST /jobs/selected/rerun",
        "POST /jobs/selected/cancel", "PUT /files/parts/{token}", "POST /files/forms/{token}",
    ), ITS_OWN_RECORD),
    **dict.fromkeys((
        "POST /api/agent/v1/claim", "POST /api/agent/v1/attempts/{attempt}/renew", "POST /api/agent/v1/attempts/{attempt}/finish",
        "PUT /api/agent/v1/files/{what}/{attempt}",
        "POST /api/agent/v1/attempts/{attempt}/uploads", "POST /api/agent/v1/attempts/{attempt}/uploads/addresses",
        "POST /api/agent/v1/attempts/{attempt}/uploads/complete",
    ), OF_AGENTS),
    "POST /api/agent/v1/probes": "a change of health that comes of it leaves a row: device.health (tests/integration/test_use_cases_health.py)",
    "POST /sign-out/oidc/back-channel": "this hub has no provider; with one there is a row (tests/integration/test_oidc.py)",
    "POST /choose-project": "what a browser looks at, which it may see anyway",
    "POST /language": NOTHING, "POST /jobs/selected/compare": NOTHING, "POST /jobs/selected/compare-outputs": NOTHING,
}  # fmt: skip
"""Routes that change something, or might, and leave no row; and why."""


ALL = "SELECT * FROM audit ORDER BY id"


def command(hub: RunningHub, *arguments: str, text: str = "") -> str:
    environment = {**hub.environment, "DYNOLAB_DATA": str(hub.data)}
    done = commands.command("hub", *arguments, text=text, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def world(hub: RunningHub, postgres: OwnDatabase) -> Iterator[World]:
    with ExitStack() as stack:
        yield made(hub, postgres, stack)


ADD = re.compile(r"(job|model|dataset)\.(rename|share|pin)|(join-)?token\.make|trust\.add|project\.make|member\.(change|invite)|retention\.change|pool\.change|device\.quarantine")  # fmt: skip
"""What takes nothing from anybody: acts of different verbs stand beside each other in one world."""


@dataclass
class Worlds:
    """Worlds of this module, each with the verbs that were carried out in it."""

    make: Callable[[], World]
    used: list[tuple[World, set[str]]] = field(default_factory=list)

    def for_act(self, route: str, verb: str) -> World | None:
        """One in which nothing was done that the act could meet; None: it needs one of its own, since it may end something."""
        if not ADD.fullmatch(verb) or ENDS.search(route) or route in FIRST or TABLE[route] not in (OWNER, USERS):
            return None
        for world, verbs in self.used:
            if verb not in verbs:
                verbs.add(verb)
                return world
        self.used.append((self.make(), {verb}))
        return self.used[-1][0]


@pytest.fixture(scope="module")
def worlds(hub: RunningHub, postgres: OwnDatabase) -> Iterator[Worlds]:
    with ExitStack() as stack:
        yield Worlds(lambda: made(hub, postgres, stack))


def post(world: World, path: str, body: object = None) -> None:
    send(world, "POST", path, body)


def send(world: World, verb: str, path: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {world.owner.token}"}
    answer = world.http.request(verb, f"{world.owner.hub.url}/api/hub/v1{path}", json=body, headers=headers)
    assert answer.status_code < 300, answer.text


def done(world: World) -> None:
    """The owner's job is over, so that it can be deleted, and what it used."""
    post(world, f"/jobs/{world.ids['job']}/cancel")
    world.owner.door.finish(world.ids["attempt"], Outcome())


def join(world: World) -> dict[str, Any]:
    token = world.owner.post("/join-tokens", {"name": "joins"})["secret"]
    digest = secrets.token_hex(32)
    return {
        "json": {
            "protocol": AGENT_PROTOCOL,
            "join_token": token,
            "token_digest": digest,
            "device_id": digest[:9],
            "name": "x",
        }
    }


def emptied(world: World) -> None:
    """The organisation has no project any more."""
    send(world, "DELETE", f"/projects/{world.ids['project']}")


def joined(world: World) -> None:
    """Somebody is a member of both."""
    for place in ("organisation", "project"):
        send(world, "PUT", f"/{place}s/{world.ids[place]}/members/{world.ids['member']}", {"role": "viewer"})


def invited(world: World) -> None:
    """The owner follows a link to another's organisation."""
    http, hub = world.http, world.owner.hub
    headers = {"Authorization": f"Bearer {hub.token}"}
    base, name = f"{hub.url}/api/hub/v1/organisations", f"t{secrets.token_hex(4)}"
    made = http.post(base, json={"name": name, "owner": "admin@localhost"}, headers=headers).json()
    link = http.post(f"{base}/{made['id']}/invites", json={"role": "viewer"}, headers=headers).json()
    world.ids["invitation"] = link["url"].rpartition("/")[2]


def invites(world: World) -> None:
    """There are invitations into both."""
    world.ids |= invites_into(world.owner, world.ids["organisation"], world.ids["project"])


def withdrawn(place: str) -> Callable[[World], dict[str, Any]]:
    """What withdraws the invitation into the world's organisation or project."""
    return lambda world: {"data": {"invitation": world.ids[f"{place} invite"]}}


def somebody(world: World) -> None:
    """There is an account that nothing needs."""
    world.ids["member"] = email = f"{secrets.token_hex(4)}@example.org"
    as_admin(world, "", {"email": email})


def gone(world: World) -> None:
    """There is one that was closed."""
    somebody(world)
    as_admin(world, f"/{world.ids['member']}/close", {})


def as_admin(world: World, path: str, body: object) -> None:
    hub = world.owner.hub
    headers = {"Authorization": f"Bearer {hub.token}"}
    answer = world.http.post(f"{hub.url}/api/hub/v1/accounts{path}", json=body, headers=headers)
    assert answer.status_code < 300, answer.text


def new_one(_: World) -> dict[str, str]:
    """Whom a form makes an account for."""
    return {"email": f"{secrets.token_hex(4)}@example.org"}


E = "ana@example.org"
SHARE = {"json": {"add": [E]}}
Body = dict[str, Any] | Callable[[World], dict[str, Any]]
ACTS: dict[str, tuple[str, Body]] = {
    "POST /sign-in": ("session.open", lambda world: {"data": {"token": world.owner.token}}),
    "POST /sign-out": ("session.end", {}),
    "POST /account/tokens": ("token.make", {"data": {"kind": "user", "label": "x"}}),
    "POST /account/tokens/{id}/revoke": ("token.revoke", {}),
    "POST /account/tokens/{id}/rotate": ("token.rotate", {}),
    "POST /account/sessions/{id}/end": ("session.end", {}),
    "POST /account/sessions/end-others": ("session.end-others", {}),
    "POST /account/password": ("account.password", {"data": {"password": "a few words", "again": "a few words"}}),
    "POST /add-device": ("join-token.make", {"data": {"name": "x"}}),
    "POST /devices/trust": ("trust.add", {"data": {"owner": "admin@localhost"}}),
    "POST /devices/pools/{id}/grant": ("pool.change", {"data": {"email": E, "what": "send"}}),
    "POST /devices/pools/{id}/remove": ("pool.change", {"data": {"email": E}}),
    "POST /devices/pools/{id}/open": ("pool.change", {"data": {"open": "yes"}}),
    "POST /devices/boards/{id:path}/quarantine": ("device.quarantine", {"data": {"reason": "smells"}}),
    "POST /devices/boards/{id:path}/release": ("device.release", {}),
    **{f"POST /{kind}s/{{id}}/rename": (f"{kind}.rename", {"data": {"name": "n"}}) for kind in ("job", "model", "dataset")},
    **{f"POST /{kind}s/{{id}}/share": (f"{kind}.share", {"data": {"email": E}}) for kind in ("job", "model", "dataset")},
    **{f"POST /{kind}s/{{id}}/delete": (f"{kind}.delete", {}) for kind in ("job", "model", "dataset")},
    "POST /jobs/selected/delete": ("job.delete", lambda world: {"data": {"job": world.ids["job"]}}),
    **{f"PATCH /api/hub/v1/{kind}s/{{id}}": (f"{kind}.rename", {"json": {"name": "n"}}) for kind in ("job", "model", "dataset")},
    **{f"DELETE /api/hub/v1/{kind}s/{{id}}": (f"{kind}.delete", {}) for kind in ("job", "model", "dataset")},
    **{f"PATCH /api/hub/v1/{kind}s/{{id}}/sharing": (f"{kind}.share", SHARE) for kind in ("job", "model", "dataset")},
    **{f"DELETE /api/hub/v1/{kind}s/{{id}}/sharing": (f"{kind}.unshare", {}) for kind in ("job", "model", "dataset")},
    "PUT /api/hub/v1/account/password": ("account.password", {"json": {"password": "a few words"}}),
    "POST /api/hub/v1/tokens": ("token.make", {"json": {}}),
    "DELETE /api/hub/v1/tokens/{id}": ("token.revoke", {}),
    "POST /api/hub/v1/tokens/own/rotate": ("token.rotate", {"json": {}}),
    "POST /api/hub/v1/tokens/{id}/rotate": ("token.rotate", {"json": {}}),
    "DELETE /api/hub/v1/sessions/{id}": ("session.end", {}),
    "POST /api/hub/v1/join-tokens": ("join-token.make", {"json": {}}),
    "POST /add-device/revoke": ("join-token.revoke", lambda world: {"data": {"token": world.ids["join"]}}),
    "DELETE /api/hub/v1/join-tokens/{id}": ("join-token.revoke", {}),
    "PUT /api/hub/v1/devices/{id}/health": ("device.quarantine", {"json": {"quarantine": True}}),
    "PATCH /api/hub/v1/pools/{id}": ("pool.change", {"json": {"let_send": [E]}}),
    "POST /api/hub/v1/trusted": ("trust.add", {"json": {"owner": "admin@localhost"}}),
    "DELETE /api/hub/v1/trusted/{owner}": ("trust.remove", {}),
    "POST /organisations/": ("organisation.make", lambda _: {"data": {"name": f"t{secrets.token_hex(4)}", "owner": "admin@localhost"}}),
    "POST /api/hub/v1/organisations": ("organisation.make", lambda _: {"json": {"name": f"t{secrets.token_hex(4)}", "owner": "admin@localhost"}}),
    "POST /people/": ("account.make", lambda world: {"data": new_one(world)}),
    "POST /api/hub/v1/accounts": ("account.make", lambda world: {"json": new_one(world)}),
    **{f"POST /people/{act}": (f"account.{act}", lambda world: {"data": {"email": world.ids["member"]}}) for act in ("close", "open", "admin")},
    **{f"POST /api/hub/v1/accounts/{{email}}/{act}": (f"account.{act}", {}) for act in ("close", "open")},
    "PATCH /api/hub/v1/accounts/{email}": ("account.admin", {"json": {"is_admin": True}}),
    "POST /organisations/{organisation}/projects": ("project.make", {}),
    "POST /api/hub/v1/organisations/{organisation}/projects": ("project.make", {}),
    "POST /organisations/{organisation}/delete": ("organisation.delete", {}),
    "DELETE /api/hub/v1/organisations/{organisation}": ("organisation.delete", {}),
    "POST /projects/{project}/delete": ("project.delete", {}),
    "DELETE /api/hub/v1/projects/{project}": ("project.delete", {}),
    **{
        f"{verb} /{base}{place}/{{{place[:-1]}}}/{rest}": (word, {})
        for place in ("organisations", "projects")
        for verb, base, rest, word in (
            ("POST", "", "members", "member.change"), ("POST", "", "invite", "member.invite"),
            ("PUT", "api/hub/v1/", "members/{email}", "member.change"),
            ("DELETE", "api/hub/v1/", "members/{email}", "member.change"),
        )
    },
    **{f"POST /api/hub/v1/{place}s/{{{place}}}/invites": ("member.invite", {"json": {"role": "viewer"}}) for place in ("organisation", "project")},
    **{f"DELETE /api/hub/v1/{place}s/{{{place}}}/invites/{{invite}}": ("member.uninvite", {}) for place in ("organisation", "project")},
    **{f"POST /{place}s/{{{place}}}/withdraw": ("member.uninvite", withdrawn(place)) for place in ("organisation", "project")},
    "POST /join/{invitation}": ("member.join", {}),
    "PUT /api/hub/v1/account/retention": ("retention.change", {}),
    "PUT /api/hub/v1/projects/{project}/retention": ("retention.change", {}),
    "POST /account/retention": ("retention.change", {"data": {"days": "30"}}),
    "POST /projects/{project}/retention": ("retention.change", {"data": {"days": "30"}}),
    "POST /jobs/{id}/pin": ("job.pin", {}),
    "POST /devices/pools/{id}/organisation": ("pool.change", {}),
    "PATCH /api/v1/jobs/{id}/": ("job.rename", {}),
    "POST /api/v1/users/auth/login/": ("token.make", lambda world: {"json": {"email": world.owner.email, "password": "a few words"}}),
    "PATCH /api/v1/{kind}/{id}/shared_access/": ("job.share", {}),
    "DELETE /api/v1/{kind}/{id}/shared_access/": ("job.unshare", {}),
    "POST /api/agent/v1/join": ("join-token.use", join),
    "POST /api/agent/v1/rotate": ("token.rotate", lambda _: {"json": {"token_digest": secrets.token_hex(32)}}),
}  # fmt: skip
"""The row that each route leaves, and what is sent so that it does."""
FIRST: dict[str, Callable[[World], None]] = {
    **{route: gone if route.endswith("/open") else somebody for route in ACTS if route.startswith(("POST /people/", "POST /api/hub/v1/accounts/{", "PATCH /api/hub/v1/accounts/"))},
    "DELETE /api/hub/v1/trusted/{owner}": lambda world: post(world, "/trusted", {"owner": "admin@localhost"}),
    "POST /api/v1/users/auth/login/": lambda world: password(world),
    **dict.fromkeys(("POST /organisations/{organisation}/delete", "DELETE /api/hub/v1/organisations/{organisation}"), emptied),
    **{route: joined for route in ACTS if route.startswith("DELETE ") and route.endswith("/members/{email}")},
    "POST /join/{invitation}": lambda world: invited(world),
    **{route: invites for route in ACTS if route.endswith(("/withdraw", "/invites/{invite}"))},
    **{route: done for route in ACTS if re.search(r"job.*delete|DELETE.*jobs/\{id\}$|(model|dataset)s/\{id\}(/delete)?$", route)},
}  # fmt: skip
"""What comes before."""


def password(world: World) -> None:
    answer = world.http.put(
        f"{world.owner.hub.url}/api/hub/v1/account/password",
        json={"password": "a few words"},
        headers={"Authorization": f"Bearer {world.owner.token}"},
    )
    assert answer.status_code == 204, answer.text


def make_admin(postgres: OwnDatabase, email: str) -> None:
    postgres.rows("UPDATE account SET is_admin = true WHERE email = $1", email)


def test_every_route_that_changes_something_leaves_a_row_or_says_why_not() -> None:
    changing = {route for route in TABLE if not route.startswith("GET ")}
    assert set(ACTS) & set(UNWATCHED) == set()
    assert changing - set(ACTS) - set(UNWATCHED) == set(), "note() it in its use case, and add it to ACTS here"
    assert (set(ACTS) | set(UNWATCHED)) - changing == set()


@pytest.mark.parametrize("route", sorted(ACTS))
def test_what_is_done_leaves_a_row_with_who_and_what_with(
    worlds: Worlds, postgres: OwnDatabase, route: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    verb, body = ACTS[route]
    world: World = worlds.for_act(route, verb) or request.getfixturevalue("world")
    if route in FIRST:
        FIRST[route](world)
    sent = body(world) if callable(body) else body
    if route == "PATCH /api/v1/{kind}/{id}/shared_access/":
        from dynolab.hub.aihub.wire import public_api_pb2 as pb

        sent = {"content": pb.SharedAccess(email=[E]).SerializeToString()}
    before = postgres.rows("SELECT coalesce(max(id), 0) AS id FROM audit")[0]["id"]
    if sent:
        from . import test_routes

        monkeypatch.setitem(test_routes.BODIES, route, sent)
    if TABLE[route] is RUNS_HUB or TABLE[route] is ADMINS:
        make_admin(postgres, world.owner.email)
    role = "agent" if "/agent/" in route else "owner"
    answer = world.ask(role, route)
    assert answer.status_code < 400, (answer.status_code, answer.text[:500])
    found = [one for one in postgres.rows("SELECT * FROM audit WHERE id > $1", before) if one["verb"] == verb]
    assert found, [one["verb"] for one in postgres.rows("SELECT * FROM audit WHERE id > $1", before)]
    row = found[0]
    assert row["outcome"] == "ok"
    assert row["address"] == "127.0.0.1"
    assert row["who"] == world.owner.email
    assert row["door"] == next(
        (
            door
            for path, door in (("/api/hub/", "api"), ("/api/v1/", "aihub"), ("/api/agent/", "agent"))
            if path in route
        ),
        "pages",
    )
    public = ("POST /sign-in", "POST /sign-out", "POST /api/v1/users/auth/login/", "POST /api/agent/v1/join")
    assert row["token_id"] or route in public


def test_what_fails_changes_nothing_and_leaves_nothing(world: World, postgres: OwnDatabase) -> None:
    before = len(postgres.rows(ALL))
    for route in ("DELETE /api/hub/v1/models/{id}", "POST /models/{id}/delete"):  # the job that uses it runs
        assert world.ask("owner", route).status_code == 409
        assert world.ask("other", route).status_code == 404
    assert len(postgres.rows(ALL)) == before


# ---- what is refused, and what is downloaded -------------------------------------------------------------------------


def test_tries_to_sign_in_in_vain_are_there(world: World, postgres: OwnDatabase, hub: RunningHub) -> None:
    http, url = world.http, f"{hub.url}/sign-in"
    http.post(url, data={"token": "dl_wrong"}, headers=HERE)
    http.post(url, data={"email": world.owner.email, "password": "wrong"}, headers=HERE)
    http.get(f"{hub.url}/welcome/wrong")
    http.post(f"{hub.url}/api/v1/users/auth/login/", json={"email": "nobody@x.org", "password": "wrong"})
    found = postgres.rows("SELECT verb, who, details FROM audit WHERE outcome = 'refused' ORDER BY id DESC LIMIT 4")
    assert [(one["verb"], one["who"]) for one in reversed(found)] == [
        ("session.open", ""), ("session.open", world.owner.email), ("session.open", ""), ("token.make", "nobody@x.org"),
    ]  # fmt: skip


@pytest.mark.parametrize(("column", "why"), [("expires_at", "expired"), ("revoked_at", "revoked")])
def test_a_token_after_its_end_is_noted_once_in_a_while(
    world: World, postgres: OwnDatabase, column: str, why: str
) -> None:
    token = world.owner.post("/tokens", {"days": 1})
    postgres.rows(f"UPDATE token SET {column} = now() - interval '1 s' WHERE id = $1", token["id"])
    for _ in range(3):
        headers = {"Authorization": f"Bearer {token['secret']}"}
        assert world.http.get(f"{world.owner.hub.url}/api/hub/v1/me", headers=headers).status_code == 401
    found = postgres.rows("SELECT * FROM audit WHERE verb = 'token.use' AND thing = $1", token["id"])
    assert [(one["outcome"], one["who"], one["details"]) for one in found] == [
        ("refused", world.owner.email, {"why": why})
    ]


def test_a_download_by_another_is_there_and_the_owners_own_is_not(world: World, postgres: OwnDatabase) -> None:
    owner, other, model = world.owner, world.people["other"], world.ids["model"]
    world.http.patch(f"{owner.hub.url}/api/hub/v1/models/{model}/sharing", json={"add": [other.email]}, headers={"Authorization": f"Bearer {owner.token}"})  # fmt: skip
    for person in (owner, other):
        assert world.http.get(person.get(f"/models/{model}/download")["url"]).status_code == 200
    found = postgres.rows("SELECT * FROM audit WHERE verb = 'model.download' AND thing = $1", model)
    assert [(one["who"], one["door"], bool(one["token_id"])) for one in found] == [(other.email, "files", True)]


# ---- nobody changes it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE audit SET at = now() - interval '40 days'",
    ],
)
def test_the_database_refuses_changes(world: World, postgres: OwnDatabase, statement: str) -> None:
    before = postgres.rows(ALL)
    assert before
    with pytest.raises(asyncpg.RaiseError, match="the audit log"):
        postgres.rows(statement)
    assert postgres.rows(ALL) == before


def test_what_is_old_may_go(world: World, postgres: OwnDatabase) -> None:
    old = "INSERT INTO audit (at, verb) VALUES (now() - make_interval(days => $1), 'token.make') RETURNING id"
    kept, gone = (postgres.rows(old, days)[0]["id"] for days in (29, 31))
    with pytest.raises(asyncpg.RaiseError):
        postgres.rows("DELETE FROM audit WHERE id = $1", kept)
    assert postgres.rows("DELETE FROM audit WHERE id = $1 RETURNING id", gone)


# ---- who reads it ----------------------------------------------------------------------------------------------------


def admin(hub: RunningHub, http: httpx.Client, path: str, **query: object) -> httpx.Response:
    answer = http.get(f"{hub.url}/api/hub/v1{path}", params=query, headers={"Authorization": f"Bearer {hub.token}"})  # type: ignore[arg-type]  # numbers and texts
    assert answer.status_code == 200, answer.text
    return answer


def test_administrators_filter_page_and_export_it(world: World, hub: RunningHub, postgres: OwnDatabase) -> None:
    http, email = world.http, world.owner.email
    everything = admin(hub, http, "/audit", limit=200).json()
    assert everything["events"][0]["id"] > everything["events"][-1]["id"]
    mine = admin(hub, http, "/audit", who=email, limit=2).json()
    assert {one["who"] for one in mine["events"]} == {email}
    following = admin(hub, http, "/audit", who=email, limit=2, before=mine["next"]).json()
    assert following["events"][0]["id"] < mine["events"][-1]["id"]
    made = admin(hub, http, "/audit", verb="token", thing=world.ids["token"]).json()["events"]
    assert [one["verb"] for one in made] == ["token.make"]
    assert admin(hub, http, "/audit", since="2099-01-01T00:00:00Z").json()["events"] == []
    assert admin(hub, http, "/audit", who=email, until="2001-01-01T00:00:00Z").json()["events"] == []
    lines = admin(hub, http, "/audit/export", who=email).text.splitlines()
    table = list(csv.DictReader(io.StringIO(admin(hub, http, "/audit/export", who=email, format="csv").text)))
    assert [json.loads(one)["id"] for one in lines] == [int(one["id"]) for one in table]
    assert list(table[0]) == ["id", "at", "who", "account_id", "verb", "outcome", "kind", "thing", "door", "address", "token_id", "session_id", "details"]  # fmt: skip
    printed = command(hub, "audit", "--who", email, "--format", "jsonl").splitlines()
    assert [json.loads(one)["id"] for one in printed] == [json.loads(one)["id"] for one in lines]
    newest = command(hub, "audit", "--who", email, "--limit", "2", "--format", "jsonl").splitlines()
    assert [json.loads(one)["id"] for one in newest] == [json.loads(one)["id"] for one in lines[-2:]]
    assert email in command(hub, "audit", "--verb", "session.open", "--since", "2020-01-01")
    assert set(audit.c.keys()) == {*table[0]}


def test_no_formula_comes_out_of_it(world: World, hub: RunningHub) -> None:
    world.http.post(f"{hub.url}/sign-in", data={"email": "=cmd|'/c calc'!A1", "password": "x"}, headers=HERE)
    text = admin(hub, world.http, "/audit/export", format="csv", outcome="refused").text
    assert "'=cmd|" in text


def test_nobody_else_reads_it_but_everybody_their_own_events(world: World, hub: RunningHub) -> None:
    own = world.owner.get("/account/events")["events"]
    assert own
    assert {one["who"] for one in own} <= {world.owner.email, "operator"}
    weak = world.http.post(f"{hub.url}/api/hub/v1/tokens", json={"scopes": ["submit"]}, headers={"Authorization": f"Bearer {hub.token}"}).json()["secret"]  # fmt: skip
    for token in (world.owner.token, weak):
        for path in ("/audit", "/audit/export", "/audit/export?format=csv"):
            answer = world.http.get(f"{hub.url}/api/hub/v1{path}", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, MARK in answer.text) == (403, False)
    for path in ("/audit", "/audit/export/csv"):
        cookie = f"dynolab_session={world.cookies['owner']['dynolab_session']}"
        assert world.http.get(f"{hub.url}{path}", headers={"Cookie": cookie}).status_code == 403


# ---- what whoever runs the hub does, and what is never in it ----------------------------------------------------------


def test_commands_are_there_as_the_operators(hub: RunningHub, postgres: OwnDatabase) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    command(hub, "account", "add", email)
    command(hub, "account", "token", email, "--scope", "read")
    command(hub, "account", "password", email, text="a few words\n")
    found = postgres.rows("SELECT * FROM audit WHERE who = 'operator' ORDER BY id DESC LIMIT 4")
    assert [one["verb"] for one in reversed(found)] == ["account.make", "token.make", "token.make", "account.password"]
    assert {one["door"] for one in found} == {"command"}


def test_no_secret_is_in_the_log_or_in_the_hubs_output(world: World, hub: RunningHub, postgres: OwnDatabase) -> None:
    planted = [f"pl4nted-{secrets.token_hex(6)}" for _ in range(5)]
    http, token = world.http, world.owner.token
    headers = {"Authorization": f"Bearer {token}"}
    http.put(f"{hub.url}/api/hub/v1/account/password", json={"password": planted[0]}, headers=headers)
    http.put(
        f"{hub.url}/api/hub/v1/account/password", json={"password": "y" * 9, "current": planted[1]}, headers=headers
    )
    http.post(f"{hub.url}/sign-in", data={"email": world.owner.email, "password": planted[2]}, headers=HERE)
    http.post(f"{hub.url}/sign-in", data={"token": f"dl_{planted[3]}"}, headers=HERE)
    http.get(f"{hub.url}/welcome/{planted[4]}")
    made = [http.post(f"{hub.url}/api/hub/v1/tokens", json={}, headers=headers).json()]
    made.append(http.post(f"{hub.url}/api/hub/v1/tokens/{made[0]['id']}/rotate", json={}, headers=headers).json())
    joins = world.owner.post("/join-tokens", {"name": "x"})
    session = world.cookies["owner"]["dynolab_session"]
    texts = [str(dict(one)) for one in postgres.rows(ALL)] + hub.lines + [command(hub, "audit", "--format", "csv")]
    for secret in (*planted, token, session, joins["secret"], *(one["secret"] for one in made)):
        assert [text for text in texts if secret in text] == []


def test_all_verbs_are_of_this_list() -> None:
    acted = {verb for verb, _ in ACTS.values()}
    others = {"account.link", "token.use", "model.download", "dataset.download", "artifact.download", "log.download", "device.health", "quota.change", "hub.upgrade", "hub.backup", "hub.restore", "hub.check"}  # fmt: skip
    assert acted | others == set(VERBS)
