"""Every route of the hub, asked by everybody: the table says who gets in, and a route without a row fails."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import escape
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.hub.aihub import datasets, devices, jobs, models, sharing, users
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.api import agents, files, metrics
from dynolab.hub.api.application import create_api
from dynolab.hub.pages.application import create_pages
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

from .test_api import User
from .test_pools import Person, introduce

ENVIRONMENT = {"DYNOLAB_METRICS_TOKEN": "a-token-that-nobody-here-has"}
ROLES = ("anonymous", "owner", "other", "agent", "other agent", "revoked", "revoked agent")
MARK = "private-" + secrets.token_hex(4)
"""Is in the names of all that the owner has: nobody else ever reads it."""

EVERYBODY = set(ROLES)
USERS = {"owner", "other"}
"""Each for itself: whoever is no user is refused, and what is the owner's is told to nobody else."""
OWNER = {"owner"}
"""About a thing of the owner's: there is none for anybody else."""
ADMINS: set[str] = set()
"""None of these runs the hub (tests/integration/test_audit.py, test_people.py)."""
AGENTS = {"agent", "other agent"}
RUNS_HUB: set[str] = set()
"""For whoever runs the hub (tests/integration/test_project_routes.py)."""
CLAIMANT = {"agent"}
"""About an attempt, of which only the token that claimed it is heard."""
NOBODY: set[str] = set()
"""No account's token opens it (tests/integration/test_metrics.py)."""
HOLDER = EVERYBODY
"""Whoever has the address, which ends with its maker's access (tests/integration/test_pools.py)."""

