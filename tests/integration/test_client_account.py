"""Our client and command line for somebody who is in projects, and whose token ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("h5py")

from dynolab import errors
from dynolab.cli import main
from dynolab.client import settings
from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.client.token_end import TokenEndsSoon
from dynolab.testing.databases import OwnDatabase

from .test_api import User, checked
from .test_organisations import MODEL, Team, model_in, team

__all__ = ["team"]


def ours(who: User, project: str | None = None) -> Client:
    return Client(ClientConfig(who.token, who.hub.url, verbose=False), default_project_id=project)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def dynolab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process, with a person's token; None: with that of the file."""
    monkeypatch.setattr(main, "_heed_stops", lambda: None)  # Ctrl-C stays with who runs the tests
    monkeypatch.setenv("COLUMNS", "200")

    def run(who: User | None, *arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["dynolab", *arguments])
            known = {} if who is None else {"DYNOLAB_HUB_URL": who.hub.url, "DYNOLAB_HUB_TOKEN": who.token}
            for name, value in {**known, **environment}.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main.main()
        told = capsys.readouterr()
        return Done(int(ended.value.code or 0), told.out, told.err)

    return run


def refused(done: Done, *words: str) -> None:
    assert (done.status, done.out) == (2, ""), done.err
    assert [word for word in words if word not in done.err] == [], done.err


@pytest.fixture
def two(team: Team) -> Team:
    """A team with a second project, and a device."""
    team["owner"].post(f"/organisations/{team.name}/projects", {"name": "audio"})
    team["admin"].ask(f"{team.name}-bench")
    team["admin"].change(f"{team.name}-bench", organisation=team.name)
    return team


@pytest.fixture
def client(two: Team) -> Iterator[Client]:
    """A member's, which works in the second project."""
    with closing(ours(two["member"], f"{two.name}.audio")) as found:
        yield found


# ---- projects --------------------------------------------------------------------------------------------------------


def test_what_a_client_makes_in_a_project_is_there_and_its_lists_show_that_alone(two: Team, client: Client) -> None:
    device, audio, vision = Device(f"{two.name}-bench"), f"{two.name}.audio", two.project
    job = client.submit_profile_job(MODEL, device, name="hears")
    data = client.upload_dataset({"x": [np.zeros(1, np.float32)]})
    other = client.submit_profile_job(MODEL, device, name="sees", project=vision)
    own = client.upload_model(MODEL, name="mine", project="")
    assert (job.project, data.project, other.project, own.project) == (audio, audio, vision, None)
    assert client.get_model(job.document["model_id"]).project == audio, "it went where the job went"
    assert client.get_model(other.document["model_id"]).project == vision
    assert [one.job_id for one in client.get_job_summaries()] == [job.job_id]
    assert [one.job_id for one in client.get_job_summaries(project=vision)] == [other.job_id]
    assert {one.job_id for one in client.get_job_summaries(project="")} == {job.job_id, other.job_id}
    assert [one.project for one in client.get_models()] == [audio]
    assert {one.project for one in client.get_models(project="")} == {audio, vision, None}
    assert [one.dataset_id for one in client.get_datasets()] == [data.dataset_id]
    assert client.get_datasets(project=vision) == []
    assert two["viewer"].get(f"/datasets/{data.dataset_id}")["project"] == audio


def test_a_stranger_it_is_shared_with_is_not_told_the_project(two: Team) -> None:
    made = model_in(two["member"], two.project)
    checked(two["member"].send("PATCH", f"/models/{made}/sharing", json={"add": [two["stranger"].email]}), 200)
    assert two["stranger"].get(f"/models/{made}")["project"] is None
    assert [one["project"] for one in two["stranger"].get("/models")["models"]] == [None]


@pytest.mark.parametrize("listed", ["models", "datasets", "jobs"])
def test_no_list_is_empty_because_a_project_is_misspelt(two: Team, listed: str) -> None:
    told = two["member"].refused("GET", f"/{listed}?project={two.name}.vison", 404)
    assert f"{two.name}.vison" in told["message"]
    assert told["hint"] == f"you are in {two.name}.audio, {two.name}.vision"
    assert "you are in none" in two["stranger"].refused("GET", f"/{listed}?project={two.name}.vision", 404)["hint"]
    assert two["member"].get(f"/{listed}", project="a-label-of-mine") == {listed: [], "next": None}
    alone = two.bound(two["member"]).refused("GET", f"/{listed}?project={two.name}.audio", 403)
    assert f"works in the project {two.project} alone, not in '{two.name}.audio'" in alone["message"]


