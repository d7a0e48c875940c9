"""Every route about a thing, asked by every role in the project that the thing is in: a route without a row fails."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.hub.usecases.policy import Role
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

from .test_api import User
from .test_pools import Person, introduce
from .test_routes import ENDS, NOT_THERE, OWNER, RUNS_HUB, TABLE, USERS, World, gets_in, invites_into

ROLES = ("stranger", "viewer", "member", "admin", "owner", "hub admin", "bound")
"""None of them made the thing; ``bound``: a token of an admin's that is bound to the project."""
MARK = "inside-" + secrets.token_hex(4)
"""Is in the names of all that is in the project."""
V, M, A, _ = Role
OWN = None
"""The maker's alone, whatever the role of others: it is no thing of the project's."""

# fmt: off
LEAST: dict[str, Any] = {
    # things of the project, which another member made
    **{f"GET /jobs/{{id}}/{what}": V for what in ("", "live", "live-log", "layers", "report/{format}", "artifact", "comparison", "compiled", "quantized", "linked", "log")},
    # what these pages ask, they ask whoever sees the job; what the answer does, is refused
    "GET /jobs/{id}/rename": V, "GET /jobs/{id}/share": V, "GET /jobs/{id}/delete": V,
    "POST /jobs/{id}/rerun": M,  # on the organisation's device
    "POST /jobs/{id}/cancel": A, "POST /jobs/{id}/delete": A, "POST /jobs/{id}/rename": A, "POST /jobs/{id}/share": A,
    "GET /models/{id}/": V, "GET /models/{id}/download": V, "GET /models/{id}/graph": V, "GET /datasets/{id}/": V, "GET /datasets/{id}/download": V,
    **{f"POST /{kind}/{{id}}/{act}": A for kind in ("models", "datasets") for act in ("rename", "share", "delete")},
    "POST /submit/uploads/{what}/{id}/complete": A, "POST /submit/uploads/{what}/{id}/give-up": A,
    **{f"{verb} /api/hub/v1/{kind}/{{id}}{rest}": least
       for kind in ("models", "datasets", "jobs")
       for verb, rest, least in (("GET", "", V), ("PATCH", "", A), ("DELETE", "", A), ("GET", "/sharing", V), ("PATCH", "/sharing", A), ("DELETE", "/sharing", A))},
    **{f"{verb} /api/hub/v1/{kind}/{{id}}/{rest}": least
       for kind in ("models", "datasets")
       for verb, rest, least in (("POST", "uploads", A), ("POST", "uploads/{upload_id}/addresses", A), ("POST", "uploads/{upload_id}/complete", A), ("GET", "download", V))},
    "POST /api/hub/v1/jobs/{id}/cancel": A, "POST /api/hub/v1/jobs/{id}/rerun": M,
    **{f"GET /api/hub/v1/jobs/{{id}}/{what}": V for what in ("profile", "comparison", "compiled", "quantized", "linked", "log", "compared-outputs", "artifact", "events")},
    **{f"GET /api/v1/{path}/": V for path in ("models/{id}", "models/{id}/download", "datasets/{id}", "datasets/{id}/download_data", "jobs/{id}", "jobs/{id}/result", "jobs/{id}/device_runs/{run}/artifact_list/{type}", "{kind}/{id}/shared_access")},
    "GET /api/v1/models/{id}/multipart_upload/": A, "POST /api/v1/models/{id}/multipart_upload/": A, "GET /api/v1/datasets/{id}/upload_url/": A,
    "PATCH /api/v1/datasets/{id}/": A, "PATCH /api/v1/jobs/{id}/": A,
    "PATCH /api/v1/{kind}/{id}/shared_access/": A, "DELETE /api/v1/{kind}/{id}/shared_access/": A,
    # the organisation's devices
    "GET /devices/{id:path}": M, "GET /api/hub/v1/devices/{id}": M, "GET /api/hub/v1/devices/{id}/probes": M,
    **dict.fromkeys(("POST /devices/pools/{id}/grant", "POST /devices/pools/{id}/remove", "POST /devices/pools/{id}/open", "PATCH /api/hub/v1/pools/{id}", "PUT /api/hub/v1/devices/{id}/health", "POST /devices/boards/{id:path}/quarantine", "POST /devices/boards/{id:path}/release"), "manage"),
    # the organisation and the project themselves
    "GET /api/hub/v1/organisations/{organisation}": "see", "GET /api/hub/v1/projects/{project}": "see",
    **{f"{verb} /api/hub/v1/{place}{rest}": "manage"
       for place in ("organisations/{organisation}", "projects/{project}")
       for verb, rest in (("PUT", "/members/{email}"), ("DELETE", "/members/{email}"), ("POST", "/invites"), ("GET", "/invites"), ("DELETE", "/invites/{invite}"))},
    "POST /api/hub/v1/organisations/{organisation}/projects": "manage", "DELETE /api/hub/v1/projects/{project}": "manage",
    "GET /api/hub/v1/projects/{project}/usage": "see", "PUT /api/hub/v1/projects/{project}/retention": "manage",
    "GET /organisations/{organisation}/": "see", "GET /projects/{project}/": "see", "POST /organisations/": "run", "POST /organisations/{organisation}/delete": "own",
    **{f"POST /organisations/{{organisation}}/{act}": "manage" for act in ("projects", "members", "invite", "withdraw")},
    **{f"POST /projects/{{project}}/{act}": "manage" for act in ("members", "invite", "withdraw", "retention", "delete")},
    "POST /jobs/{id}/pin": A, "POST /devices/pools/{id}/organisation": "manage",
    "DELETE /api/hub/v1/organisations/{organisation}": "own", "POST /api/hub/v1/organisations": "run",
    # of the account that made it
    **dict.fromkeys(("POST /account/tokens/{id}/revoke", "POST /account/sessions/{id}/end", "POST /account/tokens/{id}/rotate", "POST /api/hub/v1/tokens/{id}/rotate", "DELETE /api/hub/v1/tokens/{id}", "DELETE /api/hub/v1/sessions/{id}", "GET /api/hub/v1/join-tokens/{id}", "DELETE /api/hub/v1/join-tokens/{id}", "DELETE /api/hub/v1/trusted/{owner}"), OWN),
}
# fmt: on
WORDS = {
    "see": {"viewer", "member", "admin", "owner", "hub admin", "bound"},
    "manage": {"admin", "owner", "hub admin"},
    "own": {"owner", "hub admin"},
    "run": {"hub admin"},
}
RANKS = {"viewer": V, "member": M, "admin": A, "owner": Role.OWNER, "bound": A}
SELVES = {"DELETE /api/hub/v1/trusted/{owner}"}
"""Each role has or lacks one of its own: nothing of the project's."""