# fmt: off
TABLE: dict[str, set[str]] = {
    # pages: of the hub itself
    "GET /": EVERYBODY, "GET /definitions": EVERYBODY, "GET /sign-in": EVERYBODY, "POST /sign-in": EVERYBODY,
    "GET /sign-in/oidc": EVERYBODY, "GET /sign-in/oidc/callback": EVERYBODY, "GET /sign-out/oidc": EVERYBODY, "POST /sign-out/oidc/back-channel": EVERYBODY,  # there is a provider, or not
    "GET /welcome/{invitation}": EVERYBODY, "POST /sign-out": EVERYBODY, "POST /language": EVERYBODY,
    "GET /metrics": NOBODY,
    "GET /assets/{digest}/{name}": EVERYBODY, "GET /graph/viewer/{name}": EVERYBODY,
    "GET /wheels/{name}": EVERYBODY,
    "GET /devices": EVERYBODY, "GET /account": EVERYBODY,  # on to the page with a slash
    # pages: lists and forms
    "GET /compare/outputs": USERS, "GET /compare/outputs/json": USERS, "POST /jobs/selected/compare-outputs": USERS,
    "GET /jobs/": USERS, "GET /compare": USERS, "GET /compare/layers": USERS, "GET /compare/report/{format}": USERS,
    "GET /trends": USERS, "GET /submit": USERS, "POST /submit": USERS, "GET /submit/check": USERS, "GET /submit/jobs": USERS,
    "POST /submit/uploads/{what}": USERS, "GET /models/": USERS, "GET /datasets/": USERS, "GET /devices/": USERS,
    "GET /account/": USERS, "GET /add-device": USERS, "POST /add-device": USERS, "POST /add-device/revoke": USERS, "POST /account/tokens": USERS, "POST /account/sessions/end-others": USERS,
    "POST /account/password": USERS, "POST /devices/trust": USERS,
    "POST /jobs/selected/compare": USERS, "GET /jobs/selected/delete": USERS, "POST /jobs/selected/rerun": USERS,
    "POST /jobs/selected/cancel": USERS, "POST /jobs/selected/delete": USERS,
    # pages: of one thing
    "POST /submit/uploads/{what}/{id}/complete": OWNER, "POST /submit/uploads/{what}/{id}/give-up": OWNER,
    "GET /jobs/{id}/": OWNER, "GET /jobs/{id}/rename": OWNER, "GET /jobs/{id}/share": OWNER, "GET /jobs/{id}/delete": OWNER,
    "POST /jobs/{id}/rerun": OWNER, "POST /jobs/{id}/cancel": OWNER, "POST /jobs/{id}/delete": OWNER,
    "POST /jobs/{id}/rename": OWNER, "POST /jobs/{id}/share": OWNER, "GET /jobs/{id}/live-log": OWNER,
    "GET /jobs/{id}/live": OWNER, "GET /jobs/{id}/layers": OWNER, "GET /jobs/{id}/report/{format}": OWNER,
    "GET /jobs/{id}/artifact": OWNER, "GET /jobs/{id}/comparison": OWNER, "GET /jobs/{id}/compiled": OWNER, "GET /jobs/{id}/quantized": OWNER, "GET /jobs/{id}/linked": OWNER, "GET /jobs/{id}/log": OWNER,
    "GET /models/{id}/": OWNER, "GET /models/{id}/download": OWNER, "GET /models/{id}/graph": OWNER,
    "POST /models/{id}/rename": OWNER, "POST /models/{id}/share": OWNER, "POST /models/{id}/delete": OWNER,
    "GET /datasets/{id}/": OWNER, "GET /datasets/{id}/download": OWNER,
    "POST /datasets/{id}/rename": OWNER, "POST /datasets/{id}/share": OWNER, "POST /datasets/{id}/delete": OWNER,
    "GET /devices/{id:path}": OWNER, "POST /devices/pools/{id}/grant": OWNER, "POST /devices/pools/{id}/remove": OWNER,
    "POST /devices/boards/{id:path}/quarantine": OWNER, "POST /devices/boards/{id:path}/release": OWNER,
    "POST /devices/pools/{id}/open": OWNER, "POST /account/tokens/{id}/revoke": OWNER, "POST /account/sessions/{id}/end": OWNER,
    "GET /graph/file/{token}/{name}": HOLDER,
    # the JSON API
    "GET /api/hub/v1/openapi.json": EVERYBODY, "GET /api/hub/v1/docs": EVERYBODY,
    "GET /api/hub/v1/me": USERS, "PUT /api/hub/v1/account/password": USERS,
    "GET /api/hub/v1/tokens": USERS, "POST /api/hub/v1/tokens": USERS, "DELETE /api/hub/v1/tokens/{id}": OWNER,
    "POST /api/hub/v1/tokens/own/rotate": USERS, "POST /api/hub/v1/tokens/{id}/rotate": OWNER, "POST /account/tokens/{id}/rotate": OWNER,
    "GET /api/hub/v1/sessions": USERS, "DELETE /api/hub/v1/sessions/{id}": OWNER,
    "GET /api/hub/v1/account/events": USERS, "GET /api/hub/v1/audit": ADMINS, "GET /api/hub/v1/audit/export": ADMINS, "GET /audit": ADMINS, "GET /audit/export/{format}": ADMINS,
    "GET /api/hub/v1/accounts": ADMINS, "POST /api/hub/v1/accounts": ADMINS, "GET /api/hub/v1/accounts/{email}": ADMINS, "PATCH /api/hub/v1/accounts/{email}": ADMINS,
    "POST /api/hub/v1/accounts/{email}/close": ADMINS, "POST /api/hub/v1/accounts/{email}/open": ADMINS,
    "GET /people/": ADMINS, **{f"POST /people/{act}": ADMINS for act in ("", "close", "open", "admin")},
    "GET /api/hub/v1/join-tokens": USERS, "POST /api/hub/v1/join-tokens": USERS, "DELETE /api/hub/v1/join-tokens/{id}": OWNER, "GET /api/hub/v1/join-tokens/{id}": OWNER,
    "GET /api/hub/v1/devices": USERS, "GET /api/hub/v1/devices/{id}": OWNER, "GET /api/hub/v1/frameworks": USERS,
    "GET /api/hub/v1/boards": USERS, "PUT /api/hub/v1/devices/{id}/health": OWNER, "GET /api/hub/v1/devices/{id}/probes": OWNER,
    "GET /api/hub/v1/pools": USERS, "PATCH /api/hub/v1/pools/{id}": OWNER,
    "GET /api/hub/v1/trusted": USERS, "POST /api/hub/v1/trusted": USERS, "DELETE /api/hub/v1/trusted/{owner}": OWNER,
    "GET /api/hub/v1/organisations": USERS, "POST /api/hub/v1/organisations": RUNS_HUB, "GET /api/hub/v1/projects": USERS,
    **{
        f"{verb} /api/hub/v1/{place}{rest}": OWNER
        for place in ("organisations/{organisation}", "projects/{project}")
        for verb, rest in (
            ("GET", ""), ("DELETE", ""), ("PUT", "/members/{email}"), ("DELETE", "/members/{email}"), ("POST", "/invites"),
            ("GET", "/invites"), ("DELETE", "/invites/{invite}"),
        )
    },
    "POST /api/hub/v1/organisations/{organisation}/projects": OWNER,
    "GET /api/hub/v1/projects/{project}/usage": OWNER, "PUT /api/hub/v1/projects/{project}/retention": OWNER,
    "GET /api/hub/v1/account/usage": USERS, "PUT /api/hub/v1/account/retention": USERS,
    "GET /organisations/": USERS, "POST /organisations/": RUNS_HUB, "GET /organisations/{organisation}/": OWNER, "GET /projects/{project}/": OWNER,
    **{f"POST /organisations/{{organisation}}/{act}": OWNER for act in ("projects", "members", "invite", "withdraw", "delete")},
    **{f"POST /projects/{{project}}/{act}": OWNER for act in ("members", "invite", "withdraw", "retention", "delete")},
    "POST /choose-project": USERS, "GET /join/{invitation}": USERS, "POST /join/{invitation}": USERS, "POST /account/retention": USERS,
    "POST /jobs/{id}/pin": OWNER, "POST /devices/pools/{id}/organisation": OWNER,
    **{f"{verb} /api/hub/v1/{kind}": USERS for kind in ("models", "datasets", "jobs") for verb in ("GET", "POST")},
    **{
        f"{verb} /api/hub/v1/{kind}/{{id}}{rest}": OWNER
        for kind in ("models", "datasets", "jobs")
        for verb, rest in (
            ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/sharing"), ("PATCH", "/sharing"), ("DELETE", "/sharing"),
        )
    },
    **{
        f"{verb} /api/hub/v1/{kind}/{{id}}/{rest}": OWNER
        for kind in ("models", "datasets")
        for verb, rest in (
            ("POST", "uploads"), ("POST", "uploads/{upload_id}/addresses"), ("POST", "uploads/{upload_id}/complete"), ("GET", "download"),
        )
    },
    "POST /api/hub/v1/jobs/{id}/cancel": OWNER, "POST /api/hub/v1/jobs/{id}/rerun": OWNER,
    "GET /api/hub/v1/jobs/{id}/profile": OWNER, "GET /api/hub/v1/jobs/{id}/comparison": OWNER, "GET /api/hub/v1/jobs/{id}/compiled": OWNER, "GET /api/hub/v1/jobs/{id}/quantized": OWNER, "GET /api/hub/v1/jobs/{id}/linked": OWNER, "GET /api/hub/v1/jobs/{id}/log": OWNER,
    "GET /api/hub/v1/jobs/{id}/compared-outputs": OWNER, "GET /api/hub/v1/jobs/{id}/artifact": OWNER, "GET /api/hub/v1/jobs/{id}/events": OWNER,
    # AI Hub's protocol
    "GET /api/v1/devices/": USERS, "GET /api/v1/frameworks/": USERS, "GET /api/v1/users/auth/user/": USERS,
    "POST /api/v1/users/auth/login/": EVERYBODY,
    **{f"{verb} /api/v1/{place}{kind}/": USERS
       for kind in ("models", "datasets", "jobs") for place in ("", "projects/{project}/") for verb in ("GET", "POST")
       if (verb, place, kind) != ("GET", "projects/{project}/", "datasets")},
    "GET /api/v1/job_summaries/": USERS, "GET /api/v1/projects/{project}/job_summaries/": USERS,
    "GET /api/v1/models/{id}/": OWNER, "GET /api/v1/models/{id}/multipart_upload/": OWNER,
    "POST /api/v1/models/{id}/multipart_upload/": OWNER, "GET /api/v1/models/{id}/download/": OWNER,
    "GET /api/v1/datasets/{id}/": OWNER, "PATCH /api/v1/datasets/{id}/": OWNER, "GET /api/v1/datasets/{id}/upload_url/": OWNER,
    "GET /api/v1/datasets/{id}/download_data/": OWNER,
    "GET /api/v1/jobs/{id}/": OWNER, "PATCH /api/v1/jobs/{id}/": OWNER, "GET /api/v1/jobs/{id}/result/": OWNER,
    "GET /api/v1/jobs/{id}/device_runs/{run}/artifact_list/{type}/": OWNER,
    **{f"{verb} /api/v1/{{kind}}/{{id}}/shared_access/": OWNER for verb in ("GET", "PATCH", "DELETE")},
    # agents
    "POST /api/agent/v1/claim": AGENTS, "POST /api/agent/v1/rotate": AGENTS, "POST /api/agent/v1/probes": AGENTS, "POST /api/agent/v1/attempts/{attempt}/renew": CLAIMANT,
    "GET /api/agent/v1/hub": EVERYBODY, "GET /api/agent/v1/me": AGENTS,
    "POST /api/agent/v1/join": EVERYBODY,  # which tells nothing without a good join token
    "POST /api/agent/v1/attempts/{attempt}/uploads": CLAIMANT, "POST /api/agent/v1/attempts/{attempt}/uploads/addresses": CLAIMANT,
    "POST /api/agent/v1/attempts/{attempt}/uploads/complete": CLAIMANT,
    "POST /api/agent/v1/attempts/{attempt}/finish": CLAIMANT, "GET /api/agent/v1/files/{what}/{attempt}": CLAIMANT,
    "PUT /api/agent/v1/files/{what}/{attempt}": CLAIMANT,
    # addresses of files
    "PUT /files/parts/{token}": HOLDER, "POST /files/forms/{token}": HOLDER, "GET /files/blobs/{token}/{name}": HOLDER, "GET /traces/{token}/{name}": HOLDER,
}
# fmt: on