def test_labels_are_looked_for_as_well(two: Team) -> None:
    ana = two["stranger"]
    made = ana.post("/models", {"name": "net", "kind": "onnx", "project_id": "winter"})
    ana.post("/models", {"name": "net", "kind": "onnx"})
    assert [one["id"] for one in ana.get("/models", project="winter")["models"]] == [made["id"]]


def test_the_command_line_works_in_a_project(two: Team, dynolab: Run) -> None:
    member, audio = two["member"], f"{two.name}.audio"
    submit = ("submit", "profile", str(MODEL), "--device", f"{two.name}-bench", "--no-wait", "--json")
    made = dynolab(member, *submit, "--project", audio)
    job = json.loads(made.out)
    assert (made.status, job["project"]) == (0, audio)
    assert member.get(f"/models/{job['model_id']}")["project"] == audio
    other = json.loads(dynolab(member, *submit, DYNOLAB_PROJECT=two.project).out)
    assert other["project"] == two.project

    def listed(*arguments: str, **environment: str) -> tuple[str, list[str]]:
        """The titles, and the jobs' ids."""
        titles, *rows = dynolab(member, "jobs", *arguments, **environment).out.splitlines()
        return titles, [row.split()[0] for row in rows]

    everywhere, within = listed(), listed("--project", audio)
    assert "Project" in everywhere[0]
    assert everywhere[1] == [other["id"], job["id"]]
    assert "Project" not in within[0]
    assert within[1] == [job["id"]]
    assert listed("--project", "", DYNOLAB_PROJECT=audio) == everywhere
    assert listed(DYNOLAB_PROJECT=audio) == within
    assert audio in dynolab(member, "jobs").out
    assert f"no job in {audio} is failed" in dynolab(member, "jobs", "--project", audio, "--state", "failed").out


def test_a_project_that_is_none_or_anothers_is_told_before_anything_goes(two: Team, dynolab: Run) -> None:
    member, stranger, viewer = two["member"], two["stranger"], two["viewer"]
    submit = ("submit", "profile", str(MODEL), "--device", f"{two.name}-bench", "--no-wait")
    yours = f"you are in {two.name}.audio, {two.name}.vision"
    refused(dynolab(member, *submit, "--project", f"{two.name}.vison"), f"'{two.name}.vison'", yours)
    refused(dynolab(member, "jobs", DYNOLAB_PROJECT=f"{two.name}.vison"), f"'{two.name}.vison'", yours)
    refused(dynolab(member, *submit, "--project", f"{two.name}/vision"), "--project", "no project", "acme.vision")
    refused(dynolab(member, "jobs", DYNOLAB_PROJECT="vision"), "DYNOLAB_PROJECT 'vision'", "acme.vision")
    refused(dynolab(stranger, *submit, "--project", two.project), f"no project '{two.project}'", "you are in none")
    refused(dynolab(viewer, *submit, "--project", two.project), two.project, "make you a member")
    bound = two.bound(member)
    alone = f"works in the project {two.project} alone, not in '{two.name}.audio'"
    refused(dynolab(bound, *submit, "--project", f"{two.name}.audio"), alone, "leave the project out")
    assert dynolab(bound, *submit, "--project", two.project).status == 0
    assert [one["owner"] for one in member.get("/models")["models"]] == [member.email], "the bound token's alone"