def allowed(route: str) -> set[str]:
    """The roles that get in."""
    least = LEAST[route]
    if isinstance(least, str):
        return WORDS[least]
    return (
        set()
        if least is OWN
        else {role for role, rank in RANKS.items() if rank >= least} | ({"hub admin"} if "/devices" in route else set())
    )


@dataclass
class Inside(World):
    """A world whose owner made its things in a project, in which the other people have their roles."""

    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, role: str, route: str) -> httpx.Response:
        self.http.cookies.clear()
        return super().ask(role, route)


def made(hub: RunningHub, postgres: OwnDatabase, stack: ExitStack) -> Inside:
    http = stack.enter_context(httpx.Client(timeout=30))
    maker, device = introduce(hub, postgres, "maker", http, stack), f"bench-{secrets.token_hex(4)}"
    people = {
        role: introduce(hub, postgres, role, http, stack) for role in ("stranger", "viewer", "member", "admin", "owner")
    }
    runs, owner = User(hub, hub.token, http), people["owner"]
    organisation = runs.post("/organisations", {"name": f"team-{secrets.token_hex(4)}", "owner": owner.email})["id"]
    project = owner.post(f"/organisations/{organisation}/projects", {"name": f"p-{MARK}"})["id"]
    for person, role in (
        (people["viewer"], "viewer"),
        (people["member"], "member"),
        (people["admin"], "admin"),
        (maker, "admin"),
    ):
        assert owner.send(
            "PUT", f"/organisations/{organisation}/members/{person.email}", json={"role": role}
        ).is_success
    people["hub admin"] = Person(hub, "admin@localhost", hub.token, hub.agent_token, maker.door, http)
    secret = people["admin"].post("/tokens", {"project": project})["secret"]
    people["bound"] = Person(hub, people["admin"].email, secret, people["admin"].agent_token, maker.door, http)
    world = Inside(maker, {**people, "maker": maker}, http)
    maker.ask(device)
    maker.change(device, organisation=organisation)
    there = {"name": MARK, "project_id": project}
    data = maker.post("/datasets", there)["id"]
    maker.upload("datasets", data)
    model, empty = (maker.post("/models", {"kind": "onnx", **there})["id"] for _ in range(2))
    maker.upload("models", model)
    begun = maker.post(f"/models/{empty}/uploads", {"size": 3})
    job = maker.submit(model, device, kind="inference", dataset_id=data, name=MARK, project_id=project)["id"]
    given = maker.ask(device, wait_s=10)
    assert given is not None
    world.ids = {"job": job, "model": model, "dataset": data, "empty": empty, "attempt": given.attempt}
    world.ids |= {"device": f"{maker.email} {device} 1", "pool": maker.pool(device, maker.email)["id"]}
    world.ids |= {"upload_id": begun["upload_id"], "part": begun["urls"][0].rpartition("/")[2], "read": "x"}
    world.ids |= {"organisation": organisation, "project": project, "member": maker.email}
    world.ids |= invites_into(maker, organisation, project)
    world.ids |= {"token": maker.post("/tokens", {})["id"], "join": maker.post("/join-tokens", {})["id"]}
    for role, person in world.people.items():
        page = http.post(f"{hub.url}/sign-in", data={"token": person.token}, headers={"Sec-Fetch-Site": "same-origin"})
        world.cookies[role] = dict(page.cookies)
        assert world.cookies[role], page.text
        http.cookies.clear()
    world.ids["session"] = maker.get("/sessions")["sessions"][0]["id"]
    return world