BODIES: dict[str, dict[str, Any]] = {
    "POST /api/agent/v1/attempts/{attempt}/uploads": {"json": {"what": "log", "bytes": 3}},
    "POST /api/agent/v1/attempts/{attempt}/uploads/addresses": {"json": {"upload": "x"}},
    "POST /api/agent/v1/attempts/{attempt}/uploads/complete": {"json": {"upload": "x", "etags": []}},
    "POST /api/hub/v1/organisations": {"json": {"name": "made", "owner": "admin@localhost"}},
    "POST /api/hub/v1/accounts": {"json": {"email": "x@example.org"}},
    "POST /api/hub/v1/organisations/{organisation}/projects": {"json": {"name": "made"}},
    **{
        f"PUT /api/hub/v1/{place}/retention": {"json": {"kept_days": None}}
        for place in ("projects/{project}", "account")
    },
    "POST /organisations/{organisation}/projects": {"data": {"name": "made"}},
    "POST /organisations/": {"data": {"name": "made", "owner": "admin@localhost"}},
    **{
        f"POST /{place}/{act}": {"data": {"email": "admin@localhost", "role": "viewer"}}
        for place in ("organisations/{organisation}", "projects/{project}")
        for act in ("members", "invite")
    },
    **{
        f"POST /{place}/withdraw": {"data": {"invitation": "none"}}
        for place in ("organisations/{organisation}", "projects/{project}")
    },
    "POST /devices/pools/{id}/organisation": {"data": {"organisation": ""}},
    **{
        f"PUT /api/hub/v1/{place}/members/{{email}}": {"json": {"role": "viewer"}}
        for place in ("organisations/{organisation}", "projects/{project}")
    },
    "PUT /api/hub/v1/devices/{id}/health": {"json": {"quarantine": False}},
    "PATCH /api/v1/jobs/{id}/": {"content": pb.JobPublicUpdate(name="new").SerializeToString()},
    "POST /submit/uploads/{what}/{id}/complete": {"json": {"upload": "x", "etags": []}},
    **{f"PATCH /api/hub/v1/{kind}/{{id}}": {"json": {"name": "new"}} for kind in ("jobs", "models", "datasets")},
    **{f"POST /api/hub/v1/{kind}/{{id}}/uploads": {"json": {"size": 3}} for kind in ("models", "datasets")},
    **{
        f"POST /api/hub/v1/{kind}/{{id}}/uploads/{{upload_id}}/complete": {"json": {"etags": []}}
        for kind in ("models", "datasets")
    },
}
"""What is sent where something has to be said, so that who asks is all that can be wrong."""


