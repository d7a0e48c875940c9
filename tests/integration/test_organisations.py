"""Organisations, projects and roles, through a real hub: who sees, makes and changes what, and whose devices run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.spec.agents import Outcome
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

from .official import environment as official_environment
from .test_api import User, checked
from .test_pools import Person, introduce

ROLES = ("viewer", "member", "admin", "owner")


@dataclass
class Team:
    """An organisation with a project, a member of each role, and a stranger; ``hub`` is asked by who runs it."""

    hub: User
    name: str
    people: dict[str, Person]
    http: httpx.Client
    stack: ExitStack = field(repr=False)
    database: OwnDatabase = field(repr=False)

    @property
    def project(self) -> str:
        return f"{self.name}.vision"

    def __getitem__(self, role: str) -> Person:
        return self.people[role]

    def meet(self, name: str) -> Person:
        return introduce(self.hub.hub, self.database, name, self.http, self.stack)

    def name_member(self, by: User, email: str, role: str | None, status: int = 204, project: str = "") -> Any:
        place = f"/projects/{project}" if project else f"/organisations/{self.name}"
        verb, more = ("DELETE", {}) if role is None else ("PUT", {"json": {"role": role}})
        return checked(by.send(verb, f"{place}/members/{email}", **more), status)

    def bound(self, who: Person, project: str = "") -> User:
        """The person by a token that is bound to the project."""
        made = who.post("/tokens", {"label": "bound", "project": project or self.project})
        return User(who.hub, made["secret"], self.http)


NUMBERS = iter(range(1000))


@pytest.fixture
def team(hub: RunningHub, postgres: OwnDatabase) -> Iterator[Team]:
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(timeout=30))
        runs, name = User(hub, hub.token, http), f"acme-{next(NUMBERS)}-{os.getpid()}"
        people = {role: introduce(hub, postgres, role, http, stack) for role in (*ROLES, "stranger")}
        made = Team(runs, name, people, http, stack, postgres)
        runs.post("/organisations", {"name": name, "owner": people["owner"].email})
        people["owner"].post(f"/organisations/{name}/projects", {"name": "vision"})
        for role in ROLES[:3]:
            made.name_member(people["owner"], people[role].email, role)
        yield made


def model_in(who: User, project: str, name: str = "net") -> str:
    made = who.post("/models", {"name": name, "kind": "onnx", "project_id": project})
    who.upload("models", made["id"])
    return str(made["id"])


# ---- organisations and projects --------------------------------------------------------------------------------------


def test_whoever_runs_the_hub_makes_organisations_and_nobody_else(team: Team) -> None:
    asked = {"name": f"{team.name}-2", "owner": team["owner"].email}
    for person in team.people.values():
        assert "administrator" in person.refused("POST", "/organisations", 403, asked)["message"]
    made = team.hub.post("/organisations", asked)
    assert (made["name"], made["projects"], made["role"]) == (asked["name"], [], None)
    assert [(one["email"], one["role"]) for one in made["members"]] == [(team["owner"].email, "owner")]
    team.hub.refused("POST", "/organisations", 409, asked)
    for name in ("", "A", "a.b", "-a", "a-", "a" * 41, "ä", "a/b"):
        assert "no name of a" in team.hub.refused("POST", "/organisations", 422, {**asked, "name": name})["message"]
    team.hub.refused("POST", "/organisations", 404, {"name": f"{team.name}-3", "owner": "nobody@example.org"})
    team["owner"].refused("DELETE", f"/organisations/{team.name}", 409)
    checked(team["owner"].send("DELETE", f"/organisations/{asked['name']}"), 204)
    team["owner"].refused("GET", f"/organisations/{asked['name']}", 404)


def test_each_sees_the_organisation_by_its_role_and_strangers_see_none(team: Team) -> None:
    for role in ROLES:
        [found] = team[role].get("/organisations")["organisations"]
        assert (found["name"], found["role"]) == (team.name, role)
        [project] = team[role].get("/projects")["projects"]
        assert (project["full_name"], project["role"]) == (team.project, role)
        assert team[role].get(f"/projects/{project['id']}") == team[role].get(f"/projects/{team.project}") == project
        assert len(found["members"]) == 4
    assert team["stranger"].get("/organisations") == {"organisations": []}
    assert team["stranger"].get("/projects") == {"projects": []}
    for path in (f"/organisations/{team.name}", f"/projects/{team.project}"):
        team["stranger"].refused("GET", path, 404)


def test_who_makes_projects_and_names_members(team: Team) -> None:
    new = team.meet("new")
    for role in ("stranger", "viewer", "member"):
        status = 404 if role == "stranger" else 403
        team[role].refused("POST", f"/organisations/{team.name}/projects", status, {"name": "audio"})
        team.name_member(team[role], new.email, "viewer", status)
        team.name_member(team[role], team["viewer"].email, None, 204 if role == "viewer" else status)
        team.name_member(team["owner"], team["viewer"].email, "viewer")
    team["admin"].post(f"/organisations/{team.name}/projects", {"name": "audio"})
    team.name_member(team["admin"], new.email, "admin")
    for email, becomes in ((new.email, "owner"), (team["owner"].email, "viewer"), (team["owner"].email, None)):
        assert "takes owner" in team.name_member(team["admin"], email, becomes, 403)["message"]
    team.name_member(team["owner"], new.email, "owner")
    team.name_member(new, team["owner"].email, None)
    team["owner"].refused("GET", f"/organisations/{team.name}", 404)
    assert "without an owner" in team.name_member(new, new.email, None, 409)["message"]
    assert "without an owner" in team.name_member(new, new.email, "admin", 409)["message"]
    assert "role" in team.name_member(new, team["member"].email, "king", 422)["message"]
    told = checked(
        new.send("PUT", f"/projects/{team.project}/members/{team['member'].email}", json={"role": "owner"}), 422
    )
    assert "of a whole organisation" in told["message"], "a project has no owners of its own"
    team.name_member(new, "nobody@example.org", "viewer", 404)
    team.name_member(new, team["stranger"].email, None, 404)


def test_a_guest_of_one_project_sees_nothing_of_the_others(team: Team) -> None:
    guest = team.meet("guest")
    team["owner"].post(f"/organisations/{team.name}/projects", {"name": "secret"})
    team.name_member(team["admin"], guest.email, "member", project=team.project)
    [found] = guest.get("/organisations")["organisations"]
    assert (found["role"], found["members"], [one["name"] for one in found["projects"]]) == (None, [], ["vision"])
    guest.refused("GET", f"/projects/{team.name}.secret", 404)
    inside, hidden = model_in(guest, team.project), model_in(team["member"], f"{team.name}.secret")
    assert [one["id"] for one in guest.get("/models")["models"]] == [inside]
    guest.refused("GET", f"/models/{hidden}", 404)
    guest.refused("POST", f"/organisations/{team.name}/projects", 403, {"name": "x"})
    guest.refused("POST", "/models", 404, {"name": "x", "kind": "onnx", "project_id": f"{team.name}.secret"})


def test_a_project_goes_when_it_is_empty_and_its_tokens_with_it(team: Team) -> None:
    made, bound = model_in(team["member"], team.project), team.bound(team["member"])
    assert "not empty" in team["admin"].refused("DELETE", f"/projects/{team.project}", 409)["message"]
    checked(team["admin"].send("DELETE", f"/models/{made}"), 204)
    team["member"].refused("DELETE", f"/projects/{team.project}", 403)
    checked(team["admin"].send("DELETE", f"/projects/{team.project}"), 204)
    team["admin"].refused("GET", f"/projects/{team.project}", 404)
    bound.refused("GET", "/me", 401)


def test_an_invitation_is_followed_once(team: Team) -> None:
    team["member"].refused("POST", f"/organisations/{team.name}/invites", 403, {})
    url = team["admin"].post(f"/projects/{team.project}/invites", {"role": "viewer"})["url"]
    assert url.startswith(f"{team.hub.hub.url}/join/")
    team["admin"].refused("POST", f"/organisations/{team.name}/invites", 422, {"role": "owner"})


# ---- things of a project ---------------------------------------------------------------------------------------------


def test_an_invitation_is_seen_and_withdrawn_by_admins_alone(team: Team) -> None:
    admin, member = team["admin"], team["member"]
    for place in (f"/organisations/{team.name}/invites", f"/projects/{team.project}/invites"):
        link = admin.post(place, {"role": "viewer"})["url"].rpartition("/join/")[2]
        open_ones = admin.get(place)["invites"]
        assert [(one["role"], one["made_by"]) for one in open_ones] == [("viewer", admin.email)]
        assert link not in str(open_ones)
        member.refused("GET", place, 403)
        member.refused("DELETE", f"{place}/{open_ones[0]['id']}", 403)
        checked(admin.send("DELETE", f"{place}/{open_ones[0]['id']}"), 204)
        admin.refused("DELETE", f"{place}/{open_ones[0]['id']}", 404)
        assert admin.get(place)["invites"] == []
        stranger = team.meet("invited")
        with httpx.Client(base_url=team.hub.hub.url, timeout=30, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
            browser.post("/sign-in", data={"token": stranger.token})
            assert browser.post(f"/join/{link}").status_code == 404


def test_members_are_named_and_shared_with_however_they_are_capitalised(team: Team) -> None:
    friend = team.meet("capital")
    team.name_member(team["owner"], friend.email.upper(), "viewer")
    assert friend.email in [one["email"] for one in team["owner"].get(f"/organisations/{team.name}")["members"]]
    team.name_member(team["owner"], friend.email.title(), None)
    model = team["owner"].model("shared")
    team["owner"].send("PATCH", f"/models/{model}/sharing", json={"add": [friend.email.upper()]})
    assert friend.get(f"/models/{model}")["id"] == model


def test_members_work_on_what_a_project_has_by_their_roles(team: Team, tmp_path: Path) -> None:
    maker, device = team.meet("maker"), f"{team.name}-phone"
    team.name_member(team["owner"], maker.email, "member")
    maker.ask(device)
    model = model_in(maker, team.project)
    job = maker.submit(model, device, project_id=team.project, name="first")["id"]
    shown = maker.get(f"/jobs/{job}")
    [project] = maker.get("/projects")["projects"]
    assert shown["project_id"] == project["id"]
    given = maker.ask(device, wait_s=10)
    assert given is not None
    maker.door.finish(given.attempt, Outcome(summary={"estimated_inference_time_ns": 7}))
    for role in ROLES:
        person = team[role]
        assert [one["id"] for one in person.get("/jobs")["jobs"]] == [job]
        assert [one["id"] for one in person.get("/jobs", project=team.project)["jobs"]] == [job]
        assert person.get("/jobs", project="elsewhere")["jobs"] == []
        assert person.get(f"/models/{model}/download")["url"]
        status = 200 if role in ("admin", "owner") else 403
        answer = checked(person.send("PATCH", f"/jobs/{job}", json={"name": f"by {role}"}), status)
        assert status == 200 or "where you are" in answer["message"]
        checked(person.send("PATCH", f"/models/{model}/sharing", json={"add": ["x@example.org"]}), status)
    team["stranger"].refused("GET", f"/jobs/{job}", 404)
    assert team.hub.get("/jobs", text=job)["jobs"] == [], "who runs the hub sees nothing of it"
    team["viewer"].refused("POST", "/models", 403, {"name": "x", "kind": "onnx", "project_id": team.project})
    team["viewer"].refused("DELETE", f"/jobs/{job}", 403)
    team["member"].refused("DELETE", f"/jobs/{job}", 403)
    checked(team["admin"].send("DELETE", f"/jobs/{job}"), 204)
    checked(maker.send("DELETE", f"/models/{model}"), 204)


def test_what_was_made_in_a_project_stays_there_when_its_maker_leaves(team: Team) -> None:
    model = model_in(team["member"], team.project)
    team.name_member(team["member"], team["member"].email, None)
    team["member"].refused("GET", f"/models/{model}", 404)
    assert team["member"].get("/models")["models"] == []
    assert [one["id"] for one in team["viewer"].get("/models")["models"]] == [model]


def test_labels_stay_labels_and_a_project_that_is_none_is_told(team: Team) -> None:
    ana = team["stranger"]
    made = ana.post("/models", {"name": "net", "kind": "onnx", "project_id": "anything"})
    assert ana.get(f"/models/{made['id']}")["project_id"] == "anything"
    for named in (team.project, "rabcdefghijkl", "no.such"):
        told = ana.refused("POST", "/models", 404, {"name": "net", "kind": "onnx", "project_id": named})
        assert named in told["message"]


# ---- devices ---------------------------------------------------------------------------------------------------------


def test_an_organisations_devices_take_the_jobs_of_its_projects_and_no_others(team: Team) -> None:
    admin, member, stranger, device = team["admin"], team["member"], team["stranger"], f"{team.name}-board"
    admin.ask(device)
    pool = f"/pools/{admin.pool(device, admin.email)['id']}"
    member.refused("PATCH", pool, 404, {"organisation": team.name})
    admin.change(device, organisation=team.name)
    assert "is another's" in member.refused("PATCH", pool, 403, {"organisation": ""})["message"]
    assert admin.pool(device, admin.email)["organisation"] == team.name
    assert [one["name"] for one in member.get("/devices", name=device)["devices"]] == [device]
    assert stranger.get("/devices", name=device)["devices"] == []
    personal = member.model("own")
    told = member.refused("POST", "/jobs", 403, {"model_id": personal, "device": {"name": device}})
    assert team.name in told["message"]
    model = model_in(member, team.project)
    job = member.submit(model, device, project_id=team.project)["id"]
    given = admin.ask(device, wait_s=10)
    assert given is not None
    assert given.job == job
    waiting = member.submit(model, device, project_id=team.project)["id"]
    admin.change(device, organisation="")
    assert member.get(f"/jobs/{waiting}")["state"] == "failed"
    assert "take its owner's jobs any more" in member.get(f"/jobs/{waiting}")["failure"]["message"]


def test_only_who_manages_both_gives_devices_to_an_organisation(team: Team) -> None:
    member, device = team["member"], f"{team.name}-mine"
    member.ask(device)
    assert "takes admin" in member.change(device, 403, organisation=team.name)["message"]
    member.change(device, 404, organisation="no-such")
    team.name_member(team["owner"], member.email, "admin")
    member.change(device, organisation=team.name)
    team["owner"].change(device, owner=member.email, let_send=["x@example.org"])
    assert team["owner"].pool(device, member.email)["senders"] == ["x@example.org"]


def test_who_is_put_out_has_personal_jobs_on_a_projects_models_fail(team: Team) -> None:
    member, device = team["member"], f"{team.name}-own"
    member.ask(device)
    model = model_in(team["admin"], team.project)
    personal = member.submit(model, device)["id"]
    kept = member.submit(model, device, project_id=team.project)["id"]
    team.name_member(team["owner"], member.email, None)
    failed = member.get(f"/jobs/{personal}")
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "Forbidden")
    assert team["admin"].get(f"/jobs/{kept}")["state"] == "queued", "it is the project's"


# ---- tokens that are bound to a project ------------------------------------------------------------------------------


def test_a_bound_token_sees_and_makes_what_is_in_its_project_alone(team: Team) -> None:
    member, device = team["member"], f"{team.name}-bound"
    member.ask(device)
    personal, bound = member.model("personal"), team.bound(member)
    [project] = member.get("/projects")["projects"]
    assert bound.get("/me")["project_id"] == project["id"]
    assert bound.get("/models")["models"] == []
    bound.refused("GET", f"/models/{personal}", 404)
    made = bound.model("inside")
    assert bound.get(f"/models/{made}")["project_id"] == project["id"]
    job = bound.submit(made, device)["id"]
    assert [one["id"] for one in bound.get("/jobs")["jobs"]] == [job]
    assert [one["id"] for one in team["viewer"].get("/jobs")["jobs"]] == [job]
    member.post("/models", {"name": "x", "kind": "onnx", "project_id": "label"})
    for named in ("label", "no.such"):
        told = bound.refused("POST", "/models", 403, {"name": "x", "kind": "onnx", "project_id": named})
        assert "alone" in told["message"]
    viewer = team.bound(team["viewer"])
    assert [one["id"] for one in viewer.get("/jobs")["jobs"]] == [job]
    viewer.refused("POST", "/models", 403, {"name": "x", "kind": "onnx"})


def test_a_bound_token_changes_nothing_of_its_account(team: Team) -> None:
    owner, name = team["owner"], team.name
    other = owner.post("/tokens", {"label": "other"})["id"]
    bound = team.bound(owner)
    for method, path, body in (
        ("POST", "/tokens", {}),
        ("DELETE", f"/tokens/{other}", None),
        ("PUT", "/account/password", {"password": "long enough"}),
        ("DELETE", "/sessions/s1", None),
        ("POST", "/join-tokens", {}),
        ("GET", "/join-tokens", None),
        ("DELETE", "/join-tokens/w1", None),
        ("POST", "/trusted", {"owner": team["admin"].email}),
        ("DELETE", f"/trusted/{team['admin'].email}", None),
        ("POST", "/organisations", {"name": f"{name}-x", "owner": owner.email}),
        ("DELETE", f"/organisations/{name}", None),
        ("POST", f"/organisations/{name}/projects", {"name": "x"}),
        ("PUT", f"/organisations/{name}/members/{team['stranger'].email}", {"role": "viewer"}),
        ("PUT", f"/projects/{team.project}/members/{team['stranger'].email}", {"role": "viewer"}),
        ("DELETE", f"/projects/{team.project}", None),
        ("POST", f"/projects/{team.project}/invites", {}),
    ):
        assert "works in the project" in bound.refused(method, path, 403, body)["message"], (method, path)
    assert len(bound.get("/tokens")["tokens"]) == 1
    assert len(owner.get("/tokens")["tokens"]) > 2


def test_a_bound_token_is_worth_what_its_accounts_role_is(team: Team) -> None:
    bound = team.bound(team["member"])
    made = bound.model()
    team.name_member(team["owner"], team["member"].email, "viewer")
    bound.refused("POST", "/models", 403, {"name": "x", "kind": "onnx"})
    assert bound.get(f"/models/{made}")["id"] == made
    team.name_member(team["owner"], team["member"].email, None)
    bound.refused("GET", f"/models/{made}", 404)
    assert bound.get("/models")["models"] == []
    bound.refused("POST", "/models", 403, {"name": "x", "kind": "onnx"})
    team["stranger"].refused("POST", "/tokens", 404, {"project": team.project})
    team["owner"].refused("POST", "/tokens", 422, {"project": team.project, "kind": "agent"})


# ---- the official client, as it is -----------------------------------------------------------------------------------

SCRIPT = """
import json, sys, qai_hub as hub
asked = json.load(sys.stdin)
device = hub.get_devices(asked["device"])[0]
model = hub.upload_model(asked["model"])
job = hub.submit_profile_job(model=model, device=device, name="from the client")
found = {"project": hub.get_job(job.job_id).project_id, "model": model.model_id, "jobs": [one.job_id for one in hub.get_job_summaries(limit=50)]}
shared = hub.get_job(job.job_id)
shared.modify_sharing(add_emails=["friend@example.org"])
found["sharing"] = list(shared.get_sharing())
print(json.dumps({**found, "job": job.job_id}))
"""
MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"


@pytest.mark.parametrize("way", ["bound token", "default_project"])
def test_the_official_client_works_in_a_project(team: Team, tmp_path: Path, way: str) -> None:
    admin, member, device = team["admin"], team["member"], f"{team.name}-official"
    admin.ask(device)
    admin.change(device, organisation=team.name)
    token = team.bound(member).token if way == "bound token" else member.token
    ini = tmp_path / "client.ini"
    address = team.hub.hub.url
    default = "" if way == "bound token" else f"default_project = {team.project}\n"
    ini.write_text(f"[api]\napi_token = {token}\napi_url = {address}\nweb_url = {address}\n{default}", encoding="utf-8")
    child = subprocess.run(
        [official_environment("0.56.0"), "-c", SCRIPT],
        input=json.dumps({"device": device, "model": str(MODEL)}),
        env={**os.environ, "QAIHUB_CLIENT_INI": str(ini), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    seen = json.loads(child.stdout.splitlines()[-1])
    [project] = member.get("/projects")["projects"]
    assert seen["project"] == project["id"]
    assert team["viewer"].get(f"/models/{seen['model']}")["project_id"] == project["id"]
    assert seen["jobs"] == [seen["job"]]
    assert seen["sharing"] == ["friend@example.org"]
    assert team["viewer"].get(f"/jobs/{seen['job']}")["name"] == "from the client"
    given = admin.ask(device, wait_s=10)
    assert given is not None
    assert given.job == seen["job"]