@pytest.fixture(scope="module")
def inside(hub: RunningHub, postgres: OwnDatabase) -> Iterator[Inside]:
    with ExitStack() as stack:
        yield made(hub, postgres, stack)


def test_every_route_about_a_thing_has_a_row() -> None:
    assert set(LEAST) == {route for route, who in TABLE.items() if who is OWNER or who is RUNS_HUB}


CHANGES_ALL = "manage", "own"
TAKES_OUT = {"POST /devices/pools/{id}/organisation"}
"""Of the organisation, and so out of its members' reach."""


@pytest.mark.parametrize("route", sorted(set(LEAST) - SELVES))
def test_who_is_not_in_the_row_is_refused(inside: Inside, route: str) -> None:
    for role in sorted(set(ROLES) - allowed(route)):
        answer = inside.ask(role, route)
        assert answer.status_code < 500
        assert not gets_in(answer), (role, answer.status_code, answer.text[:300])
        if role in ("stranger", "hub admin"):
            assert MARK not in answer.text.replace(f"p-{MARK}", ""), role


@pytest.mark.parametrize(
    "route", sorted(route for route in LEAST if not ENDS.search(route) and LEAST[route] not in CHANGES_ALL)
)
def test_who_is_in_the_row_gets_in(inside: Inside, route: str) -> None:
    for role in sorted(allowed(route)):
        answer = inside.ask(role, route)
        told = role, answer.status_code, answer.text[:300]
        assert gets_in(answer) or route in NOT_THERE, told
        assert answer.status_code < 500, told


def test_who_is_in_the_row_gets_in_where_something_ends(hub: RunningHub, postgres: OwnDatabase) -> None:
    """Each where nothing has ended yet: what was refused for the state of things, such as a job that runs, ended nothing."""
    with ExitStack() as stack:
        world = made(hub, postgres, stack)
        for route in sorted(
            route for route in LEAST if (ENDS.search(route) or LEAST[route] in CHANGES_ALL) and route not in SELVES
        ):
            for role in sorted(allowed(route) & {"admin", "hub admin" if LEAST[route] in CHANGES_ALL else "owner"}):
                answer = world.ask(role, route)
                assert gets_in(answer) or route in NOT_THERE, (route, role, answer.status_code, answer.text[:300])
                if answer.status_code < 400 and (ENDS.search(route) or route in TAKES_OUT):
                    world = made(hub, postgres, stack)


@pytest.mark.parametrize(
    "route", sorted(route for route, who in TABLE.items() if who is USERS and route.startswith("GET "))
)
def test_lists_show_a_projects_things_to_its_members_alone(inside: Inside, route: str) -> None:
    ids = [inside.ids[what] for what in ("job", "model", "dataset")]
    for role in ("stranger", "hub admin"):
        answer = inside.ask(role, route)
        assert not any(one in answer.text for one in ids), role
    listed = ("/jobs/", "/models/", "/datasets/", "/api/hub/v1/jobs", "/api/hub/v1/models", "/api/hub/v1/datasets")
    if route.removeprefix("GET ") in listed:
        for role in RANKS:
            assert any(one in inside.ask(role, route).text for one in ids), role
