"""What tokens are for, how long they are good, and how they get another secret."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")


from dynolab import errors, user_state
from dynolab.agent import state
from dynolab.agent.http import HubDoor
from dynolab.agent.rotation import Rotation, TokenKeeper, following
from dynolab.agent.state import Membership
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.spec.joining import RotateRequest
from dynolab.testing import commands
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

from .test_routes import OWNER, TABLE, USERS

ENVIRONMENT = {"DYNOLAB_TOKEN_LIFE_DAYS": "30", "DYNOLAB_TOKEN_LIFE_MAX_DAYS": "90", "DYNOLAB_TOKEN_OVERLAP_S": "3600"}
HERE = {"Sec-Fetch-Site": "same-origin"}


class Person:
    """An account of its own, and its API."""

    def __init__(self, hub: RunningHub, http: httpx.Client, name: str) -> None:
        self.hub, self.http, self.email = hub, http, f"{name}@example.org"
        self.token = command(hub, "add", self.email)

    def ask(self, method: str, path: str, body: object = None, *, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return self.http.request(method, f"{self.hub.url}/api/hub/v1{path}", headers=headers, json=body)

    def make(self, **asked: Any) -> dict[str, Any]:
        answer = self.ask("POST", "/tokens", asked)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


def command(hub: RunningHub, *arguments: str) -> str:
    done = commands.command("hub", "account", "--data", hub.data, *arguments, environment=hub.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as found:
        yield found


@pytest.fixture(scope="module")
def ana(hub: RunningHub, http: httpx.Client) -> Person:
    return Person(hub, http, "ana")


def days_from_now(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now(UTC)) / timedelta(days=1)


# ---- scopes ----------------------------------------------------------------------------------------------------------

SUBMITS = re.compile(
    r"POST /api/hub/v1/(models|datasets|jobs)"
    r"|POST /api/hub/v1/(models|datasets)/{id}/uploads(/{upload_id}/complete)?"
    r"|POST /api/hub/v1/jobs/{id}/(cancel|rerun)"
    r"|PATCH /api/hub/v1/(models|datasets|jobs)/{id}"
    r"|POST /api/v1/(projects/{project}/)?(models|datasets|jobs)/"
    r"|POST /api/v1/models/{id}/multipart_upload/"
    r"|PATCH /api/v1/(jobs|datasets)/{id}/"
    r"|POST /submit|POST /submit/uploads/{what}(/{id}/(complete|give-up))?"
    r"|POST /jobs/({id}|selected)/(rerun|cancel|rename|pin)"
    r"|POST /(models|datasets)/{id}/rename"
)
"""What a token needs the scope ``submit`` for. Others that read need ``read``, all the rest ``manage``."""
ANY = {
    "POST /api/hub/v1/tokens/own/rotate",
    "POST /choose-project",
    "POST /jobs/selected/compare",
    "POST /jobs/selected/compare-outputs",
}
"""What changes nothing but what is looked at, or the token itself."""
SCOPED = sorted(route for route, roles in TABLE.items() if roles in (USERS, OWNER))
LEVELS = ("read", "submit", "manage")


def wanted(route: str) -> str:
    if route in ANY or route.startswith("GET "):
        return "read"
    return "submit" if SUBMITS.fullmatch(route) else "manage"


def test_there_are_routes_of_each_scope() -> None:
    counts = {level: sum(wanted(route) == level for route in SCOPED) for level in LEVELS}
    assert counts["read"] > 60
    assert counts["submit"] > 25
    assert counts["manage"] > 35


@pytest.fixture(scope="module")
def holders(hub: RunningHub, http: httpx.Client) -> dict[str, tuple[str, str]]:
    """A token of each scope, of accounts of their own, and the cookie of a browser that was signed in by it."""
    found = {}
    for level in LEVELS:
        token = Person(hub, http, f"{level}-only").make(scopes=[level])["secret"]
        signed_in = http.post(f"{hub.url}/sign-in", data={"token": token}, headers=HERE)
        found[level] = token, signed_in.cookies["dynolab_session"]
        http.cookies.clear()
    return found


@pytest.mark.parametrize("route", SCOPED)
def test_a_token_opens_what_its_scope_names_and_no_more(
    hub: RunningHub, http: httpx.Client, holders: dict[str, tuple[str, str]], route: str
) -> None:
    verb, path = route.split(" ")
    url = hub.url + re.sub(r"\{[^}]+\}", "x", path)
    body: dict[str, Any] = {"json": {}} if "/api/hub/" in path and verb != "GET" else {}
    for level, (token, cookie) in holders.items():
        by_token = path.startswith("/api/")
        shown = {"Authorization": f"Bearer {token}"} if by_token else {"Cookie": f"dynolab_session={cookie}"}
        answer = http.request(verb, url, headers={**HERE, **shown}, **body)
        http.cookies.clear()
        refused = answer.status_code == 403 and "scope does not allow this" in answer.text.replace("&#39;", "'")
        assert refused == (LEVELS.index(level) < LEVELS.index(wanted(route))), (level, answer.status_code, answer.text)
        assert answer.status_code not in (401, 500), (level, answer.text)


def test_an_agents_token_is_for_agents_and_scopes_are_checked(ana: Person) -> None:
    assert ana.make(kind="agent")["scopes"] == ["agent"]
    assert ana.make()["scopes"] == ["manage"]
    assert ana.make(scopes=["read", "submit"])["scopes"] == ["submit"]
    for kind, scopes in (("agent", ["read"]), ("user", ["agent"]), ("user", ["root"])):
        assert ana.ask("POST", "/tokens", {"kind": kind, "scopes": scopes}).status_code == 422
    assert ana.ask("GET", "/me", token=command(ana.hub, "token", ana.email, "--scope", "read")).status_code == 200


# ---- end -------------------------------------------------------------------------------------------------------------


def test_a_token_is_good_as_long_as_was_said_and_no_longer_than_the_hub_allows(ana: Person) -> None:
    assert days_from_now(ana.make()["expires_at"]) == pytest.approx(30, abs=0.1)
    assert days_from_now(ana.make(days=90)["expires_at"]) == pytest.approx(90, abs=0.1)
    for days in (91, 0):
        refused = ana.ask("POST", "/tokens", {"days": days})
        assert (refused.status_code, "90 days at most" in refused.text) == (422, True)
    assert ana.ask("POST", "/tokens", {"days": -1}).status_code == 422
    secret = command(ana.hub, "token", ana.email, "--days", "400")
    assert ana.ask("GET", "/me", token=secret).status_code == 200
    made = [one for one in ana.ask("GET", "/tokens").json()["tokens"] if one["made_by"] == "operator"]
    assert any(one["expires_at"] and days_from_now(one["expires_at"]) > 399 for one in made)


def test_answers_say_when_a_token_ends_and_then_that_it_did(ana: Person, postgres: OwnDatabase) -> None:
    made = ana.make(days=3)
    headers = ana.ask("GET", "/me", token=made["secret"]).headers
    assert days_from_now(headers["dynolab-token-expires"]) == pytest.approx(3, abs=0.1)
    assert days_from_now(headers["dynolab-token-rotate-after"]) == pytest.approx(2, abs=0.1)
    assert "dynolab-token-expires" not in ana.ask("GET", "/me").headers, "one that the hub's operator made"
    url = ana.hub.url + "/api/v1/users/auth/user/"
    official = ana.http.get(url, headers={"Authorization": f"token {made['secret']}"})
    assert official.headers["dynolab-token-expires"] == headers["dynolab-token-expires"]
    browser = ana.http.post(f"{ana.hub.url}/sign-in", data={"token": made["secret"]}, headers=HERE).cookies
    ana.http.cookies.clear()
    sessions = [one for one in ana.ask("GET", "/sessions").json()["sessions"] if one["token_id"] == made["id"]]
    assert days_from_now(sessions[0]["expires_at"]) < 3.1, "a browser that it signed in goes with it"
    assert browser["dynolab_session"]
    ended = "UPDATE token SET expires_at = now() - interval '1 minute' WHERE id = $1"
    fresh = ana.make(days=3)  # whoever was not seen yet is asked for at once
    postgres.rows(ended, fresh["id"])
    refused = ana.ask("GET", "/me", token=fresh["secret"])
    assert refused.status_code == 401
    assert f"the token {fresh['id']} expired at" in refused.json()["message"]
    assert "/account/" in refused.json()["hint"]


@pytest.mark.parametrize(("kind", "door"), [("user", "hub"), ("agent", "agent")])
def test_who_has_a_revoked_tokens_secret_is_told_so_at_its_door_alone(ana: Person, kind: str, door: str) -> None:
    made = ana.make(kind=kind)
    ana.ask("DELETE", f"/tokens/{made['id']}")

    def told(at: str, secret: str) -> str:
        answer = ana.http.get(f"{ana.hub.url}/api/{at}/v1/me", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 401
        return str(answer.json()["message"])

    assert told(door, made["secret"]).startswith(f"the token {made['id']} was revoked at 20")
    assert "not known here" in told({"hub": "agent", "agent": "hub"}[door], made["secret"])
    assert "not known here" in told(door, made["id"]), "its id is no secret"


# ---- rotation --------------------------------------------------------------------------------------------------------


def test_both_secrets_are_good_for_a_while_then_the_new_one_alone(ana: Person, postgres: OwnDatabase) -> None:
    made = ana.make(label="laptop", scopes=["submit"], days=10)
    rotated = ana.ask("POST", f"/tokens/{made['id']}/rotate", {}).json()
    assert (rotated["id"], rotated["label"], rotated["scopes"]) == (made["id"], "laptop", ["submit"])
    assert rotated["secret"] != made["secret"]
    assert days_from_now(rotated["expires_at"]) == pytest.approx(10, abs=0.1)
    assert days_from_now(rotated["previous_until"]) == pytest.approx(1 / 24, abs=0.01)
    old = ana.ask("GET", "/me", token=made["secret"])
    assert old.status_code == 200
    assert days_from_now(old.headers["dynolab-token-expires"]) < 0.1, "the old secret's own end"
    assert ana.ask("GET", "/me", token=rotated["secret"]).status_code == 200
    again = ana.ask("POST", "/tokens/own/rotate", {}, token=made["secret"])
    assert (again.status_code, "was rotated already" in again.text) == (409, True), "by whoever has the old secret"
    assert ana.ask("POST", f"/tokens/{made['id']}/rotate", {"overlap_s": 3601}).status_code == 422
    last = ana.ask("POST", "/tokens/own/rotate", {"overlap_s": 0}, token=rotated["secret"]).json()
    gone = ana.ask("GET", "/me", token=made["secret"])
    assert (gone.status_code, gone.json()["code"]) == (401, "Unauthorized")
    late = ana.ask("GET", "/me", token=rotated["secret"])
    assert (late.status_code, "was rotated: this secret was good until" in late.text) == (401, True)
    assert ana.ask("GET", "/me", token=last["secret"]).status_code == 200
    ana.ask("DELETE", f"/tokens/{made['id']}")
    assert ana.ask("GET", "/me", token=last["secret"]).status_code == 401
    assert ana.ask("POST", f"/tokens/{made['id']}/rotate", {}).status_code == 409


def test_anothers_token_cannot_be_rotated(hub: RunningHub, http: httpx.Client, ana: Person) -> None:
    made = ana.make()
    assert Person(hub, http, "eve").ask("POST", f"/tokens/{made['id']}/rotate", {}).status_code == 404


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path / "state"))
    return tmp_path


def claim(door: HubDoor, device: str) -> None:
    door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer(device, device, "1", ("framework:onnx",)), 0.0))


def grown_old(postgres: OwnDatabase, token_id: str) -> None:
    """Most of its life is past."""
    postgres.rows("UPDATE token SET created_at = now() - interval '29 days', expires_at = now() + interval '1 day' WHERE id = $1", token_id)  # fmt: skip


@pytest.mark.parametrize("kept", ["file", "joined"])
def test_an_agent_rotates_its_token_in_time_and_stays_the_same_device(
    ana: Person, postgres: OwnDatabase, folder: Path, kept: str
) -> None:
    made, file = ana.make(kind="agent", label="rack"), folder / "agent.token"
    member = Membership(ana.hub.url, made["secret"], "rack")
    if kept == "file":
        file.write_text(made["secret"], encoding="utf-8")
    else:
        user_state.folder().mkdir()
        state.save(state.file(), member)
    keeper = TokenKeeper(member, file if kept == "file" else None, joined=kept == "joined")
    with closing(HubDoor(ana.hub.url, made["secret"])) as door:
        grown_old(postgres, made["id"])
        claim(door, f"board {kept}")
        Rotation(door, keeper).keep()
        assert keeper.now() != made["secret"]
        assert keeper.next_file is not None
        assert not keeper.next_file.exists()
        claim(door, f"board {kept}")
    with closing(HubDoor(ana.hub.url, keeper.now())) as again:
        claim(again, f"board {kept}")  # the same token, so the same device
    row = next(one for one in ana.ask("GET", "/tokens").json()["tokens"] if one["id"] == made["id"])
    assert row["rotated_at"] is not None
    assert days_from_now(row["expires_at"]) > 29


def test_an_agents_token_with_most_of_its_life_before_it_stays(ana: Person, folder: Path) -> None:
    made, file = ana.make(kind="agent"), folder / "agent.token"
    file.write_text(made["secret"], encoding="utf-8")
    with closing(HubDoor(ana.hub.url, made["secret"])) as door:
        claim(door, "young")
        Rotation(door, TokenKeeper(Membership(ana.hub.url, made["secret"]), file, joined=False)).keep()
    assert file.read_text(encoding="utf-8") == made["secret"]


def test_an_interrupted_rotation_is_taken_up_again(ana: Person, folder: Path) -> None:
    """The hub knows the next secret; the agent was killed before the answer came."""
    made, file = ana.make(kind="agent"), folder / "agent.token"
    file.write_text(made["secret"], encoding="utf-8")
    keeper = TokenKeeper(Membership(ana.hub.url, made["secret"]), file, joined=False)
    following_secret = keeper.next()
    told = RotateRequest(hashlib.sha256(following_secret.encode()).hexdigest())
    with closing(HubDoor(ana.hub.url, made["secret"])) as door:
        door.rotate(told)
        Rotation(door, keeper).resume()
        assert keeper.now() == following_secret
        door.check_token()
    # And where the old secret is over, too.
    user_state.folder().mkdir()
    member = Membership(ana.hub.url, following_secret)
    state.save(state.file(), member)
    last = TokenKeeper(member, None, joined=True).next()
    ana.ask("POST", f"/tokens/{made['id']}/rotate", {"overlap_s": 0})
    assert following(member) is None, "the hub knows neither"
    assert last


def test_an_agent_that_cannot_keep_a_token_says_so_and_goes_on(
    ana: Person, postgres: OwnDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    made = ana.make(kind="agent")
    grown_old(postgres, made["id"])
    with closing(HubDoor(ana.hub.url, made["secret"])) as door:
        claim(door, "from the environment")
        rotation = Rotation(door, TokenKeeper(Membership(ana.hub.url, made["secret"]), None, joined=False))
        rotation.keep()
        rotation.keep()
        assert [one.message for one in caplog.records if "cannot be rotated" in one.message] == [
            "the token ends before long and cannot be rotated: it comes from the environment, where no next one can be kept"
        ]
        child = Rotation(door, TokenKeeper(Membership(ana.hub.url, made["secret"]), None, joined=False), is_child=True)
        with pytest.raises(SystemExit) as ended:
            child.keep()
        assert ended.value.code == 0


@pytest.mark.parametrize("digest", ["", "x" * 64, "AB" * 32])
def test_a_digest_that_is_none_is_refused(ana: Person, digest: str) -> None:
    with closing(HubDoor(ana.hub.url, ana.make(kind="agent")["secret"])) as door, pytest.raises(errors.SpecInvalid):
        door.rotate(RotateRequest(digest))


def test_what_the_official_clients_file_holds_works_as_before(hub: RunningHub, http: httpx.Client) -> None:
    headers = {"Authorization": f"token {hub.token}"}
    answer = http.get(f"{hub.url}/api/v1/users/auth/user/", headers=headers)
    assert answer.status_code == 200
    assert "dynolab-token-expires" not in answer.headers