def routes() -> list[str]:
    """Every verb and path that the hub answers to."""
    mounted = [
        ("", metrics.routes),
        ("", create_pages().routes),
        ("/api/agent/v1", agents.routes),
        ("/files", files.routes),
    ]
    mounted += [("/api/v1", room.routes) for room in (devices, models, datasets, jobs, sharing, users)]
    found = [
        f"{verb} {base}{route.path}"
        for base, there in mounted
        for route in there
        for verb in sorted((route.methods or set()) - {"HEAD"})
    ]
    described = create_api().openapi()["paths"]
    found += [f"{verb.upper()} /api/hub/v1{path}" for path, verbs in described.items() for verb in verbs]
    return sorted({*found, "GET /api/hub/v1/openapi.json", "GET /api/hub/v1/docs"})


@dataclass
class World:
    """What the owner has, and how everybody asks."""

    owner: Person
    people: dict[str, Person]
    http: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def ask(self, role: str, route: str) -> httpx.Response:
        verb, path = route.split(" ")
        headers = {"Sec-Fetch-Site": "same-origin"}
        agent = role.endswith("agent")
        if role in self.people:
            headers["Authorization"] = f"Bearer {self.people[role].agent_token if agent else self.people[role].token}"
        cookies = {} if agent else self.cookies.get(role, {})
        sent: dict[str, Any] = BODIES.get(route, {})
        if (
            not sent
            and verb != "GET"
            and path.startswith(("/api/hub", "/api/agent"))
            and "/agent/v1/files/" not in path
        ):
            sent = {"json": {}}
        elif not sent and verb in ("POST", "PUT", "PATCH"):
            sent = (
                {"data": {"name": "new", "email": "x@example.org", "what": "send"}}
                if "/api" not in path
                else {"content": b""}
            )
        url = self.owner.hub.url + self._path(verb, path)
        with self.http.stream(verb, url, headers=headers, cookies=cookies, **sent) as answer:
            if "text/event-stream" in answer.headers.get("content-type", ""):  # it has no end
                return httpx.Response(answer.status_code)
            answer.read()
            return answer

    def _path(self, verb: str, path: str) -> str:
        kind = next(
            (kind for kind in ("job", "model", "dataset", "token", "session", "pool", "device") if f"/{kind}s" in path),
            "",
        )
        if "/join-tokens/" in path:
            kind = "join"
        of = self.ids["pool"] if "/pools/" in path else self.ids["job" if "{kind}" in path else kind or "job"]
        values = {**self.ids, "id": of, "id:path": of, "kind": "jobs", "what": "model", "format": "json", "run": "0"}
        values |= {
            "type": "1",
            "project": "p" if path.startswith("/api/v1") else self.ids["project"],
            "email": self.ids["member"],
            "owner": "admin@localhost",
            "digest": "x",
            "name": "x",
            "invitation": self.ids.get("invitation", "x"),
            "invite": self.ids["project invite" if "/projects/" in path else "organisation invite"],
        }
        if path.startswith("/submit/uploads/"):
            values["id"] = self.ids["empty"]
        if "/files/" in path and path.endswith("{attempt}"):
            values["what"] = "model" if verb == "GET" else "log"
        values["token"] = self.ids["read"] if "blobs" in path or "graph" in path else self.ids["part"]
        return re.sub(r"\{([^}]+)\}", lambda found: values[found[1]], path)