def test_a_clients_file_names_the_project_as_ai_hubs_does(
    two: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member, file = two["member"], tmp_path / "client.ini"
    monkeypatch.setenv("DYNOLAB_CLIENT_INI", str(file))
    for name in ("DYNOLAB_HUB_URL", "DYNOLAB_HUB_TOKEN", "DYNOLAB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    settings.save(ClientConfig(member.token, member.hub.url, default_project=two.project))
    with closing(Client()) as client:
        assert client.upload_model(MODEL).project == two.project
    monkeypatch.setenv("DYNOLAB_PROJECT", f"{two.name}.audio")
    with closing(Client()) as client:
        assert client.upload_model(MODEL).project == f"{two.name}.audio"
    monkeypatch.setenv("DYNOLAB_PROJECT", "audio")
    with pytest.raises(errors.SpecInvalid, match="DYNOLAB_PROJECT 'audio' is no project"):
        Client()


@pytest.mark.parametrize("listed", ["jobs", "models", "datasets"])
def test_lists_on_pages_name_projects_to_those_who_are_in_some(two: Team, client: Client, listed: str) -> None:
    client.submit_profile_job(MODEL, Device(f"{two.name}-bench"), name="hears")
    client.upload_dataset({"x": [np.zeros(1, np.float32)]}, name="sounds")
    audio, vision = f"{two.name}.audio", two.project
    link, choice = f'<a href="/projects/{audio}/">{audio}</a>', '<select name="project">'

    def asked(who: User, path: str, status: int = 200) -> str:
        with httpx.Client(base_url=who.hub.url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=30) as http:
            http.post("/sign-in", data={"token": who.token})
            answer = http.get(path)
            assert answer.status_code == status, answer.text
            return answer.text

    whole, within = (asked(two["viewer"], f"/{listed}/{query}") for query in ("", f"?project={audio}"))
    assert link in whole
    assert [f'<option value="{one}">' in whole for one in (audio, vision)] == [True, True]
    assert link not in within, "all of the list is in there"
    assert f'<option value="{audio}" selected>' in within
    assert "show-all" not in within
    assert link not in asked(two["viewer"], f"/{listed}/?project={vision}")
    told = asked(two["viewer"], f"/{listed}/?project={two.name}.vison", 404)
    assert f"you are in {audio}, {vision}" in told
    [it] = two["viewer"].get(f"/{listed}", project=audio)[listed]
    assert link in asked(two["viewer"], f"/{listed}/{it['id']}/")
    two["stranger"].post("/models", {"name": "net", "kind": "onnx"})
    of_none = asked(two["stranger"], f"/{listed}/")
    assert choice not in of_none
    assert "/projects/" not in of_none
    bound = asked(two.bound(two["member"], audio), f"/{listed}/")
    assert choice not in bound
    assert link + "</small>" not in bound


# ---- tokens ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(two: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, dict[str, Any]]]:
    """Keeps a new token of the member's where `dynolab login` would, with what else people have in such a file."""
    file = tmp_path / "client.ini"

    def keep(**terms: Any) -> tuple[Path, dict[str, Any]]:
        made = two["member"].post("/tokens", {"label": "laptop", **terms})
        url = two.hub.hub.url
        text = f"# mine\n[api]\napi_url = {url}\nAPI_TOKEN={made['secret']}\n\nverbose = false\n; end\n"
        file.write_text(text, encoding="utf-8")
        return file, made

    for name in ("DYNOLAB_HUB_URL", "DYNOLAB_HUB_TOKEN", "DYNOLAB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DYNOLAB_CLIENT_INI", str(file))
    monkeypatch.setenv("QAIHUB_CLIENT_INI", str(tmp_path / "official.ini"))
    monkeypatch.setenv("DYNOLAB_DATA", str(tmp_path / "no hub"))
    return keep


def grown_old(postgres: OwnDatabase, made: dict[str, Any]) -> None:
    """A token's last third has begun."""
    postgres.rows("UPDATE token SET created_at = created_at - interval '30 days' WHERE id = $1", made["id"])


def test_a_command_tells_once_that_the_token_ends_soon_and_what_renews_it(
    two: Team, postgres: OwnDatabase, kept: Any, dynolab: Run
) -> None:
    _, made = kept(days=3.5)
    grown_old(postgres, made)
    url = two.hub.hub.url
    told = dynolab(None, "jobs", "--project", two.project)  # more than one request
    end = datetime.fromisoformat(made["expires_at"])
    said = f"note: the API token ends in 3 days, at {end:%Y-%m-%d %H:%M} UTC: `dynolab token rotate`, or the page {url}/account/"
    assert [line.startswith(said) for line in told.err.splitlines()] == [True]
    refused_too = dynolab(None, "jobs", "show", "jnothere")
    assert (refused_too.status, said in refused_too.err) == (2, True)
    by_environment = dynolab(User(two.hub.hub, made["secret"], two.http), "jobs").err
    assert "ends in 3 days" in by_environment
    assert "dynolab token rotate" not in by_environment, "which could not keep the new secret"
    for terms in ({"days": 7}, {"days": 8}, {"days": 0}):
        kept(**terms)
        assert dynolab(None, "jobs").err == ""


def test_the_python_client_warns_once_in_a_process_of_a_token_that_ends_soon(two: Team, postgres: OwnDatabase) -> None:
    made = two["member"].post("/tokens", {"label": "script", "days": 0.1})
    grown_old(postgres, made)
    ending = User(two.hub.hub, made["secret"], two.http)
    with (
        closing(ours(ending)) as client,
        pytest.warns(TokenEndsSoon, match="ends in 2 hours, at .* UTC: `dynolab token rotate`"),
    ):
        client.get_models()
    with closing(ours(ending)) as client:
        client.get_models()  # a warning would be an error here


def test_a_token_is_rotated_into_the_file_that_it_is_kept_in(
    two: Team, kept: Any, dynolab: Run, tmp_path: Path
) -> None:
    file, made = kept(days=3)
    old, official = made["secret"], tmp_path / "official.ini"
    official.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    place = tmp_path / "dotfiles" / "ini"
    place.parent.mkdir()
    file.rename(place)
    file.symlink_to(place)
    done = dynolab(None, "token", "rotate", "--days", "60")
    assert done.status == 0, done.err
    assert f"{made['id']} has a new secret, good until" in done.out
    assert "the old secret is good until" in done.err
    assert f"{official} has it: cp {file} {official}" in done.err
    assert "ends in" not in done.err, "that was of the old one"
    new = settings.read(file).api_token
    assert new != old
    assert file.is_symlink()
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.read_text(encoding="utf-8") == text.replace(old, new)
    assert sorted(one.name for one in place.parent.iterdir()) == ["ini"]
    told = dynolab(None, "token")
    assert (told.status, told.err) == (0, "")
    assert f"{made['id']} of {two['member'].email}" in told.out
    assert "works in: all that the account may see" in told.out
    assert old not in (done.out + done.err + told.out)
    assert new not in (done.out + done.err + told.out)
    again = json.loads(dynolab(None, "token", "rotate", "--json").out)
    assert (again["id"], again["also_in"]) == (made["id"], []), "the official client's file has the first one"


def test_a_token_that_cannot_be_kept_is_not_rotated(two: Team, kept: Any, dynolab: Run) -> None:
    file, made = kept(project=two.project)
    by_environment = User(two.hub.hub, made["secret"], two.http)
    refused(dynolab(by_environment, "token", "rotate"), "DYNOLAB_HUB_TOKEN", "/account/")
    told = dynolab(None, "token").out
    assert f"works in: the project {two.project} alone" in told
    assert "ends: never" in told
    refused(dynolab(None, "token", "rotate", "--days", "1e9"), "36500")
    refused(dynolab(None, "token", "rotate", "--days", "-1"), "-1")
    file.with_name(f"{file.name}.{os.getpid()}.partial").mkdir()  # where it is written first
    refused(dynolab(None, "token", "rotate"), f"{file} cannot be written", "/account/")
    assert settings.read(file).api_token == made["secret"]
    assert by_environment.get("/me")["token_id"] == made["id"]
    [token] = [one for one in two["member"].get("/tokens")["tokens"] if one["id"] == made["id"]]
    assert token["rotated_at"] is None


def test_a_secret_that_was_replaced_is_told_so(two: Team, kept: Any, dynolab: Run) -> None:
    file, made = kept()
    two["member"].post(f"/tokens/{made['id']}/rotate", {})
    refused(dynolab(None, "token", "rotate"), "was rotated already", "use the new secret")
    assert settings.read(file).api_token == made["secret"]