def made(hub: RunningHub, postgres: OwnDatabase, stack: ExitStack) -> World:
    """A world of its own: an owner with a job that an agent has claimed, a model, a dataset, a pool, a browser."""
    http = stack.enter_context(httpx.Client(timeout=30))
    owner, other, revoked = (introduce(hub, postgres, name, http, stack) for name in ("owner", "other", "revoked"))
    people = {
        "owner": owner,
        "other": other,
        "agent": owner,
        "other agent": other,
        "revoked": revoked,
        "revoked agent": revoked,
    }
    world = World(owner, people, http)
    board = f"{owner.email} {MARK} 1"
    owner.ask(MARK)
    data = owner.post("/datasets", {"name": MARK})["id"]
    owner.upload("datasets", data)
    model = owner.model(MARK)
    empty = owner.post("/models", {"kind": "onnx", "name": MARK})["id"]
    begun = owner.post(f"/models/{empty}/uploads", {"size": 3})
    job = owner.submit(model, MARK, kind="inference", dataset_id=data, name=MARK)["id"]
    given = owner.ask(MARK, wait_s=10)
    assert given is not None
    world.ids = {"job": job, "model": model, "dataset": data, "empty": empty, "attempt": given.attempt, "device": board}
    world.ids |= {"upload_id": begun["upload_id"], "part": begun["urls"][0].rpartition("/")[2]}
    world.ids["read"] = owner.get(f"/models/{model}/download")["url"].split("/blobs/")[1].split("/")[0]
    world.ids["pool"] = owner.pool(MARK, owner.email)["id"]
    world.ids["token"] = owner.post("/tokens", {"label": MARK})["id"]
    world.ids |= dict(zip(("organisation", "project", "member"), organisation_of(owner), strict=True))
    world.ids |= invites_into(owner, world.ids["organisation"], world.ids["project"])
    world.ids["join"] = owner.post("/join-tokens", {"name": MARK})["id"]
    for role in ("owner", "other", "revoked"):
        page = http.post(
            f"{hub.url}/sign-in", data={"token": people[role].token}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        world.cookies[role] = dict(page.cookies)
        assert world.cookies[role], page.text
        http.cookies.clear()
    world.ids["session"] = owner.get("/sessions")["sessions"][0]["id"]
    revoked.revoke_all()
    return world


def invites_into(owner: Person, organisation: str, project: str) -> dict[str, str]:
    """The ids of two new invitations: into the organisation, and into the project."""
    found = {}
    for kind, id in (("organisation", organisation), ("project", project)):
        owner.post(f"/{kind}s/{id}/invites", {"role": "viewer"})
        found[f"{kind} invite"] = owner.get(f"/{kind}s/{id}/invites")["invites"][0]["id"]
    return found


def organisation_of(owner: Person) -> tuple[str, str, str]:
    """The id of a new organisation of the owner's, of a project of it, and the address of somebody who is no member of either."""
    runs = User(owner.hub, owner.hub.token, owner.http)
    made = runs.post("/organisations", {"name": f"team-{secrets.token_hex(4)}", "owner": owner.email})["id"]
    project = owner.post(f"/organisations/{made}/projects", {"name": "vision"})["id"]
    return made, project, "admin@localhost"


@pytest.fixture(scope="module")
def world(hub: RunningHub, postgres: OwnDatabase) -> Iterator[World]:
    with ExitStack() as stack:
        yield made(hub, postgres, stack)


def test_the_table_has_every_route_and_no_other() -> None:
    assert sorted(TABLE) == routes()


def gets_in(answer: httpx.Response) -> bool:
    """Whether it was not refused for who asked: what was asked may still be wrong."""
    if answer.status_code in (301, 302, 303, 307):
        return not answer.headers["location"].startswith("/sign-in")
    return answer.status_code not in (401, 403, 404, 405)


NOT_THERE = {
    "POST /organisations/{organisation}/withdraw", "POST /projects/{project}/withdraw", "POST /add-device/revoke",
    "GET /sign-in/oidc", "GET /sign-in/oidc/callback", "GET /sign-out/oidc", "POST /sign-out/oidc/back-channel",
    "GET /wheels/{name}", "GET /welcome/{invitation}", "GET /assets/{digest}/{name}", "GET /graph/viewer/{name}", "GET /jobs/{id}/layers",
    "GET /jobs/{id}/report/{format}", "GET /jobs/{id}/artifact", "GET /jobs/{id}/log", "GET /api/hub/v1/jobs/{id}/profile",
    "GET /jobs/{id}/compiled", "GET /jobs/{id}/quantized", "GET /jobs/{id}/comparison", "GET /api/hub/v1/jobs/{id}/comparison", "GET /api/hub/v1/jobs/{id}/compiled",
    "GET /api/hub/v1/jobs/{id}/quantized", "GET /jobs/{id}/linked", "GET /api/hub/v1/jobs/{id}/linked",
    "GET /api/hub/v1/jobs/{id}/log", "GET /api/hub/v1/jobs/{id}/artifact", "GET /api/v1/jobs/{id}/result/",
    "DELETE /api/hub/v1/trusted/{owner}", "POST /files/forms/{token}", "POST /api/v1/users/auth/login/", "POST /devices/trust",
    "POST /api/hub/v1/trusted", "POST /devices/pools/{id}/grant", "POST /sign-in", "GET /graph/file/{token}/{name}",
    "PUT /api/hub/v1/account/password", "POST /account/password", "GET /submit/jobs", "POST /submit/uploads/{what}",
    "POST /api/agent/v1/attempts/{attempt}/uploads/complete", "POST /api/agent/v1/attempts/{attempt}/uploads/addresses",
    "GET /join/{invitation}", "POST /join/{invitation}", "POST /organisations/{organisation}/members", "POST /projects/{project}/members", "POST /devices/pools/{id}/organisation",
    "DELETE /api/hub/v1/organisations/{organisation}/members/{email}", "DELETE /api/hub/v1/projects/{project}/members/{email}",
    "GET /compare/layers", "GET /compare/report/{format}", "GET /compare", "POST /sign-out", "GET /traces/{token}/{name}",
}  # fmt: skip
"""Where the one who may ask gets a refusal as well: there is no such thing yet, or what is asked is not said."""


@pytest.mark.parametrize("route", sorted(TABLE))
def test_nobody_else_gets_in_or_reads_what_is_the_owners(world: World, route: str) -> None:
    for role in ROLES:
        if role in TABLE[route] & {"owner", "agent"} or (route == "POST /sign-out" and role in world.cookies):
            continue
        answer = world.ask(role, route)
        board = world.ids["device"]
        text = answer.text.replace(board, "").replace(escape(board), "")  # what was asked for
        told = role, answer.status_code, text[:300]
        assert answer.status_code < 500, told
        assert gets_in(answer) == (role in TABLE[route]) or (role in TABLE[route] and route in NOT_THERE), told
        if TABLE[route] is not HOLDER and role not in ("owner", "agent"):
            assert MARK not in text, told
            assert world.owner.email not in text, told


ENDS = re.compile(r"^DELETE|/delete|/revoke|/end|/give-up|/cancel|/finish")
"""Takes away what another route is about."""


def test_the_owner_and_who_claimed_get_in(hub: RunningHub, postgres: OwnDatabase) -> None:
    """Else the other test would be met by a route that is there for nobody."""
    with ExitStack() as stack:
        asked = [one for one in sorted(TABLE) if one not in NOT_THERE and TABLE[one] is not EVERYBODY]
        for ends in (False, True):
            here = made(hub, postgres, stack)
            for route in (one for one in asked if bool(ENDS.search(one)) is ends):
                answers = [here.ask(role, route) for role in TABLE[route] & {"owner", "agent"}]
                assert all(gets_in(one) for one in answers), (
                    route,
                    [(one.status_code, one.text[:300]) for one in answers],
                )
                if ends and any(one.status_code < 400 for one in answers):
                    here = made(hub, postgres, stack)  # what others are about is not there any more
